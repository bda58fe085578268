//! What a key sent, as a line for each signal below the bars of `doorward key usage`.

use crate::pb::v1::{IngestHour, TelemetrySignal};
use std::collections::BTreeMap;

/// Names of the signals.
const SIGNALS: [(TelemetrySignal, &str); 3] = [
    (TelemetrySignal::Traces, "traces"),
    (TelemetrySignal::Metrics, "metrics"),
    (TelemetrySignal::Logs, "logs"),
];

/// The sums over all hours; nothing where nothing was sent.
pub fn summary(hours: &[IngestHour]) -> String {
    let mut sums: BTreeMap<i32, IngestHour> = BTreeMap::new();
    for hour in hours {
        let sum = sums.entry(hour.signal).or_default();
        sum.requests = sum.requests.saturating_add(hour.requests);
        sum.bytes_in = sum.bytes_in.saturating_add(hour.bytes_in);
        sum.bytes_out = sum.bytes_out.saturating_add(hour.bytes_out);
        sum.accepted_items = sum.accepted_items.saturating_add(hour.accepted_items);
        sum.rejected_items = sum.rejected_items.saturating_add(hour.rejected_items);
    }
    sums.iter().map(|(signal, sum)| line(*signal, sum)).collect()
}

fn line(signal: i32, sum: &IngestHour) -> String {
    let known = SIGNALS.iter().find(|(known, _)| i32::from(*known) == signal);
    let name = known.map_or("other", |(_, name)| name);
    let IngestHour { requests, bytes_in, bytes_out, accepted_items, rejected_items, .. } = sum;
    format!(
        "{name}: {requests} requests, {bytes_in} bytes in, {bytes_out} out; {accepted_items} items accepted, {rejected_items} rejected\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_summed_by_signal() {
        let hour = |signal: i32, count| IngestHour {
            signal,
            requests: count,
            bytes_in: count,
            bytes_out: count,
            accepted_items: count,
            rejected_items: u64::MAX,
            ..IngestHour::default()
        };
        let text = summary(&[hour(3, 1), hour(1, 2), hour(3, 4), hour(9, 1)]);
        let expected = "traces: 2 requests, 2 bytes in, 2 out; 2 items accepted, 18446744073709551615 rejected\n\
                        logs: 5 requests, 5 bytes in, 5 out; 5 items accepted, 18446744073709551615 rejected\n\
                        other: 1 requests, 1 bytes in, 1 out; 1 items accepted, 18446744073709551615 rejected\n";
        assert_eq!(text, expected);
        assert_eq!(summary(&[]), "");
    }
}
