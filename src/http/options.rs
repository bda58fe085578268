//! The bounds of the HTTP surface.

use crate::http::problem::known;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `[http]`: bounds and names of the HTTP surface.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The largest request body in bytes; a larger one is refused with 413.
    pub max_body_bytes: usize,
    /// The most values, nested ones included, in one JSON body; keeps what a body grows to in memory
    /// within a small multiple of its size.
    pub max_json_values: usize,
    /// The largest gRPC answer in bytes that is converted to JSON; a larger one is a 500.
    pub max_answer_bytes: usize,
    /// The most query parameters that one request may have.
    pub max_query_parameters: usize,
    /// How long a client may take to send its body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long one call may take, in milliseconds; the handlers get it as `grpc-timeout`.
    pub call_timeout_ms: u64,
    /// Other names for reasons in `error.code`, by reason: a product that moved to Doorward may
    /// keep the codes that its clients know.
    pub reason_aliases: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_json_values: 65_536,
            max_answer_bytes: 16 << 20,
            max_query_parameters: 64,
            body_timeout_ms: 10_000,
            call_timeout_ms: 30_000,
            reason_aliases: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Every fault of these options, as text for whoever configures them; empty if there is none.
    pub fn faults(&self) -> Vec<String> {
        let positive = [
            ("max_body_bytes", self.max_body_bytes as u64),
            ("max_json_values", self.max_json_values as u64),
            ("max_answer_bytes", self.max_answer_bytes as u64),
            ("max_query_parameters", self.max_query_parameters as u64),
            ("body_timeout_ms", self.body_timeout_ms),
            ("call_timeout_ms", self.call_timeout_ms),
        ];
        let zero = positive.iter().filter(|(_, value)| *value == 0);
        let mut faults: Vec<String> =
            zero.map(|(name, _)| format!("http.{name} must be more than 0")).collect();
        // gRPC writes a timeout in at most eight digits.
        if self.call_timeout_ms > 99_999_999 {
            faults.push("http.call_timeout_ms must be at most 99999999".to_owned());
        }
        faults.extend(
            self.reason_aliases
                .keys()
                .filter(|name| known(name).is_none())
                .map(|name| format!("http.reason_aliases: `{name}` is no reason")),
        );
        faults
    }

    /// How long a client may take to send its body.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// How long one call may take.
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_have_no_fault() {
        assert_eq!(Options::default().faults(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let options = Options {
            max_body_bytes: 0,
            call_timeout_ms: 100_000_000,
            reason_aliases: BTreeMap::from([
                ("INVALID_API_KEY".to_owned(), "BAD_KEY".to_owned()),
                ("NO_SUCH".to_owned(), "X".to_owned()),
            ]),
            ..Options::default()
        };
        let faults = options.faults();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("max_body_bytes"));
        assert!(faults[1].contains("call_timeout_ms"));
        assert!(faults[2].contains("NO_SUCH"));
    }
}
