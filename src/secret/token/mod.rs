//! Access tokens: JSON Web Tokens of type `at+jwt` (RFC 9068), signed by keys
//! that follow one another.
//!
//! A token is read by a strict front of our own; only its signature is left to
//! the cryptographic library. In this order, each step refusing all that is not
//! exactly what [`sign`](SigningKey::sign) writes: size, three segments, strict
//! base64url, a header of `alg`, `kid` and `typ` and nothing else, a key in
//! memory that is within its time and made for that `alg`, the signature, and
//! then the claims. A token never chooses how it is verified, and nothing is
//! fetched for it.

mod claims;
mod digested;
mod front;
mod jwk;
mod key;
mod keyset;
mod scan;
mod shared;
mod signature;
mod signed;

pub use claims::{AccessClaims, BadClaims, Proven};
pub use digested::Digested;
pub use front::{MAX_TOKEN, claimed_session};
pub use key::{KeyFault, SigningKey, VerifyingKey};
pub use keyset::{Expect, Keyset, TokenFault};
pub use shared::SharedSecret;
pub use signed::{SignFault, SignedToken};

#[cfg(test)]
mod tests;
