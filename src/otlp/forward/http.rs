//! An OTLP back end over HTTP, protobuf-encoded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::uri::{Parts, PathAndQuery};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;

use super::connect::Connect;
use super::payload::Sending;
use super::{Access, BadTarget, Batch, MAX_RESPONSE, USER_AGENT, path_below, verdict};
use crate::domain::Failure;
use crate::otlp::Signal;
use crate::otlp::response::Export;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections that are kept.
const MAX_IDLE: usize = 32;

/// A pool of connections to the back end.
#[derive(Clone, Debug)]
pub struct HttpBackend {
    client: Client<Connect, Sending>,
    urls: [(Signal, Uri); Signal::ALL.len()],
    headers: Option<Arc<HeaderMap>>,
}

/// `google.rpc.Status`, as far as it is for people.
#[derive(Clone, PartialEq, Eq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

impl HttpBackend {
    /// A pool for this scheme and authority, below its path.
    pub fn new(base: &Uri, access: &Access) -> Result<Self, BadTarget> {
        let mut urls = Signal::ALL.map(|signal| (signal, base.clone()));
        for (signal, url) in &mut urls {
            *url = below(base, *signal)?;
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(Connect::new(access)?);
        Ok(Self { client, urls, headers: access.headers.clone() })
    }

    /// Hands a batch over and waits for the acknowledgement.
    pub async fn export(&self, batch: Batch) -> Result<Export, Failure> {
        let response = self.client.request(self.request(batch)).await.map_err(verdict::unreachable)?;
        let (head, body) = response.into_parts();
        let body = read(body).await?;
        if head.status.is_success() {
            return Ok(Export::read(body));
        }
        let message = RpcStatus::decode(body).map_or_else(|_| String::new(), |status| status.message);
        Err(verdict::of_http(head.status, &message, retry_after(&head.headers)))
    }

    fn request(&self, batch: Batch) -> Request<Sending> {
        let url = self.urls.iter().find(|(signal, _)| *signal == batch.signal).map(|(_, url)| url.clone());
        let mut headers = batch.headers(self.headers.as_deref());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let mut request = Request::new(batch.body.into_body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.unwrap_or_default();
        *request.headers_mut() = headers;
        request
    }
}

fn below(base: &Uri, signal: Signal) -> Result<Uri, BadTarget> {
    let path = PathAndQuery::try_from(path_below(base.path(), signal)).or(Err(BadTarget::Unreadable))?;
    let mut parts: Parts = base.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).or(Err(BadTarget::Unreadable))
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    let lost =
        |error: Box<dyn std::error::Error + Send + Sync>| Failure::from(crate::domain::Fault::new(error));
    Ok(Limited::new(body, MAX_RESPONSE).collect().await.map_err(lost)?.to_bytes())
}

/// `Retry-After` in seconds; a date is not worth a calendar here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let Ok(text) = headers.get(RETRY_AFTER)?.to_str() else { return None };
    let Ok(seconds) = text.trim().parse() else { return None };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_urls_below_the_base() {
        let backend =
            |base: &'static str| HttpBackend::new(&Uri::from_static(base), &Access::default()).unwrap();
        let urls = backend("http://collector:4318").urls.map(|(_, url)| url.to_string());
        let expected =
            ["traces", "metrics", "logs"].map(|signal| format!("http://collector:4318/v1/{signal}"));
        assert_eq!(urls, expected);
        assert_eq!(backend("https://x.example/otlp/").urls[0].1, "https://x.example/otlp/v1/traces");
    }

    #[test]
    fn waits_are_read_in_seconds() {
        let wait = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            retry_after(&headers)
        };
        assert_eq!(wait("5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("Sun, 22 Nov 2026 08:00:00 GMT"), None);
        assert_eq!(wait("-5"), None);
    }
}
