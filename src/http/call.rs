//! One unary gRPC call into the in-process stack.

use crate::domain::Correlation;
use crate::http::options::Options;
use crate::http::percent;
use crate::http::problem::Problem;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use std::time::Duration;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

/// What any part of the stack may fail with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Request headers that the guard reads; also every `x-forwarded-…`. Nothing else goes in, so no
/// client can set a header that Doorward itself sets.
const PASSED: [&str; 12] = [
    "authorization",
    "x-api-key",
    "x-tenant-id",
    "x-correlation-id",
    "x-request-id",
    "x-master-key",
    "x-break-glass-reason",
    "traceparent",
    "tracestate",
    "idempotency-key",
    "forwarded",
    "user-agent",
];

/// How much longer than the handlers' deadline the answer is waited for, so that a handler may
/// still say what became of its work.
const GRACE: Duration = Duration::from_millis(500);

/// Bytes before each gRPC message: a compression flag and the length.
const PREFIX: usize = 5;

const DETAILS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A call that is to be made.
#[derive(Debug)]
pub(crate) struct Call {
    /// `/{package.Service}/{Method}`.
    pub path: PathAndQuery,
    /// The HTTP request's headers, of which the guard gets those that it reads.
    pub headers: HeaderMap,
    /// The HTTP request's extensions, such as the peer's address.
    pub extensions: Extensions,
    /// The encoded request message.
    pub message: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Called {
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The encoded response message, or the refusal.
    pub outcome: Result<Bytes, Problem>,
}

impl From<Problem> for Called {
    fn from(problem: Problem) -> Self {
        Self { headers: HeaderMap::new(), outcome: Err(problem) }
    }
}

/// Makes the call; waits for the answer no longer than the options say.
pub(crate) async fn unary<S>(stack: S, call: Call, options: &Options, correlation: &Correlation) -> Called
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
{
    let request = request(call, options);
    let answer = async {
        match stack.oneshot(request).await.map_err(Into::<BoxError>::into) {
            Ok(response) => read(response, options.max_answer_bytes, correlation).await,
            Err(cause) => failed(&*cause, correlation).into(),
        }
    };
    match tokio::time::timeout(options.call_timeout().saturating_add(GRACE), answer).await {
        Ok(called) => called,
        Err(_elapsed) => Problem::deadline().into(),
    }
}

fn request(call: Call, options: &Options) -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(framed(&call.message))));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(call.path);
    *request.extensions_mut() = call.extensions;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Ok(timeout) = HeaderValue::try_from(format!("{}m", options.call_timeout_ms)) {
        headers.insert("grpc-timeout", timeout);
    }
    // A header that came twice stays twice: whether that is a fault is the guard's to say.
    for (name, value) in call.headers.iter().filter(|(name, _)| is_passed(name)) {
        headers.append(name.clone(), value.clone());
    }
    request
}

fn is_passed(name: &HeaderName) -> bool {
    PASSED.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-")
}

fn framed(message: &Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    // The body limit is far below 4 GiB; a length beyond it could not have been read.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

async fn read(response: Response<Body>, limit: usize, correlation: &Correlation) -> Called {
    let (parts, body) = response.into_parts();
    let outcome = match status_of(&parts.headers) {
        Some(status) if status.code() != Code::Ok => Err(Problem::from_status(&status)),
        _ => message(body, limit, correlation).await,
    };
    Called { headers: parts.headers, outcome }
}

/// The one message of the body, if the trailers say that the call went well.
async fn message(body: Body, limit: usize, correlation: &Correlation) -> Result<Bytes, Problem> {
    let collected = match Limited::new(body, limit.saturating_add(PREFIX)).collect().await {
        Ok(collected) => collected,
        Err(cause) => return Err(cut(&*cause, correlation)),
    };
    match collected.trailers().and_then(status_of) {
        Some(status) if status.code() == Code::Ok => {}
        Some(status) => return Err(Problem::from_status(&status)),
        None => return Err(failed(&Malformed("no status"), correlation)),
    }
    unframed(&collected.to_bytes())
        .ok_or_else(|| failed(&Malformed("not exactly one plain message"), correlation))
}

/// The message behind its prefix; `None` unless there is exactly one, uncompressed.
fn unframed(frame: &Bytes) -> Option<Bytes> {
    let (prefix, rest) = frame.split_first_chunk::<PREFIX>()?;
    let [flag, length @ ..] = *prefix;
    let fits =
        flag == 0 && usize::try_from(u32::from_be_bytes(length)).is_ok_and(|length| length == rest.len());
    fits.then(|| frame.slice(PREFIX..))
}

/// The status in headers or trailers. Details that are not base64 are left out.
fn status_of(headers: &HeaderMap) -> Option<Status> {
    let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
    let text =
        headers.get("grpc-message").map_or_else(String::new, |value| percent::message(value.as_bytes()));
    let details = match headers.get("grpc-status-details-bin").map(|value| DETAILS.decode(value.as_bytes())) {
        Some(Ok(details)) => Bytes::from(details),
        Some(Err(_)) | None => Bytes::new(),
    };
    Some(Status::with_details(code, text, details))
}

/// The body broke off: with a status if the guard cut it, else by a fault.
fn cut(cause: &(dyn std::error::Error + Send + Sync + 'static), correlation: &Correlation) -> Problem {
    match cause.downcast_ref::<Status>() {
        Some(status) => Problem::from_status(status),
        None => failed(cause, correlation),
    }
}

fn failed(cause: &(dyn std::error::Error + 'static), correlation: &Correlation) -> Problem {
    tracing::error!(error = cause, correlation.id = %correlation, "in-process call failed");
    Problem::internal()
}

#[derive(Debug, thiserror::Error)]
#[error("malformed gRPC answer: {0}")]
struct Malformed(&'static str);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_of_our_own_never_come_from_a_client() {
        for name in [
            "x-doorward-tenant-id",
            "x-doorward-key-rotated",
            "content-type",
            "te",
            "grpc-timeout",
            "host",
            "cookie",
            "x-csrf-token",
            "x_api_key",
        ] {
            assert!(!is_passed(&HeaderName::from_static(name)), "{name}");
        }
        for name in
            ["authorization", "x-api-key", "x-forwarded-for", "x-forwarded-proto", "forwarded", "traceparent"]
        {
            assert!(is_passed(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn broken_details_are_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "5".parse().unwrap());
        headers.insert("grpc-status-details-bin", "%%%".parse().unwrap());
        headers.insert("grpc-message", "no%20such".parse().unwrap());
        let status = status_of(&headers).unwrap();
        assert_eq!((status.code(), status.message(), status.details()), (Code::NotFound, "no such", &[][..]));
        assert!(status_of(&HeaderMap::new()).is_none());
    }

    proptest! {
        #[test]
        fn frames_come_back(message in any::<Vec<u8>>(), junk in any::<Vec<u8>>()) {
            let message = Bytes::from(message);
            prop_assert_eq!(unframed(&framed(&message)), Some(message.clone()));
            let mut longer = framed(&message).to_vec();
            longer.push(0);
            prop_assert_eq!(unframed(&Bytes::from(longer)), None);
            let _ = unframed(&Bytes::from(junk));
        }
    }
}
