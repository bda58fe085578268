//! `[otlp]`: what ingest needs to be told.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use super::forward::{BadTarget, Target};
use super::intake::COPIES;
use super::quota::QuotaOptions;
use super::routes::{BadRoute, RouteOptions};
use super::splice::Policy;

/// Attribute keys that clients may never send, besides the tenant attribute itself. They are compared as
/// [`Policy`] compares: letter case and punctuation do not matter.
const ALWAYS_DENIED: [&str; 10] = [
    "tenant",
    "tenant.id",
    "tenantid",
    "tenant.name",
    "tenant.slug",
    "doorward.tenant",
    "doorward.tenant.id",
    "radicas.tenant.id",
    "x.tenant.id",
    "x.scope.orgid",
];

/// `[otlp]`: where telemetry comes in, where it goes, and how much of it at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where OTLP over gRPC is served; empty for nowhere.
    pub grpc_listen: Address,
    /// Where OTLP over HTTP is served; empty for nowhere.
    pub http_listen: Address,
    /// `sink`, or the URL of an OTLP back end. Empty: ingest is off.
    pub backend: String,
    /// How the back end speaks; unset, its URL decides (see [`Target::parse`]), or where that does not tell, the back
    /// end itself when it is first used.
    pub backend_protocol: Option<Protocol>,
    /// Back ends of some tenants, and mirrors.
    pub routes: Vec<RouteOptions>,
    /// Bytes of copies that may wait for each mirror, or be on their way to it.
    pub mirror_queue_bytes: usize,
    /// The resource attribute that gets the tenant's id.
    pub tenant_attribute: String,
    /// Attributes that are removed besides those that always are.
    pub denied_attributes: Vec<String>,
    /// Bytes that one request may have, as sent and also after decompression.
    pub max_body_bytes: usize,
    /// Bytes of requests that may be in memory at once, over all senders.
    pub max_in_flight_bytes: usize,
    /// What tenants and keys may send.
    pub quota: QuotaOptions,
    /// Milliseconds in which a body must have come.
    pub read_timeout_ms: u64,
    /// Milliseconds in which the back end must have answered.
    pub forward_timeout_ms: u64,
}

/// An address to listen on, or none.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Address(pub Option<SocketAddr>);

/// How a back end speaks OTLP.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, protobuf-encoded.
    Http,
}

/// A setting of `[otlp]` that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadOptions {
    /// `otlp.backend`.
    #[error("otlp.backend: {0}")]
    Backend(#[from] BadTarget),
    /// `otlp.routes`.
    #[error(transparent)]
    Route(#[from] BadRoute),
    /// `otlp.mirror_queue_bytes`.
    #[error("otlp.mirror_queue_bytes: must be at most 4294967295")]
    MirrorQueue,
    /// `otlp.tenant_attribute`.
    #[error("otlp.tenant_attribute: must have 1 to 128 characters, one of them a letter or digit")]
    TenantAttribute,
    /// `otlp.denied_attributes`.
    #[error("otlp.denied_attributes: at most 100 keys of at most 128 characters")]
    DeniedAttributes,
    /// `otlp.max_body_bytes`.
    #[error("otlp.max_body_bytes: must be from 1024 to 1073741824")]
    MaxBody,
    /// `otlp.max_in_flight_bytes`.
    #[error(
        "otlp.max_in_flight_bytes: must be at least five times otlp.max_body_bytes, and at most 1099511627776"
    )]
    MaxInFlight,
    /// One of `otlp.quota`.
    #[error("otlp.quota.{0}: must be at most 10^12 a second and 10^18 a day")]
    Quota(String),
    /// One of the timeouts.
    #[error("{0}: must be from 1 to 600000")]
    Timeout(&'static str),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grpc_listen: Address(Some(SocketAddr::from(([127, 0, 0, 1], 4317)))),
            http_listen: Address(Some(SocketAddr::from(([127, 0, 0, 1], 4318)))),
            backend: String::new(),
            backend_protocol: None,
            routes: Vec::new(),
            mirror_queue_bytes: 64 << 20,
            tenant_attribute: "tenant.id".to_owned(),
            denied_attributes: Vec::new(),
            max_body_bytes: 64 << 20,
            max_in_flight_bytes: 512 << 20,
            quota: QuotaOptions::default(),
            read_timeout_ms: 30_000,
            forward_timeout_ms: 10_000,
        }
    }
}

impl Options {
    /// Whether there is anything to serve.
    pub fn is_on(&self) -> bool {
        self.has_default() && (self.grpc_listen.0.is_some() || self.http_listen.0.is_some())
    }

