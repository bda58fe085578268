//! The replica's lease as everybody sees it: one atomic word for those who
//! check, and the rules of [`crate::domain::lease`] behind it.

use crate::domain::changes::Revision;
use crate::domain::lease::{Full, Grants, Lease, Terms};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The lease, and what of it was handed on to watchers.
pub struct Leased {
    terms: Terms,
    /// The moment before which the view may answer, as it is now.
    until: AtomicU64,
    held: Mutex<Held>,
    /// Told when watchers acknowledged or went.
    pub watchers_moved: Notify,
}

#[derive(Default)]
struct Held {
    lease: Lease,
    grants: Grants,
    last_watcher: u64,
}

impl Leased {
    /// No lease yet.
    pub fn new(terms: Terms) -> Self {
        Self { terms, until: AtomicU64::new(0), held: Mutex::default(), watchers_moved: Notify::new() }
    }

    /// The terms.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether the view may answer at `now`, read after the question came.
    #[inline]
    pub fn holds(&self, now: u64) -> bool {
        now < self.until.load(Ordering::Acquire)
    }

    /// For how many microseconds after `now` it may.
    pub fn remaining(&self, now: u64) -> u64 {
        self.until.load(Ordering::Acquire).saturating_sub(now)
    }

    /// A renewal sent at `sent` has found `need` to be the newest change.
    pub fn renewed(&self, sent: u64, need: Revision, applied: Revision) {
        let mut held = self.lock();
        held.lease.renewed(self.terms, sent, need);
        self.publish(&held, applied);
    }

    /// Everything up to `applied` is in full effect.
    pub fn settle(&self, applied: Revision) {
        let mut held = self.lock();
        held.lease.settle(applied);
        self.publish(&held, applied);
    }

    /// The lease is gone: nothing is answered until it is proven anew. What
    /// watchers were granted lives on until it lapses.
    pub fn lost(&self) {
        let mut held = self.lock();
        held.lease.lost();
        self.publish(&held, Revision::default());
    }

    /// The state of the view is another one: watchers have to start over.
    pub fn watchers_over(&self) {
        self.lock().grants.all_gone();
    }

    /// A watcher begins at that state.
    pub fn watcher_joined(&self, state: Revision, now: u64) -> Result<u64, Full> {
        let mut held = self.lock();
        held.last_watcher += 1;
        let watcher = held.last_watcher;
        held.grants.joined(watcher, state, now)?;
        Ok(watcher)
    }

    /// What may be passed on to a watcher at `now`, in microseconds. `applied`
    /// is read under the lock that an acknowledgement takes too, so no grant
    /// blesses a state that was acknowledged to be over.
    pub fn grant(&self, watcher: u64, applied: impl Fn() -> Revision, now: u64) -> Option<(Revision, u64)> {
        let mut held = self.lock();
        let applied = applied();
        let until = held.lease.until(applied);
        held.grants.grant(watcher, until, now).map(|remaining| (applied, remaining))
    }

    /// A watcher has applied that state.
    pub fn watcher_acknowledged(&self, watcher: u64, state: Revision) {
        self.lock().grants.acknowledged(watcher, state);
        self.watchers_moved.notify_one();
    }

    /// A watcher has gone; what it was granted lives on until it lapses.
    pub fn watcher_gone(&self, watcher: u64) {
        self.lock().grants.gone(watcher);
        self.watchers_moved.notify_one();
    }

    /// What may be acknowledged at `now`, and when more might be.
    pub fn acknowledgeable(&self, applied: Revision, now: u64) -> (Revision, Option<u64>) {
        let held = self.lock();
        match held.grants.may_acknowledge(applied, now) {
            Ok(()) => (applied, None),
            Err(until) => (held.grants.acknowledgeable(applied, now), Some(until)),
        }
    }

    /// Until when some watcher may still answer in this replica's name.
    pub fn granted_until(&self, now: u64) -> Option<u64> {
        self.lock().grants.alive_until(now)
    }

    fn publish(&self, held: &Held, applied: Revision) {
        self.until.store(held.lease.until(applied).unwrap_or(0), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn at(number: u64) -> Revision {
        Revision::from_number(number)
    }

    #[test]
    fn it_answers_for_one_lease_from_the_sending() {
        let leased = Leased::new(Terms::of(Duration::from_millis(1)));
        assert!(!leased.holds(0), "nothing is proven at first");
        leased.renewed(5_000, at(7), at(7));
        assert!(leased.holds(5_979) && !leased.holds(5_980));
        leased.lost();
        assert!(!leased.holds(5_001));
    }

    #[test]
    fn a_proof_of_what_is_not_applied_waits_for_it() {
        let leased = Leased::new(Terms::of(Duration::from_millis(1)));
        leased.renewed(5_000, at(8), at(7));
        assert!(!leased.holds(5_001));
        leased.settle(at(8));
        assert!(leased.holds(5_001));
    }

    #[test]
    fn what_watchers_may_still_say_holds_the_promise_back() {
        let leased = Leased::new(Terms::of(Duration::from_secs(1)));
        leased.renewed(0, at(1), at(1));
        let watcher = leased.watcher_joined(at(1), 0).unwrap();
        let (state, remaining) = leased.grant(watcher, || at(1), 10).unwrap();
        assert!(state == at(1) && remaining > 900_000);
        let (may, retry) = leased.acknowledgeable(at(2), 20);
        assert!(may == at(1) && retry.is_some_and(|until| until > remaining));
        leased.watcher_acknowledged(watcher, at(2));
        assert_eq!(leased.acknowledgeable(at(2), 20), (at(2), None));
    }
}
