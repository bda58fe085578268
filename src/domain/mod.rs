//! What Doorward is about: its nouns and the pure decisions over them.
//!
//! Nothing here does I/O or reads a clock: time, randomness and addresses are
//! arguments.

pub mod actions;
pub mod address;
pub mod audit;
pub mod break_glass;
pub mod changes;
pub mod clock;
pub mod correlation;
pub mod credential;
pub mod digest;
pub mod entitlements;
pub mod features;
pub mod fencing;
pub mod ids;
pub mod ingest;
pub mod invitations;
pub mod keys;
pub mod lease;
pub mod letters;
pub mod limits;
pub mod members;
pub mod paging;
pub mod passkeys;
pub mod permission;
pub mod principal;
pub mod provider_keys;
pub mod reading;
pub mod refusal;
pub mod roles;
pub mod sabotage;
pub mod sessions;
pub mod signing;
pub mod tenants;
pub mod throttle;
pub mod usage;
pub mod users;

pub use clock::{Clock, Entropy, Moment, Timestamp};
pub use correlation::Correlation;
pub use credential::CredentialId;
pub use digest::Digest;
pub use ids::{
    AuditId, GrantId, InvitationId, KeyId, PasskeyId, ProviderKeyId, RoleId, SessionId, TenantId, UserId,
};
pub use permission::{Permission, Permissions};
pub use refusal::{Failure, Fault, Reason, Refusal};
