//! API keys: what is known of one, and how it changes.

use super::address::Networks;
use super::permission::{Permission, Permissions};
use super::tenants::DisplayName;
use super::{Digest, KeyId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// A person's.
    User,
    /// A service account's.
    Service,
    /// The tenant's own.
    Tenant,
    /// For sending telemetry and nothing else.
    Ingest,
    /// The configured legacy key.
    Global,
    /// None: what a break-glass grant is, among all that stands in a key's place.
    #[serde(skip)]
    BreakGlass,
}

impl KeyKind {
    /// Every kind that a key can be of.
    pub const OF_KEYS: [Self; 5] = [Self::User, Self::Service, Self::Tenant, Self::Ingest, Self::Global];
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::User, Self::Service, Self::Tenant, Self::Ingest, Self::Global, Self::BreakGlass];

    /// The name, as stored and configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Tenant => "tenant",
            Self::Ingest => "ingest",
            Self::Global => "global",
            Self::BreakGlass => "break_glass",
        }
    }

    /// The kind of keys of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::OF_KEYS.into_iter().find(|kind| kind.name() == name)
    }

    /// What a key of this kind can be allowed at most, a user key apart, whose
    /// bound is its owner's role.
    pub const fn bound(self) -> Permissions {
        match self {
            Self::User | Self::Service => Permissions::ALL,
            Self::Tenant => Permissions::of(&[
                Permission::KEYS_READ,
                Permission::CREDENTIALS_VERIFY,
                Permission::INGEST_WRITE,
                Permission::TENANT_READ,
                Permission::MEMBERS_READ,
            ]),
            Self::Ingest => Permissions::of(&[Permission::INGEST_WRITE]),
            Self::Global => Permissions::of(&[Permission::TENANT_READ]),
            Self::BreakGlass => super::break_glass::BOUND,
        }
    }

    /// What a key of this kind is allowed when nobody says.
    pub const fn default_scopes(self) -> Permissions {
        match self {
            Self::User => Permissions::ALL,
            Self::Service => Permissions::of(&[Permission::CREDENTIALS_VERIFY]),
            Self::Tenant | Self::Ingest | Self::Global => self.bound(),
            Self::BreakGlass => Permissions::NONE,
        }
    }
}

/// The world that a key lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real data.
    Live,
    /// Test data.
    Test,
}

impl Environment {
    /// The name, as stored and configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// The environment of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Live, Self::Test].into_iter().find(|environment| environment.name() == name)
    }
}

/// The secret before the last rotation, while it lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its digest.
    pub digest: Digest,
    /// When it ends.
    pub until: Timestamp,
}

/// What a check knows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// The key.
    pub id: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Whose it is.
    pub kind: KeyKind,
    /// The person, for a user key.
    pub user: Option<UserId>,
    /// Live or test.
    pub environment: Environment,
    /// What it is narrowed to.
    pub scopes: Permissions,
    /// The digest of its secret.
    pub digest: Digest,
    /// Whether the digest is of an imported key (a keyed hash over its SHA-256).
    pub imported: bool,
    /// The secret before.
    pub previous: Option<Previous>,
    /// Where it may be used from.
    pub networks: Networks,
    /// Requests a minute; 0 is the tenant's default.
    pub per_minute: u32,
    /// When it ends.
    pub expire: Option<Timestamp>,
    /// Whether it has been ended for good.
    pub revoked: bool,
}

/// What a key is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// Accepted.
    Active,
    /// Past its expiry.
    Expired,
    /// Ended for good.
    Revoked,
}

/// A key as its owner and admins see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What a check knows of it.
    pub state: KeyState,
    /// A name for people.
    pub display_name: DisplayName,
    /// What its secret begins with.
    pub prefix: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// When it was revoked.
    pub revoke_time: Option<Timestamp>,
    /// Counts its changes.
    pub version: i64,
}

/// What of a key shall change; `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPatch {
    /// A name for people.
    pub display_name: Option<DisplayName>,
    /// What it is narrowed to.
    pub scopes: Option<Permissions>,
    /// Where it may be used from.
    pub networks: Option<Networks>,
    /// Requests a minute.
    pub per_minute: Option<u32>,
    /// When it ends.
    pub expire: Option<Option<Timestamp>>,
}

/// The longest overlap that a rotation can ask for.
pub const MAX_OVERLAP: Duration = Duration::from_hours(30 * 24);

/// The longest life of an imported key, whose strength is unknown.
pub const MAX_IMPORTED_LIFE: Duration = Duration::from_hours(400 * 24);

