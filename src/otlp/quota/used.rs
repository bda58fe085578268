//! What one tenant or key has used.

use std::time::Duration;

use super::{BUSY_RETRY, Quota};
use crate::domain::limits::Flow;
use crate::domain::{Reason, Refusal};

/// A day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// Counts of requests, bytes and items, in this order. Times are nanoseconds since 1970.
#[derive(Debug, Default)]
pub struct Used {
    /// When what came of each is paid off; see [`Flow`].
    arrivals: [u64; 3],
    /// The day of `today`, counted from 1970.
    day: u64,
    /// What came on that day.
    today: [u64; 3],
    /// Exports under way.
    under_way: u32,
}

/// A quota that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The limit's name in the settings.
    limit: &'static str,
    amount: u64,
    /// How long to wait; `None` for the rest of the day.
    wait: Option<Duration>,
}

impl Used {
    /// Whether one request more may come.
    pub fn judge(&self, quota: &Quota, now: u64) -> Result<(), Over> {
        if self.day == now / DAY {
            let days = quota.days().into_iter().zip(self.today);
            for ((limit, amount), used) in days {
                if amount > 0 && used >= amount {
                    return Err(Over { limit, amount, wait: None });
                }
            }
        }
        if quota.concurrent > 0 && self.under_way >= quota.concurrent {
            let (limit, amount) = ("concurrent", quota.concurrent.into());
            return Err(Over { limit, amount, wait: Some(BUSY_RETRY) });
        }
        let waits = quota.rates().into_iter().zip(self.arrivals).filter_map(|((limit, amount), arrival)| {
            let wait = Flow::per_second(amount)?.wait(arrival, now);
            (!wait.is_zero()).then_some(Over { limit, amount, wait: Some(wait) })
        });
        waits.max_by_key(|over| over.wait).map_or(Ok(()), Err)
    }

    /// Counts a request that was let in.
    pub fn enter(&mut self, quota: &Quota, now: u64) {
        self.under_way = self.under_way.saturating_add(1);
        self.add(quota, now, [1, 0, 0]);
    }

    /// Counts what a request turned out to be.
    pub fn charge(&mut self, quota: &Quota, now: u64, bytes: u64, items: u64) {
        self.add(quota, now, [0, bytes, items]);
    }

    /// A request is over.
    pub fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Whether nothing would be lost by forgetting it.
    pub fn is_idle(&self, now: u64) -> bool {
        let counts_today = self.day == now / DAY && self.today != [0; 3];
        self.under_way == 0 && !counts_today && self.arrivals.iter().all(|arrival| *arrival <= now)
    }

    fn add(&mut self, quota: &Quota, now: u64, amounts: [u64; 3]) {
        for ((arrival, (_, rate)), amount) in self.arrivals.iter_mut().zip(quota.rates()).zip(amounts) {
            if let Some(flow) = Flow::per_second(rate).filter(|_| amount > 0) {
                *arrival = flow.charged(*arrival, now, amount);
            }
        }
        if self.day != now / DAY {
            (self.day, self.today) = (now / DAY, [0; 3]);
        }
        for ((used, (_, cap)), amount) in self.today.iter_mut().zip(quota.days()).zip(amounts) {
            // What has no cap is not counted, so that it can be forgotten.
            if cap > 0 {
                *used = used.saturating_add(amount);
            }
        }
    }
}

impl Over {
    /// What the sender is told. `whose` is `tenant` or `key`, `quota` the quota's name in the settings.
    pub fn told(self, whose: &'static str, quota: &'static str) -> Refusal {
        let Self { limit, amount, wait } = self;
        let what = limit.replace("_per_", " a ").replace("concurrent", "requests at once");
        let of = if quota == whose { String::new() } else { format!(" for {quota}") };
        let (reason, until) = match wait {
            Some(_) => (Reason::RateLimitExceeded, "wait"),
            None => (Reason::QuotaExceeded, "it begins anew at midnight UTC"),
        };
        let message = format!("the {whose}'s quota{of} of {amount} {what} is used up; {until}");
        let refusal = Refusal::new(reason, message).with("quota", format_args!("{quota}.{limit}"));
        Refusal { retry_after: wait, ..refusal }
    }
}
