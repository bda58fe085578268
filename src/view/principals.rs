//! Principals in the view: a slot for each person in a tenant and for each
//! tenant's machines, replaced whole when anything about it changes.

use crate::domain::address::Networks;
use crate::domain::keys::KeyKind;
use crate::domain::members::{self, Role};
use crate::domain::principal::{Principal, Standing};
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::domain::{Permissions, TenantId, UserId};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// One principal's place.
#[derive(Default)]
pub struct Slot(ArcSwapOption<Principal>);

impl Slot {
    /// The principal as of now.
    pub fn current(&self) -> Option<Arc<Principal>> {
        self.0.load_full()
    }

    /// Replaces it.
    pub fn set(&self, principal: Principal) {
        self.0.store(Some(Arc::new(principal)));
    }
}

/// Which principal: the person in the tenant, or the tenant's machine of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The tenant.
    pub tenant: TenantId,
    /// What kind of caller.
    pub kind: KeyKind,
    /// The person, for a user.
    pub user: Option<UserId>,
}

/// What is known about a holder when its principal is made.
pub struct Known<'a> {
    /// Its tenant, once known.
    pub tenant: Option<&'a TenantState>,
    /// The person, once known.
    pub user: Option<&'a UserState>,
    /// The person's role.
    pub role: Option<Role>,
}

/// The principal that results from what is known. What is not known counts
/// against it.
pub fn make(holder: Holder, known: &Known<'_>) -> Principal {
    let (role, permissions) = rights(holder.kind, known);
    Principal {
        kind: holder.kind,
        tenant: holder.tenant,
        tenant_text: Bytes::from(holder.tenant.to_string()),
        slug: known.tenant.map(|tenant| tenant.slug.clone()),
        user: holder.user,
        email: known.user.map(|user| user.email.clone()),
        role,
        permissions,
        standing: standing(holder.kind, known),
        networks: known.tenant.map_or_else(Networks::default, |tenant| tenant.networks.clone()),
        per_minute: known.tenant.map_or(0, |tenant| tenant.per_minute),
        written: OnceLock::new(),
    }
}

fn rights(kind: KeyKind, known: &Known<'_>) -> (&'static str, Permissions) {
    if kind != KeyKind::User {
        return (kind.name(), kind.bound());
    }
    let Some(role) = known.role else { return ("", Permissions::NONE) };
    let operator = known.user.is_some_and(|user| user.operator);
    let more = if operator { members::OPERATOR } else { Permissions::NONE };
    (role.name(), role.permissions().or(more))
}

fn standing(kind: KeyKind, known: &Known<'_>) -> Standing {
    let person_is_gone =
        kind == KeyKind::User && (known.role.is_none() || known.user.is_none_or(|user| user.disabled));
    match known.tenant {
        None => Standing::Gone,
        Some(_) if person_is_gone => Standing::Gone,
        Some(tenant) if tenant.suspended => Standing::TenantSuspended,
        Some(_) => Standing::Good,
    }
}
