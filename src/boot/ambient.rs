//! The world's own clock and randomness; everything else gets them handed in.

use crate::domain::{Clock, Entropy, Moment, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the time of day is reckoned from the monotonic clock before it is
/// read again, in microseconds. A step of the system's clock is followed so late.
const RECKONED: u64 = 100_000;

/// The system's clocks. One of them is read for each moment.
pub struct SystemClock {
    start: Instant,
    /// The time of day at `start`, in microseconds since 1970.
    offset: AtomicI64,
    /// Until when `offset` is trusted.
    until: AtomicU64,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the world's clock is read")]
    fn default() -> Self {
        Self { start: Instant::now(), offset: AtomicI64::new(0), until: AtomicU64::new(0) }
    }
}

impl Clock for SystemClock {
    fn moment(&self) -> Moment {
        let monotonic = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let since_start = i64::try_from(monotonic).unwrap_or(i64::MAX);
        if monotonic >= self.until.load(Ordering::Acquire) {
            self.offset.store(time_of_day().saturating_sub(since_start), Ordering::Relaxed);
            self.until.store(monotonic.saturating_add(RECKONED), Ordering::Release);
        }
        let wall = self.offset.load(Ordering::Relaxed).saturating_add(since_start);
        Moment { wall: Timestamp::from_micros(wall), monotonic }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the world's clock is read")]
fn time_of_day() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The system's source of randomness.
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            // Secrets from anything weaker would be no secrets.
            tracing::error!(%error, "the system gives no randomness");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_right_and_the_other_never_goes_back() {
        let clock = SystemClock::default();
        let mut last = 0;
        for _ in 0..1000 {
            let moment = clock.moment();
            assert!(moment.monotonic >= last);
            last = moment.monotonic;
            let off = moment.wall.micros() - time_of_day();
            assert!(off.abs() < 1_000_000, "{off}");
        }
    }
}
