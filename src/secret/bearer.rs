//! Opaque secrets that stand for a session, a pending login, a reset and the like.
//!
//! `bearer = prefix random check`, as keys have it: 32 letters of base62 (190
//! bits), so that a plain digest is enough to know one by, and six of CRC-32
//! over all before them. Every class has a prefix of its own: scanners find
//! all, and a secret of one class is none of another.

use super::mint::push_random;
use super::{Alphabet, sha256};
use crate::domain::{Digest, Entropy};
use std::fmt;
use zeroize::Zeroizing;

/// What a bearer secret is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Gets the next access token of a session.
    Refresh,
    /// A login that waits for its second factor.
    Challenge,
    /// Sets a new password, once.
    Reset,
    /// Shows that mail reaches its address.
    Verification,
    /// Joins a tenant.
    Invitation,
    /// A device that its person has logged in from.
    Device,
}

/// A bearer secret in the clear, wiped when dropped.
pub struct Bearer {
    class: Class,
    text: Zeroizing<String>,
}

/// A text that is no bearer secret of the class asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the form of a {} secret", class.name())]
pub struct NotABearer {
    /// The class that was wanted.
    pub class: Class,
}

const ALPHABET: Alphabet = Alphabet::Base62;
const RANDOM: usize = 32;
const CHECK: u8 = 6;

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] =
        [Self::Refresh, Self::Challenge, Self::Reset, Self::Verification, Self::Invitation, Self::Device];

    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Challenge => "challenge",
            Self::Reset => "reset",
            Self::Verification => "verification",
            Self::Invitation => "invitation",
            Self::Device => "device",
        }
    }

    /// What its secrets begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "dwr_",
            Self::Challenge => "dwc_",
            Self::Reset => "dwp_",
            Self::Verification => "dwv_",
            Self::Invitation => "dwi_",
            Self::Device => "dwd_",
        }
    }
}

impl Bearer {
    /// Bytes of every bearer secret.
    pub const LENGTH: usize = 4 + RANDOM + CHECK as usize;

    /// A new secret of this class, its random letters drawn without bias.
    pub fn mint(class: Class, entropy: &dyn Entropy) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(Self::LENGTH));
        text.push_str(class.prefix());
        push_random(&mut text, ALPHABET.letters(), RANDOM, entropy);
        let check = ALPHABET.check_of(text.as_bytes(), CHECK);
        text.extend(check.iter().take(CHECK.into()).map(|letter| char::from(*letter)));
        Self { class, text }
    }

    /// Reads a secret of this class. No trimming, no folding of case: the one
    /// text or none.
    pub fn parse(class: Class, text: &str) -> Result<Self, NotABearer> {
        if sound(class, text.as_bytes()).unwrap_or(false) {
            Ok(Self { class, text: Zeroizing::new(text.to_owned()) })
        } else {
            Err(NotABearer { class })
        }
    }

    /// Its class.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The whole text.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is kept of it: SHA-256 with the class bound in, which no key's
    /// digest can equal.
    pub fn digest(&self) -> Digest {
        let mut labelled = Zeroizing::new(String::with_capacity(80));
        for part in ["doorward bearer ", self.class.name(), " ", &self.text] {
            labelled.push_str(part);
        }
        sha256(labelled.as_bytes())
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer({}, [redacted])", self.class.name())
    }
}