    /// Whether it is said where telemetry goes.
    pub fn has_default(&self) -> bool {
        !self.backend.is_empty() || self.routes.iter().any(RouteOptions::is_default)
    }

    /// Everything that is wrong with the settings.
    pub fn problems(&self) -> Vec<BadOptions> {
        let mut problems = Vec::new();
        if !self.backend.is_empty()
            && let Err(bad) = self.target()
        {
            problems.push(bad.into());
        }
        problems.extend(RouteOptions::problems(self).into_iter().map(BadOptions::Route));
        let timeouts = [
            ("otlp.read_timeout_ms", self.read_timeout_ms),
            ("otlp.forward_timeout_ms", self.forward_timeout_ms),
        ];
        let wrong = timeouts.into_iter().filter(|(_, value)| !(1..=600_000).contains(value));
        problems.extend(wrong.map(|(name, _)| BadOptions::Timeout(name)));
        problems.extend(self.quota.beyond().map(BadOptions::Quota));
        let checks = [
            (is_key(&self.tenant_attribute), BadOptions::TenantAttribute),
            (self.keys_are_sound(), BadOptions::DeniedAttributes),
            (u32::try_from(self.mirror_queue_bytes).is_ok(), BadOptions::MirrorQueue),
            ((1024..=1 << 30).contains(&self.max_body_bytes), BadOptions::MaxBody),
            (self.in_flight_is_sound(), BadOptions::MaxInFlight),
        ];
        problems.extend(checks.into_iter().filter(|(sound, _)| !sound).map(|(_, problem)| problem));
        problems
    }

    /// Where telemetry goes.
    ///
    /// # Errors
    /// `otlp.backend` cannot be used.
    pub fn target(&self) -> Result<Target, BadTarget> {
        Target::parse(&self.backend, self.backend_protocol)
    }

    /// What is removed from requests, and what is stamped on them.
    pub fn policy(&self) -> Policy {
        let denied = self.denied_attributes.iter().map(String::as_str).chain(ALWAYS_DENIED);
        Policy::new(&self.tenant_attribute, denied)
    }

    /// In which time a body must have come.
    pub fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_ms)
    }

    /// In which time the back end must have answered.
    pub fn forward_timeout(&self) -> Duration {
        Duration::from_millis(self.forward_timeout_ms)
    }

    fn keys_are_sound(&self) -> bool {
        self.denied_attributes.len() <= 100 && self.denied_attributes.iter().all(|key| is_key(key))
    }

    /// One request of full size must fit, and leave the last eighth to small ones.
    fn in_flight_is_sound(&self) -> bool {
        (self.max_body_bytes.saturating_mul(COPIES + 1)..=1 << 40).contains(&self.max_in_flight_bytes)
    }
}

impl TryFrom<String> for Address {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

fn is_key(key: &str) -> bool {
    (1..=128).contains(&key.chars().count()) && key.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn the_defaults_are_sound_and_off() {
        let options = Options::default();
        assert_eq!(options.problems(), []);
        assert!(!options.is_on());
    }

    #[test]
    fn settings_are_read() {
        let text = r#"grpc_listen = ""
            http_listen = "127.0.0.1:9999"
            backend = "http://collector:4317"
            backend_protocol = "grpc""#;
        let options = read(text).unwrap();
        assert_eq!(options.grpc_listen, Address(None));
        assert_eq!(options.http_listen.0.unwrap().port(), 9999);
        assert!(options.is_on());
        assert_eq!(options.problems(), []);
        assert!(read("backand = \"sink\"").is_err());
        assert!(read("grpc_listen = \"nowhere\"").is_err());
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let options = Options {
            backend: "ftp://x".to_owned(),
            tenant_attribute: "...".to_owned(),
            denied_attributes: vec![String::new()],
            max_body_bytes: 1,
            max_in_flight_bytes: 2,
            read_timeout_ms: 0,
            forward_timeout_ms: 700_000,
            ..Options::default()
        };
        assert_eq!(options.problems().len(), 7, "{:?}", options.problems());
    }

    #[test]
    fn names_of_the_tenant_are_denied_whatever_is_configured() {
        let options = Options { tenant_attribute: "org".to_owned(), ..Options::default() };
        for key in
            ["org", "tenant.id", "Tenant_Id", "X-Scope-OrgID", "radicas.tenant_id", "doorward_tenant_id"]
        {
            assert!(options.policy().denies(key.as_bytes()), "{key}");
        }
    }
}
