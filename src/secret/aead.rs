//! AES-256-GCM-SIV (RFC 8452), the one cipher for what Doorward must be able to
//! read again.

use super::SealingFault;
use crate::domain::Entropy;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// A key of this cipher.
pub(super) type CipherKey = Zeroizing<[u8; 32]>;

/// Bytes of a nonce.
const NONCE: usize = 12;

/// Bytes that [`encrypt`] adds: the nonce before and the tag after.
pub(super) const OVERHEAD: usize = NONCE + 16;

/// Encrypts to `nonce text tag`. The nonce is drawn; were it ever drawn twice,
/// only that two equal texts are equal would show (RFC 8452 §1).
pub(super) fn encrypt(
    key: &CipherKey,
    context: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealingFault> {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let (_, text) = sealed.split_at_mut_checked(NONCE).ok_or(SealingFault::Cipher)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let Ok(tag) = cipher(key)?.seal_in_place_separate_tag(nonce, Aad::from(context), text) else {
        return Err(SealingFault::Cipher);
    };
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Decrypts what [`encrypt`] made under the same key and context.
pub(super) fn decrypt(
    key: &CipherKey,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealingFault> {
    if sealed.len() < OVERHEAD {
        return Err(SealingFault::Malformed);
    }
    let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(SealingFault::Malformed)?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let mut text = Zeroizing::new(text.to_vec());
    let Ok(plain) = cipher(key)?.open_in_place(nonce, Aad::from(context), &mut text) else {
        return Err(SealingFault::Refused);
    };
    let length = plain.len();
    text.truncate(length);
    Ok(text)
}

fn cipher(key: &CipherKey) -> Result<LessSafeKey, SealingFault> {
    match UnboundKey::new(&AES_256_GCM_SIV, key.as_slice()) {
        Ok(key) => Ok(LessSafeKey::new(key)),
        Err(_) => Err(SealingFault::Cipher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<u8>);

    impl Entropy for Given {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&self.0);
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    // RFC 8452 appendix C.2.
    #[test]
    fn it_is_aes_256_gcm_siv() {
        let mut key = CipherKey::new([0; 32]);
        key[0] = 1;
        let nonce = Given(bytes("030000000000000000000000"));
        let vectors = [
            ("", "", "07f5f4169bbf55a8400cd47ea6fd400f"),
            ("", "0100000000000000", "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"),
            ("01", "0200000000000000", "1de22967237a813291213f267e3b452f02d01ae33e4ec854"),
        ];
        for (context, plain, sealed) in vectors {
            let (context, plain) = (bytes(context), bytes(plain));
            let made = encrypt(&key, &context, &plain, &nonce).unwrap();
            assert_eq!(made, [nonce.0.clone(), bytes(sealed)].concat());
            assert_eq!(decrypt(&key, &context, &made).unwrap().as_slice(), plain);
        }
    }
}
