//! The answer to an export that was taken.

use bytes::Bytes;
use prost::Message;
use serde_json::{Map, Value};

use super::Signal;

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

    /// Items that were not taken.
    pub fn rejected(&self) -> u64 {
        let rejected = self.partial_success.as_ref().map_or(0, |partial| partial.rejected);
        u64::try_from(rejected).unwrap_or(0)
    }

    /// Adds a warning for the sender.
    pub fn warn(&mut self, warning: &str) {
        let partial = self.partial_success.get_or_insert_default();
        if !partial.message.is_empty() {
            partial.message.push_str("; ");
        }
        partial.message.push_str(warning);
    }

    /// Its form in JSON.
    pub fn to_json(&self, signal: Signal) -> Bytes {
        let mut members = Map::new();
        if let Some(Partial { rejected, message }) = &self.partial_success {
            let mut partial = Map::new();
            if *rejected != 0 {
                // Integers of 64 bits are text in proto3 JSON.
                partial.insert(signal.rejected().to_owned(), rejected.to_string().into());
            }
            partial.insert("errorMessage".to_owned(), message.as_str().into());
            members.insert("partialSuccess".to_owned(), partial.into());
        }
        Value::Object(members).to_string().into()
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
    fn json_says_the_same() {
        let mut export = Export::default();
        assert_eq!(export.to_json(Signal::Logs), "{}");
        export.warn("a \"warning\"");
        assert_eq!(export.to_json(Signal::Logs), r#"{"partialSuccess":{"errorMessage":"a \"warning\""}}"#);
        let partial = Partial { rejected: 3, message: "old".into() };
        let export = Export { partial_success: Some(partial) };
        let rejected = Signal::ALL.map(|signal| {
            let json: Value = serde_json::from_slice(&export.to_json(signal)).unwrap();
            json["partialSuccess"].as_object().unwrap().keys().next_back().unwrap().clone()
        });
        assert_eq!(rejected, ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]);
        let json = export.to_json(Signal::Traces);
        assert_eq!(json, r#"{"partialSuccess":{"errorMessage":"old","rejectedSpans":"3"}}"#);
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
