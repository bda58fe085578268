//! The ops port: `/health`, `/ready` and `/metrics`, without credentials.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

const JSON: &str = "application/json";

/// The Prometheus text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Says whether the process can serve calls now.
pub trait Readiness: Send + Sync + 'static {
    /// Why it cannot, one short fixed text each and nothing secret; empty when it can. Must not block.
    fn reasons(&self) -> Vec<String>;
}

impl<F> Readiness for F
where
    F: Fn() -> Vec<String> + Send + Sync + 'static,
{
    fn reasons(&self) -> Vec<String> {
        self()
    }
}

/// The service of the ops port.
#[derive(Clone)]
pub struct Probes {
    readiness: Arc<dyn Readiness>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Probes {
    /// A service that asks `readiness` for `/ready`, and `metrics` for the text of `/metrics`.
    pub fn new(readiness: impl Readiness, metrics: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { readiness: Arc::new(readiness), metrics: Arc::new(metrics) }
    }

    /// Answers one request; bodies are not read.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !matches!(path, "/health" | "/ready" | "/metrics") {
            return response(
                StatusCode::NOT_FOUND,
                JSON,
                &json!({"error": {"code": "NOT_FOUND"}}).to_string(),
            );
        }
        let head = request.method() == Method::HEAD;
        if !head && request.method() != Method::GET {
            return not_allowed();
        }
        let answer = match path {
            "/ready" => self.ready(),
            "/metrics" => response(StatusCode::OK, METRICS, &(self.metrics)()),
            _ => response(StatusCode::OK, JSON, &json!({"status": "healthy"}).to_string()),
        };
        if head { answer.map(|_| Full::default()) } else { answer }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let reasons = self.readiness.reasons();
        let (status, body): (StatusCode, Value) = if reasons.is_empty() {
            (StatusCode::OK, json!({"status": "ready"}))
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not_ready", "reasons": reasons}))
        };
        response(status, JSON, &body.to_string())
    }
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

impl<B> hyper::service::Service<Request<B>> for Probes {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

fn not_allowed() -> Response<Full<Bytes>> {
    let body = json!({"error": {"code": "UNIMPLEMENTED"}}).to_string();
    let mut answer = response(StatusCode::METHOD_NOT_ALLOWED, JSON, &body);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

fn response(status: StatusCode, media: &'static str, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use hyper::service::Service as _;

    async fn ask(reasons: &[&str], method: &str, path: &str) -> (u16, http::HeaderMap, String) {
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let probes = Probes::new(move || reasons.clone(), || "up 1\n".to_owned());
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let response = probes.call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn health_says_that_the_process_lives_even_when_it_is_not_ready() {
        let (status, headers, body) = ask(&["lease lapsed"], "GET", "/health").await;
        assert_eq!((status, body.as_str()), (200, r#"{"status":"healthy"}"#));
        assert_eq!(headers[CONTENT_TYPE], JSON);
    }

    #[tokio::test]
    async fn ready_tells_the_reasons() {
        assert_eq!(ask(&[], "GET", "/ready").await.2, r#"{"status":"ready"}"#);
        let (status, _, body) = ask(&["lease lapsed", "draining"], "GET", "/ready").await;
        assert_eq!(
            (status, body.as_str()),
            (503, r#"{"reasons":["lease lapsed","draining"],"status":"not_ready"}"#)
        );
    }

    #[tokio::test]
    async fn metrics_are_text() {
        let (status, headers, body) = ask(&[], "GET", "/metrics?x=y").await;
        assert_eq!((status, body.as_str()), (200, "up 1\n"));
        assert_eq!(headers[CONTENT_TYPE], METRICS);
    }

    #[tokio::test]
    async fn head_has_the_headers_only() {
        let (status, headers, body) = ask(&["x"], "HEAD", "/ready").await;
        assert_eq!((status, body.as_str()), (503, ""));
        assert_ne!(headers[CONTENT_LENGTH], "0");
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        for path in ["/", "/healthz", "/ready/", "/v1/auth/me", "/metrics/x"] {
            assert_eq!(ask(&[], "GET", path).await.0, 404, "{path}");
        }
        let (status, headers, _) = ask(&[], "POST", "/ready").await;
        assert_eq!(status, 405);
        assert_eq!(headers[ALLOW], "GET, HEAD");
    }
}
