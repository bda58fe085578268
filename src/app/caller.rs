//! Who makes a call.

use super::{Terms, Verified};
use crate::domain::audit::{Actor, Presented};
use crate::domain::keys::Environment;
use crate::domain::{Correlation, Permission, Permissions, Refusal, TenantId, UserId};
use std::net::IpAddr;

/// A caller whose credential was accepted.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who, and what they may.
    pub verified: Verified,
    /// The tenant whose credential it is, if the caller acts for another.
    pub home: Option<TenantId>,
    /// The request's correlation id.
    pub correlation: Correlation,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// When the caller stops waiting, on the boot-time clock (µs).
    pub deadline: Option<u64>,
}

impl Caller {
    /// The tenant that the call is for.
    pub fn tenant(&self) -> TenantId {
        self.verified.principal.tenant()
    }

    /// The person, if it is one.
    pub fn user(&self) -> Option<UserId> {
        self.verified.principal.user
    }

    /// What has to stay true for what this caller began to go on: their
    /// credential, and these permissions.
    pub fn terms(&self, required: Permissions) -> Terms {
        let terms = Terms::of(&self.verified, self.address, required);
        self.home.map_or(terms, |home| terms.from_home(home))
    }

    /// Whether the call may do this.
    pub fn may(&self, permission: Permission) -> bool {
        self.verified.permissions.has(permission)
    }

    /// Refuses unless the call may do this.
    pub fn must(&self, permission: Permission) -> Result<(), Refusal> {
        if self.may(permission) { Ok(()) } else { Err(Refusal::lacks(permission)) }
    }

    /// Whether the call may touch something of that environment. A test
    /// credential reaches nothing live.
    pub fn reaches(&self, environment: Environment) -> bool {
        self.verified.environment == Environment::Live || environment == Environment::Test
    }

    /// The name under which the caller's doings are kept.
    pub fn name(&self) -> String {
        match self.user() {
            Some(user) => user.to_string(),
            None => self.verified.credential.to_string(),
        }
    }

    /// The caller, for a mutation that ends the very credential that they use.
    pub(super) fn actor_without_credential(&self) -> Actor {
        Actor { credential: None, ..self.actor() }
    }

    /// The caller, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            id: self.name(),
            credential: Some(Presented {
                id: self.verified.credential,
                tenant: self.home.unwrap_or(self.tenant()),
            }),
            home: self.home,
            address: self.address,
            correlation: self.correlation.to_string(),
        }
    }
}
