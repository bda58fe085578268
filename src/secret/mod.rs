//! Secrets: how they look, how they are made, and how they are known without
//! being kept.

mod form;
mod hash;
mod mint;
#[cfg(feature = "server")]
mod password;
mod profile;

pub use form::{Form, Forms, NotAKey};
pub use hash::{Pepper, sha256};
pub use mint::Minted;
#[cfg(feature = "server")]
pub use password::{Password, PasswordHash};
pub use profile::{Alphabet, BadProfiles, Profile};
