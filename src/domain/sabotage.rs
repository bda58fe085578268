//! Protections that can be switched off, to prove that the tests would notice.
//!
//! In a build without the feature `sabotage` nothing can, and the questions
//! here are answered when compiling.

/// A protection of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// A revocation returns only when it has happened everywhere.
    Fence,
    /// Nothing is answered without a lease.
    Lease,
    /// A proof counts from when it was sent for.
    ExpiryFromSending,
    /// Changes are numbered in the order of their commits.
    CommitOrder,
}

/// Whether a protection was switched off.
#[cfg(not(feature = "sabotage"))]
#[inline]
pub const fn is_off(_: Protection) -> bool {
    false
}

/// Whether a protection was switched off, by `DOORWARD_SABOTAGE`.
#[cfg(feature = "sabotage")]
pub fn is_off(protection: Protection) -> bool {
    use std::sync::OnceLock;
    static OFF: OnceLock<Option<Protection>> = OnceLock::new();
    let off = OFF.get_or_init(|| match std::env::var("DOORWARD_SABOTAGE").as_deref() {
        Ok("return-at-commit") => Some(Protection::Fence),
        Ok("no-lease") => Some(Protection::Lease),
        Ok("expiry-from-receive") => Some(Protection::ExpiryFromSending),
        Ok("sequence-tail") => Some(Protection::CommitOrder),
        _ => None,
    });
    *off == Some(protection)
}
