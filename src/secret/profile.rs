//! Key profiles: the shapes that keys of a brand have.

use super::Class;
use crate::domain::keys::{Environment, KeyKind};
use serde::Deserialize;

/// The letters that a key's random part and check are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// Digits, upper case, lower case: 5.95 bits a letter.
    Base62,
    /// Digits and `a` to `f`: 4 bits a letter.
    Hex,
}

impl Alphabet {
    /// The letters, in the order of their values.
    pub const fn letters(self) -> &'static [u8] {
        match self {
            Self::Base62 => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Self::Hex => b"0123456789abcdef",
        }
    }

    /// Which bytes are its letters.
    pub(super) const fn table(self) -> &'static Letters {
        static BASE62: Letters = Letters::of(Alphabet::Base62.letters());
        static HEX: Letters = Letters::of(Alphabet::Hex.letters());
        match self {
            Self::Base62 => &BASE62,
            Self::Hex => &HEX,
        }
    }

    /// Letters that the whole CRC-32 takes.
    const fn whole_check(self) -> u8 {
        match self {
            Self::Base62 => 6,
            Self::Hex => 8,
        }
    }

    const fn millibits(self) -> u32 {
        match self {
            Self::Base62 => 5954,
            Self::Hex => 4000,
        }
    }

    /// CRC-32 of `text` in this many letters, the first of the eight; fewer
    /// than the whole of it take have its low 16 bits.
    pub(super) fn check_of(self, text: &[u8], width: u8) -> [u8; 8] {
        let mut rest = self.crc_of(text, usize::from(width));
        let base = u32::from(self.base());
        let mut check = [b'0'; 8];
        for place in check.iter_mut().take(usize::from(width)).rev() {
            *place = self.letters().get((rest % base) as usize).copied().unwrap_or(b'0');
            rest /= base;
        }
        check
    }

    /// Whether that is the check of the text, without making it: reading
    /// a number takes no divisions. No check is right for every text.
    pub(super) fn confirms(self, text: &[u8], check: &[u8]) -> bool {
        let (letters, base) = (self.table(), u64::from(self.base()));
        let number = |number: u64, letter: &u8| {
            number.wrapping_mul(base).wrapping_add(u64::from(letters.value(*letter)))
        };
        let right = |check: &[u8]| {
            let known = check.iter().fold(true, |all, letter| all & letters.has(*letter));
            known & (check.iter().fold(0, number) == u64::from(self.crc_of(text, check.len())))
        };
        check.is_empty() || (check.len() <= 8 && right(check))
    }

    fn crc_of(self, text: &[u8], width: usize) -> u32 {
        let crc = crc32fast::hash(text);
        if width < usize::from(self.whole_check()) { crc & 0xffff } else { crc }
    }

    const fn base(self) -> u8 {
        match self {
            Self::Base62 => 62,
            Self::Hex => 16,
        }
    }
}

/// The exact shape of the keys of one kind, brand and environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is called in requests and settings.
    pub name: String,
    /// What its keys begin with, such as `dw_live_`.
    pub prefix: String,
    /// The letters of the rest.
    #[serde(default = "base62")]
    pub alphabet: Alphabet,
    /// Random letters.
    #[serde(default = "thirty_two")]
    pub random: u8,
    /// Letters of check; 0 is none, as keys issued elsewhere need it.
    #[serde(default = "six")]
    pub check: u8,
    /// Whose keys they are.
    pub kind: KeyKind,
    /// Live or test.
    pub environment: Environment,
}

const fn base62() -> Alphabet {
    Alphabet::Base62
}
const fn thirty_two() -> u8 {
    32
}
const fn six() -> u8 {
    6
}

/// Randomness below which a plain digest would not be enough (NIST SP 800-63B §5.1.2).
const MIN_MILLIBITS: u32 = 112_000;

/// A set of profiles that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profile `{name}`: {fault}")]
pub struct BadProfiles {
    /// The profile at fault.
    pub name: String,
    /// What is wrong with it.
    pub fault: String,
}

impl Profile {
    /// Bytes that a key may have, whatever its profile.
    pub const MAX_LENGTH: usize = 128;

    /// Profiles when none are configured: brand `dw`, one shape for each kind
    /// and environment.
    pub fn defaults() -> Vec<Self> {
        let kinds = [
            (KeyKind::User, ""),
            (KeyKind::Service, "svc_"),
            (KeyKind::Tenant, "ten_"),
            (KeyKind::Ingest, "ing_"),
        ];
        let environments = [Environment::Live, Environment::Test];
        kinds
            .into_iter()
            .flat_map(|(kind, word)| environments.map(|environment| (kind, word, environment)))
            .map(|(kind, word, environment)| Self {
                name: format!("{}-{}", kind.name(), environment.name()),
                prefix: format!("dw_{word}{}_", environment.name()),
                alphabet: Alphabet::Base62,
                random: 32,
                check: 6,
                kind,
                environment,
            })
            .collect()
    }

    /// The exact length of its keys in bytes.
    pub fn length(&self) -> usize {
        self.prefix.len() + usize::from(self.random) + usize::from(self.check)
    }

