//! Passkeys, as their person sees them.

use super::{PasskeyId, Timestamp};

/// Passkeys that a person can have.
pub const MAX_PASSKEYS: usize = 20;

/// A passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: PasskeyId,
    /// What its person calls it.
    pub name: String,
    /// Whether it is on several devices.
    pub backed_up: bool,
    /// When it was registered.
    pub create_time: Timestamp,
    /// When it was last used, if it was.
    pub last_used: Option<Timestamp>,
}
