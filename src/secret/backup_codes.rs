//! Backup codes: what lets a person in who lost the authenticator.
//!
//! People type them from paper, so they are written in Crockford's base32,
//! which has no letters that look alike, in groups of four and without prefix
//! or check. 24 letters are 120 bits: above the 112 from which on a plain
//! SHA-256 is enough to keep them by (NIST SP 800-63B §5.1.2), so checking one
//! costs nothing that a flood of guesses could exhaust.

use super::mint::push_random;
use super::sha256;
use crate::domain::{Digest, Entropy};
use std::fmt;
use zeroize::Zeroizing;

/// A backup code in the clear, wiped when dropped.
pub struct BackupCode(Zeroizing<String>);

/// A text that is no backup code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the form of a backup code")]
pub struct NotABackupCode;

/// Crockford's letters in the order of their values.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 24;
const GROUP: usize = 4;

impl BackupCode {
    /// Codes that a person is given at a time.
    pub const COUNT: usize = 10;

    /// Bytes that a typed code may have, spaces and hyphens included.
    pub const MAX_TYPED: usize = 64;

    /// A new set of codes.
    pub fn set(entropy: &dyn Entropy) -> [Self; Self::COUNT] {
        std::array::from_fn(|_| {
            let mut letters = Zeroizing::new(String::with_capacity(LENGTH));
            push_random(&mut letters, LETTERS, LENGTH, entropy);
            Self(letters)
        })
    }

    /// Reads what somebody typed: in either case, with spaces and hyphens
    /// anywhere or nowhere, with `O` for `0` and `I` or `L` for `1`.
    pub fn typed(text: &str) -> Result<Self, NotABackupCode> {
        if text.len() > Self::MAX_TYPED {
            return Err(NotABackupCode);
        }
        let mut letters = Zeroizing::new(String::with_capacity(Self::MAX_TYPED));
        let kept = text.chars().filter(|letter| *letter != '-' && !letter.is_ascii_whitespace());
        for letter in kept {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            letters.push(letter);
        }
        let known = letters.bytes().all(|letter| LETTERS.contains(&letter));
        if known && letters.len() == LENGTH { Ok(Self(letters)) } else { Err(NotABackupCode) }
    }

    /// The code as it is shown: groups of four with hyphens between.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP));
        for (at, letter) in self.0.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        text
    }

    /// What is kept of it; the same however the code was typed.
    pub fn digest(&self) -> Digest {
        let mut labelled = Zeroizing::new(String::with_capacity(64));
        labelled.push_str("doorward backup code ");
        labelled.push_str(&self.0);
        sha256(labelled.as_bytes())
    }
}

impl fmt::Debug for BackupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use crate::secret::{Bearer, Class, Forms, Profile};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn code() -> BackupCode {
        BackupCode::typed("ABCD-EFGH-JKMN-PQRS-TV01-WXYZ").unwrap()
    }

    #[test]
    fn a_set_has_ten_different_codes_that_read_back() {
        let codes = BackupCode::set(&Counting::default());
        let shown: HashSet<String> = codes.iter().map(|code| code.reveal().to_string()).collect();
        assert_eq!(shown.len(), 10);
        for code in &codes {
            let shown = code.reveal();
            assert_eq!(shown.len(), 29);
            assert!(shown.split('-').all(|group| group.len() == 4));
            assert_eq!(BackupCode::typed(&shown).unwrap().digest(), code.digest());
        }
    }

    #[test]
    fn every_letter_is_drawn() {
        let codes = BackupCode::set(&Counting::default());
        let drawn: HashSet<char> = codes.iter().flat_map(|code| code.0.chars().collect::<Vec<_>>()).collect();
        assert_eq!(drawn.len(), 32);
    }

    // A30
    #[test]
    fn all_ways_to_type_a_code_are_one_code() {
        let ways = [
            "abcd-efgh-jkmn-pqrs-tv01-wxyz",
            "ABCDEFGHJKMNPQRSTV01WXYZ",
            "abcd efgh jkmn pqrs tvoi wxyz",
            "  AbCd--EFGH jkmn\tPQRS-TVOL-wxyz\r\n",
            "a-b-c-d-e-f-g-h-j-k-m-n-p-q-r-s-t-v-o-l-w-x-y-z",
        ];
        for way in ways {
            assert_eq!(BackupCode::typed(way).unwrap().digest(), code().digest(), "{way:?}");
        }
    }

    #[test]
    fn other_texts_are_no_code() {
        let shown = code().reveal().to_string();
        let bad = [
            String::new(),
            "----".into(),
            shown[1..].to_owned(),
            format!("{shown}0"),
            shown.replace('A', "U"),
            shown.replace('A', "*"),
            shown.replace('A', "\u{ff21}"),
            shown.replace('-', "\u{2013}"),
            format!("{shown}{}", " ".repeat(BackupCode::MAX_TYPED)),
        ];
        for text in bad {
            assert!(BackupCode::typed(&text).is_err(), "{text:?}");
        }
        let padded = format!("{shown}{}", " ".repeat(BackupCode::MAX_TYPED - shown.len()));
        assert!(BackupCode::typed(&padded).is_ok());
    }

    #[test]
    fn a_code_is_no_key_and_no_bearer_secret_and_cannot_be_printed() {
        let forms = Forms::new(Profile::defaults());
        for code in BackupCode::set(&Counting::default()) {
            assert!(forms.recognise(&code.reveal()).is_err() && forms.recognise(&code.0).is_err());
            assert!(Class::ALL.iter().all(|class| Bearer::parse(*class, &code.reveal()).is_err()));
            assert_ne!(code.digest(), sha256(code.0.as_bytes()));
            assert_eq!(format!("{code:?}"), "BackupCode([redacted])");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = BackupCode::typed(&text);
        }

        #[test]
        fn any_other_letter_makes_another_code(at in 0..LENGTH, value in 0..32_usize) {
            let mut letters = code().0.to_string().into_bytes();
            prop_assume!(letters[at] != LETTERS[value]);
            letters[at] = LETTERS[value];
            let other = BackupCode::typed(std::str::from_utf8(&letters).unwrap()).unwrap();
            prop_assert_ne!(other.digest(), code().digest());
        }
    }
}
