//! The judge's own proof, taken before every campaign: a history that is fine, and one for each way not to be.
use super::{Breach, Kind, Limits, Tables, judge};
use crate::history::{Entry, History, OWNER, Op, Outcome, Strike, Subject};
use std::time::Duration;

const LIMITS: Limits = Limits { recovery: Duration::from_millis(2), cut: Duration::from_millis(1) };
/// The key of these histories, its first secret, and the one that a rotation made.
const FIRST: Subject = Subject(1);
const SECOND: Subject = Subject(2);

/// Judges made-up histories.
///
/// # Panics
/// The judge does not judge as it should.
pub fn run() {
    let (fine, tables) = (fine(), tables());
    assert_eq!(kinds(&fine, &tables), [], "the fine history");
    for (name, wanted, spoil) in SPOILS {
        let (mut history, mut tables) = (fine.clone(), tables.clone());
        spoil(&mut history, &mut tables);
        assert_eq!(kinds(&history, &tables), [*wanted], "{name}");
    }
}

type Spoil = fn(&mut History, &mut Tables);

const SPOILS: &[(&str, Kind, Spoil)] = &[
    ("a check accepts what was revoked", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::Verify, SECOND, 5_001, Outcome::Accepted));
    }),
    ("an answer on a stream accepts what was revoked", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::Ask, SECOND, 5_001, Outcome::Accepted));
    }),
    ("a revoked key calls", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::OwnCall, SECOND, 5_001, Outcome::Accepted));
    }),
    ("a revoked key's stream is answered", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::OwnMessage, SECOND, 5_001, Outcome::Accepted));
    }),
    ("a rotated secret is accepted", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::Verify, FIRST, 4_001, Outcome::Accepted));
    }),
    ("a narrowed key is accepted with what was taken", Kind::Stale, |history, _| {
        let wide = entry(Op::Verify, FIRST, 3_001, Outcome::Accepted);
        history.entries.push(Entry { wide: true, ..wide });
    }),
    ("a narrowed key is told with what was taken", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::Verify, FIRST, 3_001, Outcome::AcceptedWide));
    }),
    ("a revocation is lost in the end", Kind::Stale, |history, _| {
        history.entries.push(entry(Op::Final, SECOND, 9_000, Outcome::Accepted));
    }),
    ("a good key is said to be bad", Kind::WrongRefusal, |history, _| {
        history.entries.push(entry(Op::Verify, FIRST, 1_500, Outcome::Bad));
    }),
    ("a good key is said to lack what it has", Kind::WrongRefusal, |history, _| {
        let wide = entry(Op::Verify, FIRST, 1_500, Outcome::Lacks);
        history.entries.push(Entry { wide: true, ..wide });
    }),
    ("the client's own key is refused", Kind::WrongRefusal, |history, _| {
        history.entries.push(entry(Op::Verify, OWNER, 6_000, Outcome::Bad));
    }),
    ("a good key's stream is ended as that of a bad one", Kind::WrongRefusal, |history, _| {
        history.entries.push(entry(Op::OwnStream, FIRST, 1_500, Outcome::Bad));
    }),
    ("an outage is called a fault", Kind::OddAnswer, |history, _| {
        history.entries.push(entry(Op::Verify, FIRST, 1_500, Outcome::Odd));
    }),
    ("the owner may not revoke", Kind::OddAnswer, |history, _| {
        history.entries.push(entry(Op::Revoke, SECOND, 4_800, Outcome::Lacks));
    }),
    ("a stream stays open", Kind::StreamNotCut, |history, _| {
        let stream = entry(Op::OwnStream, SECOND, 4_100, Outcome::Unknown);
        history.entries.push(Entry { returned: 8_000, ..stream });
    }),
    ("a revocation has no entry", Kind::Audit, |_, tables| {
        tables.audit.remove(&("key.revoked".into(), "key_1".into()));
    }),
    ("a key was made twice", Kind::Audit, |_, tables| {
        tables.audit.insert(("key.created".into(), "key_1".into()), 2);
    }),
    ("the change log has a gap", Kind::ChangeLog, |_, tables| tables.count -= 1),
    ("the change log was wound back", Kind::ChangeLog, |_, tables| {
        (tables.head, tables.last, tables.count) = (1, 1, 1);
    }),
    ("a replica does not come back", Kind::NoRecovery, |history, _| {
        history.entries.retain(|entry| !(entry.op == Op::Verify && entry.sent > 8_000));
    }),
    ("a replica comes back late", Kind::NoRecovery, |history, _| {
        history.healed = 5_500;
    }),
    ("a replica does not answer in the end", Kind::NoRecovery, |history, _| {
        history.entries.push(entry(Op::Final, FIRST, 9_000, Outcome::Unavailable));
    }),
    ("a replica ends by itself", Kind::Death, |history, _| history.deaths.push((0, 5_000))),
];

