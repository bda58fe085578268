//! Passwords: one canonical form, strong enough when they are set, kept as
//! Argon2id hashes (RFC 9106).

mod canonical;
mod hashing;
mod strength;

pub use hashing::{Cost, HashingFault, PasswordHash, Verdict, Workspace};
pub use strength::Known;

use crate::domain::{Entropy, Refusal};
use crate::secret::{Alphabet, mint};
use std::fmt;
use zeroize::Zeroizing;

/// A password in the clear and in its canonical form, wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a text cannot be a password. Never tells any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Fewer than [`Password::MIN`] characters.
    #[error("must have at least {} characters", Password::MIN)]
    TooShort,
    /// More than [`Password::MAX`] characters.
    #[error("must have at most {} characters", Password::MAX)]
    TooLong,
    /// A character that RFC 8265 §4.2 keeps out of passwords.
    #[error("must not have control characters, invisible ones, or ones that Unicode has not assigned")]
    BadCharacter,
    /// One of the passwords that most people choose, or another single word.
    #[error("is a common password, a single word, or a name known of you; choose another")]
    Common,
    /// Others can guess it quickly.
    #[error(
        "is too easy to guess, perhaps from your address, your tenant's name or a pattern; \
         some unrelated words make a good one"
    )]
    Guessable,
}

impl Password {
    /// Characters that a password has at least.
    pub const MIN: usize = 8;
    /// Characters that a password has at most.
    pub const MAX: usize = 1_024;

    /// A random password of 24 letters: 142 bits.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(24));
        mint::push_random(&mut text, Alphabet::Base62.letters(), 24, entropy);
        Self(text)
    }

    /// A password that somebody typed, in the canonical form: the profile
    /// `OpaqueString` (RFC 8265 §4.2). The one way from outside to a password,
    /// so its bounds hold wherever one is hashed or compared.
    pub fn presented(text: String) -> Result<Self, BadPassword> {
        let text = Zeroizing::new(text);
        canonical::canonical(&text).map(Self)
    }

    /// The password in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it may be set by somebody of whom this is known. Takes up to some
    /// tens of milliseconds of computing: servers ask in their pool.
    pub fn withstand_guessing(&self, known: &Known) -> Result<(), BadPassword> {
        strength::check(&self.0, known)
    }

    /// Hashes it here and now, at the usual cost and in memory of its own.
    /// Takes tens of milliseconds: servers hash in their pool.
    pub fn hash(&self, entropy: &dyn Entropy) -> Result<PasswordHash, HashingFault> {
        Workspace::new(Cost::default()).hash(self, entropy)
    }
}

impl BadPassword {
    /// The refusal of a request whose `field` this was.
    pub fn refusal(self, field: &'static str) -> Refusal {
        Refusal::invalid(field, self.to_string())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;

    #[test]
    fn a_generated_password_is_fit_to_be_set_and_shown_by_no_debug() {
        let password = Password::generate(&Counting::default());
        assert_eq!(password.reveal().len(), 24);
        assert_eq!(password.withstand_guessing(&Known::default()), Ok(()));
        assert!(Password::presented(password.reveal().to_owned()).unwrap().reveal() == password.reveal());
        assert_eq!(format!("{password:?}"), "Password([redacted])");
    }

    #[test]
    fn a_refusal_tells_the_field_and_why_but_not_the_password() {
        let refusal = Password::presented("s3cr3t!".into()).unwrap_err().refusal("new_password");
        assert_eq!(refusal.message, "new_password: must have at least 8 characters");
        let refusal = Password::presented("hush\u{7}hush".into()).unwrap_err().refusal("password");
        assert!(refusal.message.starts_with("password: must not have control"));
        assert!(!format!("{refusal:?}").contains("hush"));
    }
}
