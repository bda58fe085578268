//! How long a caller waits.

use crate::domain::reading::Reading;
use http::HeaderMap;
use std::time::Duration;

/// What `grpc-timeout` allows: up to eight digits and a unit. One that cannot
/// be read asks for nothing.
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    headers.get("grpc-timeout").and_then(|value| read(value.to_str().readable()?))
}

fn read(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse::<u64>().readable().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_hours(amount)),
        "M" => Some(Duration::from_mins(amount)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}
