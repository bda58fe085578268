//! Tenants: make, see, change, suspend, resume; who belongs to them.

use super::audit::tenant_changed;
use super::{App, Caller};
use crate::domain::address::Networks;
use crate::domain::audit::{Action, Event};
use crate::domain::members::Role;
use crate::domain::paging::Page;
use crate::domain::reading::Reading;
use crate::domain::tenants::{DisplayName, Slug, Tenant, TenantPatch, TenantState};
use crate::domain::users::{Email, UserState};
use crate::domain::{Failure, Permission, Reason, Refusal, TenantId, Timestamp, UserId};
use crate::store::members::member_insert;
use crate::store::tenants as rows;
use crate::store::users::{user_by_email, user_insert};
use crate::store::{Across, Error, Scope, Tx, Written, keys};

/// A tenant that somebody wants.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its short name.
    pub slug: Slug,
    /// A name for people; the short name if not said.
    pub display_name: Option<DisplayName>,
    /// Its owner's address.
    pub owner: Email,
    /// Makes a retry safe.
    pub request_id: Option<String>,
}

impl App {
    /// Makes a tenant with its owner, who is made too if nobody has the address.
    pub async fn tenant_create(
        &self,
        caller: &Caller,
        wanted: NewTenant,
    ) -> Result<Written<(Tenant, UserId)>, Failure> {
        caller.must(Permission::PLATFORM_TENANTS)?;
        let now = self.clock.now();
        let tenant = new_tenant(TenantId::new(now, &*self.entropy), &wanted, now);
        let owner = UserId::new(now, &*self.entropy);
        let event = Event::new(tenant.state.id, Action::TenantCreated, tenant.state.id, now, &*self.entropy);
        let (store, actor, home) = (self.store.clone(), caller.actor(), caller.tenant());
        let writing = async move {
            let name = actor.id.clone();
            store
                .write_across(Across::Operators, &actor, event, async move |tx| {
                    if let Some(id) = wanted.request_id {
                        let target = tenant.state.id.to_string();
                        if let Some(done) = keys::request_once(tx, home, &name, &id, &target).await? {
                            let refusal = Refusal::new(Reason::AlreadyExists, "this request_id was used");
                            return Err(refusal.with("id", done).into());
                        }
                    }
                    let owner = insert_with_owner(tx, &tenant, &wanted.owner, owner).await?;
                    Ok((tenant, owner))
                })
                .await
        };
        let written = self.store.detached(writing).await.map_err(Failure::from)?;
        Ok(self.settled(caller, written, false).await?.0)
    }

    /// One tenant; the caller's own if none is named.
    pub async fn tenant_get(&self, caller: &Caller, named: &str) -> Result<Tenant, Failure> {
        let id = self.tenant_id(caller, named, Permission::TENANT_READ)?;
        let mut conn = self.store.read(id).await.map_err(Failure::from)?;
        let found = rows::tenant_by_id(&mut conn, id).await.map_err(Failure::from)?;
        found.ok_or_else(|| self.absent(no_tenant()))
    }

    /// A page of the tenants that the caller may see, and whether there is more.
    pub async fn tenant_list(&self, caller: &Caller, page: Page) -> Result<(Vec<Tenant>, bool), Failure> {
        let all = caller.may(Permission::PLATFORM_TENANTS);
        if !all {
            caller.must(Permission::TENANT_READ)?;
        }
        let only = (!all).then(|| caller.tenant());
        let scope = only.map_or(Scope::Everything(Across::Operators), Scope::Tenant);
        let mut conn = self.store.read(scope).await.map_err(Failure::from)?;
        let mut tenants = rows::tenant_page(&mut conn, only, page).await.map_err(Failure::from)?;
        let more = tenants.len() > usize::from(page.size);
        tenants.truncate(usize::from(page.size));
        Ok((tenants, more))
    }

    /// Changes a tenant's name or default limit.
    pub async fn tenant_update(
        &self,
        caller: &Caller,
        named: &str,
        patch: TenantPatch,
        etag: String,
    ) -> Result<Written<Tenant>, Failure> {
        let id = self.tenant_id(caller, named, Permission::TENANT_UPDATE)?;
        if patch.features.is_some() {
            caller.must(Permission::PLATFORM_TENANTS)?;
        }
        self.tenant_change(caller, id, Action::TenantUpdated, patch, etag, None).await
    }

    /// Refuses every credential of a tenant from now on.
    pub async fn tenant_suspend(
        &self,
        caller: &Caller,
        named: &str,
        reason: String,
    ) -> Result<Written<Tenant>, Failure> {
        caller.must(Permission::PLATFORM_TENANTS)?;
        let id = self.tenant_id(caller, named, Permission::PLATFORM_TENANTS)?;
        let patch = TenantPatch { suspended: Some(true), ..TenantPatch::default() };
        self.tenant_change(caller, id, Action::TenantSuspended, patch, String::new(), Some(reason)).await
    }

