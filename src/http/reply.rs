//! What every answer of the API port carries: correlation id, media type, the guard's headers.

use crate::domain::Correlation;
use crate::domain::correlation::Correlations;
use crate::http::accept::wants_rfc9457;
use crate::http::browser::DEVICE_TOKEN;
use crate::http::correlation;
use crate::http::options::Options;
use crate::http::problem::Problem;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use tonic::body::Body;

/// Headers of the gRPC answer that the HTTP answer keeps; also every `x-ratelimit-…`.
const KEPT: [HeaderName; 9] = [
    correlation::HEADER,
    HeaderName::from_static("x-tenant-id"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-doorward-key-rotated"),
    HeaderName::from_static("x-doorward-break-glass"),
    DEVICE_TOKEN,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
];

/// The outcome of a request, before it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The headers of the gRPC answer; empty if there was no call.
    pub headers: HeaderMap,
    /// Values of `set-cookie`.
    pub cookies: Vec<HeaderValue>,
    /// JSON, or why there is none.
    pub body: Result<Bytes, Problem>,
    /// What the JSON is.
    pub media: Media,
}

/// What an answer that is no refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// Somebody's data.
    Json,
    /// A JSON Web Key Set, which is everybody's (RFC 7517 §8.5).
    KeySet,
}

impl Media {
    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::KeySet => "application/jwk-set+json",
        })
    }

    /// Answers hold secrets and personal data; nobody on the way may keep them. Keys are published a
    /// day before they sign, so that five minutes make nobody miss one.
    const fn cache_control(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "no-store",
            Self::KeySet => "public, max-age=300",
        })
    }
}

impl Answer {
    /// An answer to a call.
    pub fn new(headers: HeaderMap, body: Result<Bytes, Problem>) -> Self {
        Self { headers, cookies: Vec::new(), body, media: Media::Json }
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self::new(HeaderMap::new(), Err(problem))
    }
}

/// How the answer to one request is written; made before the request is taken apart.
#[derive(Debug)]
pub(crate) struct Reply {
    correlation: Correlation,
    rfc9457: bool,
    head: bool,
}

impl Reply {
    /// Notes what the request says about its answer.
    pub fn to(parts: &Parts, made: &Correlations) -> Self {
        Self {
            correlation: correlation::of_caller(&parts.headers).unwrap_or_else(|| made.next()),
            rfc9457: wants_rfc9457(&parts.headers),
            head: parts.method == Method::HEAD,
        }
    }

    /// The correlation id that holds until the guard says otherwise.
    pub fn correlation(&self) -> &Correlation {
        &self.correlation
    }

    /// Writes the answer.
    pub fn write(self, answer: Answer, options: &Options) -> Response<Body> {
        let mut headers = kept(&answer.headers);
        let correlation = correlation::of_guard(&headers).unwrap_or(self.correlation);
        let mut media = answer.media;
        let (status, content_type, bytes) = match answer.body {
            Ok(json) => (StatusCode::OK, media.content_type(), json),
            Err(problem) => {
                media = Media::Json;
                problem.add_headers(&mut headers);
                let body = problem.body(self.rfc9457, correlation.as_str(), &options.reason_aliases);
                (problem.status(), Problem::content_type(self.rfc9457), Bytes::from(body))
            }
        };
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        headers.insert(CACHE_CONTROL, media.cache_control());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(value) = HeaderValue::from_maybe_shared(correlation.to_bytes()) {
            headers.insert(correlation::HEADER, value);
        }
        for cookie in answer.cookies {
            headers.append(SET_COOKIE, cookie);
        }
        // HEAD has the headers of GET and no content (RFC 9110 §9.3.2).
        let body = if self.head { Body::empty() } else { Body::new(Full::new(bytes)) };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    let passes = |name: &HeaderName| KEPT.contains(name) || name.as_str().starts_with("x-ratelimit-");
    let pairs = headers.iter().filter(|(name, _)| passes(name));
    let mut kept = HeaderMap::new();
    for (name, value) in pairs {
        kept.append(name.clone(), value.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_guards_headers_are_kept() {
        let names = [
            "x-correlation-id",
            "x-tenant-id",
            "ratelimit",
            "ratelimit-policy",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "retry-after",
            "x-doorward-key-rotated",
            "x-doorward-break-glass",
            "doorward-device-token",
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "grpc-encoding",
            "content-type",
            "set-cookie",
        ];
        let all: HeaderMap =
            names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("v"))).collect();
        let kept = kept(&all);
        let left: Vec<&&str> = names.iter().filter(|name| !kept.contains_key(**name)).collect();
        assert_eq!(
            left,
            [
                &"grpc-status",
                &"grpc-message",
                &"grpc-status-details-bin",
                &"grpc-encoding",
                &"content-type",
                &"set-cookie"
            ]
        );
    }
}
