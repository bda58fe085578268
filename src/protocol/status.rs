//! Failures as gRPC statuses, with their details (AIP-193).

use crate::domain::{Correlation, Failure, Reason, Refusal};
use std::collections::HashMap;
use tonic::metadata::{BinaryMetadataKey, MetadataValue};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// `ErrorInfo.domain` of everything that Doorward refuses.
pub const ERROR_DOMAIN: &str = "doorward.dev";

/// What a caller is told of a failure. The cause of a fault goes to the log,
/// here and once.
pub fn explain(failure: Failure, correlation: &Correlation) -> Refusal {
    match failure {
        Failure::Refused(refusal) => refusal,
        Failure::Fault(fault) => {
            tracing::error!(correlation.id = %correlation, error = %fault.cause, "cannot answer");
            fault.told()
        }
    }
}

/// A refusal as a gRPC status.
pub fn status(refusal: &Refusal) -> tonic::Status {
    let told = refusal.reason.told();
    let mut details = ErrorDetails::with_error_info(
        told.name,
        ERROR_DOMAIN,
        refusal
            .metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect::<HashMap<_, _>>(),
    );
    if let Some(wait) = refusal.retry_after {
        details.set_retry_info(Some(wait));
    }
    if refusal.reason == Reason::RateLimitExceeded {
        details.add_quota_failure_violation("api_key", refusal.message.clone());
    }
    if !refusal.violations.is_empty() {
        let violations = refusal.violations.iter();
        let fields = violations.map(|at| FieldViolation::new(at.field.clone(), at.description.clone()));
        details.set_bad_request(fields.collect::<Vec<_>>());
    }
    let mut status =
        tonic::Status::with_error_details(tonic::Code::from_i32(told.grpc), refusal.message.clone(), details);
    if let Some(wait) = refusal.retry_after {
        // Where clients that read no details look for it.
        let key = BinaryMetadataKey::from_static("google.rpc.retryinfo-bin");
        status.metadata_mut().insert_bin(key, MetadataValue::from_bytes(&retry_info(wait)));
    }
    status
}

/// A status as the trailers that end a body.
pub fn trailers(told: &tonic::Status) -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    if told.add_header(&mut trailers).is_err() {
        // Our own words always fit; a status without them would still be an end.
        trailers.insert("grpc-status", http::HeaderValue::from(i32::from(told.code())));
    }
    trailers
}

/// An encoded `google.rpc.RetryInfo`.
fn retry_info(wait: std::time::Duration) -> Vec<u8> {
    use prost::Message;
    let delay = prost_types::Duration {
        seconds: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(wait.subsec_nanos()).unwrap_or(0),
    };
    // RetryInfo is one field: retry_delay = 1.
    let inner = delay.encode_to_vec();
    let mut bytes = vec![0x0a, u8::try_from(inner.len()).unwrap_or(0)];
    bytes.extend(inner);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    // R4
    #[test]
    fn every_reason_reaches_the_wire_with_its_code_and_domain() {
        for reason in Reason::ALL {
            let status = status(&Refusal::new(reason, "no"));
            let info = status.get_error_details().error_info().cloned().unwrap();
            assert_eq!(status.code() as i32, reason.told().grpc);
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason.told().name, ERROR_DOMAIN));
        }
    }

    #[test]
    fn the_time_to_wait_stands_in_both_places() {
        let refusal = Refusal {
            retry_after: Some(Duration::from_millis(1500)),
            ..Refusal::new(Reason::BackendUnavailable, "no")
        };
        let status = status(&refusal);
        assert_eq!(
            status.get_error_details().retry_info().unwrap().retry_delay,
            Some(Duration::from_millis(1500))
        );
        let sent = status.metadata().get_bin("google.rpc.retryinfo-bin").unwrap().to_bytes().unwrap();
        let expected: &[u8] = &[0x0a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01];
        assert_eq!(sent.as_ref(), expected);
    }
}
