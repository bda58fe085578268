//! The root key, from which all that is sealed hangs.

use crate::domain::Entropy;
use crate::domain::reading::Reading;
use crate::secret::aead::CipherKey;
use crate::secret::sha256;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use zeroize::Zeroizing;

/// A key of 256 bits that wraps data keys. It is wiped when dropped.
pub struct RootKey {
    bytes: CipherKey,
    id: RootKeyId,
}

/// What a root key is called in what it sealed: 64 bits of a digest over it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootKeyId([u8; 8]);

/// What was given is no root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRootKey {
    /// It has another form or length.
    #[error("a root key is 32 bytes: 64 hexadecimal digits, their base64, or a file of just these bytes")]
    Form,
    /// Nobody drew it at random.
    #[error("the root key is not random: make one with `openssl rand -hex 32`")]
    Guessable,
}

impl RootKey {
    /// Bytes of a root key.
    pub const LENGTH: usize = 32;

    /// A new root key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = CipherKey::new([0; Self::LENGTH]);
        entropy.fill(bytes.as_mut_slice());
        Self::of(bytes)
    }

    /// Reads 64 hexadecimal digits or the base64 of 32 bytes (RFC 4648 §4 or
    /// §5, padded or not), white space around it left aside.
    pub fn from_text(text: &str) -> Result<Self, BadRootKey> {
        let text = text.trim_ascii();
        let bytes = from_hex(text).or_else(|| from_base64(text)).ok_or(BadRootKey::Form)?;
        Self::checked(bytes)
    }

    /// Reads what a key file holds: the 32 bytes themselves, or a text as
    /// [`RootKey::from_text`] takes it.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, BadRootKey> {
        if bytes.len() != Self::LENGTH {
            return std::str::from_utf8(bytes).readable().ok_or(BadRootKey::Form).and_then(Self::from_text);
        }
        let mut key = CipherKey::new([0; Self::LENGTH]);
        key.copy_from_slice(bytes);
        Self::checked(key)
    }

    /// Its name.
    pub const fn id(&self) -> RootKeyId {
        self.id
    }

    /// Its hexadecimal digits, for writing a new one to where it is kept.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * Self::LENGTH));
        for byte in self.bytes.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        text
    }

    pub(super) const fn bytes(&self) -> &CipherKey {
        &self.bytes
    }

    /// A passphrase of 32 letters, or one byte over and over, is a mistake: of
    /// random keys fewer than one in 2^56 looks so.
    fn checked(bytes: CipherKey) -> Result<Self, BadRootKey> {
        let text = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
        let same = bytes.windows(2).all(|pair| pair.first() == pair.last());
        if text || same { Err(BadRootKey::Guessable) } else { Ok(Self::of(bytes)) }
    }

    fn of(bytes: CipherKey) -> Self {
        let mut labelled = Zeroizing::new(b"doorward root key id 1".to_vec());
        labelled.reserve_exact(Self::LENGTH);
        labelled.extend_from_slice(bytes.as_slice());
        let [a, b, c, d, e, f, g, h, ..] = sha256(&labelled).to_bytes();
        Self { bytes, id: RootKeyId([a, b, c, d, e, f, g, h]) }
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({}, [redacted])", self.id)
    }
}

impl RootKeyId {
    /// The name that these bytes are.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn from_hex(text: &str) -> Option<CipherKey> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = CipherKey::new([0; RootKey::LENGTH]);
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = (*byte << 4) | u8::try_from(digit).readable()?;
        }
    }
    Some(bytes)
}

fn from_base64(text: &str) -> Option<CipherKey> {
    // Nothing longer can be 32 bytes, padding included.
    if text.len() > 44 {
        return None;
    }
    let standard = text.bytes().map(|letter| match letter {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    let standard = Zeroizing::new(standard.collect::<Vec<u8>>());
    let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&STANDARD, padding).decode(&*standard).readable()?;
    let decoded = Zeroizing::new(decoded);
    let mut bytes = CipherKey::new([0; RootKey::LENGTH]);
    if decoded.len() != bytes.len() {
        return None;
    }
    bytes.copy_from_slice(&decoded);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1dfeff";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd/v8=";

    #[test]
    fn one_key_has_one_name_however_it_is_written() {
        let key = RootKey::from_text(HEX).unwrap();
        let raw: Vec<u8> = (0..30).chain([0xfe, 0xff]).collect();
        let written = [
            HEX.to_uppercase(),
            format!("  {HEX}\n"),
            BASE64.into(),
            BASE64.trim_end_matches('=').into(),
            BASE64.replace('/', "_"),
        ];
        for text in written {
            assert_eq!(RootKey::from_text(&text).unwrap().id(), key.id(), "{text}");
            assert_eq!(RootKey::from_file_bytes(text.as_bytes()).unwrap().id(), key.id(), "{text}");
        }
        assert_eq!(RootKey::from_file_bytes(&raw).unwrap().id(), key.id());
        assert_eq!(key.reveal().as_str(), HEX);
        assert_eq!(key.id().to_string().len(), 16);
    }

    #[test]
    fn what_is_no_key_or_no_secret_is_refused() {
        let texts = ["", "00", &HEX[1..], &format!("{HEX}00"), &HEX.replace('f', "g"), &BASE64[..40]];
        for text in texts {
            assert_eq!(RootKey::from_text(text).unwrap_err(), BadRootKey::Form, "{text}");
        }
        assert_eq!(RootKey::from_file_bytes(&[0xff; 33]).unwrap_err(), BadRootKey::Form);
        assert_eq!(RootKey::from_text(&"0".repeat(64)).unwrap_err(), BadRootKey::Guessable);
        assert_eq!(
            RootKey::from_file_bytes(b"correct horse battery staple 123").unwrap_err(),
            BadRootKey::Guessable
        );
    }

    #[test]
    fn keys_differ_and_none_can_be_printed() {
        let entropy = Counting::default();
        let (one, two) = (RootKey::generate(&entropy), RootKey::generate(&entropy));
        assert_ne!(one.id(), two.id());
        assert_ne!(one.reveal(), two.reveal());
        let shown = format!("{one:?}");
        assert!(!shown.contains(one.reveal().get(..16).unwrap()), "{shown}");
        assert!(!one.reveal().contains(&one.id().to_string()));
    }
}
