//! Where Doorward listens, and how.

use super::Settings;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[api]`: gRPC and REST.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Allows plaintext on addresses other than this machine's own.
    pub danger_allow_plaintext: bool,
    /// Open connections at most, on each port.
    pub max_connections: u32,
    /// Streams at once on one connection. What stands on a credential and can
    /// be cut with it is bounded over all connections too (`view::MOST_HELD`).
    pub max_streams: u32,
    /// Bytes of headers that a request may have.
    pub max_header_bytes: u32,
    /// How long calls may still take when the server stops, in milliseconds.
    pub drain_ms: u64,
    /// Whether gRPC reflection is served.
    pub reflection: bool,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            danger_allow_plaintext: false,
            max_connections: 10_000,
            max_streams: 1_000,
            max_header_bytes: 16 * 1024,
            drain_ms: 10_000,
            reflection: true,
        }
    }
}

/// `[ops]`: health, readiness and metrics, without a credential.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ops {
    /// Where it listens.
    pub listen: SocketAddr,
}

impl Default for Ops {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7401)) }
    }
}

/// `[tls]`: certificates of the API and OTLP ports; plaintext without them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The chain (PEM), the server's own certificate first. Read again when it changes.
    pub certificate_file: Option<PathBuf>,
    /// The key (PEM) of that certificate.
    pub key_file: Option<PathBuf>,
}

impl Tls {
    /// Both files, if TLS is on.
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.certificate_file.as_ref().zip(self.key_file.as_ref())
    }
}

impl Settings {
    pub(super) fn listen_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.tls.certificate_file.is_some() != self.tls.key_file.is_some() {
            faults.push("tls.certificate_file and tls.key_file are needed together".into());
        }
        let plaintext_is_fine = self.tls.files().is_some()
            || self.api.danger_allow_plaintext
            || !self.proxies.trusted.is_everywhere();
        let ports = [
            ("api.listen", Some(self.api.listen)),
            ("otlp.grpc_listen", self.otlp.grpc_listen.0),
            ("otlp.http_listen", self.otlp.http_listen.0),
        ];
        for (name, address) in ports {
            if address.is_some_and(|address| !address.ip().is_loopback()) && !plaintext_is_fine {
                faults.push(format!("{name} would carry keys in plaintext beyond this machine: set tls.certificate_file and tls.key_file, or proxies.trusted if a proxy in front terminates TLS, or api.danger_allow_plaintext"));
            }
        }
        let taken: Vec<SocketAddr> = ports
            .into_iter()
            .filter_map(|(_, address)| address)
            .chain([self.ops.listen])
            .filter(|address| address.port() != 0)
            .collect();
        for (at, address) in taken.iter().enumerate() {
            if taken.iter().take(at).any(|other| other == address) {
                faults.push(format!("{address} is given to two ports"));
            }
        }
        for (name, value) in
            [("api.max_connections", self.api.max_connections), ("api.max_streams", self.api.max_streams)]
        {
            if value == 0 {
                faults.push(format!("{name} must be more than 0"));
            }
        }
        if !(1024..=1024 * 1024).contains(&self.api.max_header_bytes) {
            faults.push("api.max_header_bytes must be 1024 to 1048576".into());
        }
        faults
    }
}
