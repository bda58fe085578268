//! Who a credential stands for, as far as that does not depend on the credential.

use super::address::Networks;
use super::keys::KeyKind;
use super::tenants::Slug;
use super::users::Email;
use super::{Permissions, TenantId, UserId};
use bytes::Bytes;
use std::sync::OnceLock;

/// Whether credentials of a principal are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    Good,
    /// Not while the tenant is suspended.
    TenantSuspended,
    /// No longer: the person or the membership is gone.
    Gone,
}

/// A person in a tenant, or a tenant's machine.
#[derive(Debug)]
pub struct Principal {
    /// What kind of caller.
    pub kind: KeyKind,
    /// The tenant.
    pub tenant: TenantId,
    /// The tenant's id as text, for headers.
    pub tenant_text: Bytes,
    /// The tenant's short name; absent until the tenant is known.
    pub slug: Option<Slug>,
    /// The person.
    pub user: Option<UserId>,
    /// The person's address.
    pub email: Option<Email>,
    /// The role's name.
    pub role: &'static str,
    /// What the role allows.
    pub permissions: Permissions,
    /// Whether credentials are accepted.
    pub standing: Standing,
    /// Where the tenant's credentials may be used from.
    pub networks: Networks,
    /// The tenant's default for requests a minute; 0 is the server's default.
    pub per_minute: u32,
    /// This principal as a transport writes it, once it has been written.
    pub written: OnceLock<Bytes>,
}
