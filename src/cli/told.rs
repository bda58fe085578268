//! What `dev` and `bootstrap` tell: addresses and, once, the first secrets.

use crate::app::bootstrap::Beginning;
use crate::boot::{Addresses, Dev, Lab, LabTenant, OWNER};
use crate::config::Settings;
use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;

/// Addresses and first secrets, as one JSON object or as text.
#[derive(Serialize)]
pub struct Told {
    address: String,
    ops_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_grpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_http: Option<String>,
    tenant_id: String,
    owner_email: String,
    #[serde(flatten)]
    secrets: Option<Secrets>,
}

#[derive(Serialize)]
struct Secrets {
    owner_password: String,
    api_key: String,
    ingest_key: String,
}

impl Secrets {
    fn of(beginning: &Beginning) -> Self {
        Self {
            owner_password: beginning.password.reveal().to_owned(),
            api_key: beginning.api_key.reveal().to_owned(),
            ingest_key: beginning.ingest_key.reveal().to_owned(),
        }
    }
}

impl Told {
    /// What `dev` tells once it serves.
    pub fn of_dev(dev: &Dev) -> Self {
        let secrets = dev.beginning.as_ref().map(Secrets::of);
        Self::new(dev.server.addresses(), "http", dev.tenant.to_string(), OWNER.to_owned(), secrets)
    }

    /// What `bootstrap` tells; the addresses are those that `serve` will have.
    pub fn of_bootstrap(settings: &Settings, email: &str, beginning: &Beginning) -> Self {
        let otlp = settings.otlp.is_on();
        let addresses = Addresses {
            api: settings.api.listen,
            ops: settings.ops.listen,
            otlp_grpc: settings.otlp.grpc_listen.0.filter(|_| otlp),
            otlp_http: settings.otlp.http_listen.0.filter(|_| otlp),
        };
        let scheme = if settings.tls.files().is_some() { "https" } else { "http" };
        Self::new(
            addresses,
            scheme,
            beginning.tenant.to_string(),
            email.to_owned(),
            Some(Secrets::of(beginning)),
        )
    }

    fn new(
        at: Addresses,
        scheme: &str,
        tenant_id: String,
        owner_email: String,
        secrets: Option<Secrets>,
    ) -> Self {
        let url = |address: SocketAddr| format!("{scheme}://{address}");
        Self {
            address: url(at.api),
            ops_address: format!("http://{}", at.ops),
            otlp_grpc: at.otlp_grpc.map(url),
            otlp_http: at.otlp_http.map(url),
            tenant_id,
            owner_email,
            secrets,
        }
    }

    /// Writes it: one line of JSON, or text for people.
    pub fn print(&self, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
        if json {
            serde_json::to_writer(&mut *out, self)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{self}")?;
        }
        Ok(out.flush()?)
    }
}

/// What `lab` tells once it serves.
#[derive(Serialize)]
pub struct LabTold {
    mode: &'static str,
    ops_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_grpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_http: Option<String>,
    default_tenant: String,
}

impl LabTold {
    /// Of this one.
    pub fn new(lab: &Lab, tenant: &LabTenant) -> Self {
        let url = |address: SocketAddr| format!("{}://{address}", lab.scheme);
        Self {
            mode: "lab",
            ops_address: format!("http://{}", lab.ops),
            otlp_grpc: lab.otlp.grpc.map(url),
            otlp_http: lab.otlp.http.map(url),
            default_tenant: tenant.to_string(),
        }
    }

    /// Writes it: one line of JSON, or text for people.
    pub fn print(&self, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
        if json {
            serde_json::to_writer(&mut *out, self)?;
            writeln!(out)?;
        } else {
            writeln!(out, "{self}")?;
        }
        Ok(out.flush()?)
    }
}

impl fmt::Display for LabTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "LAB MODE: no keys are asked for; resources name their tenant in `tenant.id`\n")?;
        writeln!(f, "ops           {}  (/health /ready /metrics)", self.ops_address)?;
        if let Some(grpc) = &self.otlp_grpc {
            writeln!(f, "OTLP gRPC     {grpc}")?;
        }
        if let Some(http) = &self.otlp_http {
            writeln!(f, "OTLP HTTP     {http}")?;
        }
        write!(f, "otherwise     {}", self.default_tenant)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "API           {}  (gRPC and REST)", self.address)?;
        writeln!(f, "ops           {}  (/health /ready /metrics)", self.ops_address)?;
        if let Some(grpc) = &self.otlp_grpc {
            writeln!(f, "OTLP gRPC     {grpc}")?;
        }
        if let Some(http) = &self.otlp_http {
            writeln!(f, "OTLP HTTP     {http}")?;
        }
        writeln!(f, "tenant        {}", self.tenant_id)?;
        writeln!(f, "owner         {}", self.owner_email)?;
        match &self.secrets {
            Some(secrets) => self.write_secrets(secrets, f),
            None => write!(
                f,
                "\nThe keys were shown when this data was made. With one of them in DOORWARD_API_KEY,\n`doorward key create NAME` makes another; to begin anew, remove the data directory."
            ),
        }
    }
}

impl Told {
    fn write_secrets(&self, secrets: &Secrets, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "password      {}", secrets.owner_password)?;
        writeln!(f, "API key       {}", secrets.api_key)?;
        writeln!(f, "ingest key    {}", secrets.ingest_key)?;
        writeln!(f, "\nThese three are shown this once. Try, in another terminal:\n")?;
        writeln!(f, "  export DOORWARD_ADDRESS={} DOORWARD_API_KEY={}", self.address, secrets.api_key)?;
        writeln!(f, "  doorward whoami")?;
        writeln!(f, "  doorward key create ci --scope keys.read")?;
        writeln!(f, "  curl -s {}/v1/auth/me -H \"x-api-key: $DOORWARD_API_KEY\"", self.address)?;
        match &self.otlp_http {
            Some(http) => write!(
                f,
                "\n  export OTEL_EXPORTER_OTLP_ENDPOINT={http} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n  export OTEL_EXPORTER_OTLP_HEADERS=\"authorization=Bearer%20{}\"",
                secrets.ingest_key
            ),
            None => Ok(()),
        }
    }
}
