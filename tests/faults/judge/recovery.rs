//! Did every replica serve again, by itself and in time?
use super::{Breach, Kind};
use crate::history::{Entry, History, Op, Outcome};
use std::collections::BTreeSet;
use std::time::Duration;

/// Judges what came after the last fault.
pub fn judge(history: &History, limit: Duration) -> Vec<Breach> {
    let limit = u64::try_from(limit.as_micros()).unwrap();
    let replicas: BTreeSet<u8> = history.entries.iter().map(|entry| entry.replica).collect();
    let mut breaches: Vec<Breach> =
        replicas.into_iter().filter_map(|replica| not_back(history, replica, limit)).collect();
    let silent = |entry: &&Entry| matches!(entry.outcome, Outcome::Unavailable | Outcome::Unknown);
    let last = history.entries.iter().filter(|entry| entry.op == Op::Final).filter(silent);
    breaches.extend(last.map(|entry| Breach {
        replica: Some(entry.replica),
        subject: Some(entry.subject),
        ..Breach::new(Kind::NoRecovery, entry.sent, format!("the last check answered {:?}", entry.outcome))
    }));
    breaches
}

/// How long each replica took to accept again after each fault that left enough time for it, in microseconds.
pub fn times(history: &History, enough: Duration) -> Vec<u64> {
    let enough = u64::try_from(enough.as_micros()).unwrap();
    let replicas: BTreeSet<u8> = history.entries.iter().map(|entry| entry.replica).collect();
    let followed = |at: u64| history.strikes.iter().any(|next| next.from < at + enough && next.to > at);
    let mut times = Vec::new();
    for strike in history.strikes.iter().filter(|strike| !followed(strike.to)) {
        times.extend(replicas.iter().filter_map(|replica| accepted_after(history, *replica, strike.to)));
    }
    times
}

fn not_back(history: &History, replica: u8, limit: u64) -> Option<Breach> {
    let back = accepted_after(history, replica, history.healed);
    let late = back.is_none_or(|after| after > limit);
    late.then(|| {
        let after = back.map_or("never".to_owned(), |after| format!("{} ms later", after / 1000));
        let what = format!("replica {replica} accepted again {after}");
        Breach { replica: Some(replica), ..Breach::new(Kind::NoRecovery, history.healed, what) }
    })
}

/// How long after `at` the replica answered a check that accepted and was asked since.
fn accepted_after(history: &History, replica: u8, at: u64) -> Option<u64> {
    // Entries are in the order of their return, so what was asked since returned since.
    let start = history.entries.partition_point(|entry| entry.returned < at);
    let since = history.entries[start..].iter().filter(|entry| entry.replica == replica && entry.sent >= at);
    let mut accepted = since.filter(|entry| entry.op.is_check() && entry.outcome.is_accepted());
    accepted.next().map(|entry| entry.returned - at)
}
