//! Is everything that was acknowledged in the database, with its entry in the audit log?
use super::{Breach, Kind};
use crate::history::{History, Op, Outcome};
use std::collections::HashMap;

/// What the tables say in the end.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Entries of the audit log by action and target.
    pub audit: HashMap<(String, String), u64>,
    /// The change log's head, its first and last number, and how many there are.
    pub head: i64,
    pub first: i64,
    pub last: i64,
    pub count: i64,
}

/// Judges the tables by what was acknowledged.
pub fn judge(history: &History, tables: &Tables) -> Vec<Breach> {
    let mut breaches = change_log(history, tables);
    let mut asked: HashMap<(Op, u32), (u64, u64)> = HashMap::new();
    for entry in history.entries.iter().filter(|entry| entry.op.is_mutation()) {
        // The owner's place is taken by keys that were never heard of.
        let key = history.subjects[entry.subject.0 as usize];
        if key != 0 {
            let (done, tried) = asked.entry((entry.op, key)).or_default();
            *done += u64::from(entry.outcome == Outcome::Done);
            *tried += 1;
        }
    }
    for ((op, key), (done, tried)) in asked {
        let id = &history.keys[key as usize];
        let found = *tables.audit.get(&(action(op).to_owned(), id.clone())).unwrap_or(&0);
        // Revoking what is revoked changes nothing, and says nothing.
        let least = if op == Op::Revoke { done.min(1) } else { done };
        if found < least || found > tried {
            let what = format!("{id}: {} {found} times, {done} acknowledged, {tried} asked for", action(op));
            breaches.push(Breach::new(Kind::Audit, history.end, what));
        }
    }
    breaches
}

fn change_log(history: &History, tables: &Tables) -> Vec<Breach> {
    let Tables { head, first, last, count, .. } = *tables;
    let mut faults = Vec::new();
    if count != last - first + 1 || last != head {
        faults.push(format!("{count} changes from {first} to {last}, the head is {head}"));
    }
    let done = |op: Op| {
        let of_kind = history.entries.iter().filter(|entry| entry.op == op && entry.outcome == Outcome::Done);
        i64::try_from(of_kind.count()).unwrap()
    };
    let acknowledged = done(Op::Create) + done(Op::Rotate);
    if head < acknowledged {
        faults.push(format!("the head is {head}, {acknowledged} keys and secrets were acknowledged"));
    }
    faults.into_iter().map(|what| Breach::new(Kind::ChangeLog, history.end, what)).collect()
}

fn action(op: Op) -> &'static str {
    match op {
        Op::Create => "key.created",
        Op::Narrow => "key.updated",
        Op::Rotate => "key.rotated",
        Op::Revoke => "key.revoked",
        _ => "",
    }
}
