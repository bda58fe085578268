//! The secret of HS256, which all who verify must share.

use super::signature::Check;
use crate::domain::signing::Kid;
use crate::domain::{Entropy, reading::Reading};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use zeroize::Zeroizing;

/// A secret that tokens are signed with under HS256. Wiped when dropped.
#[derive(Clone)]
pub struct SharedSecret(Zeroizing<Vec<u8>>);

impl SharedSecret {
    /// Bytes that it must have at least (RFC 7518 §3.2).
    pub const MIN: usize = 32;
    /// Bytes that it may have.
    pub const MAX: usize = 1024;

    /// A secret, if its length is within bounds.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// A new secret of 32 bytes.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new(vec![0; Self::MIN]);
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// Its name: the same wherever the secret is the same, and of no use in finding it out.
    pub(super) fn kid(&self) -> Option<Kid> {
        let tag = hmac::sign(&self.mac(), b"doorward: the name of this key");
        let name = tag.as_ref().get(..16)?;
        format!("hs-{}", URL_SAFE_NO_PAD.encode(name)).parse().readable()
    }

    /// The secret as the library wants it.
    pub(super) fn mac(&self) -> Box<hmac::Key> {
        Box::new(hmac::Key::new(hmac::HMAC_SHA256, &self.0))
    }

    pub(super) fn check(&self) -> Check {
        Check::Shared(self.mac())
    }

    /// The bytes, to be sealed.
    pub(super) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        self.0.clone()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;

    // A06: a key of no bytes is what the library would take.
    #[test]
    fn a_short_secret_is_none() {
        let secret = |length| SharedSecret::new(Zeroizing::new(vec![7; length]));
        assert!(secret(0).is_none() && secret(31).is_none() && secret(1025).is_none());
        assert!(secret(32).is_some() && secret(1024).is_some());
    }

    #[test]
    fn secrets_have_names_of_their_own_and_stay_unseen() {
        let entropy = Counting::default();
        let (one, two) = (SharedSecret::generate(&entropy), SharedSecret::generate(&entropy));
        assert_ne!(one.kid(), two.kid());
        assert_eq!(one.kid(), SharedSecret::new(one.bytes()).unwrap().kid());
        assert_eq!(format!("{one:?}"), "SharedSecret([redacted])");
    }
}
