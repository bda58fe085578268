//! Until when the view may answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A lease on the truth: a moment of this process's monotonic clock, in
/// microseconds, before which the view may answer.
#[derive(Debug, Default)]
pub struct Freshness {
    until: AtomicU64,
}

impl Freshness {
    /// Proven fresh by a look that was *sent* at `sent`: counting from when
    /// the answer came would stretch the lease by the time it took.
    pub fn prove(&self, sent: u64, lease: Duration) {
        let lease = u64::try_from(lease.as_micros()).unwrap_or(u64::MAX);
        self.until.fetch_max(sent.saturating_add(lease), Ordering::AcqRel);
    }

    /// Whether the view may answer at `now`, read after the question came.
    pub fn holds(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Acquire)
    }

    /// For how long after `now` it may.
    pub fn remaining(&self, now: u64) -> Duration {
        Duration::from_micros(self.until.load(Ordering::Acquire).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_for_one_lease_from_the_sending() {
        let freshness = Freshness::default();
        assert!(!freshness.holds(0), "nothing is proven at first");
        freshness.prove(1_000, Duration::from_micros(500));
        assert!(freshness.holds(1_499) && !freshness.holds(1_500));
        freshness.prove(900, Duration::from_micros(500));
        assert!(freshness.holds(1_499), "a late answer takes nothing away");
    }
}
