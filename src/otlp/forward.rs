//! To the back end: the bytes as they are, the tenant in headers, the answer awaited.
//!
//! The only headers of a sender that go on are `traceparent` and `tracestate`. `x-tenant-id` and `x-scope-orgid` (what
//! Mimir, Loki and Tempo read) carry the tenant's id, which the back end may trust as far as it trusts the network
//! between Doorward and itself.

mod access;
mod connect;
mod detect;
mod grpc;
mod http;
mod payload;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{HeaderMap, HeaderName, HeaderValue};
use ::http::uri::Uri;
use thiserror::Error;

pub use self::access::Access;
use self::detect::UnknownBackend;
use self::grpc::GrpcBackend;
use self::http::HttpBackend;
pub use self::payload::Payload;
use super::Signal;
use super::message::fields;
use super::options::Protocol;
use super::response::Export;
use super::sink::{self, Lines};
use crate::domain::Failure;

/// Headers of a sender that go on to the back end.
const PASSED_ON: [&str; 2] = ["traceparent", "tracestate"];
/// The longest value that goes on, in bytes.
const MAX_PASSED_ON: usize = 512;
/// The largest response that a back end may send, in bytes.
const MAX_RESPONSE: usize = 4 << 20;
/// How long connecting to a back end may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How Doorward names itself to back ends.
const USER_AGENT: &str = concat!("doorward/", env!("CARGO_PKG_VERSION"));

/// Where telemetry goes, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nowhere: a line of text for each batch.
    Sink,
    /// An OTLP back end.
    Otlp {
        /// How it speaks; `None` where it must be asked, which it can be without TLS only.
        protocol: Option<Protocol>,
        /// Its scheme and authority, and for HTTP the path before `/v1/…`.
        url: Uri,
    },
}

/// A back end that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadTarget {
    /// Not a URL.
    #[error("must be `sink` or the http:// or https:// URL of an OTLP back end")]
    Unreadable,
    /// A user name, password or query in the URL.
    #[error("the URL must have no user name and no query")]
    Extras,
    /// A path, where gRPC has none.
    #[error(
        "the URL of a gRPC back end has no path; set otlp.backend_protocol to `http` if it speaks OTLP over HTTP"
    )]
    Path,
    /// TLS cannot be set up.
    #[error("TLS to the back end cannot be set up: {0}")]
    Tls(String),
}

/// An export that is fit for the back end.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it is.
    pub signal: Signal,
    /// The tenant's id.
    pub tenant: Box<str>,
    /// The tenant's short name, where it is known.
    pub slug: Option<Box<str>>,
    /// The request's correlation id.
    pub correlation: Box<str>,
    /// The request, encoded.
    pub body: Payload,
    /// Spans, data points or log records in it.
    pub items: u64,
    /// Attributes that were removed.
    pub stripped: u64,
    /// The sender's headers that go on; see [`passed_on`].
    pub trace: HeaderMap,
}

/// A connected back end.
#[derive(Clone)]
pub enum Backend {
    /// Writes lines.
    Sink(Arc<dyn Lines>),
    /// OTLP over gRPC.
    Grpc(GrpcBackend),
    /// OTLP over HTTP.
    Http(Box<HttpBackend>),
    /// OTLP over either, as is found out at the first export.
    Unknown(Arc<UnknownBackend>),
}

impl Target {
    /// Reads `otlp.backend`: `sink`, or a URL. Unless `protocol` says how the back end speaks, a URL with a path (to
    /// which `/v1/traces` and its like are appended) or with port 4318 is OTLP over HTTP, one with port 4317 or with
    /// another port and `https` is OTLP over gRPC, and any other back end is asked when it is first used.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str, protocol: Option<Protocol>) -> Result<Self, BadTarget> {
        if text == "sink" {
            return Ok(Self::Sink);
        }
        let url: Uri = text.parse().or(Err(BadTarget::Unreadable))?;
        let authority = url.authority().ok_or(BadTarget::Unreadable)?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || authority.host().is_empty() {
            return Err(BadTarget::Unreadable);
        }
        if authority.as_str().contains('@') || url.query().is_some() {
            return Err(BadTarget::Extras);
        }
        let has_path = !matches!(url.path(), "" | "/");
        let protocol = protocol.or_else(|| told_by(&url, has_path));
        if protocol == Some(Protocol::Grpc) && has_path {
            return Err(BadTarget::Path);
        }
        Ok(Self::Otlp { protocol, url })
    }
}

