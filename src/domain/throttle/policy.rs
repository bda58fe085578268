//! How failures turn into waits.

use crate::domain::Timestamp;
use std::time::Duration;

/// What a subject's row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Failures that count still.
    pub failures: u32,
    /// When the last one was; where places come back with time, since when the
    /// next one is on its way.
    pub last: Timestamp,
}

impl Tally {
    /// What is counted of a subject without a row.
    pub const NONE: Self = Self { failures: 0, last: Timestamp::from_micros(0) };
}

/// Whether one more may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It may.
    Go,
    /// Not before that time has passed; never zero.
    Wait(Duration),
    /// Not this way: time does not help, another way in does.
    Spent,
}

impl Verdict {
    /// The stricter of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

/// How a subject is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Waits that double with each failure. Nothing is forgotten with time:
    /// failures in a row stay so however slowly they come.
    Growing(Growing),
    /// Places that come back one by one.
    Refilled(Refilled),
}

/// Waits that double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growing {
    /// Failures that cost no wait.
    pub free: u32,
    /// The wait after them.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// Failures after which no wait helps.
    pub ceiling: Option<u32>,
}

/// Places that come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refilled {
    /// Places there are.
    pub burst: u32,
    /// After how long one comes back.
    pub every: Duration,
}

impl Policy {
    /// Whether one more may be tried now.
    pub fn verdict(&self, tally: Tally, now: Timestamp) -> Verdict {
        match self {
            Self::Growing(growing) => growing.verdict(tally, now),
            Self::Refilled(refilled) => refilled.verdict(tally, now),
        }
    }

    /// With one more.
    #[must_use]
    pub fn after_failure(&self, tally: Tally, now: Timestamp) -> Tally {
        match self {
            Self::Growing(_) => Tally { failures: tally.failures.saturating_add(1), last: now },
            Self::Refilled(refilled) => refilled.after_failure(tally, now),
        }
    }

    /// With no more failures than the longest wait takes.
    #[must_use]
    pub fn eased(&self, tally: Tally) -> Tally {
        match self {
            Self::Growing(growing) => Tally { failures: tally.failures.min(growing.steady()), ..tally },
            Self::Refilled(_) => tally,
        }
    }

    /// Whether the tally is as good as none.
    pub fn is_over(&self, tally: Tally, now: Timestamp) -> bool {
        match self {
            Self::Growing(_) => tally.failures == 0,
            Self::Refilled(refilled) => refilled.now(tally, now).failures == 0,
        }
    }
}

impl Growing {
    fn verdict(&self, tally: Tally, now: Timestamp) -> Verdict {
        if self.ceiling.is_some_and(|ceiling| tally.failures >= ceiling) {
            return Verdict::Spent;
        }
        let wait = self.wait_after(tally.failures);
        // A row from beyond the longest wait was written by a clock that was wrong.
        if tally.last > now.plus(self.most) {
            return Verdict::Go;
        }
        wait_or_go(wait.saturating_sub(now.since(tally.last)))
    }

    /// The wait that this many failures cost.
    pub fn wait_after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }

    /// The fewest failures that cost the longest wait.
    fn steady(&self) -> u32 {
        let mut failures = self.free;
        while self.wait_after(failures) < self.most && failures < self.free.saturating_add(u32::BITS) {
            failures += 1;
        }
        failures
    }
}

impl Refilled {
    fn verdict(&self, tally: Tally, now: Timestamp) -> Verdict {
        let Tally { failures, last } = self.now(tally, now);
        if failures < self.burst {
            return Verdict::Go;
        }
        wait_or_go(self.every.saturating_sub(now.since(last)))
    }

    fn after_failure(&self, tally: Tally, now: Timestamp) -> Tally {
        let Tally { failures, last } = self.now(tally, now);
        // The next place is on its way since the first was taken.
        let last = if failures == 0 { now } else { last };
        Tally { failures: failures.saturating_add(1).min(self.burst), last }
    }

    /// The tally less what has come back.
    fn now(&self, tally: Tally, now: Timestamp) -> Tally {
        let whole = self.every.saturating_mul(self.burst);
        let quiet = now.since(tally.last);
        // A row from so far ahead was written by a clock that was wrong.
        if quiet >= whole || tally.last > now.plus(whole) {
            return Tally::NONE;
        }
        // Below `burst`, for `quiet` is below `whole`.
        let back = quiet.as_micros() / self.every.as_micros().max(1);
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        let failures = tally.failures.min(self.burst).saturating_sub(back);
        Tally { failures, last: tally.last.plus(self.every.saturating_mul(back)) }
    }
}

fn wait_or_go(wait: Duration) -> Verdict {
    if wait.is_zero() { Verdict::Go } else { Verdict::Wait(wait) }
}
