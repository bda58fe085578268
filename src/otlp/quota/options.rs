//! `[otlp.quota]`: what is allowed.

use serde::Deserialize;

use crate::domain::limits::Flow;
use crate::otlp::Signal;

/// `[otlp.quota]`: what tenants and keys may send. An export must be within all that apply to it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaOptions {
    /// What each tenant may send, all signals together.
    pub tenant: Quota,
    /// What each key may send, all signals together.
    pub key: Quota,
    /// What each tenant may send of traces; items are spans.
    pub traces: Quota,
    /// What each tenant may send of metrics; items are data points.
    pub metrics: Quota,
    /// What each tenant may send of logs; items are records.
    pub logs: Quota,
}

/// What one sender may send; 0 is no limit. Bytes are those of the protobuf message, after decompression.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Requests a second.
    pub requests_per_second: u64,
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Items a second.
    pub items_per_second: u64,
    /// Requests a day of UTC.
    pub requests_per_day: u64,
    /// Bytes a day of UTC.
    pub bytes_per_day: u64,
    /// Items a day of UTC.
    pub items_per_day: u64,
    /// Requests under way at once.
    pub concurrent: u32,
}

impl QuotaOptions {
    /// Whether there is no limit at all.
    pub fn are_off(&self) -> bool {
        self.all().into_iter().all(|(_, quota)| quota.is_off())
    }

    /// What each tenant may send of a signal.
    pub fn of(&self, signal: Signal) -> &Quota {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }

    /// The first limit that is beyond what can be counted, by its name below `otlp.quota`.
    pub fn beyond(&self) -> Option<String> {
        let limits = self.all().into_iter().flat_map(|(name, quota)| {
            quota
                .rates()
                .map(|(limit, amount)| (name, limit, amount, Flow::MAX))
                .into_iter()
                .chain(quota.days().map(|(limit, amount)| (name, limit, amount, Quota::MOST_PER_DAY)))
        });
        let mut beyond = limits.filter(|(.., amount, most)| amount > most);
        beyond.next().map(|(name, limit, ..)| format!("{name}.{limit}"))
    }

    fn all(&self) -> [(&'static str, &Quota); 5] {
        [
            ("tenant", &self.tenant),
            ("key", &self.key),
            ("traces", &self.traces),
            ("metrics", &self.metrics),
            ("logs", &self.logs),
        ]
    }
}

impl Quota {
    /// The most that can be set for a day.
    pub const MOST_PER_DAY: u64 = 1_000_000_000_000_000_000;

    /// Whether there is no limit.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Amounts a second: of requests, bytes and items, with their names.
    pub(super) const fn rates(&self) -> [(&'static str, u64); 3] {
        [
            ("requests_per_second", self.requests_per_second),
            ("bytes_per_second", self.bytes_per_second),
            ("items_per_second", self.items_per_second),
        ]
    }

    /// Amounts a day, in the same order.
    pub(super) const fn days(&self) -> [(&'static str, u64); 3] {
        [
            ("requests_per_day", self.requests_per_day),
            ("bytes_per_day", self.bytes_per_day),
            ("items_per_day", self.items_per_day),
        ]
    }
}
