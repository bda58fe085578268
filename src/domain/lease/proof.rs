//! Until when a holder may answer from what it has.

use super::Terms;
use crate::domain::changes::Revision;

/// That nothing newer than `need` was missing when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proof {
    /// The moment before which it holds.
    pub expires: u64,
    /// The newest revision when it was given: who has not applied it knows too little to answer.
    pub need: Revision,
}

impl Proof {
    /// Whether it is as good as the other for everyone at any time.
    fn covers(&self, other: &Self) -> bool {
        self.need <= other.need && self.expires >= other.expires
    }
}

/// The proofs of one holder.
///
/// Two are kept. A renewal that names a revision which is still on its way
/// waits as the later one, and the earlier serves until it expires: it was
/// good for all who ask before that, and a newer answer takes none of it back.
///
/// # Invariants
/// The later proof needs more than the earlier and expires after it. What was
/// applied never falls while proofs are held: who loads an older state calls
/// [`Lease::lost`] first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Lease {
    earlier: Option<Proof>,
    later: Option<Proof>,
    settled: Revision,
}

impl Lease {
    /// The head of the log was `need` in the answer to a renewal sent at `sent`.
    ///
    /// `sent` is read before the question leaves: counting from the answer
    /// would stretch the proof by the time that it took.
    pub fn renewed(&mut self, terms: Terms, sent: u64, need: Revision) {
        self.granted(sent, terms.holds, need);
    }

    /// A grantor that has applied `need` passed on `remaining` of its own
    /// lease, in the answer to a question sent at `sent`.
    pub fn granted(&mut self, sent: u64, remaining: u64, need: Revision) {
        let new = Proof { expires: sent.saturating_add(remaining), need };
        let [earlier, later] =
            self.proofs().map(|held| held.filter(|it| it.expires > sent && !new.covers(it)));
        let is_covered = [earlier, later].iter().flatten().any(|held| held.covers(&new));
        let mut proofs = [earlier, later, (remaining > 0 && !is_covered).then_some(new)];
        proofs.sort_by_key(|proof| proof.map_or((true, need), |it| (false, it.need)));
        // Of three the last is let go: the first may be in use, the second is in use soonest.
        [self.earlier, self.later, _] = proofs;
    }

    /// Whether the holder may answer at `now`, read after the question came.
    pub fn holds(&self, now: u64, applied: Revision) -> bool {
        self.until(applied).is_some_and(|until| now < until)
    }

    /// The moment before which a holder that has applied this much may answer.
    pub fn until(&self, applied: Revision) -> Option<u64> {
        let proofs = [self.later, self.earlier].into_iter().flatten();
        let usable = proofs.filter(|proof| proof.need <= applied && self.settled <= applied);
        usable.map(|proof| proof.expires).max()
    }

    /// `applied` is in full effect from now on: a proof that waited for it is the one in use.
    pub fn settle(&mut self, applied: Revision) {
        self.settled = self.settled.max(applied);
        if self.later.is_some_and(|later| later.need <= applied) {
            self.earlier = self.later.take();
        }
    }

    /// The proofs, the one with the smaller need first.
    pub fn proofs(&self) -> [Option<Proof>; 2] {
        [self.earlier, self.later]
    }

