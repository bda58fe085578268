//! What jobs do: each piece is bounded, and does no harm when done twice or half.

use super::App;
use crate::domain::{Failure, Timestamp};
use crate::store::{Error, JobRun, Store};
use std::time::Duration;

/// For how long changes are kept that every replica has applied: watchers in
/// other services go on from there without loading everything anew.
pub const CHANGES_FOR: Duration = Duration::from_hours(24);

/// For how long a request id is remembered.
pub const REQUESTS_FOR: Duration = Duration::from_hours(24);

/// For how long a session that has ended is kept, for whoever looks into what happened.
pub const ENDED_SESSIONS_FOR: Duration = Duration::from_hours(30 * 24);

/// For how long a device is known that nobody logs in from.
pub const DEVICES_FOR: Duration = Duration::from_hours(400 * 24);

/// For how long a signing key is kept after its last token has ended.
pub const DEAD_KEYS_FOR: Duration = Duration::from_hours(30 * 24);

/// For how long an invitation is kept after its link has ended: until then it
/// can be sent again.
pub const INVITATIONS_FOR: Duration = Duration::from_hours(30 * 24);

impl App {
    /// Drops changes that every replica has applied, and that are old.
    pub async fn prune_changes(&self, most: u32) -> Result<u64, Failure> {
        let own = self.replica.view.applied();
        self.piece(
            move |store: Store, now| async move { store.changes_prune(own, CHANGES_FOR, now, most).await },
        )
        .await
    }

    /// Forgets request ids.
    pub async fn prune_requests(&self, most: u32) -> Result<u64, Failure> {
        self.piece(
            move |store: Store, now| async move { store.requests_prune(REQUESTS_FOR, now, most).await },
        )
        .await
    }

    /// Drops sessions that ended long ago, and their refresh tokens.
    pub async fn prune_sessions(&self, most: u32) -> Result<u64, Failure> {
        self.piece(move |store: Store, now| async move {
            store.sessions_prune(ENDED_SESSIONS_FOR, now, most).await
        })
        .await
    }

    /// Forgets devices.
    pub async fn prune_devices(&self, most: u32) -> Result<u64, Failure> {
        self.piece(move |store: Store, now| async move { store.devices_prune(DEVICES_FOR, now, most).await })
            .await
    }

    /// Drops dead signing keys.
    pub async fn prune_signing_keys(&self, most: u32) -> Result<u64, Failure> {
        self.piece(move |store: Store, now| async move {
            store.signing_keys_prune(DEAD_KEYS_FOR, now, most).await
        })
        .await
    }

    /// Drops counts of use that are older than they are kept.
    pub async fn prune_usage(&self, most: u32) -> Result<u64, Failure> {
        let gone = self.usage_prune(self.clock.now(), most).await?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// Drops entries of audit logs that are older than they are kept.
    pub async fn prune_audit(&self, most: u32) -> Result<u64, Failure> {
        self.audit_prune(self.clock.now(), most.into()).await
    }

    /// Forgets invitations that nobody accepted in time.
    pub async fn prune_invitations(&self, most: u32) -> Result<u64, Failure> {
        self.piece(move |store: Store, now: Timestamp| async move {
            store.invitations_prune(now.minus(INVITATIONS_FOR), most).await
        })
        .await
    }

    /// Takes away what tenants had that were deleted long ago.
    pub async fn purge_tenants(&self, most: u32) -> Result<u64, Failure> {
        let before = self.clock.now().minus(self.deleted_kept);
        let gone = self.tenant_purge(before, most.into()).await?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// Takes a job if it is due and nobody else has it.
    pub async fn job_take(&self, name: &str, every: Duration, held: Duration) -> Result<bool, Failure> {
        let name = name.to_owned();
        self.piece(move |store: Store, now| async move { store.job_take(&name, every, held, now).await })
            .await
    }

    /// Says what came of it.
    pub async fn job_ended(&self, name: &str, outcome: Result<u64, String>) -> Result<(), Failure> {
        let name = name.to_owned();
        self.piece(move |store: Store, now| async move { store.job_ended(&name, now, outcome).await }).await
    }

    /// What is known of every job that was ever begun.
    pub async fn job_list(&self) -> Result<Vec<JobRun>, Failure> {
        Ok(self.store.job_list().await?)
    }

    /// Does a piece of work to its end, even if whoever awaits it goes away.
    async fn piece<T, F>(&self, work: impl FnOnce(Store, Timestamp) -> F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (store, now) = (self.store.clone(), self.clock.now());
        Ok(self.store.detached(work(store, now)).await?)
    }
}
