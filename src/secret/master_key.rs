//! The break-glass master key: configured, compared, never stored.

use super::hash::sha256;
use crate::domain::Digest;
use std::fmt;

/// The digest of a configured master key.
#[derive(Clone, Copy)]
pub struct MasterKey {
    digest: Digest,
    id: [u8; 16],
}

/// Why a text is too weak to be a master key. Tells nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMasterKey {
    /// Too few characters, or too many.
    #[error(
        "must have {} to {} characters; `openssl rand -hex 32` makes a good one",
        MasterKey::MIN,
        MasterKey::MAX
    )]
    Length,
    /// Characters that a header cannot carry unharmed.
    #[error("must consist of printable ASCII characters without spaces and commas")]
    Characters,
    /// One that somebody made up.
    #[error("has too few different characters to be random; `openssl rand -hex 32` makes a good one")]
    Plain,
}

impl MasterKey {
    /// Characters that it has at least.
    pub const MIN: usize = 32;
    /// Characters that it has at most.
    pub const MAX: usize = 256;
    /// Different characters that it has at least: random ones of this length
    /// have more by far, in hexadecimal too.
    const DIFFERENT: usize = 8;

    /// The key of this text.
    pub fn new(text: &[u8]) -> Result<Self, BadMasterKey> {
        if !(Self::MIN..=Self::MAX).contains(&text.len()) {
            return Err(BadMasterKey::Length);
        }
        if text.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b',') {
            return Err(BadMasterKey::Characters);
        }
        let different = (0..=u8::MAX).filter(|byte| text.contains(byte)).count();
        if different < Self::DIFFERENT {
            return Err(BadMasterKey::Plain);
        }
        let digest = sha256(text);
        let [a, b, ..] = sha256(&[&b"doorward master key"[..], &digest.to_bytes()].concat()).words();
        let mut id = [0; 16];
        let (first, second) = id.split_at_mut(8);
        first.copy_from_slice(&a.to_be_bytes());
        second.copy_from_slice(&b.to_be_bytes());
        Ok(Self { digest, id })
    }

    /// Whether this is the key. Takes as long whatever is presented.
    pub fn is(&self, presented: &[u8]) -> bool {
        sha256(presented) == self.digest
    }

    /// What the key is known by in the database, once it was used: a hash of
    /// its digest, which opens nothing.
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c";

    // R44
    #[test]
    fn only_the_key_itself_is_the_key() {
        let key = MasterKey::new(KEY).unwrap();
        assert!(key.is(KEY));
        for wrong in
            [&b""[..], &KEY[1..], &KEY[..KEY.len() - 1], &KEY.to_ascii_uppercase(), &[KEY, b"0"].concat()]
        {
            assert!(!key.is(wrong));
        }
        assert_eq!(format!("{key:?}"), "MasterKey([redacted])");
    }

    #[test]
    fn weak_keys_are_none() {
        for (weak, why) in [
            (&b"short"[..], BadMasterKey::Length),
            (&[b'x'; 31], BadMasterKey::Length),
            (&[b'x'; 32], BadMasterKey::Plain),
            (b"abcabcabcabcabcabcabcabcabcabcabc", BadMasterKey::Plain),
            (b"9f86d081884c7d659a2feaa0c55ad015 a3bf", BadMasterKey::Characters),
            (b"9f86d081884c7d659a2feaa0c55ad015,a3bf", BadMasterKey::Characters),
            (&[b'y'; 257], BadMasterKey::Length),
        ] {
            assert_eq!(MasterKey::new(weak).unwrap_err(), why);
        }
    }

    #[test]
    fn an_id_tells_keys_apart_and_is_no_digest_of_them() {
        let (one, other) = (MasterKey::new(KEY).unwrap(), MasterKey::new(&KEY[1..]).unwrap());
        assert_ne!(one.id(), other.id());
        assert_ne!(one.id().as_slice(), &sha256(KEY).to_bytes()[..16]);
    }
}
