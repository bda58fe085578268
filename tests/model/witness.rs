//! What must be seen to happen, lest a search be true of nothing.

use super::holder::{NOW, revision};
use super::protocol::{Action, Protocol, ReaperStep, ReplicaStep, WriterStep};
use super::state::{Renewal, Row, Stage, State};
use doorward::domain::lease::Verdict;

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// A replica could accept the key from memory.
    ReplicaAccepts,
    /// A cache could.
    CacheAccepts,
    /// A stream was open.
    StreamOpen,
    /// A revocation returned because all had acknowledged it.
    ReturnedByAcknowledgement,
    /// A revocation returned because its wait was over.
    ReturnedByWaiting,
    /// The earlier of two proofs was in use while the later waited for its change.
    EarlierProofInUse,
    /// A replica held its acknowledgement back for its cache.
    HeldBack,
    /// A replica was shut out and joined again.
    ShutOut,
    /// The row of a dead process was deleted.
    Reaped,
    /// A replica left.
    Left,
    /// A standby took over after the revocation had committed and before it returned.
    FailedOver,
}

impl Witness {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ReplicaAccepts,
        Self::CacheAccepts,
        Self::StreamOpen,
        Self::ReturnedByAcknowledgement,
        Self::ReturnedByWaiting,
        Self::EarlierProofInUse,
        Self::HeldBack,
        Self::ShutOut,
        Self::Reaped,
        Self::Left,
        Self::FailedOver,
    ];

    /// Whether it can happen in this setting.
    pub fn is_due(self, protocol: &Protocol) -> bool {
        let setting = protocol.setting;
        match self {
            Self::CacheAccepts | Self::HeldBack => setting.cache,
            Self::StreamOpen => setting.streams,
            Self::ShutOut | Self::Reaped | Self::Left => setting.crashes,
            Self::FailedOver => setting.failover,
            Self::ReplicaAccepts
            | Self::ReturnedByAcknowledgement
            | Self::ReturnedByWaiting
            | Self::EarlierProofInUse => true,
        }
    }
}

/// A set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Witnesses(u16);

impl Witnesses {
    /// Whether that was seen.
    pub fn has(self, witness: Witness) -> bool {
        self.0 & (1 << witness as u16) != 0
    }

    /// All that the other has, too.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Notes what a step shows that is taken in that state.
    pub fn look(&mut self, protocol: &Protocol, state: &State, action: Action) {
        for witness in Witness::ALL {
            if !self.has(witness) && shows(witness, protocol, state, action) {
                self.0 |= 1 << witness as u16;
            }
        }
    }
}

fn shows(witness: Witness, protocol: &Protocol, state: &State, action: Action) -> bool {
    let serving = |at: usize| state.replicas[at].stage == Stage::Serving;
    let mut replicas = (0..protocol.setting.replicas).filter(|at| serving(*at));
    let returns = action == Action::Writer(WriterStep::Return);
    let returned = || protocol.verdict(state).filter(|_| returns);
    match witness {
        Witness::ReplicaAccepts => replicas.any(|at| protocol.may_answer(state, at)),
        Witness::CacheAccepts => state.cache.holder.may_answer(state.cache.known),
        Witness::StreamOpen => replicas.any(|at| state.replicas[at].stream),
        Witness::ReturnedByAcknowledgement => {
            matches!(returned(), Some(Verdict::Returned { acknowledged: 1.., expired: 0 }))
        }
        Witness::ReturnedByWaiting => matches!(returned(), Some(Verdict::Returned { expired: 1.., .. })),
        Witness::EarlierProofInUse => replicas.any(|at| {
            let replica = &state.replicas[at];
            let waits = replica.holder.proofs[1].is_some_and(|later| later.need > replica.known.applied);
            waits && protocol.may_answer(state, at)
        }),
        Witness::HeldBack => replicas.any(|at| {
            let replica = &state.replicas[at];
            let applied = revision(replica.known.applied);
            replica.grants.grants().acknowledgeable(applied, NOW) < applied
        }),
        Witness::ShutOut => replicas.any(|at| {
            let is_refused = state.replicas[at].holder.renewal == Renewal::Refused;
            is_refused && action == Action::Replica(at, ReplicaStep::ReceiveRenewal)
        }),
        Witness::Reaped => matches!(action, Action::Reaper(_, ReaperStep::DeleteOrphan)),
        Witness::Left => (0..protocol.setting.replicas).any(|at| {
            let had_row = state.database.rows[at].own != Row::None;
            had_row && action == Action::Replica(at, ReplicaStep::DeleteOwnRow)
        }),
        Witness::FailedOver => {
            let waits = matches!(state.writer, super::state::Writer::Committed { .. });
            waits && action == Action::Database(super::protocol::DatabaseStep::Failover)
        }
    }
}
