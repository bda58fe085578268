//! New secrets.

use super::{Profile, sha256};
use crate::domain::{Digest, Entropy};
use std::fmt;
use zeroize::Zeroizing;

/// A new key: revealed once to whoever asked for it, then wiped.
pub struct Minted(Zeroizing<String>);

impl Minted {
    /// A key of this profile, its random letters drawn without bias.
    pub fn new(profile: &Profile, entropy: &dyn Entropy) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(profile.length()));
        text.push_str(&profile.prefix);
        push_random(&mut text, profile.alphabet.letters(), usize::from(profile.random), entropy);
        let check = profile.check_of(text.as_bytes());
        let used = check.iter().take(usize::from(profile.check));
        text.extend(used.map(|byte| char::from(*byte)));
        Self(text)
    }

    /// The whole key.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        sha256(self.0.as_bytes())
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minted([redacted])")
    }
}

/// Draws bytes and leaves out those that would favour some letters.
pub(super) fn push_random(text: &mut String, letters: &[u8], count: usize, entropy: &dyn Entropy) {
    let fair = 256 - 256 % letters.len();
    let mut bytes = Zeroizing::new([0; 64]);
    let mut left = count;
    while left > 0 {
        entropy.fill(bytes.as_mut_slice());
        let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|drawn| *drawn < fair).take(left);
        for at in drawn {
            text.extend(letters.get(at % letters.len()).map(|byte| char::from(*byte)));
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;

    // R10, R22
    #[test]
    fn a_minted_key_is_random_and_cannot_be_printed() {
        let profile = Profile::defaults().remove(0);
        let entropy = Counting::default();
        let (one, two) = (Minted::new(&profile, &entropy), Minted::new(&profile, &entropy));
        assert_ne!(one.reveal(), two.reveal());
        assert_eq!(one.reveal().len(), profile.length());
        assert!(!format!("{one:?}").contains("dw_live"));
    }
}