impl Backend {
    /// A back end that connects when it is first used, and again whenever it must. Must be called within a tokio
    /// runtime. `lines` is where a sink writes.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(target: Target, lines: Arc<dyn Lines>) -> Result<Self, BadTarget> {
        Self::with(target, &Access::default(), lines)
    }

    /// The same, let in by `access`.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn with(target: Target, access: &Access, lines: Arc<dyn Lines>) -> Result<Self, BadTarget> {
        match target {
            Target::Sink => Ok(Self::Sink(lines)),
            Target::Otlp { protocol: Some(Protocol::Grpc), url } => {
                GrpcBackend::new(&url, access).map(Self::Grpc)
            }
            Target::Otlp { protocol: Some(Protocol::Http), url } => {
                HttpBackend::new(&url, access).map(Box::new).map(Self::Http)
            }
            Target::Otlp { protocol: None, url } => {
                UnknownBackend::new(&url, access).map(Arc::new).map(Self::Unknown)
            }
        }
    }

    /// Hands a batch over and waits for the acknowledgement, at most for `timeout`.
    ///
    /// # Errors
    /// The back end refused the data, or cannot be reached, or did not answer in time.
    pub async fn export(&self, batch: Batch, timeout: Duration) -> Result<Export, Failure> {
        let sent = async {
            match self {
                Self::Sink(lines) => sink::take(&**lines, &batch).map(|()| Export::default()),
                Self::Grpc(backend) => backend.export(batch, timeout).await,
                Self::Http(backend) => backend.export(batch).await,
                Self::Unknown(backend) => backend.export(batch, timeout).await,
            }
        };
        match tokio::time::timeout(timeout, sent).await {
            Ok(answer) => answer,
            Err(_) => Err(verdict::too_slow(timeout)),
        }
    }
}

impl Batch {
    /// The headers that go with the batch, besides those that the back end asks for.
    fn headers(&self, asked_for: Option<&HeaderMap>) -> HeaderMap {
        let mut headers = self.trace.clone();
        for (name, value) in asked_for.into_iter().flatten() {
            headers.insert(name.clone(), value.clone());
        }
        let pairs = [
            ("x-tenant-id", &self.tenant),
            ("x-scope-orgid", &self.tenant),
            ("x-correlation-id", &self.correlation),
        ];
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

/// The headers of a sender that may go on to the back end: trace context, once each and not too long.
pub fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in PASSED_ON {
        let mut values = headers.get_all(name).iter();
        if let (Some(value), None) = (values.next(), values.next())
            && value.len() <= MAX_PASSED_ON
        {
            kept.insert(HeaderName::from_static(name), value.clone());
        }
    }
    kept
}

/// How a back end speaks, as far as its URL tells.
fn told_by(url: &Uri, has_path: bool) -> Option<Protocol> {
    match url.port_u16() {
        _ if has_path => Some(Protocol::Http),
        Some(4317) => Some(Protocol::Grpc),
        Some(4318) => Some(Protocol::Http),
        _ => (url.scheme_str() == Some("https")).then_some(Protocol::Grpc),
    }
}

/// The path of a signal below the base path of an HTTP back end.
fn path_below(base: &str, signal: fields::Signal) -> String {
    format!("{}{}", base.trim_end_matches('/'), signal.http_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, protocol: Option<Protocol>) -> Result<Option<Protocol>, BadTarget> {
        match Target::parse(text, protocol)? {
            Target::Sink => panic!("a sink"),
            Target::Otlp { protocol, .. } => Ok(protocol),
        }
    }

    #[test]
    fn the_url_tells_the_protocol_unless_it_is_set() {
        assert_eq!(Target::parse("sink", None), Ok(Target::Sink));
        for (url, protocol) in [
            ("http://collector:4317", Some(Protocol::Grpc)),
            ("https://collector:4317/", Some(Protocol::Grpc)),
            ("http://collector:4318", Some(Protocol::Http)),
            ("https://collector:4318", Some(Protocol::Http)),
            ("https://otlp.example.com", Some(Protocol::Grpc)),
            ("https://otlp.example.com:9999/", Some(Protocol::Grpc)),
            ("https://otlp.example.com/otlp", Some(Protocol::Http)),
            ("http://collector:4317/otlp", Some(Protocol::Http)),
            ("http://collector:9999/otlp", Some(Protocol::Http)),
            ("http://collector:9999", None),
            ("http://[::1]:9999/", None),
            ("http://collector", None),
        ] {
            assert_eq!(parse(url, None), Ok(protocol), "{url}");
        }
        assert_eq!(parse("http://collector:9999", Some(Protocol::Grpc)), Ok(Some(Protocol::Grpc)));
        assert_eq!(parse("http://collector:4317", Some(Protocol::Http)), Ok(Some(Protocol::Http)));
    }

    #[test]
    fn urls_that_cannot_be_meant_are_refused() {
        for url in ["", "Sink", "collector:4317", "ftp://collector", "http://", "/v1/traces"] {
            assert_eq!(parse(url, None), Err(BadTarget::Unreadable), "{url}");
        }
        for url in ["http://user:secret@collector", "http://collector/?a=b"] {
            assert_eq!(parse(url, None), Err(BadTarget::Extras), "{url}");
        }
        assert_eq!(parse("http://collector/otlp", Some(Protocol::Grpc)), Err(BadTarget::Path));
    }

    #[test]
    fn case_14_only_trace_context_goes_on() {
        let mut sent = HeaderMap::new();
        for name in
            ["traceparent", "authorization", "x-scope-orgid", "x-tenant-id", "baggage", "x-doorward-tenant"]
        {
            sent.insert(name, HeaderValue::from_static("evil"));
        }
        sent.insert("tracestate", HeaderValue::from_str(&"x".repeat(513)).unwrap());
        let kept = passed_on(&sent);
        assert_eq!(kept.len(), 1);
        sent.append("traceparent", HeaderValue::from_static("second"));
        assert!(passed_on(&sent).is_empty());
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        assert_eq!(path_below("/", Signal::Traces), "/v1/traces");
        assert_eq!(path_below("/otlp/", Signal::Logs), "/otlp/v1/logs");
    }
}
