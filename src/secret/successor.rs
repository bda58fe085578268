//! The next secret of a chain, kept so that only the holder of the last one can
//! read it.
//!
//! When the answer to a refresh is lost, the client comes again with the old
//! secret and must get the same new one. The database has digests alone; so the
//! new text is kept encrypted under a key that only the old text gives.

use super::aead::{self, CipherKey};
use super::{Bearer, SealingFault};
use crate::domain::Entropy;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// The layout that is written here, first byte of every sealed successor.
const VERSION: u8 = 1;

/// Seals `new` so that whoever holds `old` can open it, and nobody else: both
/// are of one class.
pub fn successor_seal(old: &Bearer, new: &Bearer, entropy: &dyn Entropy) -> Result<Vec<u8>, SealingFault> {
    if old.class() != new.class() {
        return Err(SealingFault::Refused);
    }
    let sealed = aead::encrypt(&key_of(old)?, &context(old), new.reveal().as_bytes(), entropy)?;
    Ok([&[VERSION], sealed.as_slice()].concat())
}

/// Opens what [`successor_seal`] made for the holder of `old`.
pub fn successor_open(old: &Bearer, sealed: &[u8]) -> Result<Bearer, SealingFault> {
    let sealed = match sealed.split_first() {
        Some((&VERSION, rest)) if rest.len() == Bearer::LENGTH + aead::OVERHEAD => rest,
        Some(_) | None => return Err(SealingFault::Malformed),
    };
    let text = aead::decrypt(&key_of(old)?, &context(old), sealed)?;
    match std::str::from_utf8(&text).map(|text| Bearer::parse(old.class(), text)) {
        Ok(Ok(new)) => Ok(new),
        Ok(Err(_)) | Err(_) => Err(SealingFault::Refused),
    }
}

/// HKDF-SHA-256 (RFC 5869) of the old text, which has 190 bits of its own.
fn key_of(old: &Bearer) -> Result<CipherKey, SealingFault> {
    let salt = Salt::new(HKDF_SHA256, b"doorward successor 1");
    let mut key = Zeroizing::new([0; 32]);
    let secret = salt.extract(old.reveal().as_bytes());
    let expanded = secret
        .expand(&[old.class().name().as_bytes()], HKDF_SHA256)
        .and_then(|output| output.fill(key.as_mut_slice()));
    match expanded {
        Ok(()) => Ok(key),
        Err(_) => Err(SealingFault::Cipher),
    }
}

fn context(old: &Bearer) -> Vec<u8> {
    [b"doorward successor 1 ", old.class().name().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use crate::secret::Class;
    use proptest::prelude::*;

    fn chain() -> (Bearer, Bearer, Bearer, Counting) {
        let entropy = Counting::default();
        let mint = || Bearer::mint(Class::Refresh, &entropy);
        let (old, new, other) = (mint(), mint(), mint());
        (old, new, other, entropy)
    }

    // A34
    #[test]
    fn only_the_old_secret_opens_its_successor() {
        let (old, new, other, entropy) = chain();
        let sealed = successor_seal(&old, &new, &entropy).unwrap();
        assert_eq!(successor_open(&old, &sealed).unwrap().reveal(), new.reveal());
        assert_eq!(successor_open(&other, &sealed).unwrap_err(), SealingFault::Refused);
        assert_eq!(successor_open(&new, &sealed).unwrap_err(), SealingFault::Refused);
        assert!(!sealed.windows(8).any(|part| new.reveal().as_bytes().windows(8).any(|clear| clear == part)));
        assert_ne!(key_of(&old).unwrap().as_slice(), old.digest().to_bytes());
    }

    #[test]
    fn classes_do_not_mix() {
        let (old, _, _, entropy) = chain();
        let reset = Bearer::mint(Class::Reset, &entropy);
        assert_eq!(successor_seal(&old, &reset, &entropy).unwrap_err(), SealingFault::Refused);
    }

    #[test]
    fn a_sealed_successor_that_was_cut_or_changed_is_refused() {
        let (old, new, _, entropy) = chain();
        let sealed = successor_seal(&old, &new, &entropy).unwrap();
        for length in 0..sealed.len() {
            assert_eq!(successor_open(&old, &sealed[..length]).unwrap_err(), SealingFault::Malformed);
        }
        assert!(successor_open(&old, &[sealed.as_slice(), &[0]].concat()).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(successor_open(&old, &changed).is_err(), "{bit}");
        }
    }

    proptest! {
        #[test]
        fn no_garbage_opens(garbage in prop::collection::vec(any::<u8>(), 0..100)) {
            let (old, ..) = chain();
            prop_assert!(successor_open(&old, &garbage).is_err());
        }
    }
}
