//! When the writer of a change may say that it is in effect everywhere.

use super::Terms;
use crate::domain::changes::Revision;

/// A member of the Doorward, as read in a new snapshot *after* the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Member {
    /// May answer from memory.
    Serving {
        /// It never again answers from a state before this one.
        acknowledged: Revision,
    },
    /// Leaves or is being shut out. What it acknowledged counts for nothing:
    /// it may have been silent for long, and only time tells that it is over.
    Draining,
}

/// What a writer knows by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No holder can answer from the state before the change any more.
    Returned {
        /// Members that acknowledged the change.
        acknowledged: usize,
        /// Members that did not, and whose leases are over.
        expired: usize,
    },
    /// Some may still; look again when there is news of the members.
    Waiting {
        /// At this moment all leases of before the commit are over.
        until: u64,
    },
}

/// The decision of a writer after its commit.
///
/// The wait alone is safe: a proof asked for after the commit names the
/// change, one asked for before is over by the end. Members and what they
/// acknowledge only make it quick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    revision: Revision,
    until: u64,
}

impl Fence {
    /// For a change of that revision, whose commit was known to be done at `committed`.
    ///
    /// `committed` is read after the answer to the commit came, never before.
    pub fn new(terms: Terms, revision: Revision, committed: u64) -> Self {
        Self { revision, until: committed.saturating_add(terms.waits) }
    }

    /// The moment at which it returns whatever the members do.
    pub fn until(&self) -> u64 {
        self.until
    }

    /// Whether the writer may return at `now`, with these members.
    pub fn verdict(&self, members: impl IntoIterator<Item = Member>, now: u64) -> Verdict {
        let (mut acknowledged, mut expired) = (0, 0);
        for member in members {
            if self.has_acknowledged(member) {
                acknowledged += 1;
            } else {
                expired += 1;
            }
        }
        if expired == 0 || now >= self.until {
            return Verdict::Returned { acknowledged, expired };
        }
        Verdict::Waiting { until: self.until }
    }

    fn has_acknowledged(&self, member: Member) -> bool {
        match member {
            Member::Serving { acknowledged } => acknowledged >= self.revision,
            Member::Draining => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms = Terms { holds: 100, waits: 130 };
    const REVISION: Revision = Revision::from_number(7);

    fn serving(acknowledged: u64) -> Member {
        Member::Serving { acknowledged: Revision::from_number(acknowledged) }
    }

    #[test]
    fn it_returns_when_all_have_acknowledged() {
        let fence = Fence::new(TERMS, REVISION, 1_000);
        let cases = [
            (vec![], Verdict::Returned { acknowledged: 0, expired: 0 }),
            (vec![serving(7), serving(9)], Verdict::Returned { acknowledged: 2, expired: 0 }),
            (vec![serving(7), serving(6)], Verdict::Waiting { until: 1_130 }),
            (vec![serving(7), Member::Draining], Verdict::Waiting { until: 1_130 }),
        ];
        for (members, expected) in cases {
            assert_eq!(fence.verdict(members.clone(), 1_000), expected, "{members:?}");
        }
    }

    #[test]
    fn it_returns_when_the_wait_is_over() {
        let fence = Fence::new(TERMS, REVISION, 1_000);
        let members = [serving(7), serving(6), Member::Draining];
        assert_eq!(fence.verdict(members, 1_129), Verdict::Waiting { until: 1_130 });
        assert_eq!(fence.verdict(members, 1_130), Verdict::Returned { acknowledged: 1, expired: 2 });
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        assert_eq!(Fence::new(TERMS, REVISION, u64::MAX - 1).until(), u64::MAX);
    }

    proptest! {
        #[test]
        fn it_never_returns_early_while_one_lags(
            acks in prop::collection::vec(prop::option::of(0_u64..15), 0..6),
            now in 900_u64..1_300,
        ) {
            let members = acks.iter().map(|ack| ack.map_or(Member::Draining, serving));
            let all = acks.iter().all(|ack| ack.is_some_and(|ack| ack >= 7));
            let verdict = Fence::new(TERMS, REVISION, 1_000).verdict(members, now);
            match verdict {
                Verdict::Waiting { until } => prop_assert!(!all && now < until && until == 1_130),
                Verdict::Returned { acknowledged, expired } => {
                    prop_assert!(all || now >= 1_130);
                    prop_assert_eq!(acknowledged + expired, acks.len());
                    prop_assert_eq!(expired == 0, all);
                }
            }
        }
    }
}
