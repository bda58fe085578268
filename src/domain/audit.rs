//! What the audit log says of a mutation.

use super::{AuditId, CredentialId, Entropy, TenantId, Timestamp};
use std::net::IpAddr;

/// Who does something, through which request.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The user's id, the key's id, or `system`.
    pub id: String,
    /// The credential that was presented, if one was.
    pub credential: Option<CredentialId>,
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
    SessionOpened,
    SessionRefreshed,
    SessionRevoked,
    SessionsRevoked,
    SessionsExpired,
    RefreshTokenReused,
    PasswordChanged,
    PasswordRehashed,
    PasswordResetRequested,
    PasswordReset,
    EmailVerificationRequested,
    EmailVerified,
    TotpEnrolled,
    TotpConfirmed,
    TotpDisabled,
    BackupCodesRegenerated,
    PasskeyRegistrationBegun,
    PasskeyRegistered,
    PasskeyRemoved,
    SigningKeyMade,
    SigningKeyWithdrawn,
}

impl Action {
    /// Every action; those that nothing does yet have their place already.
    pub const ALL: [Self; 34] = [
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
        Self::SessionOpened,
        Self::SessionRefreshed,
        Self::SessionRevoked,
        Self::SessionsRevoked,
        Self::SessionsExpired,
        Self::RefreshTokenReused,
        Self::PasswordChanged,
        Self::PasswordRehashed,
        Self::PasswordResetRequested,
        Self::PasswordReset,
        Self::EmailVerificationRequested,
        Self::EmailVerified,
        Self::TotpEnrolled,
        Self::TotpConfirmed,
        Self::TotpDisabled,
        Self::BackupCodesRegenerated,
        Self::PasskeyRegistrationBegun,
        Self::PasskeyRegistered,
        Self::PasskeyRemoved,
        Self::SigningKeyMade,
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
            Self::SessionOpened => "session.opened",
            Self::SessionRefreshed => "session.refreshed",
            Self::SessionRevoked => "session.revoked",
            Self::SessionsRevoked => "session.revoked_all",
            Self::SessionsExpired => "session.expired",
            Self::RefreshTokenReused => "session.refresh_token_reused",
            Self::PasswordChanged => "password.changed",
            Self::PasswordRehashed => "password.rehashed",
            Self::PasswordResetRequested => "password.reset_requested",
            Self::PasswordReset => "password.reset",
            Self::EmailVerificationRequested => "email.verification_requested",
            Self::EmailVerified => "email.verified",
            Self::TotpEnrolled => "totp.enrolled",
            Self::TotpConfirmed => "totp.confirmed",
            Self::TotpDisabled => "totp.disabled",
            Self::BackupCodesRegenerated => "backup_codes.regenerated",
            Self::PasskeyRegistrationBegun => "passkey.registration_begun",
            Self::PasskeyRegistered => "passkey.registered",
            Self::PasskeyRemoved => "passkey.removed",
            Self::SigningKeyMade => "signing_key.made",
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