/// `None` where the text is too short to look at.
fn sound(class: Class, text: &[u8]) -> Option<bool> {
    let random = text.strip_prefix(class.prefix().as_bytes())?.get(..RANDOM)?;
    let (body, check) = text.split_at_checked(text.len().checked_sub(CHECK.into())?)?;
    let letters = ALPHABET.table();
    Some(
        text.len() == Bearer::LENGTH
            && random.iter().all(|letter| letters.has(*letter))
            && ALPHABET.confirms(body, check),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use crate::secret::{Forms, Profile};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn minted(class: Class) -> Bearer {
        Bearer::mint(class, &Counting::default())
    }

    #[test]
    fn a_minted_secret_is_read_as_its_own_class_alone() {
        let entropy = Counting::default();
        for class in Class::ALL {
            let bearer = Bearer::mint(class, &entropy);
            assert_eq!(bearer.reveal().len(), Bearer::LENGTH);
            assert!(bearer.reveal().starts_with(class.prefix()));
            for other in Class::ALL {
                let read = Bearer::parse(other, bearer.reveal());
                assert_eq!(read.is_ok(), other == class, "{class:?} as {other:?}");
                let relabelled = bearer.reveal().replacen(class.prefix(), other.prefix(), 1);
                assert_eq!(Bearer::parse(other, &relabelled).is_ok(), other == class);
            }
            let read = Bearer::parse(class, bearer.reveal()).unwrap();
            assert_eq!((read.class(), read.digest()), (class, bearer.digest()));
            assert_ne!(Bearer::mint(class, &entropy).reveal(), bearer.reveal());
        }
    }

    #[test]
    fn classes_have_names_prefixes_and_digests_of_their_own() {
        let names: HashSet<_> = Class::ALL.iter().map(|class| class.name()).collect();
        let prefixes: HashSet<_> = Class::ALL.iter().map(|class| class.prefix()).collect();
        assert_eq!((names.len(), prefixes.len()), (Class::ALL.len(), Class::ALL.len()));
        assert!(prefixes.iter().all(|prefix| prefix.len() == 4));
        let digest = |class| Bearer { class, text: Zeroizing::new("same".into()) }.digest();
        assert_ne!(digest(Class::Refresh), digest(Class::Reset));
        let refresh = minted(Class::Refresh);
        assert_ne!(refresh.digest(), sha256(refresh.reveal().as_bytes()));
    }

    // A13 for what is no key: truncated, extended, re-cased, padded.
    #[test]
    fn a_secret_that_was_touched_is_none() {
        let bearer = minted(Class::Refresh);
        let text = bearer.reveal();
        let touched = [
            String::new(),
            "dwr_".into(),
            text[..text.len() - 1].to_owned(),
            format!("{text}0"),
            format!(" {text}"),
            format!("{text}\n"),
            format!("{text}\0"),
            text.to_uppercase(),
            text.to_lowercase(),
            text.replace("dwr_", "dwr"),
            text.replace("dwr_", "dw_live_"),
        ];
        for text in touched {
            assert_eq!(Bearer::parse(Class::Refresh, &text).unwrap_err().class, Class::Refresh, "{text:?}");
        }
    }

    // Whoever knows how the check is made can make one for other shapes too.
    #[test]
    fn the_right_check_does_not_make_up_for_a_wrong_shape() {
        let with_check = |body: String| {
            let check = ALPHABET.check_of(body.as_bytes(), CHECK);
            body + std::str::from_utf8(&check[..6]).unwrap()
        };
        let random = "x".repeat(RANDOM);
        assert!(Bearer::parse(Class::Reset, &with_check(format!("dwp_{random}"))).is_ok());
        let bodies = [
            format!("dwp_{random}x"),
            format!("dwp_{}", &random[1..]),
            format!("dwp_{}_", &random[1..]),
            format!("dwp_{}\0", &random[1..]),
            format!("dwp_{}\u{e9}", &random[2..]),
            "dwp_".into(),
        ];
        for body in bodies {
            assert!(Bearer::parse(Class::Reset, &with_check(body.clone())).is_err(), "{body:?}");
        }
    }

    // Whatever stands in one place, letters of no alphabet included.
    #[test]
    fn any_change_of_one_letter_is_refused() {
        for class in Class::ALL {
            let bearer = minted(class);
            for at in 0..Bearer::LENGTH {
                for letter in (0..128_u8).filter(|letter| *letter != bearer.reveal().as_bytes()[at]) {
                    let mut bytes = bearer.reveal().as_bytes().to_vec();
                    bytes[at] = letter;
                    let text = String::from_utf8(bytes).unwrap();
                    assert!(Bearer::parse(class, &text).is_err(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn no_bearer_secret_is_a_key_and_no_key_a_bearer_secret() {
        let forms = Forms::new(Profile::defaults());
        let entropy = Counting::default();
        for class in Class::ALL {
            assert!(forms.recognise(Bearer::mint(class, &entropy).reveal()).is_err(), "{class:?}");
            for profile in Profile::defaults() {
                let key = crate::secret::Minted::new(&profile, &entropy);
                assert!(Bearer::parse(class, key.reveal()).is_err());
                // The prefixes alone keep them apart, whatever letters come after.
                assert!(!profile.prefix.starts_with(class.prefix()));
                assert!(!class.prefix().starts_with(&profile.prefix));
            }
        }
    }

    #[test]
    fn it_cannot_be_printed() {
        let bearer = minted(Class::Challenge);
        assert_eq!(format!("{bearer:?}"), "Bearer(challenge, [redacted])");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_garbage_is_no_secret(text in ".{0,60}", tail in "[0-9A-Za-z]{38}") {
            for class in Class::ALL {
                prop_assert!(Bearer::parse(class, &text).is_err());
                let labelled = String::from(class.prefix()) + &text;
                prop_assert!(Bearer::parse(class, &labelled).is_err());
                // One in 2^32 would pass by chance.
                let guess = format!("{}{tail}", class.prefix());
                prop_assert!(Bearer::parse(class, &guess).is_err());
            }
        }
    }
}
