//! A refusal in a form to act on.

use super::connect::innermost;
use crate::pb::v1::ErrorReason;
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The domain of Doorward's reasons in `google.rpc.ErrorInfo`.
pub const REASON_DOMAIN: &str = "doorward.dev";

/// What every value of `ErrorReason` begins with, and no reason on the wire does.
const REASON_PREFIX: &str = "ERROR_REASON_";

const CORRELATION_HEADER: &str = "x-correlation-id";

/// A field of the request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field, as in the proto.
    pub field: String,
    /// What is wrong with it.
    pub fault: String,
}

/// Why a call was not answered with success.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The gRPC status.
    pub code: Code,
    /// The stable reason, such as `INVALID_API_KEY`; `None` if it is not Doorward that answered.
    pub reason: Option<String>,
    /// The same for people.
    pub message: String,
    /// What the reason needs to be acted on, such as `required_permission`.
    pub metadata: BTreeMap<String, String>,
    /// Every field at fault, for `INVALID_ARGUMENT`.
    pub fields: Vec<FieldFault>,
    /// How long to wait before another try, if the server said so.
    pub retry_after: Option<Duration>,
    /// Finds the call in the server's log.
    pub correlation_id: Option<String>,
}

impl Refusal {
    /// Whether this is the reason.
    pub fn is(&self, reason: ErrorReason) -> bool {
        let name = reason.as_str_name();
        self.reason.as_deref() == Some(name.strip_prefix(REASON_PREFIX).unwrap_or(name))
    }
}

impl From<&Status> for Refusal {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == REASON_DOMAIN);
        let fields = details.bad_request().map_or_else(Vec::new, |bad| {
            let faults = bad.field_violations.iter();
            faults
                .map(|one| FieldFault { field: one.field.clone(), fault: one.description.clone() })
                .collect()
        });
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()),
            message: message(status),
            metadata: info.map_or_else(BTreeMap::new, |info| info.metadata.clone().into_iter().collect()),
            fields,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            correlation_id: correlation_id(status),
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

/// A status made on this side says little itself; what it is about is at the bottom of its causes.
fn message(status: &Status) -> String {
    match (status.message(), status.source()) {
        ("", None) => status.code().description().to_owned(),
        ("", Some(cause)) => innermost(cause),
        (text, None) => text.to_owned(),
        (text, Some(cause)) => match innermost(cause) {
            cause if cause == text => cause,
            cause => format!("{text}: {cause}"),
        },
    }
}

fn correlation_id(status: &Status) -> Option<String> {
    let value = status.metadata().get(CORRELATION_HEADER)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn status(domain: &str) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info("RATE_LIMIT_EXCEEDED", domain, [("retry_after".to_owned(), "3".to_owned())]);
        details.set_retry_info(Some(Duration::from_secs(3)));
        details.add_bad_request_violation("display_name", "is empty");
        let mut status = Status::with_error_details(Code::ResourceExhausted, "Too many requests.", details);
        status.metadata_mut().insert("x-correlation-id", "c-1".parse().unwrap());
        status
    }

    #[test]
    fn every_detail_is_taken_over() {
        let refusal = Refusal::from(status(REASON_DOMAIN));
        assert_eq!(refusal.code, Code::ResourceExhausted);
        assert_eq!(refusal.reason.as_deref(), Some("RATE_LIMIT_EXCEEDED"));
        assert!(refusal.is(ErrorReason::RateLimitExceeded) && !refusal.is(ErrorReason::Internal));
        assert_eq!(refusal.to_string(), "Too many requests.");
        assert_eq!(refusal.metadata.get("retry_after").map(String::as_str), Some("3"));
        assert_eq!(refusal.fields, [FieldFault { field: "display_name".into(), fault: "is empty".into() }]);
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(refusal.correlation_id.as_deref(), Some("c-1"));
    }

    #[test]
    fn a_reason_of_somebody_else_is_not_ours() {
        let refusal = Refusal::from(status("example.com"));
        assert_eq!(refusal.reason, None);
        assert!(!refusal.is(ErrorReason::RateLimitExceeded));
        assert!(refusal.metadata.is_empty());
    }

    #[test]
    fn a_bare_status_still_says_something() {
        assert_eq!(Refusal::from(Status::new(Code::NotFound, "")).message, Code::NotFound.description());
        assert_eq!(Refusal::from(Status::internal("broken")).message, "broken");
        let local = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert!(Refusal::from(local).message.contains("connection reset"));
    }
}
