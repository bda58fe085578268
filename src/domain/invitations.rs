//! Invitations into a tenant.

use super::roles::Assigned;
use super::users::Email;
use super::{Digest, InvitationId, TenantId, Timestamp};

/// Most invitations of a tenant that can wait at a time.
pub const MOST_INVITATIONS: i64 = 1_000;

/// Most members of a tenant.
pub const MOST_MEMBERS: i64 = 100_000;

/// An invitation that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Into this tenant.
    pub tenant: TenantId,
    /// Whoever reads mail at this address.
    pub email: Email,
    /// As what.
    pub role: Assigned,
    /// The digest of the token in the letter.
    pub token: Digest,
    /// The person or key that invited.
    pub invited_by: String,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it ends.
    pub expire_time: Timestamp,
}
