//! What a holder knows of the leases that it handed on.

use super::{counted_alive, passed_on};
use crate::domain::changes::Revision;
use std::collections::BTreeMap;

/// Watchers that one grantor serves at a time; those who left count until their grants are over.
pub const MOST_WATCHERS: usize = 4_096;

/// The grantor has [`MOST_WATCHERS`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many watchers")]
pub struct Full;

/// The watchers of one grantor, and what may still be answered in its name.
///
/// A grantor acknowledges a change only when every watcher has, or when the
/// grants of those that have not are over. What a process granted it alone
/// knows: a process that starts does so as a new member, under a new id, and
/// one that leaves first waits until it is [`Grants::quiet`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    watchers: BTreeMap<u64, Watcher>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watcher {
    acknowledged: Revision,
    alive_until: u64,
    is_gone: bool,
}

impl Grants {
    /// A watcher came that has this much in effect. Its number is used only once.
    pub fn joined(&mut self, watcher: u64, acknowledged: Revision, now: u64) -> Result<(), Full> {
        self.watchers.retain(|_, old| !old.is_gone || old.alive_until > now);
        if self.watchers.len() >= MOST_WATCHERS {
            return Err(Full);
        }
        self.watchers.insert(watcher, Watcher { acknowledged, alive_until: 0, is_gone: false });
        Ok(())
    }

    /// Passes on a part of a lease that holds until `until` to a watcher that
    /// asks, and counts it. `None`: nothing to pass on, or no such watcher.
    ///
    /// The watcher's proof needs all that the grantor has applied.
    pub fn grant(&mut self, watcher: u64, until: Option<u64>, now: u64) -> Option<u64> {
        let remaining = passed_on(until?.saturating_sub(now));
        let watcher = self.watchers.get_mut(&watcher).filter(|it| !it.is_gone && remaining > 0)?;
        watcher.count(now.saturating_add(counted_alive(remaining)));
        Some(remaining)
    }

    /// A watcher has promised never again to answer from a state before this one.
    pub fn acknowledged(&mut self, watcher: u64, revision: Revision) {
        if let Some(watcher) = self.watchers.get_mut(&watcher) {
            watcher.acknowledged = watcher.acknowledged.max(revision);
        }
    }

    /// A watcher is no longer heard. It may go on to answer until its grant is over.
    pub fn gone(&mut self, watcher: u64) {
        if let Some(watcher) = self.watchers.get_mut(&watcher) {
            watcher.is_gone = true;
        }
    }

    /// The grantor was shut out and hears none of its watchers any more.
    pub fn all_gone(&mut self) {
        self.watchers.values_mut().for_each(|watcher| watcher.is_gone = true);
    }

    /// Whether the grantor may acknowledge a revision that it has applied.
    ///
    /// # Errors
    /// The moment at which all grants that stand against it are over.
    pub fn may_acknowledge(&self, revision: Revision, now: u64) -> Result<(), u64> {
        let ends = self.behind(revision, now).map(|watcher| watcher.alive_until);
        ends.max().map_or(Ok(()), Err)
    }

    /// The newest revision that may be acknowledged by a grantor that has
    /// applied this much: a log that never rests must not starve it.
    pub fn acknowledgeable(&self, applied: Revision, now: u64) -> Revision {
        let behind = self.behind(applied, now).map(|watcher| watcher.acknowledged);
        behind.min().unwrap_or(applied)
    }

    /// The moment until which some watcher may answer; `None` if none may.
    pub fn alive_until(&self, now: u64) -> Option<u64> {
        self.watchers.values().map(|watcher| watcher.alive_until).filter(|until| *until > now).max()
    }

    /// Whether no watcher may answer any more.
    pub fn quiet(&self, now: u64) -> bool {
        self.alive_until(now).is_none()
    }

    /// Watchers that are counted.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    fn behind(&self, revision: Revision, now: u64) -> impl Iterator<Item = &Watcher> {
        let may_answer = move |watcher: &&Watcher| watcher.alive_until > now;
        self.watchers.values().filter(may_answer).filter(move |watcher| watcher.acknowledged < revision)
    }
}

