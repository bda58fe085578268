//! What both ends of a connection agree on, over and above the messages: where
//! the credential stands, how a refusal is told, how states and key forms are
//! written, and how what goes on is ended with the credential.
//!
//! The server and the embedded layer of other services share it, so that one
//! decides and answers as the other.

pub mod credential;
pub mod gated;
pub mod leash;
pub mod profiles;
pub mod states;
mod status;
#[cfg(test)]
mod testing;
pub mod times;

pub use crate::view::Side;
pub use status::{ERROR_DOMAIN, explain, status, trailers};

/// A message that cannot mean what this version takes it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be read; the other end may be of a newer version")]
pub struct Unreadable(pub &'static str);
