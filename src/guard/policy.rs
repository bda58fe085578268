//! What each method asks of its caller. A method without a row is not served.

use crate::domain::audit::Action;
use crate::domain::permission::Permission;

/// What a method asks of its caller's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No credential at all.
    Nothing,
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
            Self::Nothing | Self::Credential => None,
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

    /// Whether `x-tenant-id` is looked at; on ingest it never is (R6).
    pub fn honours_tenant_header(&self) -> bool {
        self.need != Need::Permission(Permission::INGEST_WRITE)
    }
}

macro_rules! policies {
    ($($path:literal: $need:expr, $charge:ident $(, $audit:ident)?;)*) => {
        /// Every method that is served.
        pub const METHODS: &[Policy] = &[$(policies!(@row $path, $need, $charge $(, $audit)?)),*];
    };
    (@row $path:literal, $need:expr, $charge:ident) => {
        Policy { method: $path, need: $need, charge: Charge::$charge, audit: None }
    };
    (@row $path:literal, $need:expr, $charge:ident, $audit:ident) => {
        Policy { method: $path, need: $need, charge: Charge::$charge, audit: Some(Action::$audit) }
    };
}

policies! {
    "/doorward.v1.AuthnService/WhoAmI": Need::Credential, One;
    "/doorward.v1.AuthnService/VerifyCredential": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing;
    "/doorward.v1.AuthnService/BatchVerifyCredentials": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing;
    "/doorward.v1.AuthnService/StreamVerifyCredentials": Need::Permission(Permission::CREDENTIALS_VERIFY), Nothing;
    "/doorward.v1.KeysService/CreateApiKey": Need::Credential, One, KeyCreated;
    "/doorward.v1.KeysService/GetApiKey": Need::Permission(Permission::KEYS_READ), One;
    "/doorward.v1.KeysService/ListApiKeys": Need::Permission(Permission::KEYS_READ), One;
    "/doorward.v1.KeysService/UpdateApiKey": Need::Permission(Permission::KEYS_READ), One, KeyUpdated;
    "/doorward.v1.KeysService/RotateApiKey": Need::Permission(Permission::KEYS_READ), One, KeyRotated;
    "/doorward.v1.KeysService/RevokeApiKey": Need::Permission(Permission::KEYS_READ), Nothing, KeyRevoked;
    "/doorward.v1.KeysService/ImportApiKey": Need::Permission(Permission::KEYS_MANAGE), One, KeyImported;
    "/doorward.v1.TenancyService/CreateTenant": Need::Permission(Permission::PLATFORM_TENANTS), One, TenantCreated;
    "/doorward.v1.TenancyService/GetTenant": Need::Credential, One;
    "/doorward.v1.TenancyService/ListTenants": Need::Credential, One;
    "/doorward.v1.TenancyService/UpdateTenant": Need::Credential, One, TenantUpdated;
    "/doorward.v1.TenancyService/SuspendTenant": Need::Permission(Permission::PLATFORM_TENANTS), Nothing, TenantSuspended;
    "/doorward.v1.TenancyService/ResumeTenant": Need::Permission(Permission::PLATFORM_TENANTS), One, TenantResumed;
    "/doorward.v1.TenancyService/ListMembers": Need::Permission(Permission::MEMBERS_READ), One;
    "/doorward.v1.TenancyService/ListRoles": Need::Permission(Permission::MEMBERS_READ), One;
    "/doorward.v1.TenancyService/ListPermissions": Need::Credential, One;
    "/doorward.v1.TenancyService/SetIpAllowlist": Need::Permission(Permission::TENANT_UPDATE), One, AllowlistSet;
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": Need::Permission(Permission::INGEST_WRITE), One;
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": Need::Permission(Permission::INGEST_WRITE), One;
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": Need::Permission(Permission::INGEST_WRITE), One;
    "/grpc.health.v1.Health/Check": Need::Nothing, Nothing;
    "/grpc.health.v1.Health/List": Need::Nothing, Nothing;
    "/grpc.health.v1.Health/Watch": Need::Nothing, Nothing;
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Need::Nothing, Nothing;
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Need::Nothing, Nothing;
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
