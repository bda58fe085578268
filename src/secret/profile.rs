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
        let mut rest = crc32fast::hash(text);
        if width < self.whole_check() {
            rest &= 0xffff;
        }
        let mut check = [b'0'; 8];
        let places = check.iter_mut().take(usize::from(width)).rev();
        match self {
            Self::Base62 => write_digits::<62>(places, rest, Self::Base62.letters()),
            Self::Hex => write_digits::<16>(places, rest, Self::Hex.letters()),
        }
        check
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

/// Writes a number to a base that is known when compiling, which saves the divisions.
fn write_digits<'a, const BASE: u32>(
    places: impl Iterator<Item = &'a mut u8>,
    mut number: u32,
    letters: &[u8],
) {
    for place in places {
        *place = letters.get((number % BASE) as usize).copied().unwrap_or(b'0');
        number /= BASE;
    }
}

/// Which bytes are letters of an alphabet.
pub(super) struct Letters([bool; 256]);

impl Letters {
    const fn of(letters: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut rest = letters;
        while let Some((first, others)) = rest.split_first() {
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
            {
                table[*first as usize] = true;
            }
            rest = others;
        }
        Self(table)
    }

    /// Whether the byte is one.
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    pub(super) const fn has(&self, byte: u8) -> bool {
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
