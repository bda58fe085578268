//! The table of everything that the audit log can say was done.

macro_rules! actions {
    ($($name:ident = $text:literal;)*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names say it; `name` has the public ones")]
        pub enum Action {
            $($name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The public name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The action of that public name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.name() == name)
            }
        }
    };
}

actions! {
    KeyCreated = "key.created";
    KeyImported = "key.imported";
    KeyUpdated = "key.updated";
    KeyRotated = "key.rotated";
    KeyRevoked = "key.revoked";
    TenantCreated = "tenant.created";
    TenantUpdated = "tenant.updated";
    TenantSuspended = "tenant.suspended";
    TenantResumed = "tenant.resumed";
    TenantDeleted = "tenant.deleted";
    AllowlistSet = "tenant.allowlist_set";
    MemberRoleChanged = "member.role_changed";
    MemberRemoved = "member.removed";
    SessionOpened = "session.opened";
    SessionRefreshed = "session.refreshed";
    SessionRevoked = "session.revoked";
    SessionsRevoked = "session.revoked_all";
    SessionsExpired = "session.expired";
    RefreshTokenReused = "session.refresh_token_reused";
    PasswordChanged = "password.changed";
    PasswordRehashed = "password.rehashed";
    PasswordResetRequested = "password.reset_requested";
    PasswordReset = "password.reset";
    EmailVerificationRequested = "email.verification_requested";
    EmailVerified = "email.verified";
    TotpEnrolled = "totp.enrolled";
    TotpConfirmed = "totp.confirmed";
    TotpDisabled = "totp.disabled";
    BackupCodesRegenerated = "backup_codes.regenerated";
    PasskeyRegistrationBegun = "passkey.registration_begun";
    PasskeyRegistered = "passkey.registered";
    PasskeyRemoved = "passkey.removed";
    SigningKeyMade = "signing_key.made";
    SigningKeyWithdrawn = "signing_key.withdrawn";
    TenantRestored = "tenant.restored";
    TenantPurged = "tenant.purged";
    OwnershipTransferred = "tenant.ownership_transferred";
    MemberAdded = "member.added";
    RoleCreated = "role.created";
    RoleUpdated = "role.updated";
    RoleDeleted = "role.deleted";
    InvitationCreated = "invitation.created";
    InvitationResent = "invitation.resent";
    InvitationRevoked = "invitation.revoked";
    InvitationAccepted = "invitation.accepted";
    ProviderKeySet = "provider_key.set";
    ProviderKeyDeleted = "provider_key.deleted";
    ProviderKeyFetched = "provider_key.fetched";
    VaultRotated = "vault.rotated";
    BreakGlassOpened = "break_glass.opened";
    BreakGlassUsed = "break_glass.used";
    BreakGlassClosed = "break_glass.closed";
    UsageSpike = "key.usage_spike";
    CredentialsRefused = "security.credentials_refused";
    LoginsRefused = "security.logins_refused";
    AuditExported = "audit.exported";
    AuditErased = "audit.erased";
    AuditPruned = "audit.pruned";
    LegalHoldSet = "audit.legal_hold_set";
    AuditSealed = "audit.sealed";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round_and_are_told_apart() {
        for action in Action::ALL {
            assert_eq!(Action::named(action.name()), Some(*action));
        }
        assert_eq!(Action::named("key.imagined"), None);
    }
}
