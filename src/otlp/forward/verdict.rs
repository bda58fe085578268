//! What a back end's refusal means for the sender.
//!
//! The sender must hear of bad data and of a back end that wants it to wait. It must not hear that *Doorward's* access
//! to the back end is refused as if its own key were bad: it would throw its data away.

use std::time::Duration;

use http::StatusCode;
use tonic::Code;

use crate::domain::{Failure, Fault, Reason, Refusal};
use crate::otlp::response::tame;

/// The longest wait that is passed on from a back end.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// The back end did not answer in time. It may have taken the data; the sender's repetition is then a duplicate, which
/// is better than a loss.
pub fn too_slow(timeout: Duration) -> Failure {
    Fault::new(format!("the OTLP back end did not answer within {} ms", timeout.as_millis())).into()
}

/// The back end cannot be reached.
pub fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Fault::new(Chain(Box::new(error))).into()
}

/// What a gRPC status of the back end means; `wait` is its `RetryInfo`.
pub fn of_grpc(code: Code, message: &str, wait: Option<Duration>) -> Failure {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound | Code::AlreadyExists => {
            bad_data(message)
        }
        Code::ResourceExhausted => exhausted(message, wait),
        Code::Unimplemented => unsupported(),
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => away(&format!("status {code:?}: {message}"), wait),
        Code::Unauthenticated | Code::PermissionDenied => not_let_in(message),
        Code::Ok | Code::Unknown | Code::Internal => failed(&format!("status {code:?}: {message}")),
    }
}

/// What an HTTP status of the back end means; `wait` is its `Retry-After`.
pub fn of_http(status: StatusCode, message: &str, wait: Option<Duration>) -> Failure {
    match status.as_u16() {
        400 | 422 => bad_data(message),
        413 => Refusal::new(Reason::PayloadTooLarge, "the back end takes no request of this size").into(),
        401 | 403 | 407 => not_let_in(message),
        404 | 405 | 415 | 501 => unsupported(),
        429 => exhausted(message, wait.or(Some(Fault::RETRY_AFTER))),
        408 | 502..=504 => away(&format!("status {status}: {message}"), wait),
        _ => failed(&format!("status {status}: {message}")),
    }
}

fn bad_data(message: &str) -> Failure {
    let message = format!("the back end refused the data: {}", tame(message));
    Refusal::new(Reason::InvalidArgument, message).into()
}

/// Without a time to wait this is a quota or a size, which no repetition helps.
fn exhausted(message: &str, wait: Option<Duration>) -> Failure {
    let reason = if wait.is_some() { Reason::RateLimitExceeded } else { Reason::QuotaExceeded };
    let message = format!("the back end takes no more: {}", tame(message));
    Refusal { retry_after: wait.map(|wait| wait.min(MAX_WAIT)), ..Refusal::new(reason, message) }.into()
}

fn unsupported() -> Failure {
    Refusal::new(Reason::Unimplemented, "the back end does not take this signal").into()
}

/// The back end is away; how long, it may have said itself.
fn away(cause: &str, wait: Option<Duration>) -> Failure {
    let Some(wait) = wait else {
        return Fault::new(format!("the OTLP back end cannot take data: {}", tame(cause))).into();
    };
    tracing::warn!(cause = %tame(cause), "the OTLP back end asks to wait");
    let refusal =
        Refusal::new(Reason::BackendUnavailable, "the back end cannot take data now; try again later");
    Refusal { retry_after: Some(wait.min(MAX_WAIT)), ..refusal }.into()
}

fn not_let_in(message: &str) -> Failure {
    Fault::new(format!("the OTLP back end does not let Doorward in: {}", tame(message))).into()
}

fn failed(cause: &str) -> Failure {
    tracing::error!(cause = %tame(cause), "the OTLP back end failed");
    Refusal::new(Reason::Internal, "the back end failed on this request").into()
}

/// An error with all its causes in its text: the outermost one of an HTTP client says next to nothing.
#[derive(Debug)]
struct Chain(Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the OTLP back end cannot be reached: {}", self.0)?;
        let mut cause = self.0.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}

impl std::error::Error for Chain {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason and the wait that a sender is told.
    fn told(failure: Failure) -> (Reason, Option<u64>) {
        let refusal = match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Fault(fault) => fault.told(),
        };
        (refusal.reason, refusal.retry_after.map(|wait| wait.as_secs()))
    }

    #[test]
    fn every_grpc_status_has_a_meaning() {
        let wait = Some(Duration::from_secs(7));
        let cases = [
            (Code::InvalidArgument, None, (Reason::InvalidArgument, None)),
            (Code::ResourceExhausted, wait, (Reason::RateLimitExceeded, Some(7))),
            (Code::ResourceExhausted, None, (Reason::QuotaExceeded, None)),
            (Code::Unavailable, None, (Reason::BackendUnavailable, Some(1))),
            (Code::Unavailable, wait, (Reason::BackendUnavailable, Some(7))),
            (Code::Unavailable, Some(Duration::from_hours(3)), (Reason::BackendUnavailable, Some(300))),
            (Code::Unauthenticated, None, (Reason::BackendUnavailable, Some(1))),
            (Code::PermissionDenied, None, (Reason::BackendUnavailable, Some(1))),
            (Code::Unimplemented, None, (Reason::Unimplemented, None)),
            (Code::Internal, None, (Reason::Internal, None)),
        ];
        for (code, wait, expected) in cases {
            assert_eq!(told(of_grpc(code, "x", wait)), expected, "{code:?}");
        }
    }

    #[test]
    fn every_http_status_has_a_meaning() {
        let cases = [
            (400, (Reason::InvalidArgument, None)),
            (401, (Reason::BackendUnavailable, Some(1))),
            (403, (Reason::BackendUnavailable, Some(1))),
            (404, (Reason::Unimplemented, None)),
            (413, (Reason::PayloadTooLarge, None)),
            (429, (Reason::RateLimitExceeded, Some(1))),
            (500, (Reason::Internal, None)),
            (503, (Reason::BackendUnavailable, Some(1))),
            (302, (Reason::Internal, None)),
        ];
        for (status, expected) in cases {
            assert_eq!(told(of_http(StatusCode::from_u16(status).unwrap(), "x", None)), expected, "{status}");
        }
    }

    #[test]
    fn the_text_of_a_back_end_is_tamed() {
        let Failure::Refused(refusal) = of_grpc(Code::InvalidArgument, "a\r\nb\u{1b}[31m", None) else {
            panic!("a fault")
        };
        assert_eq!(refusal.message, "the back end refused the data: a  b [31m");
    }
}
