//! Every rule of the protocol, as a switch that breaks it.

/// One rule left out. Each must let a promise be broken, or the rule (or the
/// model of it) is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    // The log.
    /// Changes are numbered when they begin, not in the order of their commits.
    SequenceTail,
    /// A standby takes over that had not all commits.
    AsyncFailover,
    // The writer.
    /// It returns when it has committed.
    ReturnAtCommit,
    /// It waits no longer than a proof holds on a perfect clock.
    MarginZero,
    /// It counts its wait from when it began, not from its commit.
    WaitFromBegin,
    /// It asks for the members of before its commit.
    MembersBeforeCommit,
    /// A draining member counts as if it had acknowledged.
    DrainingAcknowledges,
    // Members.
    /// A replica serves without having a row.
    ServeUnregistered,
    /// Its data and its revision are read in two snapshots.
    JoinSplitRead,
    /// The reaper deletes a draining row at first sight.
    ReaperInstant,
    /// The reaper deletes the row of a member who came back meanwhile.
    DeleteUnguarded,
    /// A replica renews although its row is gone.
    RenewAfterReap,
    /// A new process takes over the row of the one that died, and what that granted is forgotten.
    RowTakenOver,
    /// A replica that leaves deletes its row while its grants live.
    LeaveBeforeQuiet,
    // The replica's lease.
    /// It answers without one.
    ServeWithoutLease,
    /// A renewal proves that the replica lives, not what it must know.
    RenewWithoutHead,
    /// A proof is counted from the answer.
    ExpiryFromReceive,
    /// The clock stands still while the machine sleeps.
    ClockStopsInSuspend,
    /// The former primary goes on to answer renewals.
    RenewAtOldPrimary,
    /// The earlier of two proofs is used though its change is not applied.
    EarlierProofUnapplied,
    /// The need of the earlier proof goes with the expiry of the later.
    ProofsMixed,
    // Applying.
    /// A change is acknowledged before it is applied.
    AckBeforeApply,
    /// A change is acknowledged before the streams are cut.
    AckBeforeCut,
    /// Streams are not cut.
    StreamsNeverCut,
    /// A message on a stream is delivered without a look at the lease.
    StreamCheckedOnlyAtOpen,
    /// An entry read from the database replaces one that was changed meanwhile.
    FillWithoutRevision,
    // Embedded caches.
    /// A replica acknowledges without its caches.
    CacheNotCounted,
    /// A replica passes on a whole lease.
    CacheFullLease,
    /// A replica passes on all that remains to it, by its own clock.
    CacheDriftNotDeducted,
    /// A replica counts a grant no longer than a perfect clock does.
    CacheCountedWithoutDrift,
    /// A grant asks the cache to know what the replica's proof needs, not what the replica has applied.
    GrantOfOldNeed,
    /// The grant of a cache that is no longer heard is forgotten.
    GoneCacheForgotten,
    /// A replica that was shut out and comes back has forgotten its grants.
    GrantsLostWhenFenced,
    /// A cache that is given an older state by another replica keeps its proofs.
    ProofsKeptOverReset,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 34] = [
        Self::SequenceTail,
        Self::AsyncFailover,
        Self::ReturnAtCommit,
        Self::MarginZero,
        Self::WaitFromBegin,
        Self::MembersBeforeCommit,
        Self::DrainingAcknowledges,
        Self::ServeUnregistered,
        Self::JoinSplitRead,
        Self::ReaperInstant,
        Self::DeleteUnguarded,
        Self::RenewAfterReap,
        Self::RowTakenOver,
        Self::LeaveBeforeQuiet,
        Self::ServeWithoutLease,
        Self::RenewWithoutHead,
        Self::ExpiryFromReceive,
        Self::ClockStopsInSuspend,
        Self::RenewAtOldPrimary,
        Self::EarlierProofUnapplied,
        Self::ProofsMixed,
        Self::AckBeforeApply,
        Self::AckBeforeCut,
        Self::StreamsNeverCut,
        Self::StreamCheckedOnlyAtOpen,
        Self::FillWithoutRevision,
        Self::CacheNotCounted,
        Self::CacheFullLease,
        Self::CacheDriftNotDeducted,
        Self::CacheCountedWithoutDrift,
        Self::GrantOfOldNeed,
        Self::GoneCacheForgotten,
        Self::GrantsLostWhenFenced,
        Self::ProofsKeptOverReset,
    ];
}
