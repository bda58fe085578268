//! The steps of a replica.

use super::fault::Fault;
use super::holder::{NOW, revision, ticks};
use super::protocol::{Protocol, ReplicaStep, when};
use super::state::{Granted, Holder, Known, Renewal, Replica, Row, Stage, State};

impl Protocol {
    pub(super) fn replica_step(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        when(state.replicas[at].suspended == (step == ReplicaStep::Resume))?;
        match step {
            ReplicaStep::Register | ReplicaStep::Load | ReplicaStep::LoadHead => self.join(state, at, step),
            ReplicaStep::SendRenewal
            | ReplicaStep::RenewAtDatabase
            | ReplicaStep::RenewAtOldPrimary
            | ReplicaStep::ReceiveRenewal => self.renew(state, at, step),
            ReplicaStep::Apply | ReplicaStep::CutStreams => self.apply(state, at, step),
            ReplicaStep::Acknowledge => self.acknowledge(state, at),
            ReplicaStep::OpenStream => self.open_stream(state, at),
            ReplicaStep::FillRead | ReplicaStep::FillPut => self.fill(state, at, step),
            ReplicaStep::Suspend | ReplicaStep::Resume => self.sleep(state, at, step),
            ReplicaStep::Crash | ReplicaStep::Restart => self.die(state, at, step),
            ReplicaStep::Leave | ReplicaStep::DeleteOwnRow => self.leave(state, at, step),
        }
    }

    fn join(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        let snapshot = state.database.log.snapshot();
        let replica = &mut state.replicas[at];
        match (step, replica.stage) {
            (ReplicaStep::Register, Stage::Fresh) => {
                if !self.lacks(Fault::ServeUnregistered) {
                    state.database.rows[at].own = Row::Serving { acknowledged: 0 };
                }
                replica.stage = Stage::Registered;
            }
            (ReplicaStep::Load, Stage::Registered) if self.lacks(Fault::JoinSplitRead) => {
                replica.stage = Stage::HalfLoaded(snapshot.revoked);
            }
            (ReplicaStep::Load, Stage::Registered) => {
                (replica.known, replica.stage) = (snapshot, Stage::Serving);
            }
            (ReplicaStep::LoadHead, Stage::HalfLoaded(revoked)) => {
                replica.known = Known { revoked, ..snapshot };
                replica.stage = Stage::Serving;
            }
            _ => return None,
        }
        Some(())
    }

    fn renew(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        let (database, replica) = (&state.database, &mut state.replicas[at]);
        when(replica.stage == Stage::Serving)?;
        let holder = &mut replica.holder;
        match (step, holder.renewal) {
            (ReplicaStep::SendRenewal, Renewal::None) => holder.renewal = Renewal::Sent { elapsed: 0 },
            (ReplicaStep::RenewAtDatabase, Renewal::Sent { elapsed }) => {
                let lives = match database.rows[at].own {
                    Row::Serving { .. } => true,
                    Row::Draining { .. } => false,
                    Row::None => self.lacks(Fault::ServeUnregistered) || self.lacks(Fault::RenewAfterReap),
                };
                let head = database.log.head();
                let need = if self.lacks(Fault::RenewWithoutHead) { 0 } else { head };
                let answer = Renewal::Answered { elapsed, remaining: ticks(self.setting.terms.holds), need };
                holder.renewal = if lives { answer } else { Renewal::Refused };
            }
            (ReplicaStep::RenewAtOldPrimary, Renewal::Sent { elapsed }) => {
                when(self.lacks(Fault::RenewAtOldPrimary))?;
                let need = database.old_head?;
                holder.renewal =
                    Renewal::Answered { elapsed, remaining: ticks(self.setting.terms.holds), need };
            }
            (ReplicaStep::ReceiveRenewal, Renewal::Answered { remaining, need, .. }) => {
                if self.lacks(Fault::ExpiryFromReceive) {
                    holder.renewal = Renewal::Answered { elapsed: 0, remaining, need };
                }
                holder.receive(replica.known)?;
                if self.lacks(Fault::ProofsMixed) {
                    holder.mix();
                }
            }
            (ReplicaStep::ReceiveRenewal, Renewal::Refused) => self.fenced(state, at),
            _ => return None,
        }
        Some(())
    }

    /// It was shut out: it drops what it has and joins anew, in the same
    /// process. What it granted before, it still counts.
    fn fenced(&self, state: &mut State, at: usize) {
        let replica = &mut state.replicas[at];
        replica.grants.gone();
        let mut grants = replica.grants;
        if self.lacks(Fault::GrantsLostWhenFenced) {
            grants = Granted::default();
        }
        *replica = Replica { grants, ..Replica::fresh() };
        cut_cache(state, at);
    }

