//! Roles that a tenant makes for itself, and which role somebody may give.

use super::{App, Caller};
use crate::domain::audit::{Action, Event};
use crate::domain::members::Role;
use crate::domain::reading::Reading;
use crate::domain::roles::{Assigned, CustomRole, MOST_ROLES, RoleName, RolePatch, RoleState};
use crate::domain::{Failure, Permission, Permissions, Reason, Refusal, RoleId, TenantId};
use crate::store::roles as rows;
use crate::store::{Error, Tx, Written, keys};

/// A role that somebody wants.
#[derive(Debug, Clone)]
pub struct NewRole {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub permissions: Permissions,
    /// Makes a retry safe.
    pub request_id: Option<String>,
}

impl App {
    /// The roles that the caller's tenant made for itself, by name.
    pub async fn role_list(&self, caller: &Caller) -> Result<Vec<CustomRole>, Failure> {
        caller.must(Permission::MEMBERS_READ)?;
        Ok(rows::roles_of(&mut self.store.read(caller.tenant()).await?, caller.tenant()).await?)
    }

    /// Makes a role of nothing that the caller lacks.
    pub async fn role_create(
        &self,
        caller: &Caller,
        wanted: NewRole,
    ) -> Result<Written<CustomRole>, Failure> {
        caller.must(Permission::ROLES_MANAGE)?;
        within(caller, wanted.permissions)?;
        let (now, tenant) = (self.clock.now(), caller.tenant());
        let id = RoleId::new(now, &*self.entropy);
        let NewRole { name, description, permissions, request_id } = wanted;
        let state = RoleState { id, tenant, name, permissions, deleted: false };
        let role = CustomRole { state, description, create_time: now, update_time: now, version: 1 };
        let event = Event::new(tenant, Action::RoleCreated, id, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            let by = actor.id.clone();
            store
                .write(&actor, event, async move |tx| {
                    if let Some(request) = request_id
                        && let Some(done) =
                            keys::request_once(tx, tenant, &by, &request, &id.to_string()).await?
                    {
                        let refusal = Refusal::new(Reason::AlreadyExists, "this request_id was used");
                        return Err(refusal.with("id", done).into());
                    }
                    if rows::roles_of(tx.reading()?, tenant).await?.len() >= MOST_ROLES {
                        let message = format!("a tenant can have at most {MOST_ROLES} roles of its own");
                        return Err(Refusal::new(Reason::QuotaExceeded, message).into());
                    }
                    tx.detail("name", &role.state.name);
                    tx.fact("permissions", role.state.permissions.to_names());
                    rows::role_insert(tx, &role).await.map_err(taken)?;
                    Ok(role)
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, false).await?.0)
    }

    /// Changes a role for everybody who has it.
    pub async fn role_update(
        &self,
        caller: &Caller,
        id: RoleId,
        patch: RolePatch,
        etag: String,
    ) -> Result<Written<CustomRole>, Failure> {
        caller.must(Permission::ROLES_MANAGE)?;
        let (now, tenant, may) = (self.clock.now(), caller.tenant(), caller.verified.permissions);
        let event = Event::new(tenant, Action::RoleUpdated, id, now, &*self.entropy);
        let fences = Action::RoleUpdated.fences(patch.permissions.is_some());
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let before = rows::role_for_update(tx, tenant, id).await?.ok_or_else(no_role)?;
                    if !etag.is_empty() && etag != role_etag(&before) {
                        return Err(stale().into());
                    }
                    // What they lack they neither give nor take away.
                    let old = before.state.permissions;
                    let new = patch.permissions.unwrap_or(old);
                    if let Some(beyond) = old.without(new).or(new.without(old)).beyond(may) {
                        return Err(Refusal::lacks(beyond).into());
                    }
                    tx.fact("before", old.to_names());
                    tx.fact("after", new.to_names());
                    let after = before.patched(patch, now);
                    if rows::role_replace(tx, &after).await.map_err(taken)? {
                        Ok(after)
                    } else {
                        Err(stale().into())
                    }
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, fences).await?.0)
    }

    /// Deletes a role that nobody has.
    pub async fn role_delete(&self, caller: &Caller, id: RoleId) -> Result<Written<()>, Failure> {
        caller.must(Permission::ROLES_MANAGE)?;
        let (now, tenant) = (self.clock.now(), caller.tenant());
        let event = Event::new(tenant, Action::RoleDeleted, id, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let role = rows::role_for_update(tx, tenant, id).await?.ok_or_else(no_role)?;
                    if rows::role_is_given(tx, tenant, id).await? {
                        let message = "somebody has this role or is invited to it; give them another first";
                        return Err(Refusal::new(Reason::FailedPrecondition, message).into());
                    }
                    tx.detail("name", &role.state.name);
                    rows::role_delete(tx, role.state).await
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, true).await?.0)
    }
}

/// A role that somebody wants to give: it exists, it is not the owner's, and it
/// may do nothing that they lack. Held as it is until the transaction ends.
pub(super) async fn givable(
    tx: &mut Tx,
    tenant: TenantId,
    may: Permissions,
    wanted: &str,
) -> Result<(Assigned, String), Error> {
    let (role, name, permissions) = match wanted.parse::<Role>() {
        Ok(Role::Owner) => {
            let why = "is not given like another role; TransferOwnership makes another owner";
            return Err(Refusal::invalid("role", why).into());
        }
        Ok(role) => (Assigned::BuiltIn(role), role.name().to_owned(), role.permissions()),
        Err(_) => {
            let id = match wanted.parse::<RoleId>() {
                Ok(id) => Some(id),
                Err(_) => match wanted.parse().readable() {
                    Some(name) => {
                        rows::role_by_name(tx.reading()?, tenant, &name).await?.map(|it| it.state.id)
                    }
                    None => None,
                },
            };
            let found = match id {
                Some(id) => rows::role_for_update(tx, tenant, id).await?,
                None => None,
            };
            let state = found.ok_or_else(|| Refusal::invalid("role", "is no role of this tenant"))?.state;
            (Assigned::Custom(state.id), state.name.to_string(), state.permissions)
        }
    };
    match permissions.beyond(may) {
        None => Ok((role, name)),
        Some(missing) => Err(Refusal::lacks(missing).into()),
    }
}

/// What a role that somebody has may do.
pub(super) async fn permissions_of(
    tx: &mut Tx,
    tenant: TenantId,
    role: Assigned,
) -> Result<Permissions, Error> {
    match role {
        Assigned::BuiltIn(role) => Ok(role.permissions()),
        Assigned::Custom(id) => {
            let found = rows::role_by_id(tx.reading()?, tenant, id).await?;
            Ok(found.map_or(Permissions::NONE, |role| role.state.permissions))
        }
    }
}

/// Changes with every change of the role.
pub fn role_etag(role: &CustomRole) -> String {
    format!("\"{}\"", role.version)
}

fn within(caller: &Caller, wanted: Permissions) -> Result<(), Refusal> {
    match wanted.beyond(caller.verified.permissions) {
        None => Ok(()),
        Some(missing) => Err(Refusal::lacks(missing)),
    }
}

fn taken(error: Error) -> Error {
    match error {
        Error::Conflict => Refusal::already_exists("a role of that name").into(),
        other @ (Error::Dangling | Error::Refused(_) | Error::Unavailable(_)) => other,
    }
}

fn no_role() -> Refusal {
    Refusal::not_found("role")
}

fn stale() -> Refusal {
    Refusal::new(Reason::EtagMismatch, "the role was changed meanwhile; read it again")
}
