//! From when until when each secret is good, as far as its maker can know.
use crate::history::{Entry, History, Op, Outcome, Subject};

/// The end of a right.
#[derive(Clone, Copy, Debug, Default)]
pub struct End {
    /// When it was first asked for: from then on both answers are right.
    pub invoked: Option<u64>,
    /// When it was first acknowledged: from then on only one is.
    pub done: Option<u64>,
}

impl End {
    /// Whether a question asked at `sent` must be refused; if so, how late it was (µs).
    pub fn late(self, sent: u64) -> Option<u64> {
        self.done.filter(|done| *done < sent).map(|done| sent - done)
    }

    /// Whether an answer that came at `returned` could not have known of it.
    pub fn is_ahead_of(self, returned: u64) -> bool {
        self.invoked.is_none_or(|invoked| returned < invoked)
    }

    fn note(&mut self, entry: &Entry) {
        self.invoked = earlier(self.invoked, Some(entry.sent));
        if entry.outcome == Outcome::Done {
            self.done = earlier(self.done, Some(entry.returned));
        }
    }

    fn or(self, other: Self) -> Self {
        Self { invoked: earlier(self.invoked, other.invoked), done: earlier(self.done, other.done) }
    }
}

/// What is known of each secret.
pub struct Rights {
    /// When it was acknowledged to exist.
    created: Vec<Option<u64>>,
    /// Whether it was ever to have the wider permission.
    wide: Vec<bool>,
    ends: Vec<End>,
    narrowed: Vec<End>,
}

impl Rights {
    /// Reads the mutations of a history.
    pub fn of(history: &History) -> Self {
        let (subjects, keys) = (history.subjects.len(), history.keys.len());
        let mut created = vec![None; subjects];
        let mut wide = vec![false; keys];
        let mut rotated = vec![End::default(); subjects];
        let mut revoked = vec![End::default(); keys];
        let mut narrowed = vec![End::default(); keys];
        let place = |subject: Subject| subject.0 as usize;
        let key = |subject: Subject| history.subjects[place(subject)] as usize;
        if let Some(owner) = created.first_mut() {
            *owner = Some(0);
            wide[0] = true;
        }
        for entry in history.entries.iter().filter(|entry| entry.op.is_mutation()) {
            match entry.op {
                Op::Create if entry.outcome == Outcome::Done => {
                    created[place(entry.subject)] = Some(entry.returned);
                    wide[key(entry.subject)] = entry.wide;
                }
                Op::Narrow => narrowed[key(entry.subject)].note(entry),
                Op::Rotate => {
                    rotated[place(entry.subject)].note(entry);
                    if let Some(made) = entry.made {
                        created[place(made)] = Some(entry.returned);
                    }
                }
                Op::Revoke => revoked[key(entry.subject)].note(entry),
                _ => {}
            }
        }
        let per_subject = |of_key: &[End]| history.subjects.iter().map(|key| of_key[*key as usize]).collect();
        let ends: Vec<End> = per_subject(&revoked);
        Self {
            created,
            wide: history.subjects.iter().map(|key| wide[*key as usize]).collect(),
            ends: ends.into_iter().zip(rotated).map(|(revoked, rotated)| revoked.or(rotated)).collect(),
            narrowed: per_subject(&narrowed),
        }
    }

    /// The secret's end.
    pub fn end(&self, subject: Subject) -> End {
        self.ends[subject.0 as usize]
    }

    /// The end of its wider permission.
    pub fn narrowed(&self, subject: Subject) -> End {
        self.narrowed[subject.0 as usize]
    }

    /// Whether it was made with the wider permission.
    pub fn was_wide(&self, subject: Subject) -> bool {
        self.wide[subject.0 as usize]
    }

    /// Whether a question asked then was about a secret that was acknowledged to exist.
    pub fn existed(&self, subject: Subject, sent: u64) -> bool {
        self.created[subject.0 as usize].is_some_and(|created| created <= sent)
    }
}

/// The earlier of two moments, of which there may be only one or none.
fn earlier(one: Option<u64>, two: Option<u64>) -> Option<u64> {
    [one, two].into_iter().flatten().min()
}
