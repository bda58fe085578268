//! What each method asks of its caller. A method without a row is not served.

use crate::domain::audit::Action;
use crate::domain::permission::{Permission, Permissions};

/// What a method asks of its caller's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No credential at all.
    Nothing,
    /// None, but who asks is known by their address.
    Visitor,
    /// A good one, or none.
    Either,
    /// A good one.
    Credential,
    /// One that has this permission.
    Permission(Permission),
}

impl Need {
    /// The permission, if one is asked for.
    pub const fn permission(self) -> Option<Permission> {
        match self {
            Self::Permission(permission) => Some(permission),
            Self::Nothing | Self::Visitor | Self::Either | Self::Credential => None,
        }
    }
}

/// Whether a call takes from its caller's rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// One request.
    One,
    /// Nothing: what is charged is the credential that is asked about.
    Nothing,
}

impl Charge {
    /// What the check takes.
    pub const fn cost(self) -> Option<u32> {
        match self {
            Self::One => Some(1),
            Self::Nothing => None,
        }
    }
}

/// What a method asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The method, as `/package.Service/Method`.
    pub method: &'static str,
    /// What the credential must be.
    pub need: Need,
    /// What it costs.
    pub charge: Charge,
    /// What the audit log says of it, if it changes something.
    pub audit: Option<Action>,
    /// Permissions that its handler may look at besides the one that is needed:
    /// a call of a caller who had one goes on for only as long as they have it.
    /// Where a row does not say, all.
    pub uses: Permissions,
    /// Whether either end may send several messages.
    pub streams: bool,
    /// Whether people may call it who have not given the second factor that
    /// their tenant demands: so that they can enrol one.
    pub enrols: bool,
}

impl Policy {
    /// The policy of the method at this path, and its place among [`METHODS`].
    /// Lengths differ for almost all, so that few paths are compared in full.
    pub fn find(path: &str) -> Option<(usize, &'static Self)> {
        METHODS.iter().enumerate().find(|(_, policy)| policy.method == path)
    }

    /// The policy of the method at this path.
    pub fn of(path: &str) -> Option<&'static Self> {
        Self::find(path).map(|(_, policy)| policy)
    }

    /// Of what the caller may do, all that this call stands on.
    pub fn stands_on(&self, held: Permissions) -> Permissions {
        let needed = self.need.permission().map_or(Permissions::NONE, |needed| Permissions::of(&[needed]));
        needed.or(self.uses.and(held))
    }

    /// Whether a call is ended when its credential is. One that changes
    /// something runs to its end: it reads the credential again inside its
    /// transaction, and a write that was cut off would leave its caller unsure.
    pub fn is_cut(&self) -> bool {
        matches!(self.need, Need::Credential | Need::Permission(_)) && self.audit.is_none()
    }

    /// The same with a handler that looks at no other permissions than these.
    const fn uses(self, permissions: &[Permission]) -> Self {
        Self { uses: Permissions::of(permissions), ..self }
    }

    /// The same for people without the second factor that is demanded.
    const fn enrols(self) -> Self {
        Self { enrols: true, ..self }
    }

    /// The same with several messages.
    const fn streams(self) -> Self {
        Self { streams: true, ..self }
    }

    /// Whether `x-tenant-id` is looked at; on ingest it never is (R6).
    pub fn honours_tenant_header(&self) -> bool {
        self.need != Need::Permission(Permission::INGEST_WRITE)
    }
}

macro_rules! policies {
    ($($path:literal: $need:expr, $charge:ident $(, $audit:ident)? $(=> $($more:ident($($arg:expr),*)),+)?;)*) => {
        /// Every method that is served.
        pub const METHODS: &[Policy] =
            &[$(policies!(@row $path, $need, $charge $(, $audit)?)$($(.$more($($arg),*))+)?),*];
    };
    (@row $path:literal, $need:expr, $charge:ident) => { policies!(@full $path, $need, $charge, None) };
    (@row $path:literal, $need:expr, $charge:ident, $audit:ident) => {
        policies!(@full $path, $need, $charge, Some(Action::$audit))
    };
    (@full $path:literal, $need:expr, $charge:ident, $audit:expr) => {
        Policy {
            method: $path,
            need: $need,
            charge: Charge::$charge,
            audit: $audit,
            uses: Permissions::ALL,
            streams: false,
            enrols: false,
        }
    };
}

