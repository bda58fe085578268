//! The audit log: read, given checkpoints, exported, kept within bounds.

mod export;
mod keep;
mod offline;
mod refusals;
mod seal;
mod told;

pub use crate::secret::{BadVerifier, NoteVerifier};
pub use crate::store::audit::pages::Filter;
pub use crate::store::audit::tree::Kept;
pub use export::{Export, Wanted};
pub use offline::{UnreadableExport, verify};
pub use refusals::Refusals;
pub use seal::{Audit, AuditOptions, SEAL_EVERY, Told};

pub(super) use told::{key_changed, tenant_changed};

use super::{App, Caller};
use crate::domain::audit::entry::Entry;
use crate::domain::audit::{Action, Actor, Event, PLATFORM};
use crate::domain::keys::Environment;
use crate::domain::{Failure, Fault, Permission, Reason, Refusal, TenantId, Timestamp};
use crate::store::audit::pages::{self, Stored};
use crate::store::{Error, Tx};
use std::collections::BTreeMap;

/// An entry, as it is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The entry.
    pub entry: Entry,
    /// What it committed to and was not erased.
    pub details: BTreeMap<String, String>,
    /// Names of what was erased.
    pub erased: Vec<String>,
}

impl App {
    /// A page of a log, the newest first, and whether there is more. `platform`
    /// is the log of the instance itself, for its operators.
    pub async fn audit_list(
        &self,
        caller: &Caller,
        platform: bool,
        filter: Filter,
        size: u16,
    ) -> Result<(Vec<Shown>, bool), Failure> {
        let tenant = audited(caller, Permission::AUDIT_READ, platform)?;
        let conn = &mut self.store.read(tenant).await?;
        let mut found = pages::page(conn, tenant, filter, size.saturating_add(1)).await?;
        let more = found.len() > usize::from(size);
        found.truncate(usize::from(size));
        let shown = found.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok((shown, more))
    }
}

/// An entry that Doorward itself makes.
struct NewEvent {
    tenant: TenantId,
    action: Action,
    time: Timestamp,
    facts: Vec<(&'static str, String)>,
}

impl App {
    async fn audit_write(&self, new: &NewEvent) -> Result<(), Failure> {
        let NewEvent { tenant, action, time, facts } = new;
        let facts = facts.clone();
        let event = Event { facts, ..Event::new(*tenant, *action, tenant, *time, &*self.entropy) };
        let store = self.store.clone();
        let writing = async move {
            store.write(&Actor::system("audit"), event, async |_: &mut Tx| Ok::<_, Error>(())).await
        };
        self.store.detached(writing).await?;
        Ok(())
    }
}

/// Whose log a caller means.
fn audited(caller: &Caller, permission: Permission, platform: bool) -> Result<TenantId, Refusal> {
    caller.must(permission)?;
    if !caller.reaches(Environment::Live) {
        let message = "the audit log is live: a test credential does not reach it";
        return Err(Refusal::new(Reason::InsufficientPermissions, message));
    }
    if !platform {
        return Ok(caller.tenant());
    }
    caller.must(Permission::PLATFORM_TENANTS)?;
    Ok(PLATFORM)
}

fn shown(stored: Stored) -> Result<Shown, Fault> {
    let entry = Entry::parse(&stored.entry).map_err(Fault::new)?;
    let details: BTreeMap<String, String> =
        stored.fields.into_iter().map(|field| (field.name, field.value)).collect();
    let erased = entry.commitments.keys().filter(|name| !details.contains_key(*name)).cloned().collect();
    Ok(Shown { entry, details, erased })
}
