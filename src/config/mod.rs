//! Configuration: a TOML file, over it the environment; every fault is told at
//! once, before anything is opened.

mod break_glass;
mod environment;
mod listen;
mod read;
mod secrets;

pub use break_glass::BreakGlass;
pub use listen::{Api, Ops, Tls};
pub use read::{BadConfiguration, load};
pub use secrets::{Secret, SecretFault};

use crate::app::audit::AuditOptions;
use crate::app::hashing::HashingOptions;
use crate::app::tokens::TokenOptions;
use crate::domain::letters::LinkBase;
use crate::domain::signing::Algorithm;
use crate::secret::token::SharedSecret;
use crate::secret::webauthn::{BadRelyingParty, RelyingParty};
use crate::secret::{Profile, RootKey};
use crate::{guard, http, mail, otlp, replica, store};
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

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
    /// People who log in.
    pub people: People,
    /// How passwords are hashed.
    pub hashing: HashingOptions,
    /// How letters go.
    pub mail: mail::Options,
    /// How tenants end.
    pub tenancy: Tenancy,
    /// How the audit log is kept.
    pub audit: AuditOptions,
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
    /// Days that counts of use are kept: 1 to 3660.
    pub usage_days: u32,
}

impl Keys {
    /// How long counts of use are kept.
    pub fn usage_kept(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.usage_days))
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { profiles: Profile::defaults(), pepper: None, usage_days: 90 }
    }
}

/// `[tenancy]`: how tenants end.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenancy {
    /// Days after which a deleted tenant is gone for good: 1 to 3660.
    pub purge_after_days: u32,
}

impl Tenancy {
    /// For how long a deleted tenant can be brought back.
    pub fn kept(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.purge_after_days))
    }
}

impl Default for Tenancy {
    fn default() -> Self {
        Self { purge_after_days: 30 }
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

/// `[tokens]`: access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Who issues them: the claim `iss`.
    pub issuer: String,
    /// Whom they are for: the claim `aud`.
    pub audience: String,
    /// How they are signed: `RS256`, `ES256`, `EdDSA` or `HS256`.
    pub algorithm: Algorithm,
    /// How long they live, in seconds, where a tenant says nothing: 1 to 3600.
    pub access_ttl_seconds: u32,
    /// The secret of HS256, at least 32 bytes; all who verify have it too.
    pub secret: Option<Secret>,
}

impl Default for Tokens {
    fn default() -> Self {
        let TokenOptions { issuer, audience, algorithm, access_ttl_seconds } = TokenOptions::default();
        Self { issuer, audience, algorithm, access_ttl_seconds, secret: None }
    }
}

impl Tokens {
    /// What the app is told of them.
    pub fn options(&self) -> TokenOptions {
        TokenOptions {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            algorithm: self.algorithm,
            access_ttl_seconds: self.access_ttl_seconds,
        }
    }

    /// The secret of HS256.
    pub fn shared(&self) -> Option<SharedSecret> {
        let secret = self.secret.as_ref().filter(|_| self.algorithm == Algorithm::Hs256)?;
        SharedSecret::new(Zeroizing::new(secret.bytes().to_vec()))
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::from_iter(self.options().fault());
        if self.algorithm == Algorithm::Hs256 && self.shared().is_none() {
            faults.push(format!(
                "tokens.secret is needed for HS256 and must have {} to {} bytes",
                SharedSecret::MIN,
                SharedSecret::MAX
            ));
        }
        faults
    }
}

/// `[people]`: people who log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct People {
    /// What links in letters begin with, such as `https://console.example.com`.
    /// Without it no letters are written.
    pub link_base: Option<LinkBase>,
    /// What authenticators show as the issuer.
    pub name: String,
    /// Seals signing keys and authenticators: 32 bytes in hex or Base64. One
    /// that Doorward makes and keeps in the database when not said.
    pub root_key: Option<Secret>,
    /// Root keys of before: what they sealed still opens.
    pub older_root_key: Option<Secret>,
    /// The domain that passkeys are of, such as `example.com`. It can never be
    /// changed: passkeys of another domain are lost. Without it passkeys are off.
    pub rp_id: Option<String>,
    /// Pages that may ask for passkeys, such as `https://login.example.com`.
    pub origins: Vec<String>,
}

impl Default for People {
    fn default() -> Self {
        Self {
            link_base: None,
            name: "Doorward".into(),
            root_key: None,
            older_root_key: None,
            rp_id: None,
            origins: Vec::new(),
        }
    }
}

impl People {
    /// Who asks for passkeys; none where they are off.
    pub fn relying_party(&self) -> Result<Option<RelyingParty>, BadRelyingParty> {
        let id = self.rp_id.as_deref();
        id.map(|id| RelyingParty::new(id, &self.name, &self.origins)).transpose()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::from_iter(self.relying_party().err().map(|bad| bad.to_string()));
        if self.rp_id.is_none() && !self.origins.is_empty() {
            faults.push("people.origins: set people.rp_id too, or passkeys are off".into());
        }
        for (name, key) in [("root_key", &self.root_key), ("older_root_key", &self.older_root_key)] {
            let read = key.as_ref().map(|key| RootKey::from_file_bytes(key.bytes()));
            if let Some(Err(bad)) = read {
                faults.push(format!("people.{name}: {bad}"));
            }
        }
        if !(1..=64).contains(&self.name.chars().count()) || self.name.chars().any(char::is_control) {
            faults.push("people.name must have 1 to 64 characters".into());
        }
        faults
    }
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
        faults.extend(self.tokens.faults());
        faults.extend(self.people.faults());
        faults.extend(self.hashing.fault().map(str::to_owned));
        faults.extend(self.mail.faults());
        if !(1..=3660).contains(&self.keys.usage_days) {
            faults.push("keys.usage_days must be 1 to 3660".into());
        }
        if !(1..=3660).contains(&self.tenancy.purge_after_days) {
            faults.push("tenancy.purge_after_days must be 1 to 3660".into());
        }
        faults.extend(self.audit.faults());
        faults.extend(otlp::audit::Outlet::fault(&self.audit.sink));
        if self.limits.default_per_minute > crate::domain::limits::Limit::MAX {
            faults.push(format!(
                "limits.default_per_minute must be at most {}",
                crate::domain::limits::Limit::MAX
            ));
        }
        faults.extend(self.break_glass.faults());
        if tracing_subscriber::EnvFilter::try_new(&self.log.filter).is_err() {
            faults.push("log.filter cannot be read".into());
        }
        faults
    }
}