    /// The holder was shut out, or starts over: nothing is proven any more.
    pub fn lost(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms = Terms { holds: 100, waits: 130 };

    fn at(number: u64) -> Revision {
        Revision::from_number(number)
    }

    #[test]
    fn nothing_is_proven_at_first_nor_after_a_loss() {
        let mut lease = Lease::default();
        assert_eq!(lease.until(at(9)), None);
        lease.renewed(TERMS, 1_000, at(3));
        assert!(lease.holds(1_099, at(3)) && !lease.holds(1_100, at(3)));
        lease.lost();
        assert!(!lease.holds(0, at(3)));
    }

    #[test]
    fn who_lacks_a_change_that_the_proof_names_may_not_answer() {
        let mut lease = Lease::default();
        lease.renewed(TERMS, 1_000, at(4));
        assert_eq!(
            (lease.until(at(3)), lease.until(at(4)), lease.until(at(5))),
            (None, Some(1_100), Some(1_100))
        );
    }

    #[test]
    fn a_renewal_that_races_with_a_change_leaves_the_earlier_proof_in_use() {
        let mut lease = Lease::default();
        lease.renewed(TERMS, 1_000, at(3));
        lease.renewed(TERMS, 1_050, at(4));
        assert_eq!(lease.until(at(3)), Some(1_100));
        lease.settle(at(4));
        assert_eq!(lease.until(at(4)), Some(1_150));
        assert_eq!(lease.proofs(), [Some(Proof { expires: 1_150, need: at(4) }), None]);
    }

    #[test]
    fn a_renewal_without_news_takes_the_place_of_the_old_proof() {
        let mut lease = Lease::default();
        lease.renewed(TERMS, 1_000, at(3));
        lease.renewed(TERMS, 1_050, at(3));
        lease.renewed(TERMS, 1_020, at(3));
        assert_eq!(lease.proofs(), [Some(Proof { expires: 1_150, need: at(3) }), None]);
    }

    #[test]
    fn a_log_that_is_always_a_little_ahead_does_not_starve_the_holder() {
        let mut lease = Lease::default();
        for round in 1..50 {
            lease.renewed(TERMS, round * 25, at(round * 10));
            lease.settle(at((round - 1) * 10));
            assert!(round < 3 || lease.holds(round * 25, at((round - 1) * 10)), "round {round}");
        }
    }

    #[test]
    fn a_proof_that_could_not_be_used_in_time_makes_room() {
        let mut lease = Lease::default();
        for (sent, need) in [(0, 1), (10, 2), (20, 3), (110, 4)] {
            lease.renewed(TERMS, sent, at(need));
        }
        assert_eq!(lease.until(at(4)), Some(210));
        assert_eq!(lease.proofs(), [Some(Proof { expires: 210, need: at(4) }), None]);
    }

    #[test]
    fn what_was_settled_is_never_unlearnt() {
        let mut lease = Lease::default();
        lease.renewed(TERMS, 1_000, at(3));
        lease.settle(at(5));
        assert_eq!((lease.until(at(4)), lease.until(at(5))), (None, Some(1_100)));
    }

    #[test]
    fn a_grant_of_nothing_is_none() {
        let mut lease = Lease::default();
        lease.granted(1_000, 0, at(1));
        assert_eq!(lease.proofs(), [None, None]);
        lease.granted(u64::MAX - 1, 9, at(1));
        assert_eq!(lease.until(at(1)), Some(u64::MAX));
    }

    proptest! {
        /// Against a holder that remembers every proof it was ever given.
        #[test]
        fn it_claims_no_more_than_all_proofs_together_and_loses_none_in_use(
            steps in prop::collection::vec((0_u64..40, 1_u64..120, 0_u64..4, prop::bool::ANY), 1..40),
        ) {
            let (mut lease, mut all) = (Lease::default(), Vec::new());
            let (mut now, mut head, mut applied) = (1_000, 0, 0);
            for (pause, remaining, news, settles) in steps {
                now += pause;
                let before = lease.until(at(applied));
                head += news;
                lease.granted(now, remaining, at(head));
                all.push((now + remaining, head));
                let after = lease.until(at(applied));
                prop_assert!(before.is_none_or(|before| before <= now || after >= Some(before)));
                if settles {
                    applied = head;
                    lease.settle(at(applied));
                    prop_assert!(lease.until(at(applied)) >= after, "what is applied opens, it never shuts");
                }
                for known in applied..=head {
                    let usable = all.iter().filter(|(expires, need)| *need <= known && *expires > now);
                    let most = usable.map(|(expires, _)| *expires).max();
                    let claimed = lease.until(at(known)).filter(|until| *until > now);
                    prop_assert!(claimed <= most, "claims {claimed:?} of {most:?}");
                }
            }
        }
    }
}
