//! The relying party's side of passkeys (W3C Web Authentication Level 3).
//!
//! Pure: a browser's answer goes in as the standard's JSON, and what it proves
//! comes out. Which steps of §7.1 and §7.2 are taken is told where they are.
//!
//! Attestation is neither asked for nor looked at: Doorward takes any maker's
//! authenticator. Sizes are bounded before anything is read ([`MAX_JSON`]).

mod authenticator;
mod challenge;
mod client_data;
mod key;
mod options;
mod relying_party;
mod response;

pub use challenge::{Ceremonies, Challenge, Purpose, Used};
pub use key::PublicKey;
pub use options::{creation_options, request_options};
pub use relying_party::{BadRelyingParty, RelyingParty};
pub use response::{Assertion, Attestation, NewCredential, Proof};

/// Bytes of the longest answer of a browser that is read.
pub const MAX_JSON: usize = 16 * 1024;

/// Bytes of the longest credential id (§5.8.3).
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// Why a browser's answer was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is longer than [`MAX_JSON`].
    #[error("it is longer than {MAX_JSON} bytes")]
    TooLong,
    /// It is not what the standard says, in this part.
    #[error("its {0} cannot be read")]
    Malformed(&'static str),
    /// It answers another kind of question.
    #[error("it is of another ceremony")]
    Type,
    /// It answers no question that was asked here, for this, and lately.
    #[error("its challenge is not one that waits; begin again")]
    Challenge,
    /// The page that asked is none of ours.
    #[error("its origin is not allowed")]
    Origin,
    /// The authenticator answered to somebody else.
    #[error("it is for another relying party")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("no user was present")]
    NotPresent,
    /// The authenticator did not make sure who touched it.
    #[error("the authenticator did not verify its user; set a PIN or a fingerprint on it")]
    NotVerified,
    /// Its flags contradict each other, or what they were before.
    #[error("its flags contradict each other")]
    Flags,
    /// The key is of no kind that is verified here: ES256, `EdDSA` and RS256 are.
    #[error("its key must be ES256, EdDSA or RS256")]
    Key,
    /// The signature is not the key's.
    #[error("its signature is wrong")]
    Signature,
}

#[cfg(test)]
pub(crate) mod software;
#[cfg(test)]
mod tests;
