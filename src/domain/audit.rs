//! What the audit log says of a mutation.

use super::{AuditId, Entropy, KeyId, TenantId, Timestamp};
use std::net::IpAddr;

/// Who does something, through which request.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The user's id, the key's id, or `system`.
    pub id: String,
    /// The key that was presented, if one was.
    pub credential: Option<KeyId>,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// The request's correlation id.
    pub correlation: String,
}

impl Actor {
    /// Doorward itself, or whoever holds its command line.
    pub fn system(correlation: impl Into<String>) -> Self {
        Self { id: "system".into(), credential: None, address: None, correlation: correlation.into() }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it; `name` has the public ones")]
pub enum Action {
    KeyCreated,
    KeyImported,
    KeyUpdated,
    KeyRotated,
    KeyRevoked,
    TenantCreated,
    TenantUpdated,
    TenantSuspended,
    TenantResumed,
    TenantDeleted,
    AllowlistSet,
    MemberRoleChanged,
    MemberRemoved,
    SessionRevoked,
    PasswordChanged,
    SigningKeyWithdrawn,
}

impl Action {
    /// Every action; those that nothing does yet have their place already.
    pub const ALL: [Self; 16] = [
        Self::KeyCreated,
        Self::KeyImported,
        Self::KeyUpdated,
        Self::KeyRotated,
        Self::KeyRevoked,
        Self::TenantCreated,
        Self::TenantUpdated,
        Self::TenantSuspended,
        Self::TenantResumed,
        Self::TenantDeleted,
        Self::AllowlistSet,
        Self::MemberRoleChanged,
        Self::MemberRemoved,
        Self::SessionRevoked,
        Self::PasswordChanged,
        Self::SigningKeyWithdrawn,
    ];

    /// The public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyCreated => "key.created",
            Self::KeyImported => "key.imported",
            Self::KeyUpdated => "key.updated",
            Self::KeyRotated => "key.rotated",
            Self::KeyRevoked => "key.revoked",
            Self::TenantCreated => "tenant.created",
            Self::TenantUpdated => "tenant.updated",
            Self::TenantSuspended => "tenant.suspended",
            Self::TenantResumed => "tenant.resumed",
            Self::TenantDeleted => "tenant.deleted",
            Self::AllowlistSet => "tenant.allowlist_set",
            Self::MemberRoleChanged => "member.role_changed",
            Self::MemberRemoved => "member.removed",
            Self::SessionRevoked => "session.revoked",
            Self::PasswordChanged => "password.changed",
            Self::SigningKeyWithdrawn => "signing_key.withdrawn",
        }
    }
}

/// An entry of the audit log, before it has a number.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its own id.
    pub id: AuditId,
    /// The tenant that it happened in.
    pub tenant: TenantId,
    /// What was done.
    pub action: Action,
    /// To what: an id.
    pub target: String,
    /// When.
    pub time: Timestamp,
    /// What changed, as names and values; never a secret.
    pub detail: Vec<(&'static str, String)>,
}

impl Event {
    /// What happens now to a target of a tenant, with no detail yet.
    pub fn new(
        tenant: TenantId,
        action: Action,
        target: impl std::fmt::Display,
        time: Timestamp,
        entropy: &dyn Entropy,
    ) -> Self {
        let id = AuditId::new(time, entropy);
        Self { id, tenant, action, target: target.to_string(), time, detail: Vec::new() }
    }
}