impl Key {
    /// What it is now.
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        match (self.state.revoked, self.state.expire) {
            (true, _) => KeyStatus::Revoked,
            (false, Some(expire)) if expire <= now => KeyStatus::Expired,
            (false, _) => KeyStatus::Active,
        }
    }

    /// Changes with every change of the key.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }

    /// The key after the change.
    #[must_use]
    pub fn patched(mut self, patch: KeyPatch, now: Timestamp) -> Self {
        self.display_name = patch.display_name.unwrap_or(self.display_name);
        self.state.scopes = patch.scopes.unwrap_or(self.state.scopes);
        self.state.networks = patch.networks.unwrap_or(self.state.networks);
        self.state.per_minute = patch.per_minute.unwrap_or(self.state.per_minute);
        self.state.expire = patch.expire.unwrap_or(self.state.expire);
        self.touched(now)
    }

    /// The key with a new secret, the old one living on for `overlap`, but
    /// never past the key's own end.
    #[must_use]
    pub fn rotated(mut self, digest: Digest, overlap: Duration, now: Timestamp) -> Self {
        let until = now.plus(overlap).min(self.state.expire.unwrap_or(Timestamp::NEVER));
        let previous = Previous { digest: self.state.digest, until };
        self.state.previous = (until > now).then_some(previous);
        self.state.digest = digest;
        self.touched(now)
    }

    /// The key, ended for good.
    #[must_use]
    pub fn revoked(mut self, now: Timestamp) -> Self {
        self.state.revoked = true;
        self.state.previous = None;
        self.revoke_time = Some(now);
        self.touched(now)
    }

    fn touched(mut self, now: Timestamp) -> Self {
        self.update_time = now;
        self.version += 1;
        self
    }
}

#[cfg(test)]
pub mod samples {
    //! Keys for tests.
    use super::*;

    /// A user key of this tenant and person, with a digest made from `seed`.
    pub fn user_key(seed: u8, tenant: TenantId, user: UserId) -> KeyState {
        KeyState {
            id: KeyId::from_bytes([seed; 16]),
            tenant,
            kind: KeyKind::User,
            user: Some(user),
            environment: Environment::Live,
            scopes: Permissions::ALL,
            digest: Digest::from_bytes(&[seed; 32]),
            imported: false,
            previous: None,
            networks: Networks::default(),
            per_minute: 0,
            expire: None,
            revoked: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        let state = samples::user_key(1, TenantId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        Key {
            state,
            display_name: "ci".parse().unwrap(),
            prefix: "dw_live_".into(),
            created_by: "user_x".into(),
            create_time: Timestamp::from_micros(0),
            update_time: Timestamp::from_micros(0),
            revoke_time: None,
            version: 1,
        }
    }

    // R16
    #[test]
    fn an_overlap_never_outlives_the_key() {
        let now = Timestamp::from_micros(1_000_000);
        let digest = Digest::from_bytes(&[9; 32]);
        let hour = Duration::from_hours(1);
        assert_eq!(key().rotated(digest, Duration::ZERO, now).state.previous, None);
        assert_eq!(key().rotated(digest, hour, now).state.previous.unwrap().until, now.plus(hour));
        let mut ending = key();
        ending.state.expire = Some(now.plus(Duration::from_secs(5)));
        let rotated = ending.rotated(digest, hour, now);
        assert_eq!(rotated.state.previous.unwrap().until, now.plus(Duration::from_secs(5)));
        assert_eq!(rotated.state.id, key().state.id);
    }

    // R15
    #[test]
    fn a_revoked_key_keeps_no_way_in() {
        let now = Timestamp::from_micros(1_000_000);
        let rotated = key().rotated(Digest::from_bytes(&[9; 32]), Duration::from_mins(1), now);
        let revoked = rotated.revoked(now);
        assert_eq!((revoked.status(now), revoked.state.previous), (KeyStatus::Revoked, None));
    }

    #[test]
    fn a_key_is_expired_at_its_expiry() {
        let now = Timestamp::from_micros(1_000_000);
        let ends =
            |expire| key().patched(KeyPatch { expire: Some(Some(expire)), ..KeyPatch::default() }, now);
        assert_eq!(ends(now).status(now), KeyStatus::Expired);
        assert_eq!(ends(Timestamp::from_micros(1_000_001)).status(now), KeyStatus::Active);
        assert_ne!(ends(now).etag(), key().etag());
    }
}
