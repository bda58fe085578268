//! Was anything accepted that had ended, or refused that was good?
use super::rights::Rights;
use super::{Breach, Kind};
use crate::history::{Entry, History, Op, Outcome};

/// Judges every answer.
pub fn judge(history: &History, rights: &Rights) -> Vec<Breach> {
    let of = |entry: &Entry| {
        odd(entry, rights).or_else(|| stale(entry, rights)).or_else(|| wrong_refusal(entry, rights))
    };
    history.entries.iter().filter_map(of).collect()
}

fn odd(entry: &Entry, rights: &Rights) -> Option<Breach> {
    let refused = matches!(entry.outcome, Outcome::Bad | Outcome::Lacks);
    // The owner may do everything that it does, so no mutation of its is refused.
    let wrong = entry.outcome == Outcome::Odd
        || entry.op.is_mutation() && refused
        || entry.outcome == Outcome::AcceptedWide && !rights.was_wide(entry.subject);
    wrong.then(|| breach(Kind::OddAnswer, entry))
}

fn stale(entry: &Entry, rights: &Rights) -> Option<Breach> {
    if !entry.op.is_check() || !entry.outcome.is_accepted() {
        return None;
    }
    let ended = rights.end(entry.subject).late(entry.sent);
    let used_wide = entry.wide || entry.outcome == Outcome::AcceptedWide;
    let narrowed = rights.narrowed(entry.subject).late(entry.sent).filter(|_| used_wide);
    let late = ended.max(narrowed)?;
    Some(Breach { late, ..breach(Kind::Stale, entry) })
}

fn wrong_refusal(entry: &Entry, rights: &Rights) -> Option<Breach> {
    let alive =
        || rights.existed(entry.subject, entry.sent) && rights.end(entry.subject).is_ahead_of(entry.returned);
    let wrong = match entry.outcome {
        Outcome::Bad => alive(),
        Outcome::Lacks => alive() && !may_lack(entry, rights),
        _ => false,
    };
    wrong.then(|| breach(Kind::WrongRefusal, entry))
}

/// Whether it may be that something was asked for that the secret did not have, or no longer.
fn may_lack(entry: &Entry, rights: &Rights) -> bool {
    let narrowing = !rights.narrowed(entry.subject).is_ahead_of(entry.returned);
    match entry.op {
        // Opened with rights that it has no longer: it may end, to be opened again.
        Op::OwnStream => narrowing,
        _ => entry.wide && (narrowing || !rights.was_wide(entry.subject)),
    }
}

fn breach(kind: Kind, entry: &Entry) -> Breach {
    Breach {
        replica: Some(entry.replica),
        subject: Some(entry.subject),
        ..Breach::new(kind, entry.sent, format!("{:?} answered {:?}", entry.op, entry.outcome))
    }
}
