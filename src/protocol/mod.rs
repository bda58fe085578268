//! What both ends of a connection agree on, over and above the messages: how a
//! refusal is told, and how what goes on is ended with the credential.
//!
//! The server and the embedded layer of other services share it, so that one
//! decides and answers as the other.

pub mod gated;
pub mod leash;
mod status;
#[cfg(test)]
mod testing;

pub use crate::view::Side;
pub use status::{ERROR_DOMAIN, explain, status};
