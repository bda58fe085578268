//! Refusals as HTTP: the status, the JSON body, and the headers that belong to them.
//!
//! A [`Problem`] is made either from the gRPC status of the call (with its `google.rpc` details) or
//! by the HTTP surface itself for what never becomes a call, such as an unknown path.

use crate::domain::refusal::Violation;
use crate::domain::{Reason, Refusal};
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// `ErrorInfo.domain` of every refusal of Doorward.
const DOMAIN: &str = "doorward.dev";

/// Where the problem types of RFC 9457 bodies live; the reason follows.
const TYPE_PREFIX: &str = "https://doorward.dev/errors/";

const FAILED: &str = "the server failed; its log has the cause under the correlation id";

const TOO_LATE: &str = "the answer was not ready in time";

/// Members that a metadata entry of the same name must not replace.
const RESERVED: [&str; 9] = [
    "code",
    "message",
    "field_violations",
    "correlation_id",
    "retry_after",
    "type",
    "title",
    "status",
    "detail",
];

/// A refusal on its way to an HTTP client.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
    violations: Vec<Violation>,
    retry_after: Option<u64>,
    allow: Option<HeaderValue>,
}

impl Problem {
    /// 404: no such path.
    pub fn unknown_path() -> Self {
        Refusal::new(Reason::NotFound, "no such path").into()
    }

    /// 405: the path exists, the method does not; `allow` lists those that do (RFC 9110 §10.2.1).
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        let refusal = Refusal::new(Reason::Unimplemented, "the path does not have this method");
        let mut problem = Self::from(refusal).with_status(StatusCode::METHOD_NOT_ALLOWED);
        problem.0.allow = Some(allow);
        problem
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let text = format!("the body is larger than {limit} bytes");
        Refusal::new(Reason::PayloadTooLarge, text).with("max_bytes", limit).into()
    }

    /// 500: a fault of the server.
    pub fn internal() -> Self {
        Refusal::new(Reason::Internal, FAILED).into()
    }

    /// 504: the answer was not ready in time.
    pub fn deadline() -> Self {
        Refusal::new(Reason::DeadlineExceeded, TOO_LATE).into()
    }

    /// The refusal that a gRPC status stands for.
    ///
    /// The status's own text is passed on only with an `ErrorInfo` of Doorward's: texts of the
    /// libraries below may speak of inner things.
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let (reason, text) = undetailed(status.code());
        let mut problem = Self::from(Refusal::new(reason, text));
        if let Some(info) = info {
            problem.0.status = http_status(known(&info.reason).unwrap_or(reason));
            problem.0.reason.clone_from(&info.reason);
            status.message().clone_into(&mut problem.0.message);
            problem.0.metadata = info.metadata.clone().into_iter().collect();
        }
        problem.0.violations = violations_of(&details);
        problem.0.retry_after = details.retry_info().and_then(|info| info.retry_delay).map(whole_seconds);
        problem
    }

    /// The same refusal under an HTTP status that only HTTP has.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The stable reason, before any alias.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The body's media type, by whether an RFC 9457 body is asked for.
    pub fn content_type(rfc9457: bool) -> HeaderValue {
        HeaderValue::from_static(if rfc9457 { "application/problem+json" } else { "application/json" })
    }

    /// Adds the headers that belong to the refusal; what the guard set stays.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(allow) = &self.0.allow {
            headers.insert(ALLOW, allow.clone());
        }
        if let (Some(seconds), false) = (self.0.retry_after, headers.contains_key(RETRY_AFTER)) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge(&self.0.reason)));
        }
    }

    /// The body: `{"error": {…}}`, or a problem object when one is asked for (RFC 9457 §3).
    pub fn body(&self, rfc9457: bool, correlation: &str, aliases: &BTreeMap<String, String>) -> Vec<u8> {
        let code = aliases.get(&self.0.reason).unwrap_or(&self.0.reason);
        let members = self.members(code, correlation);
        let value = if rfc9457 { self.rfc9457(members) } else { self.plain(members) };
        // Writing a `Value` with text keys cannot fail, and its `Display` is that writing.
        value.to_string().into_bytes()
    }

    /// What both forms of body share.
    fn members(&self, code: &str, correlation: &str) -> Map<String, Value> {
        let own = self.0.metadata.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str()));
        let mut members: Map<String, Value> = own.map(|(name, value)| (name.clone(), json!(value))).collect();
        members.insert("code".to_owned(), json!(code));
        members.insert("correlation_id".to_owned(), json!(correlation));
        if let Some(seconds) = self.retry_after() {
            members.insert("retry_after".to_owned(), json!(seconds));
        }
        if !self.0.violations.is_empty() {
            let list = self
                .0
                .violations
                .iter()
                .map(|fault| json!({"field": fault.field, "description": fault.description}));
            members.insert("field_violations".to_owned(), list.collect());
        }
        members
    }

    fn plain(&self, mut members: Map<String, Value>) -> Value {
        members.insert("message".to_owned(), json!(self.0.message));
        json!({ "error": members })
    }

    fn rfc9457(&self, mut members: Map<String, Value>) -> Value {
        members.insert("type".to_owned(), json!(format!("{TYPE_PREFIX}{}", self.0.reason)));
        members.insert("title".to_owned(), json!(self.0.status.canonical_reason()));
        members.insert("status".to_owned(), json!(self.0.status.as_u16()));
        members.insert("detail".to_owned(), json!(self.0.message));
        Value::Object(members)
    }

    /// Seconds to wait, from `RetryInfo` or else from the metadata, as a number in either case.
    fn retry_after(&self) -> Option<u64> {
        let told = || {
            let Ok(seconds) = self.0.metadata.get("retry_after")?.parse() else { return None };
            Some(seconds)
        };
        self.0.retry_after.or_else(told)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let metadata = refusal.metadata.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self(Box::new(Inner {
            status: http_status(refusal.reason),
            reason: refusal.reason.told().name.to_owned(),
            message: refusal.message.into_owned(),
            metadata: metadata.collect(),
            violations: refusal.violations,
            retry_after: refusal.retry_after.map(whole_seconds),
            allow: None,
        }))
    }
}

