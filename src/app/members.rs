//! Who belongs to a tenant, and as what; who owns it.

use super::roles::{givable, permissions_of};
use super::sessions::end_all;
use super::{App, Caller};
use crate::domain::audit::{Action, Event};
use crate::domain::members::Role;
use crate::domain::paging::Page;
use crate::domain::roles::Assigned;
use crate::domain::{Failure, Permission, Permissions, Reason, Refusal, TenantId, UserId};
use crate::store::members as rows;
pub use crate::store::members::Member;
use crate::store::{Error, Tx, Written, keys, people, sessions, tenants};

/// What ended with a membership.
#[derive(Debug, Clone, Copy)]
pub struct Removed {
    /// Keys.
    pub keys: usize,
    /// Sessions.
    pub sessions: usize,
}

impl App {
    /// A page of the caller's tenant's members, and whether there is more.
    pub async fn member_list(&self, caller: &Caller, page: Page) -> Result<(Vec<Member>, bool), Failure> {
        caller.must(Permission::MEMBERS_READ)?;
        let mut conn = self.store.read(caller.tenant()).await.map_err(Failure::from)?;
        let mut members = rows::member_page(&mut conn, caller.tenant(), page).await.map_err(Failure::from)?;
        let more = members.len() > usize::from(page.size);
        members.truncate(usize::from(page.size));
        Ok((members, more))
    }

    /// Gives a member another role, which holds for their next call.
    pub async fn member_update_role(
        &self,
        caller: &Caller,
        user: UserId,
        role: String,
    ) -> Result<Written<Member>, Failure> {
        caller.must(Permission::ADMIN_USERS)?;
        let (now, tenant, may) = (self.clock.now(), caller.tenant(), caller.verified.permissions);
        let event = Event::new(tenant, Action::MemberRoleChanged, user, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let before = member_in(tx, tenant, user).await?;
                    no_owner(before)?;
                    let (after, _) = givable(tx, tenant, may, &role).await?;
                    no_stronger(tx, tenant, before, may).await?;
                    tx.fact("before", before);
                    tx.fact("after", after);
                    rows::member_set_role(tx, tenant, user, after).await?;
                    Ok(rows::member_get(tx.reading()?, tenant, user).await?.ok_or_else(no_member)?)
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, Action::MemberRoleChanged.fences(true)).await?.0)
    }

    /// Ends a membership, and the person's keys and sessions of this tenant for
    /// good: whoever is invited again begins anew.
    pub async fn member_remove(&self, caller: &Caller, user: UserId) -> Result<Written<Removed>, Failure> {
        let leaves = caller.user() == Some(user);
        if !leaves {
            caller.must(Permission::ADMIN_USERS)?;
        } else if !caller.may(Permission::ADMIN_USERS) {
            caller.person()?;
        }
        let (now, tenant, may) = (self.clock.now(), caller.tenant(), caller.verified.permissions);
        let event = Event::new(tenant, Action::MemberRemoved, user, now, &*self.entropy);
        // Who leaves ends the very credential that they use.
        let actor = if leaves { caller.actor_without_credential() } else { caller.actor() };
        let store = self.store.clone();
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let before = member_in(tx, tenant, user).await?;
                    no_owner(before)?;
                    if !leaves {
                        no_stronger(tx, tenant, before, may).await?;
                    }
                    let live = sessions::sessions_live(tx, user, Some(tenant)).await?;
                    let sessions = end_all(tx, live, None).await?;
                    let keys = keys::keys_revoke_of(tx, tenant, user).await?;
                    rows::member_delete(tx, tenant, user).await?;
                    tx.fact("before", before);
                    tx.fact("keys", keys);
                    tx.fact("sessions", sessions);
                    Ok(Removed { keys, sessions })
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, true).await?.0)
    }

    /// Makes another member the owner, and the owner an admin. There is exactly
    /// one at every moment: of two transfers that race one is refused.
    pub async fn ownership_transfer(&self, caller: &Caller, to: UserId) -> Result<Written<()>, Failure> {
        let (now, tenant) = (self.clock.now(), caller.tenant());
        let from = caller.person()?;
        if caller.verified.principal.role() != Some(Assigned::BuiltIn(Role::Owner)) {
            return Err(owners_alone().into());
        }
        self.must_be_recent(caller)?;
        if from == to {
            return Err(Refusal::invalid("user_id", "is the owner already").into());
        }
        let event = Event::new(tenant, Action::OwnershipTransferred, tenant, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let before = member_in(tx, tenant, to).await?;
                    let person = people::person_held(tx, to).await?.filter(|person| !person.disabled);
                    person.ok_or_else(no_member)?;
                    tx.fact("from", from);
                    tx.fact("to", to);
                    tx.fact("before", before);
                    if rows::owner_replace(tx, tenant, from, to).await? {
                        Ok(())
                    } else {
                        Err(owners_alone().into())
                    }
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, true).await?.0)
    }

    /// Refuses a session whose login was not a moment ago.
    pub(super) fn must_be_recent(&self, caller: &Caller) -> Result<(), Refusal> {
        if caller.is_recent(self.clock.now()) {
            return Ok(());
        }
        Err(Refusal::new(Reason::MfaRequired, "this needs a login of the last minutes; log in again"))
    }
}

/// A member's role. All changes of a tenant's members happen one after another.
async fn member_in(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<Assigned, Error> {
    tenants::tenant_for_update(tx, tenant).await?.filter(|it| !it.state.deleted).ok_or_else(no_member)?;
    Ok(rows::member_by_id(tx.reading()?, tenant, user).await?.ok_or_else(no_member)?)
}

fn no_owner(role: Assigned) -> Result<(), Refusal> {
    if role != Assigned::BuiltIn(Role::Owner) {
        return Ok(());
    }
    let message = "the owner stays until TransferOwnership has made another";
    Err(Refusal::new(Reason::FailedPrecondition, message))
}

/// Nobody takes a role from those who may do more than they may themselves.
async fn no_stronger(tx: &mut Tx, tenant: TenantId, role: Assigned, may: Permissions) -> Result<(), Error> {
    match permissions_of(tx, tenant, role).await?.beyond(may) {
        None => Ok(()),
        Some(missing) => Err(Refusal::lacks(missing).into()),
    }
}

fn no_member() -> Refusal {
    Refusal::not_found("member")
}

fn owners_alone() -> Refusal {
    let message = "this is for the tenant's owner alone";
    Refusal::new(Reason::InsufficientPermissions, message).with("required_role", "owner")
}
