//! From secrets to digests.

use crate::domain::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> Digest {
    one_block(bytes).unwrap_or_else(|| Digest::from_bytes(&Sha256::digest(bytes).into()))
}

/// The initial hash value (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The digest of what fits into one block with its padding (§5.1.1), as all
/// keys do: a quarter quicker than by way of a buffer for more.
fn one_block(bytes: &[u8]) -> Option<Digest> {
    let mut block = [0; 64];
    let (message, length) = block.split_at_mut(56);
    let (text, padding) = message.split_at_mut_checked(bytes.len())?;
    text.copy_from_slice(bytes);
    *padding.first_mut()? = 0x80;
    length.copy_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (place, word) in digest.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    Some(Digest::from_bytes(&digest))
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

    /// A key for another purpose, whose name must not have 32 bytes: those are digests.
    #[cfg(feature = "server")]
    pub(super) fn derive(&self, purpose: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return None };
        mac.update(purpose);
        Some(Zeroizing::new(mac.finalize().into_bytes().into()))
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

    // FIPS 180-4's examples, and every length around the end of a block.
    #[test]
    fn the_short_way_gives_the_same_digests() {
        let hex = |digest: Digest| {
            digest.to_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
        };
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(sha256(b"abc")), abc);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(sha256(b"")), empty);
        let text: Vec<u8> = (0..130).collect();
        for length in 0..text.len() {
            let plain = Digest::from_bytes(&Sha256::digest(&text[..length]).into());
            assert_eq!(sha256(&text[..length]), plain, "{length}");
            assert_eq!(one_block(&text[..length]).is_some(), length < 56, "{length}");
        }
    }

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
