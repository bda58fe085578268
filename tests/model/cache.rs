//! The steps of a cache that is embedded in another program.

use super::fault::Fault;
use super::holder::ticks;
use super::protocol::{CacheStep, Protocol, when};
use super::state::{Granted, Holder, Known, Renewal, Stage, State, Watcher};
use doorward::domain::lease;

impl Protocol {
    pub(super) fn cache_step(&self, state: &mut State, step: CacheStep) -> Option<()> {
        match step {
            CacheStep::Attach(at) => self.attach(state, at, false),
            CacheStep::AttachAndReset(at) => self.attach(state, at, true),
            CacheStep::Detach => self.detach(state),
            CacheStep::SendRenewal => {
                when(state.cache.attached.is_some() && state.cache.holder.renewal == Renewal::None)?;
                state.cache.holder.renewal = Renewal::Sent { elapsed: 0 };
                Some(())
            }
            CacheStep::Grant => self.grant(state),
            CacheStep::ReceiveRenewal => state.cache.holder.receive(state.cache.known),
            CacheStep::Apply => {
                let feeder = state.replicas[serving(state)?].known;
                let cache = &mut state.cache;
                let entry = state.database.log.after(cache.known.applied)?;
                when(entry.revision <= feeder.applied)?;
                cache.known = Known { applied: entry.revision, revoked: cache.known.revoked | entry.revokes };
                cache.holder.settle(cache.known);
                Some(())
            }
            CacheStep::Acknowledge => {
                let at = serving(state)?;
                state.replicas[at].grants.current.as_mut()?.acknowledged = state.cache.known.applied;
                Some(())
            }
        }
    }

    fn attach(&self, state: &mut State, at: usize, resets: bool) -> Option<()> {
        let (cache, replica) = (&mut state.cache, &mut state.replicas[at]);
        when(cache.attached.is_none() && replica.stage == Stage::Serving)?;
        // Two connections are counted at a time; the older is soon over.
        when(replica.grants.former.is_none())?;
        if resets {
            when(replica.known.applied < cache.known.applied)?;
            cache.known = replica.known;
            if !self.lacks(Fault::ProofsKeptOverReset) {
                cache.holder = Holder::default();
            }
        }
        cache.attached = Some(ticks(at as u64));
        replica.grants.current = Some(Watcher { acknowledged: cache.known.applied, alive: 0 });
        Some(())
    }

    fn detach(&self, state: &mut State) -> Option<()> {
        let at = usize::from(state.cache.attached.take()?);
        let grants = &mut state.replicas[at].grants;
        grants.gone();
        if self.lacks(Fault::GoneCacheForgotten) {
            *grants = Granted::default();
        }
        Some(())
    }

    /// The replica passes on a part of its lease, if it may itself answer.
    fn grant(&self, state: &mut State) -> Option<()> {
        let at = serving(state)?;
        let Renewal::Sent { elapsed } = state.cache.holder.renewal else { return None };
        let until = Self::until(state, at);
        let replica = &mut state.replicas[at];
        let left = ticks(until?.saturating_sub(super::holder::NOW));
        let sabotaged = match self.fault {
            Some(Fault::CacheFullLease) => Some(ticks(self.setting.terms.holds)),
            Some(Fault::CacheDriftNotDeducted) => Some(left),
            _ => None,
        };
        let remaining = match sabotaged {
            None => replica.grants.grant(until)?,
            Some(remaining) => {
                let watcher = replica.grants.current.as_mut()?;
                watcher.alive = watcher.alive.max(ticks(lease::counted_alive(remaining.into())));
                remaining
            }
        };
        if self.lacks(Fault::CacheCountedWithoutDrift) {
            replica.grants.current.as_mut()?.alive = remaining;
        }
        let mut need = replica.known.applied;
        if self.lacks(Fault::GrantOfOldNeed) {
            let proofs = replica.holder.proofs.iter().flatten();
            need = proofs.map(|proof| proof.need).min()?;
        }
        state.cache.holder.renewal = Renewal::Answered { elapsed, remaining, need };
        Some(())
    }
}

/// The replica that feeds the cache and is at work.
fn serving(state: &State) -> Option<usize> {
    let at = usize::from(state.cache.attached?);
    (state.replicas[at].stage == Stage::Serving).then_some(at)
}
