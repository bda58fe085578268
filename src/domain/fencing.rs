//! Which mutations take rights away, and so return only when they hold
//! everywhere.
//!
//! One place decides: the match in [`Action::effect`] is without a default, so
//! that a new mutation does not compile before it has said what it does.

use super::audit::Action;
use super::keys::KeyPatch;
use super::tenants::TenantPatch;

/// What a mutation does to what credentials may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only adds: it returns at once, with the revision that it can be waited for by.
    Adds,
    /// It takes away: it returns when it holds everywhere.
    Takes,
    /// It says what credentials may do from now on, be it more or less: it
    /// returns when that holds everywhere, unless it says nothing of the kind.
    ///
    /// That it does not take from what was there is no reason to return at
    /// once. What was there may be the work of a call whose outcome nobody
    /// heard, so that another replica still answers from the state before: who
    /// repeats that call is told that it holds.
    Sets,
}

impl Action {
    /// What the mutation does to what credentials may do.
    pub const fn effect(self) -> Effect {
        match self {
            Self::KeyCreated
            | Self::KeyImported
            | Self::TenantCreated
            | Self::TenantResumed
            | Self::SessionOpened
            | Self::SessionRefreshed
            // They had ended by themselves, by every replica's clock.
            | Self::SessionsExpired
            | Self::PasswordRehashed
            | Self::PasswordResetRequested
            | Self::EmailVerificationRequested
            | Self::EmailVerified
            // A factor that is added or removed changes what the next login asks
            // for; sessions are as strong as they were when they were opened.
            | Self::TotpEnrolled
            | Self::TotpConfirmed
            | Self::TotpDisabled
            | Self::BackupCodesRegenerated
            | Self::PasskeyRegistrationBegun
            | Self::PasskeyRegistered
            | Self::PasskeyRemoved
            | Self::SigningKeyMade
            | Self::TenantRestored
            // Nothing of it was accepted any more since its deletion.
            | Self::TenantPurged
            | Self::MemberAdded
            | Self::RoleCreated
            // An invitation lets nobody in until it is accepted, which asks the database.
            | Self::InvitationCreated
            | Self::InvitationResent
            | Self::InvitationRevoked
            | Self::InvitationAccepted
            | Self::ProviderKeySet
            | Self::ProviderKeyFetched
            | Self::VaultRotated
            | Self::BreakGlassOpened
            | Self::BreakGlassUsed
            | Self::UsageSpike
            | Self::CredentialsRefused
            | Self::LoginsRefused
            | Self::AuditExported
            | Self::AuditErased
            | Self::AuditPruned
            | Self::LegalHoldSet
            | Self::AuditSealed => Effect::Adds,
            // A rotation ends the old secret, at once or when its overlap does.
            Self::KeyRotated
            | Self::KeyRevoked
            | Self::TenantSuspended
            | Self::TenantDeleted
            | Self::MemberRemoved
            | Self::SessionRevoked
            | Self::SessionsRevoked
            | Self::RefreshTokenReused
            | Self::PasswordChanged
            | Self::PasswordReset
            | Self::SigningKeyWithdrawn
            | Self::OwnershipTransferred
            // No member has the role any more; a key could be on its way back to one who had.
            | Self::RoleDeleted
            // What the tenant was entitled to with its own key ends.
            | Self::ProviderKeyDeleted
            | Self::BreakGlassClosed => Effect::Takes,
            Self::KeyUpdated
            | Self::TenantUpdated
            | Self::AllowlistSet
            | Self::MemberRoleChanged
            | Self::RoleUpdated => Effect::Sets,
        }
    }
}

impl Action {
    /// Whether the mutation returns only when it holds everywhere.
    /// `sets_rights` is whether it says anything of what may be done.
    pub const fn fences(self, sets_rights: bool) -> bool {
        match self.effect() {
            Effect::Adds => false,
            Effect::Takes => true,
            Effect::Sets => sets_rights,
        }
    }
}

