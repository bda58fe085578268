//! What the audit log says of a mutation.

pub use super::actions::Action;
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