/// The reason of this name.
pub(crate) fn known(name: &str) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.told().name == name)
}

fn violations_of(details: &ErrorDetails) -> Vec<Violation> {
    let Some(bad) = details.bad_request() else { return Vec::new() };
    let violation = |fault: &tonic_types::FieldViolation| Violation {
        field: fault.field.clone().into(),
        description: fault.description.clone().into(),
    };
    bad.field_violations.iter().map(violation).collect()
}

/// Rounds up, so that nobody comes back too early.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0)).max(1)
}

/// RFC 6750 §3 and, for a missing factor, RFC 9470 §3.
fn challenge(reason: &str) -> &'static str {
    match reason {
        "CREDENTIALS_MISSING" | "INVALID_LOGIN" => "Bearer",
        "MFA_REQUIRED" => "Bearer error=\"insufficient_user_authentication\"",
        _ => "Bearer error=\"invalid_token\"",
    }
}

/// The table holds statuses only, so the other arm is never taken.
fn http_status(reason: Reason) -> StatusCode {
    StatusCode::from_u16(reason.told().http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The reason, and a text that speaks of no inner thing, for a status that came without details: from
/// the libraries below, not from a handler.
fn undetailed(code: Code) -> (Reason, &'static str) {
    match code {
        Code::InvalidArgument | Code::OutOfRange => (Reason::InvalidArgument, "the request is not valid"),
        // In process, a call is cancelled by its deadline only.
        Code::DeadlineExceeded | Code::Cancelled => (Reason::DeadlineExceeded, TOO_LATE),
        Code::NotFound => (Reason::NotFound, "no such object"),
        Code::AlreadyExists => (Reason::AlreadyExists, "the object exists already"),
        Code::PermissionDenied => (Reason::InsufficientPermissions, "not allowed"),
        Code::ResourceExhausted => (Reason::QuotaExceeded, "a quota is used up"),
        Code::FailedPrecondition => (Reason::FailedPrecondition, "the object's state does not allow this"),
        Code::Aborted => (Reason::EtagMismatch, "the object changed meanwhile"),
        Code::Unimplemented => (Reason::Unimplemented, "not implemented"),
        Code::Unavailable => (Reason::BackendUnavailable, "the server cannot know the answer now"),
        Code::Unauthenticated => (Reason::InvalidToken, "the credential is not accepted"),
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => (Reason::Internal, FAILED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn status(code: Code, reason: &str, metadata: &[(&str, &str)]) -> Status {
        let metadata: HashMap<String, String> =
            metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Status::with_error_details(code, "told", ErrorDetails::with_error_info(reason, DOMAIN, metadata))
    }

    fn body(problem: &Problem, rfc9457: bool) -> Value {
        serde_json::from_slice(&problem.body(rfc9457, "c-1", &BTreeMap::new())).unwrap()
    }

    #[test]
    fn the_contracts_table() {
        for (code, reason, expected) in [
            (Code::Unauthenticated, "CREDENTIALS_MISSING", 401),
            (Code::Unauthenticated, "INVALID_API_KEY", 401),
            (Code::PermissionDenied, "TENANT_MISMATCH", 403),
            (Code::NotFound, "NOT_FOUND", 404),
            (Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED", 429),
            (Code::ResourceExhausted, "QUOTA_EXCEEDED", 429),
            (Code::ResourceExhausted, "PAYLOAD_TOO_LARGE", 413),
            (Code::Unavailable, "BACKEND_UNAVAILABLE", 503),
            (Code::InvalidArgument, "INVALID_ARGUMENT", 400),
            (Code::Aborted, "ETAG_MISMATCH", 409),
            (Code::AlreadyExists, "ALREADY_EXISTS", 409),
            (Code::FailedPrecondition, "FAILED_PRECONDITION", 400),
            (Code::Unimplemented, "UNIMPLEMENTED", 501),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
            (Code::Internal, "INTERNAL", 500),
        ] {
            let problem = Problem::from_status(&status(code, reason, &[]));
            assert_eq!(problem.status().as_u16(), expected, "{reason}");
            assert_eq!(body(&problem, false)["error"]["code"], reason);
        }
    }

    #[test]
    fn metadata_stands_beside_the_code_and_never_replaces_it() {
        let metadata =
            [("required_permission", "keys.write"), ("code", "FORGED"), ("correlation_id", "forged")];
        let problem =
            Problem::from_status(&status(Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS", &metadata));
        assert_eq!(
            body(&problem, false),
            json!({"error": {"code": "INSUFFICIENT_PERMISSIONS", "message": "told", "correlation_id": "c-1",
                "required_permission": "keys.write"}})
        );
    }

    #[test]
    fn rfc9457_body() {
        let problem =
            Problem::from_status(&status(Code::Unauthenticated, "TOKEN_EXPIRED", &[("expires_at", "then")]));
        assert_eq!(
            body(&problem, true),
            json!({"type": "https://doorward.dev/errors/TOKEN_EXPIRED", "title": "Unauthorized", "status": 401,
                "detail": "told", "code": "TOKEN_EXPIRED", "expires_at": "then", "correlation_id": "c-1"})
        );
    }

    #[test]
    fn retry_info_becomes_a_header_and_a_number() {
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1_200)));
        details.set_error_info("RATE_LIMIT_EXCEEDED", DOMAIN, [("retry_after".to_owned(), "9".to_owned())]);
        let problem =
            Problem::from_status(&Status::with_error_details(Code::ResourceExhausted, "slow", details));
        assert_eq!(body(&problem, false)["error"]["retry_after"], 2);
        let mut headers = HeaderMap::new();
        problem.add_headers(&mut headers);
        assert_eq!(headers[RETRY_AFTER], "2");
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        problem.add_headers(&mut headers);
        assert_eq!(headers[RETRY_AFTER], "7", "what the guard set stays");
    }

    #[test]
    fn bad_request_details_name_every_field() {
        let mut details = ErrorDetails::with_bad_request_violation("a", "wrong");
        details.add_bad_request_violation("b", "worse");
        details.set_error_info("INVALID_ARGUMENT", DOMAIN, HashMap::new());
        let problem = Problem::from_status(&Status::with_error_details(Code::InvalidArgument, "no", details));
        assert_eq!(
            body(&problem, false)["error"]["field_violations"],
            json!([{"field": "a", "description": "wrong"}, {"field": "b", "description": "worse"}])
        );
    }

    #[test]
    fn texts_of_the_libraries_below_stay_inside() {
        for code in (0..17).map(Code::from).filter(|code| *code != Code::Ok) {
            let problem = Problem::from_status(&Status::new(code, "inner thing"));
            let text = body(&problem, false).to_string();
            assert!(!text.contains("inner"), "{text}");
        }
        let foreign = ErrorDetails::with_error_info("X", "elsewhere", HashMap::new());
        let problem =
            Problem::from_status(&Status::with_error_details(Code::Internal, "inner thing", foreign));
        assert_eq!(problem.reason(), "INTERNAL");
    }

    #[test]
    fn challenges() {
        for (reason, expected) in [
            ("CREDENTIALS_MISSING", "Bearer"),
            ("INVALID_API_KEY", "Bearer error=\"invalid_token\""),
            ("MFA_REQUIRED", "Bearer error=\"insufficient_user_authentication\""),
        ] {
            let mut headers = HeaderMap::new();
            Problem::from_status(&status(Code::Unauthenticated, reason, &[])).add_headers(&mut headers);
            assert_eq!(headers[WWW_AUTHENTICATE], expected);
        }
        let mut headers = HeaderMap::new();
        Problem::unknown_path().add_headers(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_product_may_rename_codes() {
        let aliases = BTreeMap::from([("NOT_FOUND".to_owned(), "MISSING".to_owned())]);
        let value: Value =
            serde_json::from_slice(&Problem::unknown_path().body(false, "c", &aliases)).unwrap();
        assert_eq!(value["error"]["code"], "MISSING");
    }
}
