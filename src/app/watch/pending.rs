//! What a watcher was sent and has not acknowledged.

use crate::domain::changes::Revision;
use std::collections::VecDeque;

/// Revisions that a watcher was sent and has not acknowledged. What was not
/// sent because it does not concern the watcher, nobody has to wait for.
#[derive(Debug, Default)]
pub struct Pending {
    sent: VecDeque<Revision>,
    passed: Revision,
}

impl Pending {
    /// Everything up to here was looked at; `sent` if something of it goes to the watcher.
    pub fn pass(&mut self, revision: Revision, sent: bool) {
        self.passed = revision;
        if sent {
            self.sent.push_back(revision);
        }
    }

    /// The watcher says that it has applied everything up to there. It can only
    /// say so of what it was sent.
    pub fn acknowledge(&mut self, revision: Revision) {
        while self.sent.front().is_some_and(|sent| *sent <= revision) {
            self.sent.pop_front();
        }
    }

    /// Up to where everything was looked at.
    pub fn passed(&self) -> Revision {
        self.passed
    }

    /// Up to where nothing has to wait for the watcher.
    pub fn acknowledged(&self) -> Revision {
        let before = |first: &Revision| Revision::from_number(first.number().saturating_sub(1));
        self.sent.front().map_or(self.passed, before)
    }

    /// How many are waited for.
    pub fn len(&self) -> usize {
        self.sent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Revision {
        Revision::from_number(number)
    }

    #[test]
    fn only_what_was_sent_is_waited_for() {
        let mut pending = Pending::default();
        pending.pass(at(3), true);
        assert_eq!(pending.acknowledged(), at(2));
        pending.pass(at(4), false);
        pending.pass(at(5), true);
        pending.acknowledge(at(3));
        assert_eq!((pending.acknowledged(), pending.len()), (at(4), 1));
        pending.acknowledge(at(5));
        assert_eq!(pending.acknowledged(), at(5));
        pending.pass(at(6), false);
        assert_eq!((pending.acknowledged(), pending.passed()), (at(6), at(6)));
    }

    // A66
    #[test]
    fn an_acknowledgement_of_the_future_says_nothing_about_it() {
        let mut pending = Pending::default();
        pending.pass(at(3), true);
        pending.acknowledge(at(u64::MAX));
        pending.pass(at(4), true);
        assert_eq!(pending.acknowledged(), at(3));
    }
}