    fn apply(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        let replica = &mut state.replicas[at];
        when(replica.stage == Stage::Serving)?;
        let entry = state.database.log.after(replica.known.applied)?;
        when(replica.cutting == (step == ReplicaStep::CutStreams))?;
        if replica.cutting {
            replica.cutting = false;
            replica.stream &= self.lacks(Fault::StreamsNeverCut);
        } else {
            replica.known.revoked |= entry.revokes;
            if self.setting.streams && entry.revokes {
                replica.cutting = true;
                return Some(());
            }
        }
        replica.known.applied = entry.revision;
        replica.holder.settle(replica.known);
        Some(())
    }

    fn acknowledge(&self, state: &mut State, at: usize) -> Option<()> {
        let replica = &state.replicas[at];
        when(replica.stage == Stage::Serving)?;
        let applied = replica.known.applied;
        let head = state.database.log.head();
        let grants = replica.grants.grants();
        let mut may = grants.acknowledgeable(revision(applied), NOW).number();
        if self.lacks(Fault::CacheNotCounted) {
            may = applied.into();
        }
        let is_early = replica.cutting && self.lacks(Fault::AckBeforeCut);
        if is_early || self.lacks(Fault::AckBeforeApply) {
            may = head.into();
        }
        let Row::Serving { acknowledged } = &mut state.database.rows[at].own else { return None };
        when(ticks(may) > *acknowledged)?;
        *acknowledged = ticks(may);
        Some(())
    }

    fn open_stream(&self, state: &mut State, at: usize) -> Option<()> {
        when(self.setting.streams && state.replicas[at].stage == Stage::Serving)?;
        when(self.may_answer(state, at))?;
        let replica = &mut state.replicas[at];
        when(!replica.known.revoked)?;
        replica.stream = true;
        Some(())
    }

    fn fill(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        let replica = &mut state.replicas[at];
        when(self.lacks(Fault::FillWithoutRevision) && replica.stage == Stage::Serving)?;
        if step == ReplicaStep::FillRead {
            replica.fill = Some(state.database.log.revocation().is_some());
        } else {
            replica.known.revoked = replica.fill.take()?;
        }
        Some(())
    }

    /// A machine that sleeps is one that is not scheduled, unless its clock sleeps too.
    fn sleep(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        when(self.lacks(Fault::ClockStopsInSuspend))?;
        state.replicas[at].suspended = step == ReplicaStep::Suspend;
        Some(())
    }

    fn die(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        when(self.setting.crashes)?;
        let (rows, replica) = (&mut state.database.rows[at], &mut state.replicas[at]);
        if step == ReplicaStep::Restart {
            when(replica.stage == Stage::Down)?;
            *replica = Replica::fresh();
            return Some(());
        }
        when(replica.stage != Stage::Down)?;
        if !self.lacks(Fault::RowTakenOver) && rows.own != Row::None {
            // One orphan at a time; the reaper makes room for the next.
            when(rows.orphan == Row::None)?;
            (rows.orphan, rows.own) = (rows.own, Row::None);
        }
        *replica = Replica { stage: Stage::Down, ..Replica::fresh() };
        cut_cache(state, at);
        Some(())
    }

    /// It stops to serve, then marks its row; it deletes the row when no grant of its is alive.
    fn leave(&self, state: &mut State, at: usize, step: ReplicaStep) -> Option<()> {
        when(self.setting.crashes)?;
        let (rows, replica) = (&mut state.database.rows[at], &mut state.replicas[at]);
        if step == ReplicaStep::Leave {
            when(replica.stage == Stage::Serving)?;
            replica.grants.gone();
            *replica = Replica { stage: Stage::Leaving, grants: replica.grants, ..Replica::fresh() };
            replica.holder = Holder::default();
            if let Row::Serving { .. } = rows.own {
                rows.own = Row::Draining { elapsed: 0 };
            }
            cut_cache(state, at);
            return Some(());
        }
        when(replica.stage == Stage::Leaving)?;
        when(replica.grants.grants().quiet(NOW) || self.lacks(Fault::LeaveBeforeQuiet))?;
        rows.own = Row::None;
        *replica = Replica { stage: Stage::Down, ..Replica::fresh() };
        Some(())
    }
}

fn cut_cache(state: &mut State, at: usize) {
    if state.cache.attached.map(usize::from) == Some(at) {
        state.cache.attached = None;
    }
}
