//! How much telemetry keys send: counts by the signal and the hour.

use super::usage::Hour;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Telemetry {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Telemetry {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its number, on the wire and in the database.
    pub const fn number(self) -> i32 {
        match self {
            Self::Traces => 1,
            Self::Metrics => 2,
            Self::Logs => 3,
        }
    }
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// Requests whose body was read.
    pub requests: u64,
    /// Bytes of their bodies, as received.
    pub bytes_in: u64,
    /// Bytes that a back end acknowledged, as handed on.
    pub bytes_out: u64,
    /// Items that a back end took.
    pub accepted: u64,
    /// Items that it did not take.
    pub rejected: u64,
}

impl Ingested {
    /// Both together.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(more.requests),
            bytes_in: self.bytes_in.saturating_add(more.bytes_in),
            bytes_out: self.bytes_out.saturating_add(more.bytes_out),
            accepted: self.accepted.saturating_add(more.accepted),
            rejected: self.rejected.saturating_add(more.rejected),
        }
    }
}

/// What a key sent of one kind in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourOfIngest {
    /// The hour.
    pub hour: Hour,
    /// The kind.
    pub telemetry: Telemetry,
    /// The counts.
    pub sent: Ingested,
}