/// A key is made, narrowed, rotated and revoked, with checks at every moment at which both answers are right.
fn fine() -> History {
    let entries = vec![
        Entry { wide: true, ..entry(Op::Create, FIRST, 900, Outcome::Done) },
        entry(Op::Verify, FIRST, 1_100, Outcome::AcceptedWide),
        Entry { wide: true, ..entry(Op::Verify, FIRST, 2_850, Outcome::Lacks) },
        // Asked before the narrowing came back, answered after.
        Entry { returned: 3_500, ..entry(Op::Verify, FIRST, 2_950, Outcome::AcceptedWide) },
        entry(Op::Narrow, FIRST, 2_900, Outcome::Done),
        entry(Op::Verify, FIRST, 3_100, Outcome::Accepted),
        Entry { wide: true, ..entry(Op::Verify, FIRST, 3_100, Outcome::Lacks) },
        entry(Op::Verify, FIRST, 3_950, Outcome::Bad),
        Entry { made: Some(SECOND), ..entry(Op::Rotate, FIRST, 3_900, Outcome::Done) },
        entry(Op::Verify, FIRST, 4_100, Outcome::Bad),
        entry(Op::Verify, SECOND, 4_100, Outcome::Accepted),
        // The answer to the first try was lost; from then on both answers are right until the second came back.
        entry(Op::Revoke, SECOND, 4_300, Outcome::Unknown),
        entry(Op::Verify, SECOND, 4_450, Outcome::Bad),
        entry(Op::Verify, SECOND, 4_500, Outcome::Accepted),
        entry(Op::Revoke, SECOND, 4_900, Outcome::Done),
        entry(Op::Verify, SECOND, 5_100, Outcome::Bad),
        entry(Op::Verify, SECOND, 5_200, Outcome::Unavailable),
        // Its replica was stopped in its tracks while it should have ended.
        Entry { returned: 6_900, ..entry(Op::OwnStream, SECOND, 4_200, Outcome::Bad) },
        entry(Op::Verify, OWNER, 8_200, Outcome::Accepted),
        entry(Op::Final, SECOND, 9_000, Outcome::Bad),
    ];
    let strike = Strike { fault: "freeze", target: "replica 0".into(), from: 4_950, to: 6_800 };
    History {
        subjects: vec![0, 1, 1],
        keys: vec!["owner".into(), "key_1".into()],
        entries,
        strikes: vec![strike],
        healed: 6_800,
        end: 10_000,
        ..History::default()
    }
}

fn tables() -> Tables {
    let row = |action: &str| ((action.to_owned(), "key_1".to_owned()), 1);
    let audit = ["key.created", "key.updated", "key.rotated", "key.revoked"].map(row).into();
    Tables { audit, head: 4, first: 1, last: 4, count: 4 }
}

/// An operation at the only replica that takes 100 µs.
fn entry(op: Op, subject: Subject, sent: u64, outcome: Outcome) -> Entry {
    Entry { returned: sent + 100, ..Entry::new(op, 0, subject, sent).with(outcome) }
}

fn kinds(history: &History, tables: &Tables) -> Vec<Kind> {
    judge(history, Some(tables), LIMITS).into_iter().map(|breach: Breach| breach.kind).collect()
}
