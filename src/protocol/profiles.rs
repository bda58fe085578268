//! The forms of keys as messages, and back.

use super::Unreadable;
use super::states::{from_environment, from_kind, to_environment, to_kind};
use crate::domain::reading::Reading;
use crate::pb::v1 as pb;
use crate::secret::{Alphabet, Forms, Profile};

/// Profiles that one server has at most, as far as its peers believe.
const MOST: usize = 1_000;

/// The forms as messages.
pub fn from_forms(forms: &Forms) -> Vec<pb::KeyProfile> {
    forms.profiles().iter().map(from_profile).collect()
}

/// The forms that a peer told; refused whole if one cannot be read or they
/// contradict each other.
pub fn to_forms(told: &[pb::KeyProfile]) -> Result<Forms, Unreadable> {
    if told.len() > MOST {
        return Err(Unreadable("profiles"));
    }
    let profiles = told.iter().map(to_profile).collect::<Result<Vec<_>, _>>()?;
    if Profile::check_all(&profiles).is_empty() {
        Ok(Forms::new(profiles))
    } else {
        Err(Unreadable("profiles"))
    }
}

fn from_profile(profile: &Profile) -> pb::KeyProfile {
    let alphabet = match profile.alphabet {
        Alphabet::Base62 => pb::KeyAlphabet::Base62,
        Alphabet::Hex => pb::KeyAlphabet::Hex,
    };
    pb::KeyProfile {
        name: profile.name.clone(),
        prefix: profile.prefix.clone(),
        alphabet: alphabet.into(),
        random: profile.random.into(),
        check: profile.check.into(),
        kind: from_kind(profile.kind).into(),
        environment: from_environment(profile.environment).into(),
    }
}

fn to_profile(told: &pb::KeyProfile) -> Result<Profile, Unreadable> {
    let alphabet = match told.alphabet() {
        pb::KeyAlphabet::Base62 => Alphabet::Base62,
        pb::KeyAlphabet::Hex => Alphabet::Hex,
        pb::KeyAlphabet::Unspecified => return Err(Unreadable("alphabet")),
    };
    let letters = |count: u32| u8::try_from(count).readable().ok_or(Unreadable("profiles"));
    Ok(Profile {
        name: told.name.clone(),
        prefix: told.prefix.clone(),
        alphabet,
        random: letters(told.random)?,
        check: letters(told.check)?,
        kind: to_kind(told.kind)?,
        environment: to_environment(told.environment)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::{Environment, KeyKind};

    #[test]
    fn profiles_go_round() {
        let mut profiles = Profile::defaults();
        profiles.push(Profile {
            name: "brand".into(),
            prefix: "sl_live_".into(),
            alphabet: Alphabet::Hex,
            random: 32,
            check: 0,
            kind: KeyKind::Service,
            environment: Environment::Test,
        });
        let told = from_forms(&Forms::new(profiles.clone()));
        assert_eq!(to_forms(&told).unwrap().profiles(), profiles);
    }

    #[test]
    fn what_contradicts_itself_is_refused_whole() {
        let sound = from_forms(&Forms::new(Profile::defaults()));
        let first = sound.first().unwrap();
        for faulty in [
            pb::KeyProfile { alphabet: 0, ..first.clone() },
            pb::KeyProfile { random: 300, ..first.clone() },
            pb::KeyProfile { kind: 99, ..first.clone() },
            pb::KeyProfile { environment: 0, ..first.clone() },
            pb::KeyProfile { prefix: String::new(), ..first.clone() },
        ] {
            assert!(to_forms(std::slice::from_ref(&faulty)).is_err(), "{faulty:?}");
        }
        assert!(to_forms(&[first.clone(), first.clone()]).is_err());
    }
}
