//! The world's own clock and randomness; everything else gets them handed in.

use crate::domain::{Clock, Entropy, Moment, Timestamp};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The system's clocks.
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the world's clock is read")]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the world's clock is read")]
    fn moment(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment {
            wall: Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            monotonic: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }
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
