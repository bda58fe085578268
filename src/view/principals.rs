//! Principals in the view: a slot for each person in a tenant and for each
//! tenant's machines, replaced whole when anything about it changes.

use crate::domain::keys::KeyKind;
use crate::domain::members;
use crate::domain::principal::{Home, Principal, Standing, Title};
use crate::domain::roles::{Assigned, RoleState};
use crate::domain::users::UserState;
use crate::domain::{Permissions, TenantId, UserId};
use arc_swap::ArcSwapOption;
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

/// The principal that results from what is known. What is not known counts
/// against it.
pub fn make(holder: Holder, home: Arc<Home>, user: Option<UserState>, role: Option<Assigned>) -> Principal {
    let (title, permissions) = rights(holder.kind, &home, user.as_ref(), role);
    Principal {
        kind: holder.kind,
        standing: standing(holder.kind, &home, user.as_ref(), role),
        home,
        user: holder.user,
        email: user.map(|user| user.email),
        title,
        permissions,
        written: OnceLock::new(),
    }
}

fn rights(
    kind: KeyKind,
    home: &Home,
    user: Option<&UserState>,
    role: Option<Assigned>,
) -> (Title, Permissions) {
    if kind != KeyKind::User {
        return (Title::Machine(kind), kind.bound());
    }
    let Some(role) = role else { return (Title::Stranger, Permissions::NONE) };
    let operator = user.is_some_and(|user| user.operator);
    let more = if operator { members::OPERATOR } else { Permissions::NONE };
    let (title, permissions) = match role {
        Assigned::BuiltIn(role) => (Title::Member(role), role.permissions()),
        Assigned::Custom(id) => {
            let is_it = |(_, role): &(u8, &RoleState)| role.id == id && !role.deleted;
            // A role that is not known allows nothing; it is told as none.
            let Some((at, role)) = (0..).zip(&*home.roles).find(is_it) else {
                return (Title::Stranger, Permissions::NONE);
            };
            (Title::Custom(at), role.permissions)
        }
    };
    (title, permissions.or(more))
}

fn standing(kind: KeyKind, home: &Home, user: Option<&UserState>, role: Option<Assigned>) -> Standing {
    let person_is_gone = kind == KeyKind::User && (role.is_none() || user.is_none_or(|user| user.disabled));
    match &home.state {
        None => Standing::Gone,
        Some(_) if person_is_gone => Standing::Gone,
        Some(tenant) if tenant.deleted => Standing::Gone,
        Some(tenant) if tenant.suspended => Standing::TenantSuspended,
        Some(_) => Standing::Good,
    }
}