impl Watcher {
    fn count(&mut self, alive_until: u64) {
        self.alive_until = self.alive_until.max(alive_until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(number: u64) -> Revision {
        Revision::from_number(number)
    }

    fn with_one_grant() -> Grants {
        let mut grants = Grants::default();
        assert_eq!(grants.joined(1, at(3), 0), Ok(()));
        // 1 000 remain: 980 are passed on and counted as 1 000.
        assert_eq!(grants.grant(1, Some(2_000), 1_000), Some(980));
        grants
    }

    #[test]
    fn a_watcher_that_lags_holds_the_acknowledgement_back_until_its_grant_is_over() {
        let grants = with_one_grant();
        assert_eq!(grants.may_acknowledge(at(3), 1_000), Ok(()));
        assert_eq!(grants.may_acknowledge(at(4), 1_999), Err(2_000));
        assert_eq!(grants.may_acknowledge(at(4), 2_000), Ok(()));
    }

    #[test]
    fn its_acknowledgement_frees_the_grantor() {
        let mut grants = with_one_grant();
        grants.acknowledged(1, at(4));
        assert_eq!(grants.may_acknowledge(at(4), 1_000), Ok(()));
        grants.acknowledged(1, at(2));
        assert_eq!(grants.may_acknowledge(at(4), 1_000), Ok(()), "what was promised stays");
    }

    #[test]
    fn a_log_that_never_rests_is_acknowledged_as_far_as_the_slowest_is() {
        let mut grants = with_one_grant();
        assert_eq!(grants.joined(2, at(5), 1_000), Ok(()));
        assert_eq!(grants.grant(2, Some(2_000), 1_500), Some(490));
        assert_eq!(grants.acknowledgeable(at(9), 1_500), at(3));
        grants.acknowledged(1, at(9));
        assert_eq!(grants.acknowledgeable(at(9), 1_500), at(5));
        assert_eq!(grants.acknowledgeable(at(4), 1_500), at(4));
        assert_eq!(grants.acknowledgeable(at(9), 2_000), at(9));
    }

    #[test]
    fn the_grant_of_one_who_left_lives_on() {
        let mut grants = with_one_grant();
        grants.gone(1);
        assert_eq!(grants.may_acknowledge(at(4), 1_500), Err(2_000));
        assert_eq!(grants.grant(1, Some(9_000), 1_500), None, "who left is given nothing");
        assert!(!grants.quiet(1_999) && grants.quiet(2_000));
        assert_eq!((grants.joined(2, at(4), 1_999), grants.len()), (Ok(()), 2));
        assert_eq!((grants.joined(3, at(4), 2_000), grants.len()), (Ok(()), 2), "it is forgotten once over");
    }

    #[test]
    fn a_second_grant_never_shortens_what_is_counted() {
        let mut grants = with_one_grant();
        assert_eq!(grants.grant(1, Some(1_200), 1_100), Some(98));
        assert_eq!(grants.alive_until(1_100), Some(2_000));
    }

    #[test]
    fn nothing_is_passed_on_of_nothing() {
        let mut grants = with_one_grant();
        for until in [None, Some(0), Some(1_500), Some(1_501)] {
            assert_eq!(grants.grant(1, until, 1_500), None, "{until:?}");
        }
        assert_eq!(grants.grant(7, Some(9_000), 1_500), None, "a stranger");
    }

    #[test]
    fn there_is_a_most() {
        let mut grants = Grants::default();
        for watcher in 0..MOST_WATCHERS as u64 {
            assert_eq!(grants.joined(watcher, at(0), 0), Ok(()));
        }
        assert_eq!(grants.joined(u64::MAX, at(0), 0), Err(Full));
        grants.all_gone();
        assert_eq!((grants.joined(u64::MAX, at(0), 0), grants.len()), (Ok(()), 1));
    }

    proptest! {
        #[test]
        fn both_ways_to_ask_agree(
            watchers in prop::collection::vec((0_u64..6, 0_u64..2_000, prop::bool::ANY), 0..6),
            applied in 0_u64..6,
            now in 0_u64..2_000,
        ) {
            let mut grants = Grants::default();
            for (watcher, (acknowledged, until, is_gone)) in (0..).zip(&watchers) {
                prop_assert_eq!(grants.joined(watcher, at(*acknowledged), 0), Ok(()));
                grants.grant(watcher, Some(*until), 0);
                if *is_gone {
                    grants.gone(watcher);
                }
            }
            let may = grants.acknowledgeable(at(applied), now);
            prop_assert!(may <= at(applied));
            prop_assert_eq!(grants.may_acknowledge(may, now), Ok(()));
            let next = at(may.number() + 1);
            prop_assert!(may == at(applied) || grants.may_acknowledge(next, now).is_err());
            if let Err(until) = grants.may_acknowledge(at(applied), now) {
                prop_assert_eq!(grants.may_acknowledge(at(applied), until), Ok(()));
            }
        }
    }
}
