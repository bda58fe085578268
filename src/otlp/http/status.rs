//! `google.rpc.Status` as the body of a refusal, in the encoding of the request.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::domain::Refusal;
use crate::guard::{Denied, ERROR_DOMAIN};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf.
    Protobuf,
    /// JSON, as protobuf defines it.
    Json,
}

impl Encoding {
    /// The encoding in which a request is answered: its own, JSON if that is none of ours.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::said(headers).unwrap_or(Self::Json)
    }

    /// The encoding that a request says its body has.
    pub fn said(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |name: &[u8]| media_type.eq_ignore_ascii_case(name);
        match () {
            () if is(b"application/x-protobuf") => Some(Self::Protobuf),
            () if is(b"application/json") => Some(Self::Json),
            () => None,
        }
    }

    /// Its media type.
    pub const fn content_type(self) -> HeaderValue {
        match self {
            Self::Protobuf => HeaderValue::from_static("application/x-protobuf"),
            Self::Json => HeaderValue::from_static("application/json"),
        }
    }
}

/// A refusal as a `google.rpc.Status`.
pub fn body(denied: &Denied, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Protobuf => Bytes::copy_from_slice(denied.status().details()),
        Encoding::Json => Bytes::from(json(&denied.refusal).to_string()),
    }
}

fn json(refusal: &Refusal) -> Value {
    let told = refusal.reason.told();
    let metadata: serde_json::Map<String, Value> =
        refusal.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": told.name,
        "domain": ERROR_DOMAIN,
        "metadata": metadata,
    })];
    if let Some(wait) = refusal.retry_after {
        let delay = format!("{}.{:03}s", wait.as_secs(), wait.subsec_millis());
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    if !refusal.violations.is_empty() {
        let fields = refusal.violations.iter();
        let fields: Vec<Value> =
            fields.map(|at| json!({ "field": at.field, "description": at.description })).collect();
        details
            .push(json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields }));
    }
    json!({ "code": told.grpc, "message": refusal.message, "details": details })
}
