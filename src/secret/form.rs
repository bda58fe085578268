//! Telling keys from garbage by their form alone, before anything is looked up.
//!
//! `key = prefix random check`, the check being CRC-32 over all before it. A
//! typo, a truncated or re-cased key, a changed prefix: all end here.

use super::Profile;
use crate::domain::keys::{Environment, KeyKind};

/// The forms that keys can have.
#[derive(Debug, Clone)]
pub struct Forms {
    profiles: Vec<Profile>,
    /// For each profile, what tells most other texts from its keys at a glance.
    glances: Vec<Glance>,
}

/// The length of a profile's keys and their first bytes, as far as the prefix goes.
#[derive(Debug, Clone, Copy)]
struct Glance {
    length: usize,
    mask: u128,
    start: u128,
    /// Whether that is the whole prefix.
    whole: bool,
}

/// Bytes that a glance sees.
const SEEN: usize = 16;

impl Glance {
    fn of(profile: &Profile) -> Self {
        let prefix = profile.prefix.as_bytes();
        let known = prefix.len().min(SEEN);
        let mut mask = [0; SEEN];
        mask.iter_mut().take(known).for_each(|mask| *mask = 0xff);
        let mask = u128::from_ne_bytes(mask);
        Self { length: profile.length(), mask, start: first(prefix) & mask, whole: known == prefix.len() }
    }

    /// Whether a text of that length and beginning has the prefix.
    fn fits(self, text: &[u8], start: u128, profile: &Profile) -> bool {
        text.len() == self.length
            && start & self.mask == self.start
            && (self.whole || text.starts_with(profile.prefix.as_bytes()))
    }
}

/// The first bytes of a text as one word; what is missing is 0.
fn first(text: &[u8]) -> u128 {
    let mut padded = [0; SEEN];
    let bytes = text.first_chunk().unwrap_or_else(|| {
        padded.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
        &padded
    });
    u128::from_ne_bytes(*bytes)
}

/// A text that has the form of a key.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// The form.
    pub profile: &'a Profile,
}

/// A text that is no key of any profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the form of a key")]
pub struct NotAKey;

impl Forms {
    /// The forms of these profiles, which [`Profile::check_all`] found sound.
    pub fn new(profiles: Vec<Profile>) -> Self {
        let glances = profiles.iter().map(Glance::of).collect();
        Self { profiles, glances }
    }

    /// Recognises a key. No trimming, no folding of case: the one text or none.
    pub fn recognise(&self, text: &str) -> Result<Form<'_>, NotAKey> {
        let text = text.as_bytes();
        let start = first(text);
        let mut known = self.glances.iter().zip(&self.profiles);
        let (_, profile) =
            known.find(|(glance, profile)| glance.fits(text, start, profile)).ok_or(NotAKey)?;
        let (body, check) = text.split_at_checked(text.len() - usize::from(profile.check)).ok_or(NotAKey)?;
        let letters = profile.alphabet.table();
        let known = |random: &[u8]| random.iter().fold(true, |all, byte| all & letters.has(*byte));
        let sound =
            body.get(profile.prefix.len()..).is_some_and(known) && profile.alphabet.confirms(body, check);
        if sound { Ok(Form { profile }) } else { Err(NotAKey) }
    }

    /// The profile of that name.
    pub fn named(&self, name: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// The profile that new keys of a kind and environment get.
    pub fn for_new(&self, kind: KeyKind, environment: Environment) -> Option<&Profile> {
        let fits = |profile: &&Profile| profile.kind == kind && profile.environment == environment;
        let checked = self.profiles.iter().filter(fits).find(|profile| profile.check > 0);
        checked.or_else(|| self.profiles.iter().find(fits))
    }

    /// Every profile.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use crate::secret::{Alphabet, Minted};
    use proptest::prelude::*;

    fn forms() -> Forms {
        let mut profiles = Profile::defaults();
        let sample = |name: &str, prefix: &str, check| Profile {
            name: name.into(),
            prefix: prefix.into(),
            alphabet: Alphabet::Hex,
            random: 32,
            check,
            kind: KeyKind::User,
            environment: Environment::Live,
        };
        let short = Profile { random: 3, ..sample("short", "s_", 0) };
        let long = sample("long", "acme_of_the_north_live_", 8);
        profiles.extend([sample("sl", "sl_live_", 4), sample("legacy", "old_", 0), short, long]);
        Forms::new(profiles)
    }

    // R10
    #[test]
    fn minted_keys_of_every_profile_are_recognised_as_that_profile() {
        let (forms, entropy) = (forms(), Counting::default());
        for profile in forms.profiles() {
            let minted = Minted::new(profile, &entropy);
            assert_eq!(forms.recognise(minted.reveal()).unwrap().profile.name, profile.name);
        }
    }

    #[test]
    fn of_a_long_prefix_every_byte_counts() {
        let forms = forms();
        let minted = Minted::new(forms.named("long").unwrap(), &Counting::default());
        let key = minted.reveal();
        assert!(forms.recognise(key).is_ok());
        for at in 0.."acme_of_the_north_live_".len() {
            let mut bytes = key.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(forms.recognise(std::str::from_utf8(&bytes).unwrap()).is_err(), "{at}");
        }
        for text in ["", "s", "s_0", "s_01", "s_0123", "t_012"] {
            assert!(forms.recognise(text).is_err(), "{text}");
        }
        assert_eq!(forms.recognise("s_012").unwrap().profile.name, "short");
    }

    // A13: truncated, extended, re-cased, padded or re-labelled keys.
    #[test]
    fn a_key_that_was_touched_is_none() {
        let forms = forms();
        let minted = Minted::new(forms.named("user-live").unwrap(), &Counting::default());
        let key = minted.reveal().to_owned();
        let swapped = key.replace("dw_live_", "dw_test_");
        let mut touched = vec![
            key[..key.len() - 1].to_owned(),
            format!("{key}0"),
            format!(" {key}"),
            format!("{key}\n"),
            format!("{key}\0"),
            key.to_uppercase(),
            key.to_lowercase(),
            swapped,
            key.replace("dw_", "dw%5F"),
            String::new(),
            "dw_live_".into(),
        ];
        touched.extend((0..key.len()).map(|at| {
            let mut bytes = key.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            String::from_utf8(bytes).unwrap()
        }));
        for text in touched.into_iter().filter(|text| *text != key) {
            assert!(forms.recognise(&text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_garbage_is_no_key(text in ".{0,200}", tail in "[0-9A-Za-z]{38}") {
            let forms = forms();
            let _ = forms.recognise(&text);
            let _ = forms.recognise(&format!("old_{text}"));
            // One in 2^32 would pass by chance.
            let guess = String::from("dw_live_") + &tail;
            prop_assert!(forms.recognise(&guess).is_err());
        }
    }
}
