//! `[[otlp.routes]]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::EVERYONE;
use crate::otlp::forward::{Access, BadTarget, Target};
use crate::otlp::options::{Options, Protocol};

/// Routes that there may be.
const MOST: usize = 1_000;
/// Headers that a route may have.
const MOST_HEADERS: usize = 32;
/// Headers that are Doorward's, or the protocol's, and no route's.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-correlation-id",
    "x-scope-orgid",
    "x-tenant-id",
];

/// One of `[[otlp.routes]]`: a back end, and whose telemetry it gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteOptions {
    /// The tenant's id or short name; `*` for every tenant without a route of its own.
    pub tenant: String,
    /// As `otlp.backend`.
    pub url: String,
    /// As `otlp.backend_protocol`.
    pub protocol: Option<Protocol>,
    /// Headers that go with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderText>,
    /// The certificate authorities (PEM) that are trusted, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether it gets a copy of what another back end takes, and has no say in the answer.
    #[serde(default)]
    pub mirror: bool,
}

/// The value of a header, which may well be a secret; never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct HeaderText(Zeroizing<String>);

/// A route that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadRoute {
    /// Too many of them.
    #[error("otlp.routes: at most {MOST}")]
    TooMany,
    /// Two that cannot both decide.
    #[error("otlp.routes[{0}]: the tenant has another route already; only mirrors may be several")]
    Twice(usize),
    /// `*` besides `otlp.backend`.
    #[error("otlp.routes[{0}]: `*` takes the place of otlp.backend; leave one away")]
    Default(usize),
    /// Routes of some tenants, and nothing for the others.
    #[error(
        "otlp.routes: otlp.backend, or a route for `*`, must say where all other tenants' telemetry goes"
    )]
    NoDefault,
    /// A tenant is not named.
    #[error("otlp.routes[{0}].tenant: must be a tenant's id or short name, or `*`")]
    Tenant(usize),
    /// The back end's address, or its certificate authorities.
    #[error("otlp.routes[{0}]: {1}")]
    Target(usize, BadTarget),
    /// A header.
    #[error(
        "otlp.routes[{0}].headers: at most {MOST_HEADERS}, of sound names and values, and none that Doorward sets itself"
    )]
    Header(usize),
}

impl RouteOptions {
    /// The back end.
    ///
    /// # Errors
    /// Its URL cannot be used.
    pub fn target(&self) -> Result<Target, BadTarget> {
        Target::parse(&self.url, self.protocol)
    }

    /// What it takes to be let in there.
    ///
    /// # Errors
    /// The certificate authorities cannot be read.
    pub fn access(&self) -> Result<Access, BadTarget> {
        Access::new(self.header_map().unwrap_or_default(), self.ca_file.as_deref())
    }

    /// Everything that is wrong with the routes of these options.
    pub fn problems(options: &Options) -> Vec<BadRoute> {
        let routes = &options.routes;
        let mut problems = Vec::new();
        if routes.len() > MOST {
            return vec![BadRoute::TooMany];
        }
        for (at, route) in routes.iter().enumerate() {
            let decides = |other: &&Self| !other.mirror && other.tenant == route.tenant;
            let checks = [
                (route.tenant.is_empty() || route.tenant.len() > 128, BadRoute::Tenant(at)),
                (route.header_map().is_none(), BadRoute::Header(at)),
                (!route.mirror && routes.iter().take(at).any(|other| decides(&other)), BadRoute::Twice(at)),
                (route.is_default() && !options.backend.is_empty(), BadRoute::Default(at)),
            ];
            problems.extend(checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, problem)| problem));
            let target = route.target().and_then(|_| route.access());
            problems.extend(target.err().map(|bad| BadRoute::Target(at, bad)));
        }
        if !routes.is_empty() && !options.has_default() {
            problems.push(BadRoute::NoDefault);
        }
        problems
    }

    /// Whether it decides for every tenant without a route of its own.
    pub fn is_default(&self) -> bool {
        !self.mirror && self.tenant == EVERYONE
    }

    fn header_map(&self) -> Option<HeaderMap> {
        if self.headers.len() > MOST_HEADERS {
            return None;
        }
        let mut map = HeaderMap::with_capacity(self.headers.len());
        for (name, HeaderText(value)) in &self.headers {
            let Ok(name) = HeaderName::try_from(name.as_str()) else { return None };
            let Ok(mut value) = HeaderValue::try_from(value.as_str()) else { return None };
            if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
                return None;
            }
            value.set_sensitive(true);
            map.insert(name, value);
        }
        Some(map)
    }
}

impl From<String> for HeaderText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
