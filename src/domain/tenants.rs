//! Tenants.

use super::address::Networks;
use super::entitlements::Entitlements;
use super::features::Features;
use super::keys::KeyKind;
use super::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A tenant's short name: 2 to 40 lower-case letters, digits and single
/// hyphens, beginning with a letter. Fixed for the tenant's life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no short name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 2 to 40 lower-case letters, digits and single hyphens, beginning with a letter")]
pub struct BadSlug;

impl FromStr for Slug {
    type Err = BadSlug;
    fn from_str(text: &str) -> Result<Self, BadSlug> {
        let sound = (2..=40).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.ends_with('-')
            && !text.contains("--");
        if sound { Ok(Self(text.to_owned())) } else { Err(BadSlug) }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for people: 1 to 100 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DisplayName(String);

impl DisplayName {
    /// Characters that a name may have.
    pub const MAX: usize = 100;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that this program gives, not a person.
    #[cfg(feature = "server")]
    pub(crate) fn fixed(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// A short name is a name for people too.
impl From<&Slug> for DisplayName {
    fn from(slug: &Slug) -> Self {
        Self(slug.0.clone())
    }
}

/// A text that is no name for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 characters without control characters, not all of them space")]
pub struct BadDisplayName;

impl FromStr for DisplayName {
    type Err = BadDisplayName;
    fn from_str(text: &str) -> Result<Self, BadDisplayName> {
        let sound = !text.trim().is_empty()
            && text.chars().count() <= Self::MAX
            && !text.chars().any(|letter| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'));
        if sound { Ok(Self(text.to_owned())) } else { Err(BadDisplayName) }
    }
}

/// What a check knows of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantState {
    /// The tenant.
    pub id: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// Whether its credentials are refused for now.
    pub suspended: bool,
    /// Where its credentials may be used from.
    pub networks: Networks,
    /// Requests a minute of a key that says nothing itself; 0 is the server's default.
    pub per_minute: u32,
    /// Whether its people must give a second factor.
    #[serde(default)]
    pub mfa_required: bool,
    /// What it is entitled to.
    #[serde(default, skip_serializing_if = "Entitlements::is_empty")]
    pub entitlements: Entitlements,
    /// Whether it was deleted: nothing of it is accepted, and it is soon gone.
    #[serde(default)]
    pub deleted: bool,
    /// What it has licensed.
    #[serde(default)]
    pub features: Features,
}

impl TenantState {
    /// A new tenant, with nothing said.
    pub fn new(id: TenantId, slug: Slug) -> Self {
        Self {
            id,
            slug,
            suspended: false,
            networks: Networks::default(),
            per_minute: 0,
            mfa_required: false,
            entitlements: Entitlements::NONE,
            deleted: false,
            features: Features::default(),
        }
    }
}

/// A tenant as admins see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// What a check knows of it.
    pub state: TenantState,
    /// A name for people.
    pub display_name: DisplayName,
    /// How long its access tokens live, in seconds; 0 is the server's default.
    pub access_ttl: u32,
    /// How long its sessions live at most, in seconds; 0 is the server's default.
    pub session_ttl: u32,
    /// The kinds of keys that can be made in it; empty is every kind.
    pub key_kinds: Vec<KeyKind>,
    /// When it was deleted.
    pub delete_time: Option<Timestamp>,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// What of a tenant shall change; `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantPatch {
    /// A name for people.
    pub display_name: Option<DisplayName>,
    /// The default rate limit.
    pub per_minute: Option<u32>,
    /// The allowlist.
    pub networks: Option<Networks>,
    /// Whether its credentials are refused.
    pub suspended: Option<bool>,
    /// Whether its people must give a second factor.
    pub mfa_required: Option<bool>,
    /// How long its access tokens live, in seconds; 0 is the server's default.
    pub access_ttl: Option<u32>,
    /// How long its sessions live at most, in seconds; 0 is the server's default.
    pub session_ttl: Option<u32>,
    /// The kinds of keys that can be made in it; empty is every kind.
    pub key_kinds: Option<Vec<KeyKind>>,
    /// What it has licensed.
    pub features: Option<Features>,
    /// Whether it is deleted.
    pub deleted: Option<bool>,
}

impl Tenant {
    /// A new tenant.
    pub fn new(state: TenantState, display_name: DisplayName, now: Timestamp) -> Self {
        Self {
            state,
            display_name,
            access_ttl: 0,
            session_ttl: 0,
            key_kinds: Vec::new(),
            delete_time: None,
            create_time: now,
            update_time: now,
            version: 1,
        }
    }

    /// Whether a key of this kind can be made in it.
    pub fn allows(&self, kind: KeyKind) -> bool {
        self.key_kinds.is_empty() || self.key_kinds.contains(&kind)
    }

    /// The tenant after the change.
    #[must_use]
    pub fn patched(mut self, patch: TenantPatch, now: Timestamp) -> Self {
        self.display_name = patch.display_name.unwrap_or(self.display_name);
        self.state.per_minute = patch.per_minute.unwrap_or(self.state.per_minute);
        self.state.networks = patch.networks.unwrap_or(self.state.networks);
        self.state.suspended = patch.suspended.unwrap_or(self.state.suspended);
        self.state.mfa_required = patch.mfa_required.unwrap_or(self.state.mfa_required);
        self.access_ttl = patch.access_ttl.unwrap_or(self.access_ttl);
        self.session_ttl = patch.session_ttl.unwrap_or(self.session_ttl);
        self.key_kinds = patch.key_kinds.unwrap_or(self.key_kinds);
        self.state.features = patch.features.unwrap_or(self.state.features);
        if let Some(deleted) = patch.deleted {
            self.state.deleted = deleted;
            self.delete_time = deleted.then_some(self.delete_time.unwrap_or(now));
        }
        self.update_time = now;
        self.version += 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain() {
        for good in ["acme", "a1", "big-shop-2"] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", "a-", "a--b", "Acme", "1a", "a_b", "a b", &"a".repeat(41)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_cannot_forge_log_lines() {
        assert!("Größe 3 ✓".parse::<DisplayName>().is_ok());
        for bad in ["", "  ", "a\nb", "a\u{1b}[31m", "a\u{2028}b", &"a".repeat(101)] {
            assert!(bad.parse::<DisplayName>().is_err(), "{bad:?}");
        }
    }
}
