//! Memberships and the roles that come with Doorward.

use super::permission::{Permission, Permissions};
use super::roles::Assigned;
use super::{TenantId, UserId};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A built-in role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Exactly one a tenant; may do everything in it.
    Owner,
    /// Runs the tenant for the owner.
    Admin,
    /// Works in the tenant with keys of their own.
    Member,
    /// Looks.
    Viewer,
}

const EVERYTHING_IN_A_TENANT: Permissions = Permissions::of(&[
    Permission::KEYS_READ,
    Permission::KEYS_WRITE,
    Permission::KEYS_MANAGE,
    Permission::CREDENTIALS_VERIFY,
    Permission::INGEST_WRITE,
    Permission::TENANT_READ,
    Permission::TENANT_UPDATE,
    Permission::MEMBERS_READ,
    Permission::ADMIN_USERS,
    Permission::ADMIN_SETTINGS,
    Permission::AUDIT_READ,
    Permission::AUDIT_MANAGE,
    Permission::ROLES_MANAGE,
    Permission::PROVIDER_KEYS_MANAGE,
    Permission::PROVIDER_KEYS_FETCH,
    Permission::TENANT_DELETE,
    Permission::USAGE_READ,
]);

/// What the owner alone may do.
const OWNERS: Permissions = Permissions::of(&[Permission::TENANT_DELETE]);

/// What an operator of the platform may do besides what the role allows.
pub const OPERATOR: Permissions =
    Permissions::of(&[Permission::PLATFORM_TENANTS, Permission::PLATFORM_VERIFY]);

impl Role {
    /// Every built-in role, the strongest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// What it is for.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Owner => "Exactly one a tenant; may do everything in it.",
            Self::Admin => "Runs the tenant: people, keys and settings.",
            Self::Member => "Works in the tenant, with keys of their own.",
            Self::Viewer => "Sees the tenant and its members.",
        }
    }

    /// What it may do.
    pub const fn permissions(self) -> Permissions {
        match self {
            Self::Owner => EVERYTHING_IN_A_TENANT,
            Self::Admin => EVERYTHING_IN_A_TENANT.without(OWNERS),
            Self::Member => Permissions::of(&[
                Permission::KEYS_READ,
                Permission::KEYS_WRITE,
                Permission::INGEST_WRITE,
                Permission::TENANT_READ,
                Permission::MEMBERS_READ,
            ]),
            Self::Viewer => {
                Permissions::of(&[Permission::KEYS_READ, Permission::TENANT_READ, Permission::MEMBERS_READ])
            }
        }
    }
}

/// A name that no role has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// What a check knows of a membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// In this tenant
    pub tenant: TenantId,
    /// this person
    pub user: UserId,
    /// has this role; `None` once removed.
    pub role: Option<Assigned>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_role_never_may_more() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[1].permissions().within(pair[0].permissions()), "{pair:?}");
        }
        assert!(Role::Owner.permissions().and(OPERATOR).is_empty());
    }

    /// The rows of the documentation's table that begins so, cell by cell.
    fn documented(head: &str) -> Vec<Vec<&'static str>> {
        let page = include_str!("../../docs/tenancy.md");
        let table = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
        let rows = table.take_while(|line| line.starts_with('|'));
        rows.map(|line| line.split('|').map(str::trim).collect()).collect()
    }

    #[test]
    fn the_documentation_has_the_roles_as_they_are() {
        let roles = documented("| role | what it is for |");
        let told: Vec<_> = roles.iter().map(|row| (row[1].trim_matches('`'), row[2])).collect();
        assert_eq!(told, Role::ALL.map(|role| (role.name(), role.about())));
        let permissions = documented("| permission | allows | owner | admin | member | viewer | operator |");
        let sets = Role::ALL.map(Role::permissions).into_iter().chain([OPERATOR]);
        for (column, set) in (3..).zip(sets) {
            let yes = permissions.iter().filter(|row| row[column] == "yes");
            let told = yes.map(|row| row[1].trim_matches('`').parse().unwrap()).collect::<Permissions>();
            assert_eq!(told, set, "column {column}");
            assert!(permissions.iter().all(|row| ["", "yes"].contains(&row[column])));
        }
    }

    #[test]
    fn names_go_round() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("Owner".parse::<Role>(), Err(UnknownRole));
    }
}
