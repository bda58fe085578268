//! The end of tenants that were deleted, some rows at a time.

use super::App;
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::{Failure, TenantId, Timestamp};
use crate::store::purge as rows;
use crate::store::{Across, Error, Tx};

/// Tenants that one run looks at.
const TENANTS: i64 = 20;

impl App {
    /// Takes away what tenants had that were deleted before `before`: at most so
    /// many rows of each, the tenant itself when nothing else is left. Gives how
    /// many rows went. To be called again and again; what is interrupted goes on
    /// the next time.
    ///
    /// The audit log stays: what was done in a tenant outlives it.
    pub async fn tenant_purge(&self, before: Timestamp, most: i64) -> Result<usize, Failure> {
        let due = rows::tenants_due(&mut self.store.read(Across::Jobs).await?, before, TENANTS).await?;
        let mut gone = 0;
        for tenant in due {
            gone += self.purge_some(tenant, before, most).await?;
        }
        Ok(gone)
    }

    async fn purge_some(&self, tenant: TenantId, before: Timestamp, most: i64) -> Result<usize, Failure> {
        let event = Event::new(tenant, Action::TenantPurged, tenant, self.clock.now(), &*self.entropy);
        let (store, actor) = (self.store.clone(), Actor::system("tenant-purge"));
        let writing = async move {
            store.write(&actor, event, async move |tx| some(tx, tenant, before, most).await).await
        };
        match self.store.detached(writing).await {
            Ok(written) => Ok(written.value),
            // It is not to go: nothing is written, the entry neither.
            Err(Error::Conflict) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

async fn some(tx: &mut Tx, tenant: TenantId, before: Timestamp, most: i64) -> Result<usize, Error> {
    // Somebody may have brought it back a moment ago.
    if !rows::still_due(tx, tenant, before).await? {
        return Err(Error::Conflict);
    }
    let (keys, sessions) =
        (rows::purge_keys(tx, tenant, most).await?, rows::purge_sessions(tx, tenant, most).await?);
    let members = rows::purge_members(tx, tenant, most).await?;
    let mut gone = keys + sessions + members;
    if gone == 0 {
        gone += rows::purge_tenant(tx, tenant).await?;
        tx.fact("done", true);
    }
    tx.fact("keys", keys);
    tx.fact("sessions", sessions);
    tx.fact("members", members);
    Ok(gone)
}
