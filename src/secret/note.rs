//! Signed notes (C2SP `signed-note`) by Ed25519 (RFC 8032).

use crate::domain::audit::checkpoint::Note;
use crate::domain::reading::Reading;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// What marks Ed25519 in names and ids of keys.
const ALGORITHM: u8 = 1;

/// Signs notes. Cannot be printed.
pub struct NoteKey(Ed25519KeyPair);

impl NoteKey {
    /// Bytes of the seed.
    pub const SEED: usize = 32;

    /// The key of this seed (RFC 8032 §5.1.5), if it is one.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(seed) else { return None };
        Some(Self(pair))
    }

    /// The note of this text, which ends in a line break, under the name.
    pub fn sign(&self, name: &str, text: &str) -> String {
        let Some(public) = self.named(name) else { return String::new() };
        Note::write(text, name, public.id(), self.0.sign(text.as_bytes()).as_ref())
    }

    /// The public half under a name.
    pub fn named(&self, name: &str) -> Option<NoteVerifier> {
        let key = self.0.public_key().as_ref().as_array().copied()?;
        Some(NoteVerifier { name: name.to_owned(), key })
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoteKey")
    }
}

/// Verifies notes. Written as `name+id+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: [u8; 32],
}

/// A text that is no public key of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has the form `name+id+key`, as `doorward audit checkpoint --key` prints it")]
pub struct BadVerifier;

impl NoteVerifier {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key under another name.
    #[must_use]
    pub fn under(&self, name: &str) -> Self {
        Self { name: name.to_owned(), key: self.key }
    }

    /// Whether both are one key, whatever their names.
    pub fn is_key_of(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// What the note says, if this key signed it.
    pub fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        let note = Note::parse(note)?;
        let key = UnparsedPublicKey::new(&ED25519, self.key);
        let holds = note.signatures.iter().any(|signature| {
            signature.name == self.name
                && signature.key == self.id()
                && key.verify(note.text.as_bytes(), &signature.bytes).is_ok()
        });
        holds.then_some(note.text)
    }

    /// The first bytes of the hash over name and key.
    fn id(&self) -> [u8; 4] {
        let hash: [u8; 32] = Sha256::new_with_prefix(self.name.as_bytes())
            .chain_update([b'\n', ALGORITHM])
            .chain_update(self.key)
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ALGORITHM], self.key.as_slice()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, u32::from_be_bytes(self.id()))
    }
}

impl FromStr for NoteVerifier {
    type Err = BadVerifier;
    fn from_str(text: &str) -> Result<Self, BadVerifier> {
        let read = || {
            let mut parts = text.splitn(3, '+');
            let (name, _id, key) = (parts.next()?, parts.next()?, parts.next()?);
            let bytes = STANDARD.decode(key).readable()?;
            let (algorithm, key) = bytes.split_first()?;
            let key = key.as_array().copied().filter(|_| *algorithm == ALGORITHM)?;
            let read = Self { name: name.to_owned(), key };
            // The id is made of the rest; another one is a mistake.
            (!name.is_empty() && read.to_string() == text).then_some(read)
        };
        read().ok_or(BadVerifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Key and note of the Go package that the form comes from, `golang.org/x/mod/sumdb/note`.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn the_published_note_opens() {
        let key: NoteVerifier = KEY.parse().unwrap();
        assert!(key.open(NOTE).unwrap().starts_with("If you think"));
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.open(&NOTE.replace("think", "thinc")), None);
        assert_eq!(key.under("Other").open(NOTE), None);
        for bad in ["", "PeterNeumann", &KEY.replace("c74f", "c74e"), &KEY.replace("ARpc", "AhpcA")] {
            assert_eq!(bad.parse::<NoteVerifier>(), Err(BadVerifier), "{bad}");
        }
    }

    #[test]
    fn what_is_signed_opens_under_its_own_name_and_key_alone() {
        let key = NoteKey::from_seed(&[7; 32]).unwrap();
        let note = key.sign("doorward/1/t", "hello\n");
        let public = key.named("doorward/1/t").unwrap();
        assert_eq!(public.open(&note), Some("hello\n"));
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        assert_eq!(public.under("doorward/1/u").open(&note), None);
        let other = NoteKey::from_seed(&[8; 32]).unwrap().named("doorward/1/t").unwrap();
        assert_eq!(other.open(&note), None);
        assert_eq!(format!("{key:?}"), "NoteKey");
    }
}
