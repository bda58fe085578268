//! Configuration: a TOML file, over it the environment; every fault is told at
//! once, before anything is opened.

mod environment;
mod listen;
mod read;
mod secrets;

pub use listen::{Api, Ops, Tls};
pub use read::{BadConfiguration, load};
pub use secrets::{Secret, SecretFault};

use crate::secret::Profile;
use crate::{guard, http, otlp, replica, store};
use serde::Deserialize;

/// Every setting, by section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the data is.
    pub database: store::Options,
    /// The API port.
    pub api: Api,
    /// The ops port.
    pub ops: Ops,
    /// Certificates of the API and OTLP ports.
    pub tls: Tls,
    /// REST.
    pub http: http::Options,
    /// OTLP ingest.
    pub otlp: otlp::Options,
    /// How revocations spread.
    pub coherence: replica::Options,
    /// Forms of keys.
    pub keys: Keys,
    /// Rate limits.
    pub limits: Limits,
    /// Proxies in front.
    pub proxies: guard::Options,
    /// Access tokens.
    pub tokens: Tokens,
    /// The emergency key.
    pub break_glass: BreakGlass,
    /// What is logged, and how.
    pub log: Log,
}

/// `[keys]`: forms of keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The shapes that keys can have.
    pub profiles: Vec<Profile>,
    /// The secret over digests of imported keys; one that Doorward makes and
    /// keeps in the database when not said.
    pub pepper: Option<Secret>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { profiles: Profile::defaults(), pepper: None }
    }
}

/// `[limits]`: rate limits.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute of a key whose tenant says nothing; 0 is no limit.
    pub default_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { default_per_minute: 60_000 }
    }
}

/// `[tokens]`: access tokens. Read and checked, so that a configuration made
/// for later versions is not refused; no token is issued yet.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// How they are signed.
    pub algorithm: Algorithm,
    /// How long they live, in seconds.
    pub access_ttl_seconds: u32,
}

/// How access tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are the registered ones")]
pub enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "HS256")]
    Hs256,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { algorithm: Algorithm::Rs256, access_ttl_seconds: 900 }
    }
}

/// `[break_glass]`: the emergency key. Off; this version cannot switch it on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakGlass {
    /// Whether the key is accepted.
    pub enabled: bool,
    /// The key.
    pub master_key: Option<Secret>,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Which lines: a level, or directives such as `info,doorward::store=debug`.
    pub filter: String,
    /// JSON for machines, text for people.
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Json }
    }
}

impl Settings {
    /// Everything that is wrong across settings that are each readable.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.listen_faults();
        faults.extend(
            Profile::check_all(&self.keys.profiles).iter().map(|fault| format!("keys.profiles: {fault}")),
        );
        faults.extend(self.coherence.fault().map(str::to_owned));
        faults.extend(self.http.faults());
        faults.extend(self.otlp.problems().iter().map(ToString::to_string));
        faults.extend(store::Store::new(&self.database).err().map(|fault| format!("database: {fault}")));
        let short = |pepper: &Secret| pepper.bytes().len() < crate::secret::Pepper::MIN;
        if self.keys.pepper.as_ref().is_some_and(short) {
            faults.push(format!("keys.pepper must have at least {} bytes", crate::secret::Pepper::MIN));
        }
        if !(1..=3600).contains(&self.tokens.access_ttl_seconds) {
            faults.push("tokens.access_ttl_seconds must be 1 to 3600".into());
        }
        if self.limits.default_per_minute > crate::domain::limits::Limit::MAX {
            faults.push(format!(
                "limits.default_per_minute must be at most {}",
                crate::domain::limits::Limit::MAX
            ));
        }
        if self.break_glass.enabled {
            faults.push("break_glass.enabled: this version has no break-glass key; leave it off".into());
        }
        if tracing_subscriber::EnvFilter::try_new(&self.log.filter).is_err() {
            faults.push("log.filter cannot be read".into());
        }
        faults
    }
}
