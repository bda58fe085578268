//! From secrets to digests.

use crate::domain::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(&Sha256::digest(bytes).into())
}

/// The secret under which digests of imported keys are stored: their strength
/// is unknown, so a stolen database alone must not be enough to guess them.
#[derive(Clone)]
pub struct Pepper(Zeroizing<Vec<u8>>);

impl Pepper {
    /// Bytes that a pepper must have at least.
    pub const MIN: usize = 32;

    /// A pepper, if it is long enough.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() >= Self::MIN).then_some(Self(bytes))
    }

    /// HMAC-SHA256 (RFC 2104) over the SHA-256 of an imported key.
    pub fn seal(&self, sha256_of_key: Digest) -> Option<Digest> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return None };
        mac.update(&sha256_of_key.to_bytes());
        Digest::from_slice(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pepper_makes_other_digests_and_is_long() {
        let pepper = |byte: u8| Pepper::new(Zeroizing::new(vec![byte; 32])).unwrap();
        let digest = sha256(b"key");
        assert_ne!(pepper(1).seal(digest), pepper(2).seal(digest));
        assert_eq!(pepper(1).seal(digest), pepper(1).seal(digest));
        assert_ne!(pepper(1).seal(digest), Some(digest));
        assert!(Pepper::new(Zeroizing::new(vec![1; 31])).is_none());
        assert!(!format!("{:?}", pepper(1)).contains('1'));
    }
}
