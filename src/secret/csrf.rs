//! Tokens that only a page of our own can send along with a session's cookies.

use super::Pepper;
use crate::domain::SessionId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// What the key is derived for. Shorter than a digest, so that no stored digest of an imported key is
/// ever this.
const PURPOSE: &[u8] = b"doorward/csrf/v1";

/// Bytes of a token, and its letters.
const BYTES: usize = 32;
const LETTERS: usize = (BYTES * 4).div_ceil(3);

/// The key under which a session's token is the HMAC-SHA-256 (RFC 2104) of the session's id. Nothing is
/// stored: every replica has the same pepper, and so the same key.
#[derive(Clone)]
pub struct CsrfKey(Zeroizing<[u8; 64]>);

impl CsrfKey {
    /// The key that belongs to this pepper.
    pub fn of(pepper: &Pepper) -> Option<Self> {
        let derived = pepper.derive(PURPOSE)?;
        // HMAC pads a key with zeros to the size of a block (RFC 2104 §2).
        let mut key = Zeroizing::new([0; 64]);
        key.iter_mut().zip(derived.iter()).for_each(|(place, byte)| *place = *byte);
        Some(Self(key))
    }

    /// The session's token: 43 letters of base64url.
    pub fn token(&self, session: SessionId) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(session).finalize().into_bytes())
    }

    /// Whether a text is the session's token; takes as long wherever the two differ.
    pub fn fits(&self, session: SessionId, presented: &[u8]) -> bool {
        let mut bytes = [0; BYTES];
        let read = presented.len() == LETTERS
            && matches!(URL_SAFE_NO_PAD.decode_slice(presented, &mut bytes), Ok(BYTES));
        read && self.mac(session).verify_slice(&bytes).is_ok()
    }

    fn mac(&self, session: SessionId) -> Hmac<Sha256> {
        Hmac::<Sha256>::new((&*self.0).into()).chain_update(session.as_bytes())
    }
}

impl fmt::Debug for CsrfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> CsrfKey {
        CsrfKey::of(&Pepper::new(Zeroizing::new(vec![byte; 32])).unwrap()).unwrap()
    }

    fn session(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16])
    }

    #[test]
    fn a_token_fits_its_session_and_key_alone() {
        let token = key(1).token(session(7));
        assert_eq!(token.len(), LETTERS);
        assert!(key(1).fits(session(7), token.as_bytes()));
        assert!(!key(1).fits(session(8), token.as_bytes()));
        assert!(!key(2).fits(session(7), token.as_bytes()));
        assert_eq!(format!("{:?}", key(1)), "CsrfKey([redacted])");
    }

    // An independent reckoning: the key is HMAC(pepper, purpose), the token HMAC(key, id).
    #[test]
    fn it_is_the_hmac_that_it_says() {
        let hmac = |key: &[u8], message: &[u8]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
            aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
        };
        let derived = hmac(&[1; 32], b"doorward/csrf/v1");
        assert_eq!(key(1).token(session(7)), URL_SAFE_NO_PAD.encode(hmac(&derived, &[7; 16])));
    }

    #[test]
    fn a_changed_token_does_not_fit() {
        let (key, token) = (key(1), key(1).token(session(7)));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!key.fits(session(7), &changed), "{at}");
        }
        for changed in [&token[1..], &token[..42], &format!("{token}="), &format!("{token} "), ""] {
            assert!(!key.fits(session(7), changed.as_bytes()), "{changed}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(!key(1).fits(session(7), &bytes));
        }
    }
}
