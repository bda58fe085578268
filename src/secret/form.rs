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

/// The length of a profile's keys and their first eight bytes, as far as the prefix goes.
#[derive(Debug, Clone, Copy)]
struct Glance {
    length: usize,
    mask: u64,
    start: u64,
}

impl Glance {
    fn of(profile: &Profile) -> Self {
        let prefix = profile.prefix.as_bytes();
        let known = prefix.len().min(8);
        let (mut mask, mut start) = ([0; 8], [0; 8]);
        for ((mask, start), byte) in mask.iter_mut().zip(&mut start).zip(prefix.iter().take(known)) {
            (*mask, *start) = (0xff, *byte);
        }
        let (mask, start) = (u64::from_ne_bytes(mask), u64::from_ne_bytes(start));
        Self { length: profile.length(), mask, start }
    }

    fn may_be(self, text: &[u8]) -> bool {
        let start = text.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first));
        text.len() == self.length && start & self.mask == self.start
    }
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
        let profile = self
            .glances
            .iter()
            .zip(&self.profiles)
            .find(|(glance, profile)| glance.may_be(text) && text.starts_with(profile.prefix.as_bytes()))
            .map(|(_, profile)| profile)
            .ok_or(NotAKey)?;
        let (body, check) = text.split_at_checked(text.len() - usize::from(profile.check)).ok_or(NotAKey)?;
        let letters = profile.alphabet.table();
        let known = |random: &[u8]| random.iter().fold(true, |all, byte| all & letters.has(*byte));
        let sound = body.get(profile.prefix.len()..).is_some_and(known)
            && profile.check_of(body).get(..check.len()) == Some(check);
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
        profiles.extend([sample("sl", "sl_live_", 4), sample("legacy", "old_", 0)]);
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
