//! Changes: what every view must hear of, in commit order.
//!
//! A change carries the whole new state of what changed, so that applying it
//! needs no look at a database and applying it twice does no harm.

use super::break_glass::GrantState;
use super::keys::KeyState;
use super::members::MemberState;
use super::reading::Reading;
use super::roles::RoleState;
use super::sessions::SessionState;
use super::signing::SigningKeyState;
use super::tenants::TenantState;
use super::users::UserState;
use serde::{Deserialize, Serialize};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase")]
pub enum Change {
    /// A tenant is now like this.
    Tenant(TenantState),
    /// A person is now like this.
    User(UserState),
    /// A role of a tenant is now like this.
    Role(RoleState),
    /// A membership is now like this.
    Member(MemberState),
    /// A key is now like this.
    Key(Box<KeyState>),
    /// A session is now like this.
    Session(SessionState),
    /// A signing key is now like this.
    SigningKey(SigningKeyState),
    /// A break-glass grant is now like this.
    Grant(GrantState),
}

impl Change {
    /// Whether watchers in other services hear of it. They keep keys alone;
    /// what else is presented to them they ask the server about.
    pub const fn is_watched(&self) -> bool {
        match self {
            Self::Tenant(_) | Self::User(_) | Self::Role(_) | Self::Member(_) | Self::Key(_) => true,
            Self::Session(_) | Self::SigningKey(_) | Self::Grant(_) => false,
        }
    }
}

/// Counts the changes of a Doorward: every change has the next number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

/// A text that is no revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a revision that an earlier answer gave")]
pub struct BadRevision;

impl Revision {
    /// The revision of this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl std::str::FromStr for Revision {
    type Err = BadRevision;
    fn from_str(text: &str) -> Result<Self, BadRevision> {
        let digits = text.strip_prefix('r').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse::<u64>().readable()).map(Self).ok_or(BadRevision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_go_round_and_nothing_else_is_one() {
        assert_eq!(Revision::from_number(42).to_string().parse(), Ok(Revision::from_number(42)));
        for bad in ["", "r", "42", "r-1", "r+1", "r99999999999999999999999"] {
            assert_eq!(bad.parse::<Revision>(), Err(BadRevision), "{bad}");
        }
    }
}