    /// Every fault of the set.
    pub fn check_all(profiles: &[Self]) -> Vec<BadProfiles> {
        let mut faults = Vec::new();
        for (at, profile) in profiles.iter().enumerate() {
            let mut bad = |fault: String| faults.push(BadProfiles { name: profile.name.clone(), fault });
            profile.check_one(&mut bad);
            for other in profiles.iter().take(at) {
                if other.name == profile.name {
                    bad("the name is taken twice".into());
                }
                let nested =
                    other.prefix.starts_with(&profile.prefix) || profile.prefix.starts_with(&other.prefix);
                if nested {
                    bad(format!(
                        "the prefix `{}` and `{}` of `{}` cannot be told apart",
                        profile.prefix, other.prefix, other.name
                    ));
                }
            }
        }
        faults
    }

    fn check_one(&self, bad: &mut impl FnMut(String)) {
        if self.name.is_empty() || self.name.len() > 40 {
            bad("the name must have 1 to 40 characters".into());
        }
        let words: Vec<&str> = self.prefix.strip_suffix('_').unwrap_or_default().split('_').collect();
        let lower = |word: &&str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !(2..=24).contains(&self.prefix.len()) || words.len() > 3 || !words.iter().all(lower) {
            bad("the prefix must be 1 to 3 words of lower-case letters and digits, each with `_` after it, 24 bytes at most".into());
        }
        let nested = |class: &Class| {
            class.prefix().starts_with(&self.prefix) || self.prefix.starts_with(class.prefix())
        };
        if let Some(class) = Class::ALL.iter().find(|class| nested(class)) {
            bad(format!("the prefix `{}` is that of {} secrets", class.prefix(), class.name()));
        }
        if self.check > 0 && u32::from(self.random) * self.alphabet.millibits() < MIN_MILLIBITS {
            bad("the random part must have at least 112 bits: 19 letters of base62 or 28 of hex".into());
        }
        let widths = match self.alphabet {
            Alphabet::Base62 => &[0, 6][..],
            Alphabet::Hex => &[0, 4, 8],
        };
        if !widths.contains(&self.check) {
            bad(format!("check must be one of {widths:?} for this alphabet"));
        }
        if self.length() > Self::MAX_LENGTH {
            bad(format!("its keys would have more than {} bytes", Self::MAX_LENGTH));
        }
        if self.random == 0 {
            bad("random must not be 0".into());
        }
    }

    /// The check that belongs after `text`, which is prefix and random part.
    pub(super) fn check_of(&self, text: &[u8]) -> [u8; 8] {
        self.alphabet.check_of(text, self.check)
    }
}

/// What each byte is worth as a letter of an alphabet.
pub(super) struct Letters([u8; 256]);

impl Letters {
    /// A byte that is none of them.
    const NONE: u8 = u8::MAX;

    const fn of(letters: &[u8]) -> Self {
        let mut table = [Self::NONE; 256];
        let (mut rest, mut value) = (letters, 0);
        while let Some((first, others)) = rest.split_first() {
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
            {
                table[*first as usize] = value;
            }
            (rest, value) = (others, value + 1);
        }
        Self(table)
    }

    /// Whether the byte is one.
    pub(super) const fn has(&self, byte: u8) -> bool {
        self.value(byte) != Self::NONE
    }

    /// Its place among the letters, from 0.
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    const fn value(&self, byte: u8) -> u8 {
        self.0[byte as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Profile::check_all(&Profile::defaults()), []);
        assert!(Profile::defaults().iter().any(|profile| profile.prefix == "dw_live_"));
    }

    // R10: what is written is what is read, and nothing else is.
    #[test]
    fn a_check_is_confirmed_exactly_if_it_is_the_one_that_is_written() {
        for (alphabet, width) in [(Alphabet::Base62, 6), (Alphabet::Hex, 4), (Alphabet::Hex, 8)] {
            for number in 0..2_000_u32 {
                let text = format!("dw_live_{number}");
                let check = alphabet.check_of(text.as_bytes(), width);
                let check = &check[..usize::from(width)];
                assert!(alphabet.confirms(text.as_bytes(), check), "{text}");
                for at in 0..check.len() {
                    let mut other = check.to_vec();
                    other[at] = *alphabet.letters().iter().find(|letter| **letter != other[at]).unwrap();
                    assert!(!alphabet.confirms(text.as_bytes(), &other), "{text}");
                    other[at] = b'-';
                    assert!(!alphabet.confirms(text.as_bytes(), &other), "{text}");
                }
            }
            assert!(alphabet.confirms(b"any", b""));
            assert!(!alphabet.confirms(b"any", b"000000000"));
        }
        // 62^6 is more than 2^32: a number that is too large is no other way to write a small one.
        assert!(!Alphabet::Base62.confirms(b"dw_live_1", b"zzzzzz"));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let sound = Profile::defaults().remove(0);
        let faulty = [
            Profile { prefix: "Dw_live_".into(), ..sound.clone() },
            Profile { prefix: "dw_live".into(), ..sound.clone() },
            Profile { prefix: "a_b_c_d_".into(), ..sound.clone() },
            Profile { random: 18, ..sound.clone() },
            Profile { check: 5, ..sound.clone() },
            Profile { random: 200, ..sound.clone() },
            Profile { prefix: "dwr_".into(), ..sound.clone() },
            Profile { prefix: "dwi_live_".into(), ..sound.clone() },
        ];
        for profile in faulty {
            assert_eq!(Profile::check_all(std::slice::from_ref(&profile)).len(), 1, "{profile:?}");
        }
        let twice = [sound.clone(), Profile { prefix: "dw_live_x_".into(), ..sound }];
        assert_eq!(Profile::check_all(&twice).len(), 2);
    }
}
