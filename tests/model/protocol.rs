//! The steps that the world can take, and what must hold after each.

use super::fault::Fault;
use super::holder::NOW;
use super::state::{Stage, State, Writer};
use doorward::domain::lease::Terms;

/// How large the world is, and what can befall it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that can happen or not")]
pub struct Setting {
    pub name: &'static str,
    /// In ticks. A holder's clock may lose one while a proof holds.
    pub terms: Terms,
    pub replicas: usize,
    /// A cache embedded in another program, fed by a replica.
    pub cache: bool,
    /// Replicas die, start again, leave, and are marked and deleted by the reaper at any time.
    pub crashes: bool,
    /// A standby takes over, once.
    pub failover: bool,
    /// Streams are opened and cut.
    pub streams: bool,
    /// The replicas serve from the beginning, and the cache is connected to the first.
    pub joined: bool,
    /// Beside the revocation there is another change, which may be rolled back.
    pub other_change: bool,
}

impl Setting {
    /// One replica to which nothing happens.
    pub const CALM: Self = Self {
        name: "1 replica",
        terms: Terms { holds: 2, waits: 3 },
        replicas: 1,
        cache: false,
        crashes: false,
        failover: false,
        streams: false,
        joined: false,
        other_change: true,
    };
}

/// The protocol, whole or with one rule left out.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    pub setting: Setting,
    pub fault: Option<Fault>,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes, except on the clock of that holder.
    Tick(Option<Clock>),
    Database(DatabaseStep),
    Reaper(usize, ReaperStep),
    Writer(WriterStep),
    Replica(usize, ReplicaStep),
    Cache(CacheStep),
}

/// Whose clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Replica(usize),
    Cache,
}

/// What happens in the database by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseStep {
    BeginOther,
    CommitOther,
    RollBackOther,
    Failover,
}

/// What is done about the rows of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaperStep {
    MarkOwn,
    MarkOrphan,
    DeleteOwn,
    DeleteOrphan,
    DeleteCondemned,
}

/// What the writer of the revocation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterStep {
    ReadMembers,
    Begin,
    Commit,
    Return,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaStep {
    Register,
    Load,
    LoadHead,
    SendRenewal,
    RenewAtDatabase,
    RenewAtOldPrimary,
    ReceiveRenewal,
    Apply,
    CutStreams,
    Acknowledge,
    OpenStream,
    FillRead,
    FillPut,
    Suspend,
    Resume,
    Crash,
    Restart,
    Leave,
    DeleteOwnRow,
}

/// What the embedded cache does, or is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStep {
    /// It connects and goes on from what it has.
    Attach(usize),
    /// It connects and is given the replica's state, which is older than its own.
    AttachAndReset(usize),
    Detach,
    SendRenewal,
    /// Its replica answers with a grant.
    Grant,
    ReceiveRenewal,
    Apply,
    Acknowledge,
}

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// A check that begins after the revocation returned is not accepted by a replica.
    Check,
    /// No message on a stream is delivered after the revocation returned.
    Stream,
    /// A check that begins after the revocation returned is not accepted by a cache.
    Cache,
    /// Who has applied a revision has applied all before it.
    Prefix,
    /// A revocation that returned is in the log.
    Durable,
}

