//! The answer to an export that was taken.

use bytes::Bytes;
use prost::Message;

/// The longest message of a back end that is passed on, in characters.
const MAX_MESSAGE: usize = 1024;

/// `Export…ServiceResponse`; its fields have the same numbers for every signal.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Export {
    /// What was not taken, or a warning.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<Partial>,
}

/// `Export…PartialSuccess`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Partial {
    /// Spans, data points or log records that were not taken.
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    /// Why, or a warning if all were taken.
    #[prost(string, tag = "2")]
    pub message: String,
}

impl Export {
    /// The response of a back end, fit to be passed on. What cannot be read counts as success: the back end did
    /// acknowledge.
    pub fn read(bytes: Bytes) -> Self {
        let mut export = Self::decode(bytes).unwrap_or_else(|error| {
            tracing::debug!(%error, "the back end's response cannot be read");
            Self::default()
        });
        if let Some(partial) = &mut export.partial_success {
            partial.message = tame(&partial.message);
        }
        export
    }

    /// Adds a warning for the sender.
    pub fn warn(&mut self, warning: &str) {
        let partial = self.partial_success.get_or_insert_default();
        if !partial.message.is_empty() {
            partial.message.push_str("; ");
        }
        partial.message.push_str(warning);
    }

    /// Its encoding.
    pub fn to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

/// Text of a back end, without control characters and not too long.
pub fn tame(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };

    use super::*;

    #[test]
    fn full_success_is_no_bytes_at_all() {
        assert_eq!(Export::default().to_bytes(), "");
    }

    #[test]
    fn a_warning_has_nothing_rejected() {
        let mut export = Export::default();
        export.warn("one");
        export.warn("two");
        let decoded = ExportTraceServiceResponse::decode(export.to_bytes()).unwrap();
        let partial = ExportTracePartialSuccess { rejected_spans: 0, error_message: "one; two".into() };
        assert_eq!(decoded.partial_success, Some(partial));
    }

    #[test]
    fn a_partial_success_is_passed_on() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "bad\r\nspans".into() };
        let sent = ExportTraceServiceResponse { partial_success: Some(partial) };
        let export = Export::read(sent.encode_to_vec().into());
        assert_eq!(export.partial_success, Some(Partial { rejected: 3, message: "bad  spans".into() }));
        assert_eq!(Export::read(Bytes::from_static(b"\xff")), Export::default());
    }
}
