//! The bridge from the model's relative times to the code that is shipped.
//!
//! Every decision about proofs and grants is taken by `doorward::domain::lease`;
//! here they are only moved to moments around [`NOW`] and back.

use super::state::{Granted, Held, Holder, Known, Renewal};
use doorward::domain::changes::Revision;
use doorward::domain::lease::{Grants, Lease};

/// The moment at which the model always is.
pub const NOW: u64 = 1_000;

/// The number of the cache's connection, and of one that ended.
const CURRENT: u64 = 1;
const FORMER: u64 = 2;

/// A revision as the product writes it.
pub fn revision(number: u8) -> Revision {
    Revision::from_number(number.into())
}

/// A span as the model writes it.
pub fn ticks(span: u64) -> u8 {
    u8::try_from(span).unwrap_or(u8::MAX)
}

impl Holder {
    /// The lease of a holder who has applied this much.
    pub fn lease(&self, applied: u8) -> Lease {
        let mut lease = Lease::default();
        for proof in self.proofs.into_iter().flatten() {
            lease.granted(NOW, proof.left.into(), revision(proof.need));
        }
        lease.settle(revision(applied));
        lease
    }

    /// Whether it may answer now.
    pub fn may_answer(&self, known: Known) -> bool {
        self.lease(known.applied).holds(NOW, revision(known.applied))
    }

    /// The answer to its renewal came. To a replica it grants a whole lease.
    pub fn receive(&mut self, known: Known) -> Option<()> {
        let Renewal::Answered { elapsed, remaining, need } = self.renewal else { return None };
        let mut lease = self.lease(known.applied);
        lease.granted(NOW - u64::from(elapsed), remaining.into(), revision(need));
        self.renewal = Renewal::None;
        self.keep(lease, known);
        Some(())
    }

    /// Makes one proof of two, with the best of both ([`super::Fault::ProofsMixed`]).
    pub fn mix(&mut self) {
        if let [Some(earlier), Some(later)] = self.proofs {
            self.proofs = [Some(Held { left: later.left, need: earlier.need }), None];
        }
    }

    /// A change was applied.
    pub fn settle(&mut self, known: Known) {
        self.keep(self.lease(known.applied), known);
    }

    fn keep(&mut self, mut lease: Lease, known: Known) {
        lease.settle(revision(known.applied));
        let left = |expires: u64| ticks(expires.saturating_sub(NOW));
        let held = lease.proofs().map(|proof| proof.map(|it| (left(it.expires), it.need.number())));
        let held = held.map(|proof| proof.filter(|(left, _)| *left > 0));
        self.proofs = held.map(|proof| proof.map(|(left, need)| Held { left, need: ticks(need) }));
        self.close_ranks();
    }

    /// One tick of its own clock; a question is given up counting at `most`.
    pub fn tick(&mut self, most: u8) {
        for proof in &mut self.proofs {
            *proof = proof.and_then(|it| (it.left > 1).then_some(Held { left: it.left - 1, ..it }));
        }
        self.close_ranks();
        if let Renewal::Sent { elapsed } | Renewal::Answered { elapsed, .. } = &mut self.renewal {
            *elapsed = most.min(*elapsed + 1);
        }
        self.steady = self.steady.saturating_sub(1);
    }

    /// Whether its clock measures anything.
    pub fn is_measuring(&self) -> bool {
        let is_asking = matches!(self.renewal, Renewal::Sent { .. } | Renewal::Answered { .. });
        is_asking || self.proofs.iter().any(Option::is_some)
    }

    fn close_ranks(&mut self) {
        if self.proofs[0].is_none() {
            self.proofs.swap(0, 1);
        }
    }
}

impl Granted {
    /// The same, as the product counts it.
    pub fn grants(self) -> Grants {
        let mut grants = Grants::default();
        for (number, watcher) in [(CURRENT, self.current), (FORMER, self.former)] {
            if let Some(watcher) = watcher {
                let joined = grants.joined(number, revision(watcher.acknowledged), NOW);
                assert_eq!(joined, Ok(()), "two are not too many");
                count(&mut grants, number, watcher.alive);
            }
        }
        grants.gone(FORMER);
        grants
    }

    /// Passes on a part of a lease that holds until then.
    pub fn grant(&mut self, until: Option<u64>) -> Option<u8> {
        // Of this connection alone, so that what is counted can be read back.
        let mut grants = Self { former: None, ..*self }.grants();
        let remaining = grants.grant(CURRENT, until, NOW)?;
        self.current.as_mut()?.alive = ticks(grants.alive_until(NOW)? - NOW);
        Some(ticks(remaining))
    }

    /// The connection ended. What was granted under it lives on.
    pub fn gone(&mut self) {
        self.former = self.current.take().filter(|watcher| watcher.alive > 0).or(self.former);
    }

    /// One tick of the replica's clock.
    pub fn tick(&mut self) {
        for watcher in [&mut self.current, &mut self.former].into_iter().flatten() {
            watcher.alive = watcher.alive.saturating_sub(1);
        }
        self.former = self.former.filter(|watcher| watcher.alive > 0);
    }

    /// Whether it counts a grant that lives.
    pub fn is_measuring(self) -> bool {
        [self.current, self.former].into_iter().flatten().any(|watcher| watcher.alive > 0)
    }
}

/// Brings a watcher to where its grant lives for `alive` more ticks: of two
/// that remain to the grantor one is passed on, and counted as two.
fn count(grants: &mut Grants, number: u64, alive: u8) {
    if alive > 0 {
        let over = NOW + u64::from(alive);
        let passed = grants.grant(number, Some(over), over - 2);
        assert_eq!(passed, Some(1), "the grant is counted");
    }
}
