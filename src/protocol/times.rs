//! Times and spans as protobuf has them.

use crate::domain::Timestamp;
use crate::domain::reading::Reading;
use std::time::Duration;

/// A time as a message has it.
pub fn from_time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0),
    }
}

/// The time, to the microsecond; `None` for one that is out of range.
pub fn to_time(time: prost_types::Timestamp) -> Option<Timestamp> {
    let micros =
        i64::from(u32::try_from(time.nanos).readable().filter(|nanos| *nanos < 1_000_000_000)?) / 1000;
    Some(Timestamp::from_micros(time.seconds.checked_mul(1_000_000)?.checked_add(micros)?))
}

/// A span as a message has it.
pub fn from_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// Whole and positive, or nothing. The library's own conversion normalises
/// first, which overflows for what a peer can send.
pub fn to_duration(duration: prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).readable()?;
    let nanos = u32::try_from(duration.nanos).readable().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_round_and_nonsense_is_none() {
        for micros in [0, 1, 999_999, 1_767_225_600_123_456, -1, -1_000_001] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(to_time(from_time(time)), Some(time));
        }
        for (seconds, nanos) in [(i64::MAX, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0)] {
            assert_eq!(to_time(prost_types::Timestamp { seconds, nanos }), None);
        }
    }

    #[test]
    fn spans_go_round_and_nonsense_is_none() {
        for span in [Duration::ZERO, Duration::from_nanos(1), Duration::new(5, 999_999_999)] {
            assert_eq!(to_duration(from_duration(span)), Some(span));
        }
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(to_duration(prost_types::Duration { seconds, nanos }), None);
        }
    }
}