policies! {
    "/doorward.v1.AuditService/ListEvents": Need::Permission(Permission::AUDIT_READ), One => uses(&[Permission::PLATFORM_TENANTS]);
    "/doorward.v1.AuditService/ExportEvents": Need::Permission(Permission::AUDIT_READ), One => uses(&[Permission::PLATFORM_TENANTS]), streams();
    "/doorward.v1.AuditService/GetCheckpoint": Need::Permission(Permission::AUDIT_READ), One => uses(&[Permission::PLATFORM_TENANTS]);
    "/doorward.v1.AuditService/EraseAuditFields": Need::Permission(Permission::AUDIT_MANAGE), One, AuditErased;
    "/doorward.v1.AuditService/SetLegalHold": Need::Permission(Permission::AUDIT_MANAGE), One, LegalHoldSet;
    "/doorward.v1.AuthnService/WhoAmI": Need::Credential, One => uses(&[]), enrols();
    "/doorward.v1.AuthnService/Login": Need::Visitor, Nothing, SessionOpened;
    "/doorward.v1.AuthnService/CompleteLogin": Need::Visitor, Nothing, SessionOpened;
    "/doorward.v1.AuthnService/RefreshSession": Need::Visitor, Nothing, SessionRefreshed;
    "/doorward.v1.AuthnService/Logout": Need::Either, Nothing, SessionRevoked => enrols();
    "/doorward.v1.AuthnService/ListSessions": Need::Credential, One => uses(&[]);
    "/doorward.v1.AuthnService/RevokeSession": Need::Credential, Nothing, SessionRevoked;
    "/doorward.v1.AuthnService/RevokeAllSessions": Need::Credential, Nothing, SessionsRevoked;
    "/doorward.v1.AuthnService/EnrollTotp": Need::Credential, One, TotpEnrolled => enrols();
    "/doorward.v1.AuthnService/ConfirmTotp": Need::Credential, One, TotpConfirmed => enrols();
    "/doorward.v1.AuthnService/DisableTotp": Need::Credential, One, TotpDisabled;
    "/doorward.v1.AuthnService/RegenerateBackupCodes": Need::Credential, One, BackupCodesRegenerated;
    "/doorward.v1.AuthnService/BeginPasskeyRegistration": Need::Credential, One, PasskeyRegistrationBegun => enrols();
    "/doorward.v1.AuthnService/FinishPasskeyRegistration": Need::Credential, One, PasskeyRegistered => enrols();
    "/doorward.v1.AuthnService/ListPasskeys": Need::Credential, One => uses(&[]), enrols();
    "/doorward.v1.AuthnService/BeginPasskeyAssertion": Need::Credential, One => uses(&[]);
    "/doorward.v1.AuthnService/RemovePasskey": Need::Credential, One, PasskeyRemoved;
    "/doorward.v1.AuthnService/BeginPasskeyLogin": Need::Visitor, Nothing;
    "/doorward.v1.AuthnService/FinishPasskeyLogin": Need::Visitor, Nothing, SessionOpened;
    "/doorward.v1.AuthnService/ChangePassword": Need::Credential, One, PasswordChanged;
    "/doorward.v1.AuthnService/RequestPasswordReset": Need::Visitor, Nothing, PasswordResetRequested;
    "/doorward.v1.AuthnService/ResetPassword": Need::Visitor, Nothing, PasswordReset;
    "/doorward.v1.AuthnService/RequestEmailVerification": Need::Credential, One, EmailVerificationRequested;
    "/doorward.v1.AuthnService/VerifyEmail": Need::Visitor, Nothing, EmailVerified;
    "/doorward.v1.AuthnService/VerifyCredential": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing => uses(&[Permission::PLATFORM_VERIFY]);
    "/doorward.v1.AuthnService/BatchVerifyCredentials": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing => uses(&[Permission::PLATFORM_VERIFY]);
    "/doorward.v1.AuthnService/StreamVerifyCredentials": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing => uses(&[Permission::PLATFORM_VERIFY]), streams();
    "/doorward.v1.AuthnService/WatchRevocations": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing => uses(&[Permission::PLATFORM_VERIFY]), streams();
    "/doorward.v1.KeysService/CreateApiKey": Need::Credential, One, KeyCreated;
    "/doorward.v1.KeysService/GetApiKey": Need::Permission(Permission::KEYS_READ), One => uses(&[Permission::KEYS_MANAGE]);
    "/doorward.v1.KeysService/ListApiKeys": Need::Permission(Permission::KEYS_READ), One => uses(&[Permission::KEYS_MANAGE]);
    "/doorward.v1.KeysService/UpdateApiKey": Need::Permission(Permission::KEYS_READ), One, KeyUpdated;
    "/doorward.v1.KeysService/RotateApiKey": Need::Permission(Permission::KEYS_READ), One, KeyRotated;
    "/doorward.v1.KeysService/RevokeApiKey": Need::Permission(Permission::KEYS_READ), Nothing, KeyRevoked;
    "/doorward.v1.KeysService/ImportApiKey": Need::Permission(Permission::KEYS_MANAGE), One, KeyImported;
    "/doorward.v1.KeysService/GetApiKeyUsage": Need::Credential, One => uses(&[Permission::KEYS_READ, Permission::KEYS_MANAGE, Permission::USAGE_READ]);
    "/doorward.v1.KeysService/SetProviderKey": Need::Permission(Permission::PROVIDER_KEYS_MANAGE), One, ProviderKeySet;
    "/doorward.v1.KeysService/ListProviderKeys": Need::Permission(Permission::PROVIDER_KEYS_MANAGE), One => uses(&[]);
    "/doorward.v1.KeysService/DeleteProviderKey": Need::Permission(Permission::PROVIDER_KEYS_MANAGE), One, ProviderKeyDeleted;
    "/doorward.v1.KeysService/FetchProviderKey": Need::Permission(Permission::PROVIDER_KEYS_FETCH), One, ProviderKeyFetched;
    "/doorward.v1.TenancyService/CreateTenant": Need::Permission(Permission::PLATFORM_TENANTS), One, TenantCreated;
    "/doorward.v1.TenancyService/GetTenant": Need::Credential, One => uses(&[Permission::TENANT_READ, Permission::PLATFORM_TENANTS]);
    "/doorward.v1.TenancyService/ListTenants": Need::Credential, One => uses(&[Permission::TENANT_READ, Permission::PLATFORM_TENANTS]);
    "/doorward.v1.TenancyService/UpdateTenant": Need::Credential, One, TenantUpdated;
    "/doorward.v1.TenancyService/SuspendTenant": Need::Permission(Permission::PLATFORM_TENANTS), Nothing, TenantSuspended;
    "/doorward.v1.TenancyService/ResumeTenant": Need::Permission(Permission::PLATFORM_TENANTS), One, TenantResumed;
    "/doorward.v1.TenancyService/DeleteTenant": Need::Credential, Nothing, TenantDeleted;
    "/doorward.v1.TenancyService/UpdateMemberRole": Need::Permission(Permission::ADMIN_USERS), One, MemberRoleChanged;
    "/doorward.v1.TenancyService/RemoveMember": Need::Credential, Nothing, MemberRemoved;
    "/doorward.v1.TenancyService/TransferOwnership": Need::Credential, One, OwnershipTransferred;
    "/doorward.v1.TenancyService/CreateInvitation": Need::Permission(Permission::ADMIN_USERS), One, InvitationCreated;
    "/doorward.v1.TenancyService/ListInvitations": Need::Permission(Permission::ADMIN_USERS), One => uses(&[]);
    "/doorward.v1.TenancyService/ResendInvitation": Need::Permission(Permission::ADMIN_USERS), One, InvitationResent;
    "/doorward.v1.TenancyService/RevokeInvitation": Need::Permission(Permission::ADMIN_USERS), Nothing, InvitationRevoked;
    "/doorward.v1.TenancyService/AcceptInvitation": Need::Either, Nothing, InvitationAccepted;
    "/doorward.v1.TenancyService/CreateRole": Need::Permission(Permission::ROLES_MANAGE), One, RoleCreated;
    "/doorward.v1.TenancyService/UpdateRole": Need::Permission(Permission::ROLES_MANAGE), One, RoleUpdated;
    "/doorward.v1.TenancyService/DeleteRole": Need::Permission(Permission::ROLES_MANAGE), Nothing, RoleDeleted;
    "/doorward.v1.TenancyService/ListMembers": Need::Permission(Permission::MEMBERS_READ), One => uses(&[]);
    "/doorward.v1.TenancyService/ListRoles": Need::Permission(Permission::MEMBERS_READ), One => uses(&[]);
    "/doorward.v1.TenancyService/ListPermissions": Need::Credential, One => uses(&[]);
    "/doorward.v1.TenancyService/SetIpAllowlist": Need::Permission(Permission::TENANT_UPDATE), One, AllowlistSet;
    "/doorward.v1.TenancyService/CloseBreakGlass": Need::Permission(Permission::ADMIN_SETTINGS), Nothing, BreakGlassClosed;
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": Need::Permission(Permission::INGEST_WRITE), One => uses(&[]);
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": Need::Permission(Permission::INGEST_WRITE), One => uses(&[]);
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": Need::Permission(Permission::INGEST_WRITE), One => uses(&[]);
    "/grpc.health.v1.Health/Check": Need::Nothing, Nothing;
    "/grpc.health.v1.Health/List": Need::Nothing, Nothing;
    "/grpc.health.v1.Health/Watch": Need::Nothing, Nothing => streams();
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Need::Nothing, Nothing => streams();
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Need::Nothing, Nothing => streams();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_path_and_by_nothing_near_it() {
        for policy in METHODS {
            assert_eq!(Policy::of(policy.method), Some(policy));
            // A15
            for near in [
                policy.method.to_lowercase(),
                policy.method[1..].to_owned(),
                format!("/{}", policy.method),
                format!("{}/", policy.method),
                policy.method.replace('.', "%2e"),
            ] {
                assert_eq!(Policy::of(&near), None, "{near}");
            }
        }
    }
}
