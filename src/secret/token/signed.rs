//! New tokens.

use super::claims::{AccessClaims, BadClaims};
use super::front::header_of;
use super::key::SigningKey;
use crate::domain::Digest;
use crate::secret::sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use zeroize::Zeroizing;

/// A token: revealed once to whoever asked for it, then wiped.
pub struct SignedToken(Zeroizing<String>);

impl SignedToken {
    /// The whole token.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The digest of the whole token: what it may be remembered by.
    pub fn digest(&self) -> Digest {
        sha256(self.0.as_bytes())
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedToken([redacted])")
    }
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// No token may claim that.
    #[error(transparent)]
    Claims(#[from] BadClaims),
    /// The library did not sign.
    #[error("an access token could not be signed")]
    Signature,
}

impl SigningKey {
    /// A token that claims this (RFC 7515 §7.1, RFC 9068 §2).
    pub fn sign(&self, claims: &AccessClaims) -> Result<SignedToken, SignFault> {
        let header = header_of(self.public().algorithm(), self.kid());
        let payload = claims.write()?;
        // Long enough for RS256: a text that grew would leave copies behind.
        let mut token = Zeroizing::new(String::with_capacity(512 + header.len() + payload.len() * 4 / 3));
        token.push_str(&header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signature(token.as_bytes()).ok_or(SignFault::Signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(SignedToken(token))
    }
}
