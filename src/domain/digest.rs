//! The form in which a secret is known: 32 bytes that tell nothing of it.

use super::reading::Reading;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

/// SHA-256 of a secret, or a keyed hash over such.
#[derive(Clone, Copy)]
pub struct Digest([u64; 4]);

impl Digest {
    /// The digest of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*chunk);
        }
        Self(words)
    }

    /// The digest that these bytes are, if there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(<&[u8; 32]>::try_from(bytes).readable()?))
    }

    /// Reads 64 hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |letter: &u8| {
                char::from(*letter).to_digit(16).and_then(|digit| u8::try_from(digit).readable())
            };
            *byte = (digit(high)? << 4) | digit(low)?;
        }
        Some(Self::from_bytes(&bytes))
    }

    /// The 32 bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = word.to_be_bytes();
        }
        bytes
    }

    /// What a session is known by, where keys are known by their digests: its id
    /// and a mark. No secret has a digest with the mark but by a chance of 2⁻¹²⁸.
    pub fn of_session(id: super::SessionId) -> Self {
        Self::marked(id.halves(), Self::SESSION)
    }

    /// The same for a break-glass grant.
    pub fn of_grant(id: super::GrantId) -> Self {
        Self::marked(id.halves(), Self::GRANT)
    }

    const fn marked([time, random]: [u64; 2], [a, b]: [u64; 2]) -> Self {
        // What is random comes first, where tables look.
        Self([random, time, a, b])
    }

    /// Whether it is a session's.
    #[inline]
    pub const fn is_of_session(self) -> bool {
        let [_, _, a, b] = self.0;
        let [c, d] = Self::SESSION;
        a == c && b == d
    }

    /// Whether it is a grant's.
    #[inline]
    pub const fn is_of_grant(self) -> bool {
        let [_, _, a, b] = self.0;
        let [c, d] = Self::GRANT;
        a == c && b == d
    }

    const GRANT: [u64; 2] = [u64::from_be_bytes(*b"doorward"), u64::from_be_bytes(*b" a grant")];

    const SESSION: [u64; 2] = [u64::from_be_bytes(*b"doorward"), u64::from_be_bytes(*b" session")];

    /// The digest as four numbers, for tables that hold it so.
    pub const fn words(self) -> [u64; 4] {
        self.0
    }

    /// The digest of four such numbers.
    pub const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }
}

/// Compares all of both, whatever differs, so that the time taken tells nothing.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        ((a ^ e) | (b ^ f) | (c ^ g) | (d ^ h)) == 0
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [a, b, c, d] = self.0;
        serializer.collect_str(&format_args!("{a:016x}{b:016x}{c:016x}{d:016x}"))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| D::Error::custom("not a digest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_hex_go_round() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap() * 7);
        let digest = Digest::from_bytes(&bytes);
        assert_eq!(digest.to_bytes(), bytes);
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
        assert_eq!(Digest::from_hex(&hex), Some(digest));
        assert_eq!(Digest::from_hex(&hex[1..]), None);
        assert_eq!(Digest::from_hex(&hex.replace('0', "g")), None);
    }

    #[test]
    fn sessions_are_told_from_keys() {
        let [a, b] =
            [[1; 16], [2; 16]].map(|bytes| Digest::of_session(super::super::SessionId::from_bytes(bytes)));
        assert!(a.is_of_session() && b.is_of_session() && a != b);
        assert!(!Digest::from_bytes(&[7; 32]).is_of_session());
        let grant = Digest::of_grant(super::super::GrantId::from_bytes([1; 16]));
        assert!(grant.is_of_grant() && !grant.is_of_session() && !a.is_of_grant());
    }

    #[test]
    fn one_bit_makes_another_digest() {
        let digest = Digest::from_bytes(&[7; 32]);
        for bit in 0..256 {
            let mut bytes = [7; 32];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Digest::from_bytes(&bytes), digest);
        }
    }
}
