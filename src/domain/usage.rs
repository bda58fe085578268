//! How often keys are used: counts by the hour, and what is unusual in them.

use super::{Reason, Timestamp};

/// What became of a check of a key that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The key was accepted.
    Accepted,
    /// Its end has passed.
    Expired,
    /// It may not be used from that address.
    Address,
    /// It lacks a permission that was asked for.
    Permission,
    /// Its rate limit was used up.
    RateLimit,
    /// Its tenant is suspended.
    Suspended,
    /// Anything else that was asked for, such as a second factor or another tenant.
    Other,
}

impl Outcome {
    /// Outcomes that there are.
    pub const COUNT: usize = 7;

    /// Every outcome, each at the place of its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Accepted,
        Self::Expired,
        Self::Address,
        Self::Permission,
        Self::RateLimit,
        Self::Suspended,
        Self::Other,
    ];

    /// Under what a refusal is counted; `None` for one that does not speak of
    /// the key as such: to whoever asks it was as if it did not exist.
    pub const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::ApiKeyExpired => Some(Self::Expired),
            Reason::IpNotAllowed => Some(Self::Address),
            Reason::InsufficientPermissions => Some(Self::Permission),
            Reason::RateLimitExceeded => Some(Self::RateLimit),
            Reason::TenantSuspended => Some(Self::Suspended),
            Reason::FeatureNotLicensed | Reason::MfaRequired | Reason::TenantMismatch => Some(Self::Other),
            Reason::CredentialsMissing
            | Reason::InvalidApiKey
            | Reason::InvalidToken
            | Reason::TokenExpired
            | Reason::AmbiguousCredentials
            | Reason::NotFound
            | Reason::QuotaExceeded
            | Reason::PayloadTooLarge
            | Reason::BackendUnavailable
            | Reason::InvalidArgument
            | Reason::EtagMismatch
            | Reason::AlreadyExists
            | Reason::FailedPrecondition
            | Reason::Unimplemented
            | Reason::DeadlineExceeded
            | Reason::Internal
            | Reason::InvalidLogin
            | Reason::SessionRevoked => None,
        }
    }
}

/// How often each outcome was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; Outcome::COUNT]);

impl Counts {
    /// These counts, each at the place of its outcome in [`Outcome::ALL`].
    pub const fn from_array(counts: [u64; Outcome::COUNT]) -> Self {
        Self(counts)
    }

    /// The reverse of [`Counts::from_array`].
    pub const fn to_array(self) -> [u64; Outcome::COUNT] {
        self.0
    }

    /// How often that outcome was seen.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or(0)
    }

    /// These counts with another one of that outcome.
    #[must_use]
    pub fn with(mut self, outcome: Outcome, count: u64) -> Self {
        if let Some(there) = self.0.get_mut(outcome as usize) {
            *there = count;
        }
        self
    }

    /// All checks, whatever became of them.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, more: Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(more.0) {
            *count = count.saturating_add(more);
        }
        self
    }
}

/// An hour of UTC, counted from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

const MICROS: i64 = 3_600_000_000;

impl Hour {
    /// The hour that this point lies in.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.micros().div_euclid(MICROS))
    }

    /// The hour of this number.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// When it begins.
    pub const fn begins(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(MICROS))
    }

    /// That many hours earlier.
    #[must_use]
    pub const fn minus(self, hours: i64) -> Self {
        Self(self.0.saturating_sub(hours))
    }

    /// The first hour of its day.
    #[must_use]
    pub const fn day(self) -> Self {
        Self(self.0.div_euclid(24) * 24)
    }
}

/// What a key was used for in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourOfUse {
    /// The hour.
    pub hour: Hour,
    /// The checks.
    pub counts: Counts,
    /// Whether it was found to be unusual.
    pub spike: bool,
}

/// Hours back that an hour is compared with: a week, so that every day of it counts.
pub const WINDOW: i64 = 7 * 24;
/// Hours that a key must have been in use before anything is unusual.
pub const SETTLED: i64 = 24;
/// Checks an hour below which nothing is unusual: it costs and tells too little.
pub const FLOOR: u64 = 1_000;
/// How many times its usual hour makes an hour unusual.
pub const TIMES: u64 = 10;

/// What a key was used for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// The first hour that is known.
    pub first: Option<Hour>,
    /// Hours of the window in which it was used.
    pub hours: u64,
    /// Checks in them.
    pub total: u64,
}

impl History {
    /// Checks in an hour in which it was used, on average. Hours without any
    /// use are left out: a job that runs once a day is not unusual every day.
    pub fn mean(&self) -> u64 {
        self.total.checked_div(self.hours).unwrap_or(0)
    }

    /// Whether that many checks in this hour are unusual.
    pub fn is_spike(&self, hour: Hour, total: u64) -> bool {
        let settled = self.first.is_some_and(|first| first <= hour.minus(SETTLED));
        settled && total > FLOOR && total > self.mean().saturating_mul(TIMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lie_at_the_places_of_their_outcomes() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            let mut one = [0; Outcome::COUNT];
            one[place] = 5;
            let counts = Counts::from_array(one);
            assert_eq!((outcome as usize, counts.of(outcome), counts.total()), (place, 5, 5));
            assert_eq!(counts.plus(counts).of(outcome), 10);
        }
        let most = Counts::from_array([u64::MAX; Outcome::COUNT]);
        assert_eq!(most.plus(most).total(), u64::MAX);
    }

    #[test]
    fn hours_and_days_begin_where_they_do() {
        let hour = Hour::of(Timestamp::from_micros(25 * MICROS + 1));
        assert_eq!((hour.number(), hour.begins()), (25, Timestamp::from_micros(25 * MICROS)));
        assert_eq!((hour.day().number(), hour.minus(26).day().number()), (24, -24));
    }

    #[test]
    fn a_spike_is_far_above_the_keys_own_usual_hour() {
        let now = Hour::from_number(1_000);
        let used = |first: i64, hours: u64, each: u64| History {
            first: Some(now.minus(first)),
            hours,
            total: hours * each,
        };
        for (history, total, expected) in [
            (used(200, 100, 200), 2_001, true),
            (used(200, 100, 200), 2_000, false),
            // A little of little is no spike.
            (used(200, 100, 1), 1_000, false),
            (used(200, 100, 1), 1_001, true),
            // A job of one hour a day.
            (used(160, 7, 5_000), 6_000, false),
            // Long asleep, then awake.
            (used(500, 0, 0), 1_001, true),
            // New, so nothing is known of it.
            (used(23, 23, 1), 1_000_000, false),
            (History::default(), 1_000_000, false),
        ] {
            assert_eq!(history.is_spike(now, total), expected, "{history:?} {total}");
        }
    }
}
