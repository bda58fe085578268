//! What the statuses that the transport makes by itself mean in our words.

use crate::domain::{Reason, Refusal};

/// What a status that the transport made itself means in our words.
pub fn translate(code: tonic::Code, message: &str) -> Refusal {
    use tonic::Code;
    let new = Refusal::new;
    match code {
        Code::Internal if message.contains("decode") || message.contains("message") => {
            new(Reason::InvalidArgument, "the request is not a message of this method")
        }
        Code::OutOfRange | Code::ResourceExhausted => {
            new(Reason::PayloadTooLarge, "the request is too large")
        }
        Code::Unimplemented => {
            new(Reason::Unimplemented, "no such method, or an encoding that is not supported")
        }
        Code::Cancelled | Code::DeadlineExceeded => new(Reason::DeadlineExceeded, "the deadline passed"),
        Code::Unavailable => new(Reason::BackendUnavailable, "the service cannot answer this now"),
        Code::InvalidArgument => new(Reason::InvalidArgument, "the request cannot be read"),
        Code::NotFound => new(Reason::NotFound, "no such service"),
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => new(Reason::Internal, "the call failed"),
    }
}