    /// Ends a suspension, or brings a tenant back that was deleted.
    pub async fn tenant_resume(&self, caller: &Caller, named: &str) -> Result<Written<Tenant>, Failure> {
        caller.must(Permission::PLATFORM_TENANTS)?;
        let id = self.tenant_id(caller, named, Permission::PLATFORM_TENANTS)?;
        let before = rows::tenant_by_id(&mut self.store.read(id).await?, id).await?;
        let was_deleted = before.is_some_and(|before| before.state.deleted);
        let action = if was_deleted { Action::TenantRestored } else { Action::TenantResumed };
        let patch = TenantPatch { suspended: Some(false), deleted: Some(false), ..TenantPatch::default() };
        self.tenant_change(caller, id, action, patch, String::new(), None).await
    }

    /// Deletes a tenant: nothing of it is accepted any more. Its rows go later,
    /// and until then it can be brought back.
    pub async fn tenant_delete(
        &self,
        caller: &Caller,
        named: &str,
        etag: String,
    ) -> Result<Written<Tenant>, Failure> {
        let id = self.tenant_id(caller, named, Permission::TENANT_DELETE)?;
        if !caller.may(Permission::PLATFORM_TENANTS) {
            caller.person()?;
            self.must_be_recent(caller)?;
        }
        let patch = TenantPatch { deleted: Some(true), ..TenantPatch::default() };
        self.tenant_change(caller, id, Action::TenantDeleted, patch, etag, None).await
    }

    /// Sets where the caller's tenant may be used from. A list that would shut
    /// the caller out is refused.
    pub async fn allowlist_set(
        &self,
        caller: &Caller,
        networks: Networks,
    ) -> Result<Written<Tenant>, Failure> {
        caller.must(Permission::TENANT_UPDATE)?;
        if !networks.allow(caller.address) {
            let why = "would shut out the address that this request comes from";
            return Err(Refusal::invalid("networks", why).into());
        }
        let patch = TenantPatch { networks: Some(networks), ..TenantPatch::default() };
        self.tenant_change(caller, caller.tenant(), Action::AllowlistSet, patch, String::new(), None).await
    }

    /// The tenant that a request names. Another one than the caller's exists
    /// only for an operator.
    fn tenant_id(&self, caller: &Caller, named: &str, permission: Permission) -> Result<TenantId, Refusal> {
        if named.is_empty() || named == "-" {
            caller.must(permission)?;
            return Ok(caller.tenant());
        }
        let by_slug = || self.replica.view.tenant_named(named);
        let id = named.parse::<TenantId>().readable().or_else(by_slug).filter(|id| {
            *id == caller.tenant()
                || (caller.may(Permission::PLATFORM_TENANTS) && self.replica.view.tenant(*id).is_some())
        });
        let id = id.ok_or_else(no_tenant)?;
        if id == caller.tenant() {
            caller.must(permission)?;
        }
        Ok(id)
    }

    async fn tenant_change(
        &self,
        caller: &Caller,
        id: TenantId,
        action: Action,
        patch: TenantPatch,
        etag: String,
        reason: Option<String>,
    ) -> Result<Written<Tenant>, Failure> {
        let (store, actor, now) = (self.store.clone(), caller.actor(), self.clock.now());
        let event = Event::new(id, action, id, now, &*self.entropy);
        let fences = action.fences(patch.sets_rights());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let before = rows::tenant_for_update(tx, id).await?.ok_or_else(no_tenant)?;
                    if !etag.is_empty() && etag != tenant_etag(&before) {
                        return Err(stale().into());
                    }
                    if let Some(reason) = reason {
                        tx.detail("reason", reason);
                    }
                    let after = before.clone().patched(patch, now);
                    tenant_changed(tx, &before, &after);
                    if rows::tenant_replace(tx, &after).await? { Ok(after) } else { Err(stale().into()) }
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, fences).await?.0)
    }
}

/// Changes with every change of the tenant.
pub fn tenant_etag(tenant: &Tenant) -> String {
    format!("\"{}\"", tenant.version)
}

pub(super) fn new_tenant(id: TenantId, wanted: &NewTenant, now: Timestamp) -> Tenant {
    let state = TenantState::new(id, wanted.slug.clone());
    let display_name = wanted.display_name.clone().unwrap_or_else(|| DisplayName::from(&wanted.slug));
    Tenant::new(state, display_name, now)
}

async fn insert_with_owner(
    tx: &mut Tx,
    tenant: &Tenant,
    email: &Email,
    fresh: UserId,
) -> Result<UserId, Error> {
    match rows::tenant_insert(tx, tenant).await {
        Err(Error::Conflict) => return Err(Refusal::already_exists("a tenant of that slug").into()),
        other => other?,
    }
    let owner = if let Some(user) = user_by_email(tx, email).await? {
        user.id
    } else {
        let user = UserState { id: fresh, email: email.clone(), operator: false, disabled: false };
        user_insert(tx, &user, None).await?;
        fresh
    };
    member_insert(tx, tenant.state.id, owner, Role::Owner).await?;
    tx.detail("slug", &tenant.state.slug);
    tx.fact("owner", owner);
    Ok(owner)
}

fn no_tenant() -> Refusal {
    Refusal::not_found("tenant")
}

fn stale() -> Refusal {
    Refusal::new(Reason::EtagMismatch, "the tenant was changed meanwhile; read it again")
}