impl Protocol {
    /// Whether this rule is left out.
    pub fn lacks(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The world before anything happens.
    pub fn first(&self) -> State {
        let mut state = State::first();
        if self.setting.joined {
            let join = [ReplicaStep::Register, ReplicaStep::Load].into_iter();
            let steps = (0..self.setting.replicas)
                .flat_map(|at| join.clone().map(move |step| Action::Replica(at, step)))
                .chain(self.setting.cache.then_some(Action::Cache(CacheStep::Attach(0))));
            state = steps.fold(state, |state, step| self.next(&state, step).unwrap_or(state));
        }
        state
    }

    /// Every step that there is; most are not possible at most times.
    pub fn actions(&self) -> Vec<Action> {
        use ReplicaStep as R;
        let mut actions = vec![Action::Tick(None)];
        let database = [DatabaseStep::BeginOther, DatabaseStep::CommitOther, DatabaseStep::RollBackOther];
        actions.extend(database.map(Action::Database));
        actions.push(Action::Database(DatabaseStep::Failover));
        let writer = [WriterStep::ReadMembers, WriterStep::Begin, WriterStep::Commit, WriterStep::Return];
        actions.extend(writer.map(Action::Writer));
        for at in 0..self.setting.replicas {
            actions.push(Action::Tick(Some(Clock::Replica(at))));
            let join = [R::Restart, R::Register, R::Load, R::LoadHead];
            let renew = [R::SendRenewal, R::RenewAtDatabase, R::RenewAtOldPrimary, R::ReceiveRenewal];
            let apply = [R::Apply, R::CutStreams, R::Acknowledge, R::OpenStream, R::FillRead, R::FillPut];
            let end = [R::Crash, R::Leave, R::DeleteOwnRow, R::Suspend, R::Resume];
            let steps = join.into_iter().chain(renew).chain(apply).chain(end);
            actions.extend(steps.map(|step| Action::Replica(at, step)));
            let mark = [ReaperStep::MarkOwn, ReaperStep::MarkOrphan];
            let delete = [ReaperStep::DeleteOwn, ReaperStep::DeleteOrphan, ReaperStep::DeleteCondemned];
            actions.extend(mark.into_iter().chain(delete).map(|step| Action::Reaper(at, step)));
            let attach = [CacheStep::Attach(at), CacheStep::AttachAndReset(at)];
            actions.extend(attach.into_iter().filter(|_| self.setting.cache).map(Action::Cache));
        }
        if self.setting.cache {
            let renew = [CacheStep::SendRenewal, CacheStep::Grant, CacheStep::ReceiveRenewal];
            let rest = [CacheStep::Apply, CacheStep::Acknowledge, CacheStep::Detach];
            actions.extend(renew.into_iter().chain(rest).map(Action::Cache));
            actions.push(Action::Tick(Some(Clock::Cache)));
        }
        actions
    }

    /// The world after a step; `None` if the step is not possible.
    pub fn next(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        match action {
            Action::Tick(lagging) => self.tick(&mut next, lagging)?,
            Action::Database(step) => self.database_step(&mut next, step)?,
            Action::Reaper(at, step) => self.reaper_step(&mut next, at, step)?,
            Action::Writer(step) => self.writer_step(&mut next, step)?,
            Action::Replica(at, step) => self.replica_step(&mut next, at, step)?,
            Action::Cache(step) => self.cache_step(&mut next, step)?,
        }
        (next != *state).then_some(next)
    }

    /// The promise that is broken, if one is.
    ///
    /// A check is not a step of its own: one that reads the clock in this state
    /// and memory in a later one is accepted only if it would be here too, as
    /// memory never unlearns a revocation while its holder lives.
    pub fn broken(&self, state: &State) -> Option<Promise> {
        let returned = state.writer == Writer::Returned;
        let revocation = state.database.log.revocation();
        if returned && revocation.is_none() {
            return Some(Promise::Durable);
        }
        for at in 0..self.setting.replicas {
            let replica = &state.replicas[at];
            let serves = replica.stage == Stage::Serving && !replica.suspended;
            let lacks = revocation.is_some_and(|it| replica.known.applied >= it) && !replica.known.revoked;
            if serves && lacks {
                return Some(Promise::Prefix);
            }
            if serves && returned && !replica.known.revoked && self.may_answer(state, at) {
                return Some(Promise::Check);
            }
            let gate = self.lacks(Fault::StreamCheckedOnlyAtOpen) || self.may_answer(state, at);
            if serves && returned && replica.stream && gate {
                return Some(Promise::Stream);
            }
        }
        let cache = &state.cache;
        let accepts = !cache.known.revoked && cache.holder.may_answer(cache.known);
        (returned && accepts).then_some(Promise::Cache)
    }

    /// Whether a replica may answer from memory.
    pub fn may_answer(&self, state: &State, at: usize) -> bool {
        let replica = &state.replicas[at];
        match self.fault {
            Some(Fault::ServeWithoutLease) => true,
            Some(Fault::EarlierProofUnapplied) => {
                let [earlier, later] = replica.holder.proofs;
                (earlier.is_some() && later.is_some()) || replica.holder.may_answer(replica.known)
            }
            _ => replica.holder.may_answer(replica.known),
        }
    }

    /// Until when a replica may answer.
    pub fn until(state: &State, at: usize) -> Option<u64> {
        let replica = &state.replicas[at];
        let applied = super::holder::revision(replica.known.applied);
        replica.holder.lease(replica.known.applied).until(applied).filter(|until| *until > NOW)
    }
}

/// Goes on only if that is so.
pub fn when(condition: bool) -> Option<()> {
    condition.then_some(())
}
