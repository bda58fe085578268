//! Judges a history when all is over. Pure: nothing but the history and the tables is looked at.

mod answers;
mod recovery;
mod rights;
pub mod selftest;
mod streams;
mod tables;

pub use recovery::times as recovery_times;
pub use tables::Tables;

use crate::history::{History, Subject};
use std::time::Duration;

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Something was accepted that was asked after the acknowledged end of its right.
    Stale,
    /// Something good was refused.
    WrongRefusal,
    /// An answer that is neither yes nor no nor an outage.
    OddAnswer,
    /// A stream outlived the credential that opened it.
    StreamNotCut,
    /// A mutation was acknowledged and the audit log does not have it, or has more than was asked for.
    Audit,
    /// The change log has a gap, or less than was acknowledged.
    ChangeLog,
    /// A replica did not accept again in time, or did not answer in the end.
    NoRecovery,
    /// A replica ended by itself.
    Death,
}

impl Kind {
    /// Every kind, in the order of the report.
    pub const ALL: [Self; 8] = [
        Self::Stale,
        Self::WrongRefusal,
        Self::OddAnswer,
        Self::StreamNotCut,
        Self::Audit,
        Self::ChangeLog,
        Self::NoRecovery,
        Self::Death,
    ];

    /// What the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale_acceptances",
            Self::WrongRefusal => "wrong_refusals",
            Self::OddAnswer => "odd_answers",
            Self::StreamNotCut => "streams_not_cut",
            Self::Audit => "audit_faults",
            Self::ChangeLog => "change_log_faults",
            Self::NoRecovery => "no_recovery",
            Self::Death => "deaths",
        }
    }
}

/// One case of it.
#[derive(Clone, Debug)]
pub struct Breach {
    pub kind: Kind,
    /// When, in microseconds since the beginning.
    pub at: u64,
    pub replica: Option<u8>,
    pub subject: Option<Subject>,
    /// How late a stale acceptance was asked for, in microseconds after the reduction's return.
    pub late: u64,
    pub what: String,
}

/// What counts as in time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a replica to accept again once the last fault is over.
    pub recovery: Duration,
    /// For a stream to end once its credential has, outside faults.
    pub cut: Duration,
}

/// Everything that is wrong with a history, in order of time.
pub fn judge(history: &History, tables: Option<&Tables>, limits: Limits) -> Vec<Breach> {
    let rights = rights::Rights::of(history);
    let mut breaches = answers::judge(history, &rights);
    breaches.extend(streams::judge(history, &rights, limits.cut));
    breaches.extend(recovery::judge(history, limits.recovery));
    breaches.extend(history.deaths.iter().map(|(replica, at)| Breach {
        replica: Some(*replica),
        ..Breach::new(Kind::Death, *at, format!("replica {replica} ended by itself"))
    }));
    if let Some(tables) = tables {
        breaches.extend(tables::judge(history, tables));
    }
    breaches.sort_by_key(|breach| breach.at);
    breaches
}

impl Breach {
    fn new(kind: Kind, at: u64, what: String) -> Self {
        Self { kind, at, replica: None, subject: None, late: 0, what }
    }
}
