//! Roles that a tenant makes for itself from the catalogue of permissions.

use super::members::{Role, UnknownRole};
use super::permission::Permissions;
use super::reading::Reading;
use super::{RoleId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most roles that a tenant can make for itself.
pub const MOST_ROLES: usize = 100;

/// A custom role's name: 2 to 40 lower-case letters, digits, hyphens and
/// underscores, beginning with a letter, and not that of a built-in role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleName(String);

impl RoleName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be the name of a custom role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoleName {
    /// Its form.
    #[error("must be 2 to 40 lower-case letters, digits, hyphens and underscores, beginning with a letter")]
    Form,
    /// Its meaning is fixed.
    #[error("is the name of a built-in role, or one that could be taken for it")]
    BuiltIn,
}

impl FromStr for RoleName {
    type Err = BadRoleName;
    fn from_str(text: &str) -> Result<Self, BadRoleName> {
        let sound = (2..=40).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if !sound {
            return Err(BadRoleName::Form);
        }
        // Answers tell the role by its name alone: what an operator or a machine
        // is told to be can be no member's role, and no role reads as an id.
        let taken = RESERVED.contains(&text) || text.parse::<Role>().is_ok() || text.starts_with("role_");
        if taken { Err(BadRoleName::BuiltIn) } else { Ok(Self(text.to_owned())) }
    }
}

/// What answers tell of callers who are no members.
const RESERVED: [&str; 8] =
    ["operator", "service", "tenant", "ingest", "global", "user", "break_glass", "system"];

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a check knows of a custom role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleState {
    /// The role.
    pub id: RoleId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, unique in the tenant.
    pub name: RoleName,
    /// What it may do.
    pub permissions: Permissions,
    /// Whether it is gone.
    pub deleted: bool,
}

/// A custom role as admins see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    /// What a check knows of it.
    pub state: RoleState,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// What of a custom role shall change; `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RolePatch {
    /// Its name.
    pub name: Option<RoleName>,
    /// What it is for.
    pub description: Option<String>,
    /// What it may do.
    pub permissions: Option<Permissions>,
}

impl CustomRole {
    /// The role after the change.
    #[must_use]
    pub fn patched(mut self, patch: RolePatch, now: Timestamp) -> Self {
        self.state.name = patch.name.unwrap_or(self.state.name);
        self.description = patch.description.unwrap_or(self.description);
        self.state.permissions = patch.permissions.unwrap_or(self.state.permissions);
        self.update_time = now;
        self.version += 1;
        self
    }
}

/// The role that a membership or an invitation gives: a built-in one, or one of
/// the tenant's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Assigned {
    /// It comes with Doorward.
    BuiltIn(Role),
    /// The tenant made it.
    Custom(RoleId),
}

impl From<Role> for Assigned {
    fn from(role: Role) -> Self {
        Self::BuiltIn(role)
    }
}

/// A built-in role by its name, another by its id.
impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => f.write_str(role.name()),
            Self::Custom(id) => id.fmt(f),
        }
    }
}

impl From<Assigned> for String {
    fn from(role: Assigned) -> Self {
        role.to_string()
    }
}

impl FromStr for Assigned {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text.parse::<Role>() {
            Ok(role) => Ok(Self::BuiltIn(role)),
            Err(unknown) => text.parse().readable().map(Self::Custom).ok_or(unknown),
        }
    }
}

impl TryFrom<String> for Assigned {
    type Error = UnknownRole;
    fn try_from(text: String) -> Result<Self, UnknownRole> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_never_a_built_in_one() {
        for good in ["billing", "on-call", "read_only2"] {
            assert!(good.parse::<RoleName>().is_ok(), "{good}");
        }
        for bad in ["", "a", "A-team", "1st", "a b", "ops\n", &"a".repeat(41)] {
            assert_eq!(bad.parse::<RoleName>(), Err(BadRoleName::Form), "{bad}");
        }
        for taken in ["owner", "admin", "operator", "break_glass", "role_x"] {
            assert_eq!(taken.parse::<RoleName>(), Err(BadRoleName::BuiltIn), "{taken}");
        }
    }

    #[test]
    fn assigned_roles_go_round() {
        let custom = Assigned::Custom(RoleId::from_bytes([7; 16]));
        for role in [Assigned::BuiltIn(Role::Viewer), custom] {
            assert_eq!(role.to_string().parse(), Ok(role));
            let json = serde_json::to_string(&role).unwrap();
            assert_eq!(serde_json::from_str::<Assigned>(&json).unwrap(), role);
        }
        assert_eq!(serde_json::to_string(&Assigned::from(Role::Owner)).unwrap(), "\"owner\"");
        assert_eq!("billing".parse::<Assigned>(), Err(UnknownRole));
    }
}