impl KeyPatch {
    /// Whether it says anything of what the key may do.
    pub const fn sets_rights(&self) -> bool {
        let Self { display_name: _, scopes, networks, per_minute, expire } = self;
        scopes.is_some() || networks.is_some() || per_minute.is_some() || expire.is_some()
    }
}

impl TenantPatch {
    /// Whether it says anything of what the tenant's credentials may do.
    pub const fn sets_rights(&self) -> bool {
        let Self { per_minute, networks, suspended, mfa_required, features, deleted, .. } = self;
        // What the rest says holds for what is made from now on.
        let Self { display_name: _, access_ttl: _, session_ttl: _, key_kinds: _, .. } = self;
        let checked = per_minute.is_some() || networks.is_some() || mfa_required.is_some();
        checked || suspended.is_some() || features.is_some() || deleted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Permissions;
    use crate::domain::address::Networks;
    use crate::domain::tenants::DisplayName;

    // R15
    #[test]
    fn the_table_of_all_mutations() {
        let effects = |wanted: Effect| -> Vec<&str> {
            Action::ALL.iter().copied().filter(|action| action.effect() == wanted).map(Action::name).collect()
        };
        assert_eq!(
            effects(Effect::Adds),
            [
                "key.created",
                "key.imported",
                "tenant.created",
                "tenant.resumed",
                "session.opened",
                "session.refreshed",
                "session.expired",
                "password.rehashed",
                "password.reset_requested",
                "email.verification_requested",
                "email.verified",
                "totp.enrolled",
                "totp.confirmed",
                "totp.disabled",
                "backup_codes.regenerated",
                "passkey.registration_begun",
                "passkey.registered",
                "passkey.removed",
                "signing_key.made",
                "tenant.restored",
                "tenant.purged",
                "member.added",
                "role.created",
                "invitation.created",
                "invitation.resent",
                "invitation.revoked",
                "invitation.accepted",
                "provider_key.set",
                "provider_key.fetched",
                "vault.rotated",
                "break_glass.opened",
                "break_glass.used",
                "key.usage_spike",
                "security.credentials_refused",
                "security.logins_refused",
                "audit.exported",
                "audit.erased",
                "audit.pruned",
                "audit.legal_hold_set",
                "audit.sealed",
            ]
        );
        let takes = [
            "key.rotated",
            "key.revoked",
            "tenant.suspended",
            "tenant.deleted",
            "member.removed",
            "session.revoked",
            "session.revoked_all",
            "session.refresh_token_reused",
            "password.changed",
            "password.reset",
            "signing_key.withdrawn",
            "tenant.ownership_transferred",
            "role.deleted",
            "provider_key.deleted",
            "break_glass.closed",
        ];
        assert_eq!(effects(Effect::Takes), takes);
        let sets =
            ["key.updated", "tenant.updated", "tenant.allowlist_set", "member.role_changed", "role.updated"];
        assert_eq!(effects(Effect::Sets), sets);
    }

    #[test]
    fn whatever_says_what_may_be_done_sets_rights_and_a_name_does_not() {
        let name = Some(DisplayName::from(&"acme".parse().unwrap()));
        assert!(!KeyPatch { display_name: name.clone(), ..KeyPatch::default() }.sets_rights());
        let keys = [
            KeyPatch { scopes: Some(Permissions::ALL), ..KeyPatch::default() },
            KeyPatch { networks: Some(Networks::default()), ..KeyPatch::default() },
            KeyPatch { per_minute: Some(0), ..KeyPatch::default() },
            KeyPatch { expire: Some(None), ..KeyPatch::default() },
        ];
        assert!(keys.iter().all(KeyPatch::sets_rights));
        assert!(!TenantPatch { display_name: name, ..TenantPatch::default() }.sets_rights());
        let tenants = [
            TenantPatch { networks: Some(Networks::default()), ..TenantPatch::default() },
            TenantPatch { per_minute: Some(0), ..TenantPatch::default() },
            TenantPatch { suspended: Some(false), ..TenantPatch::default() },
            TenantPatch { mfa_required: Some(true), ..TenantPatch::default() },
        ];
        assert!(tenants.iter().all(TenantPatch::sets_rights));
    }
}
