//! Passwords, kept as Argon2id hashes (RFC 9106).

use crate::domain::Entropy;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use std::fmt;
use zeroize::Zeroizing;

/// A password in the clear, wiped when dropped.
pub struct Password(Zeroizing<String>);

/// A password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
#[error("password hashing: {0}")]
pub struct HashingFault(String);

/// The hash of a password, with its parameters, as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl Password {
    /// A random password of 24 letters: 142 bits.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(24));
        super::mint::push_random(&mut text, super::Alphabet::Base62.letters(), 24, entropy);
        Self(text)
    }

    /// A password that somebody typed.
    pub fn presented(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Hashes it: 19 MiB, two passes, one lane. Takes tens of milliseconds.
    pub fn hash(&self) -> Result<PasswordHash, HashingFault> {
        let hash =
            argon2id()?.hash_password(self.0.as_bytes()).map_err(|error| HashingFault(error.to_string()))?;
        Ok(PasswordHash(hash.to_string()))
    }

    /// Whether this is the password that was hashed.
    pub fn fits(&self, hash: &PasswordHash) -> Result<bool, HashingFault> {
        let parsed = argon2::PasswordHash::new(&hash.0).map_err(|error| HashingFault(error.to_string()))?;
        Ok(argon2id()?.verify_password(self.0.as_bytes(), &parsed).is_ok())
    }
}

fn argon2id() -> Result<Argon2<'static>, HashingFault> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| HashingFault(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl PasswordHash {
    /// The hash as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;

    #[test]
    fn only_the_password_itself_fits_its_hash() {
        let password = Password::generate(&Counting::default());
        let hash = password.hash().unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(password.fits(&hash).unwrap());
        assert!(!Password::presented("another".into()).fits(&hash).unwrap());
        assert!(!format!("{password:?}{hash:?}").contains("argon2id$"));
    }
}
