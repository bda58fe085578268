//! Rate limits: the generic cell rate algorithm over one number a key.
//!
//! The number is the *theoretical arrival time*: when the bucket would be full
//! again. A limit of N a minute lets N pass at once and then one every 60/N
//! seconds.

use super::clock::Timestamp;
use std::time::Duration;

const MINUTE: u64 = 60_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// Requests a minute; at least one, at most [`Limit::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u32);

impl Limit {
    /// The highest limit that can be set.
    pub const MAX: u32 = 1_000_000_000;

    /// The limit, or `None` for 0, which is no limit.
    pub const fn per_minute(requests: u32) -> Option<Self> {
        match requests {
            0 => None,
            many if many > Self::MAX => Some(Self(Self::MAX)),
            some => Some(Self(some)),
        }
    }

    /// Requests a minute.
    pub const fn requests(self) -> u32 {
        self.0
    }

    /// Nanoseconds that one request takes from the minute.
    const fn interval(self) -> u64 {
        MINUTE / self.0 as u64
    }
}

/// What a limit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests a minute.
    pub limit: u32,
    /// Requests left at once.
    pub remaining: u32,
    /// When all are left again.
    pub reset: Timestamp,
    /// How long until this request could pass; zero if it passed.
    pub retry_after: Duration,
}

/// Whether a request passes, and the arrival time to store if it does.
///
/// `arrival` and `now` are nanoseconds since 1970; `cost` counts as at least 1.
pub fn decide(arrival: u64, now: u64, limit: Limit, cost: u32) -> (Option<u64>, Rate) {
    let interval = limit.interval();
    let whole = interval * u64::from(limit.0);
    let start = arrival.max(now);
    let next = start.saturating_add(interval.saturating_mul(u64::from(cost.max(1))));
    let over = next.saturating_sub(now).saturating_sub(whole);
    let stored = if over == 0 { next } else { start };
    let free = whole.saturating_sub(stored.saturating_sub(now));
    let rate = Rate {
        limit: limit.0,
        remaining: u32::try_from(free / interval).unwrap_or(u32::MAX),
        reset: Timestamp::from_micros(i64::try_from(stored / 1000).unwrap_or(i64::MAX)),
        retry_after: Duration::from_nanos(over),
    };
    ((over == 0).then_some(next), rate)
}

/// A rate of anything a second: what was let in is counted in full, however
/// much it turns out to be, and what comes next waits until that is paid off.
/// A second's worth may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow(u64);

impl Flow {
    /// The highest rate that can be set.
    pub const MAX: u64 = 1_000_000_000_000;

    /// The rate, or `None` for 0, which is no limit.
    pub const fn per_second(amount: u64) -> Option<Self> {
        match amount {
            0 => None,
            many if many > Self::MAX => Some(Self(Self::MAX)),
            some => Some(Self(some)),
        }
    }

    /// How long until one more may come; zero if it may now. `arrival` and
    /// `now` are nanoseconds since 1970.
    pub fn wait(self, arrival: u64, now: u64) -> Duration {
        let next = self.charged(arrival, now, 1);
        Duration::from_nanos(next.saturating_sub(now).saturating_sub(SECOND))
    }

    /// The arrival time to store when this much came.
    pub fn charged(self, arrival: u64, now: u64, amount: u64) -> u64 {
        let time = u128::from(amount) * u128::from(SECOND) / u128::from(self.0);
        arrival.max(now).saturating_add(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    fn pass(arrival: &mut u64, now: u64, limit: u32) -> Rate {
        let (next, rate) = decide(*arrival, now, Limit::per_minute(limit).unwrap(), 1);
        *arrival = next.unwrap_or(*arrival);
        rate
    }

    // R18
    #[test]
    fn exactly_the_limit_passes_at_once() {
        for limit in [1, 2, 7, 60, 1000, 60_000] {
            let mut arrival = 0;
            for used in 1..=limit {
                let rate = pass(&mut arrival, NOW, limit);
                assert_eq!((rate.remaining, rate.retry_after), (limit - used, Duration::ZERO), "{limit}");
            }
            let rate = pass(&mut arrival, NOW, limit);
            assert_eq!(rate.remaining, 0);
            assert!(rate.retry_after > Duration::ZERO, "{limit}");
        }
    }

    #[test]
    fn waiting_as_told_lets_exactly_one_pass() {
        let mut arrival = 0;
        for _ in 0..6 {
            pass(&mut arrival, NOW, 6);
        }
        let told = pass(&mut arrival, NOW, 6).retry_after;
        assert_eq!(told, Duration::from_secs(10));
        let later = NOW + u64::try_from(told.as_nanos()).unwrap();
        assert_eq!(pass(&mut arrival, later, 6).retry_after, Duration::ZERO);
        assert!(pass(&mut arrival, later, 6).retry_after > Duration::ZERO);
    }

    #[test]
    fn a_cost_beyond_the_limit_never_passes_and_takes_nothing() {
        let limit = Limit::per_minute(5).unwrap();
        let (next, rate) = decide(0, NOW, limit, 6);
        assert_eq!((next, rate.remaining), (None, 5));
        assert!(decide(0, NOW, limit, u32::MAX).0.is_none());
    }

    #[test]
    fn after_a_minute_all_is_free_again() {
        let mut arrival = 0;
        for _ in 0..9 {
            pass(&mut arrival, NOW, 9);
        }
        assert_eq!(pass(&mut arrival, NOW + MINUTE, 9).remaining, 8);
    }

    #[test]
    fn what_came_is_paid_off_before_more_comes() {
        let flow = Flow::per_second(3).unwrap();
        let mut arrival = 0;
        for _ in 0..3 {
            assert_eq!(flow.wait(arrival, NOW), Duration::ZERO);
            arrival = flow.charged(arrival, NOW, 1);
        }
        let wait = flow.wait(arrival, NOW);
        assert!(wait > Duration::from_millis(333) && wait < Duration::from_millis(334), "{wait:?}");
        // Ten seconds' worth in one piece; of these the first second is free.
        let arrival = Flow::per_second(1_000).unwrap().charged(0, NOW, 10_000);
        assert_eq!(Flow::per_second(1_000).unwrap().wait(arrival, NOW), Duration::from_millis(9_001));
        assert_eq!(Flow::per_second(1_000).unwrap().wait(arrival, NOW + 9_001_000_000), Duration::ZERO);
    }

    #[test]
    fn no_amount_runs_over() {
        assert!(Flow::per_second(0).is_none());
        let slow = Flow::per_second(1).unwrap();
        assert_eq!(slow.charged(u64::MAX, NOW, u64::MAX), u64::MAX);
        let fast = Flow::per_second(u64::MAX).unwrap();
        assert_eq!(fast, Flow::per_second(Flow::MAX).unwrap());
        assert_eq!(fast.wait(0, NOW), Duration::ZERO);
    }
}
