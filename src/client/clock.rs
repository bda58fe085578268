//! The world's own clock; everything else gets it handed in.

use crate::domain::{Clock, Moment, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How long the time of day is reckoned from the boot-time clock before it is
/// read again, in microseconds. A step of the system's clock is followed so late.
const RECKONED: u64 = 100_000;

/// The system's clocks. One of them is read for each moment: the one that goes
/// on while the machine sleeps, for a lease must not outlive its time in sleep.
#[derive(Default)]
pub struct SystemClock {
    /// The time of day when the machine was started, in microseconds since 1970.
    offset: AtomicI64,
    /// Until when `offset` is trusted.
    until: AtomicU64,
}

impl Clock for SystemClock {
    fn moment(&self) -> Moment {
        let boot = read(ClockId::Boottime);
        let monotonic = u64::try_from(boot).unwrap_or(0);
        if monotonic >= self.until.load(Ordering::Acquire) {
            self.offset.store(read(ClockId::Realtime).saturating_sub(boot), Ordering::Relaxed);
            self.until.store(monotonic.saturating_add(RECKONED), Ordering::Release);
        }
        let wall = self.offset.load(Ordering::Relaxed).saturating_add(boot);
        Moment { wall: Timestamp::from_micros(wall), monotonic }
    }
}

/// A clock of the system, in microseconds.
#[expect(clippy::disallowed_methods, reason = "the one place where the world's clocks are read")]
fn read(clock: ClockId) -> i64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    tv_sec.saturating_mul(1_000_000).saturating_add(tv_nsec / 1000)
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
            let off = moment.wall.micros() - read(ClockId::Realtime);
            assert!(off.abs() < 1_000_000, "{off}");
        }
    }
}
