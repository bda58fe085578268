//! `GET /v1/health` on the API port: is it up, and, with a credential, who asks.

use crate::domain::{Clock, Correlation};
use crate::http::browser::{Asked, Browsers, has_credential};
use crate::http::call::{self, BoxError, Call};
use crate::http::options::Options;
use crate::http::problem::Problem;
use crate::http::reply::Answer;
use crate::pb::v1::WhoAmIResponse;
use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::body::Body;
use tower::Service;

/// The path, also served under `/api`.
pub const PATH: &str = "/v1/health";

const WHO_AM_I: &str = "/doorward.v1.AuthnService/WhoAmI";

/// Answers a health request. A credential that is not good is refused as in any call.
pub(crate) async fn answer<S>(
    stack: S,
    mut parts: Parts,
    browsers: &Browsers,
    options: &Options,
    clock: &dyn Clock,
    correlation: &Correlation,
) -> Answer
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Problem::method_not_allowed(HeaderValue::from_static("GET, HEAD")).into();
    }
    let asked = Asked { method: &parts.method, rpc: WHO_AM_I, gives_tokens: false };
    let message = match browsers.enter(asked, &mut parts.headers, Bytes::new()) {
        Ok(entered) => entered.message,
        Err(problem) => return problem.into(),
    };
    if !has_credential(&parts.headers) {
        return anonymous(clock);
    }
    let called = call::unary(stack, who_am_i(parts, message), options, correlation).await;
    match called.outcome {
        Ok(message) => identified(called.headers, message, clock),
        Err(problem) => Answer::new(called.headers, Err(problem)),
    }
}

fn who_am_i(parts: Parts, message: Bytes) -> Call {
    Call {
        path: PathAndQuery::from_static(WHO_AM_I),
        headers: parts.headers,
        extensions: parts.extensions,
        message,
    }
}

fn anonymous(clock: &dyn Clock) -> Answer {
    Answer::new(HeaderMap::new(), Ok(written(&healthy(clock))))
}

fn identified(headers: HeaderMap, message: Bytes, clock: &dyn Clock) -> Answer {
    let body = match WhoAmIResponse::decode(message).map(|answer| answer.principal) {
        Ok(Some(principal)) => {
            let mut body = healthy(clock);
            if let Some(members) = body.as_object_mut() {
                members.insert("tenant_id".to_owned(), json!(principal.tenant_id));
                members.insert("principal".to_owned(), json!(principal.id));
            }
            Ok(written(&body))
        }
        Ok(None) | Err(_) => Err(Problem::internal()),
    };
    Answer::new(headers, body)
}

fn healthy(clock: &dyn Clock) -> Value {
    json!({
        "status": "healthy",
        "service": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "timestamp": clock.now().to_string(),
    })
}

fn written(body: &Value) -> Bytes {
    Bytes::from(body.to_string())
}
