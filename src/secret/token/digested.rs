//! A token with its digests, each byte of it hashed once: what is signed is the
//! beginning of what the token is remembered by.

use crate::domain::Digest;
use sha2::{Digest as _, Sha256};

/// A text that may be a token.
pub struct Digested<'a> {
    text: &'a str,
    whole: Digest,
    /// SHA-256 in the middle of its work: at the last dot.
    signed: Sha256,
}

impl<'a> Digested<'a> {
    /// Hashes a text.
    pub fn of(text: &'a str) -> Self {
        let at = text.rfind('.').unwrap_or(text.len());
        let (message, rest) = text.as_bytes().split_at_checked(at).unwrap_or_default();
        let mut whole = Sha256::new();
        whole.update(message);
        let signed = whole.clone();
        whole.update(rest);
        Self { text, whole: Digest::from_bytes(&whole.finalize().into()), signed }
    }

    /// The text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The digest of the whole text: what it may be remembered by.
    pub fn whole(&self) -> Digest {
        self.whole
    }

    /// The SHA-256 of what is before the last dot (RFC 7515 §5.2): what RS256 and ES256 sign.
    pub(super) fn signed(&self) -> [u8; 32] {
        self.signed.clone().finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::sha256;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_digests_are_those_of_the_parts(text in "[a-z.é]{0,300}") {
            let digested = Digested::of(&text);
            prop_assert_eq!(digested.whole(), sha256(text.as_bytes()));
            let message = text.rsplit_once('.').map_or(text.as_str(), |(message, _)| message);
            prop_assert_eq!(digested.signed(), sha256(message.as_bytes()).to_bytes());
        }
    }
}
