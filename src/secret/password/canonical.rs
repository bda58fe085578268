//! The one form in which passwords are hashed and compared: the PRECIS profile
//! `OpaqueString` (RFC 8265 §4.2), over the newest Unicode that is known here.
//!
//! - Every space is U+0020 (§4.2.2 rule 2); case and width stay (rules 1, 3).
//! - Normalization form C (rule 4), before characters are looked at instead of
//!   after: so a Korean syllable typed in parts is that syllable, not a fault.
//! - What `FreeformClass` disallows is refused (RFC 8264 §4.3, §9): controls,
//!   invisible and other ignorable characters, old Hangul letters, and whatever
//!   Unicode has not assigned or leaves to private use.
//! - The two joiners may only follow a virama (RFC 5892 appendix A.1, A.2). The
//!   second case of A.1, between joining letters, is refused.
//! - The other rules of context (A.3 to A.9) are not demanded: they keep names
//!   apart that look alike, and nobody looks at passwords.

use super::{BadPassword, Password};
use std::ops::RangeInclusive;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::{canonical_combining_class, is_public_assigned};
use zeroize::Zeroizing;

/// Bytes that are looked at, at most: as many characters as there may be, each
/// of the longest kind.
const MAX_BYTES: usize = Password::MAX * 4;
/// How much longer a text in UTF-8 can become by form C (UAX #15 §9).
const GROWTH: usize = 3;
/// The combining class of viramas.
const VIRAMA: u8 = 9;

/// The text in its canonical form.
pub(super) fn canonical(text: &str) -> Result<Zeroizing<String>, BadPassword> {
    if text.len() > MAX_BYTES {
        return Err(BadPassword::TooLong);
    }
    // Room for all from the start: a string that moves leaves a copy behind.
    let mut form = Zeroizing::new(String::with_capacity(text.len() * GROWTH));
    form.extend(text.chars().map(|letter| if is_space(letter) { ' ' } else { letter }).nfc());
    match form.chars().count() {
        ..Password::MIN => Err(BadPassword::TooShort),
        Password::MIN..=Password::MAX if all_allowed(&form) => Ok(form),
        Password::MIN..=Password::MAX => Err(BadPassword::BadCharacter),
        _ => Err(BadPassword::TooLong),
    }
}

fn all_allowed(text: &str) -> bool {
    let mut before = None;
    text.chars().all(|letter| {
        let before = before.replace(letter);
        match letter {
            ' '..='~' => true,
            '\u{200c}' | '\u{200d}' => before.map(canonical_combining_class) == Some(VIRAMA),
            _ => is_public_assigned(letter) && !letter.is_control() && !is_disallowed(letter),
        }
    })
}

/// General category Zs.
fn is_space(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

fn is_disallowed(letter: char) -> bool {
    let at = DISALLOWED.partition_point(|range| *range.end() < letter);
    DISALLOWED.get(at).is_some_and(|range| range.contains(&letter))
}

/// In order: what has `Default_Ignorable_Code_Point` (RFC 8264 §9.13), format
/// characters that are no symbols, line and paragraph separators, old Hangul
/// letters (§9.9), and the exceptions of §9.6.
const DISALLOWED: &[RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{640}'..='\u{640}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{7fa}'..='\u{7fa}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{1100}'..='\u{11ff}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{302e}'..='\u{302f}',
    '\u{3031}'..='\u{3035}',
    '\u{303b}'..='\u{303b}',
    '\u{3164}'..='\u{3164}',
    '\u{a960}'..='\u{a97c}',
    '\u{d7b0}'..='\u{d7c6}',
    '\u{d7cb}'..='\u{d7fb}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(text: &str) -> Result<String, BadPassword> {
        canonical(text).map(|form| form.as_str().to_owned())
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        // RFC 8265 §4.3, table 3, and the pairs of one text typed on two systems.
        let same = [
            ("correct horse battery staple", "correct horse battery staple"),
            ("correct\u{1680}horse\u{3000}\u{a0}", "correct horse  "),
            ("Ang\u{212b}ngstr\u{f6}m", "Ang\u{c5}ngstro\u{308}m"),
            ("mu\u{308}lltonne", "m\u{fc}lltonne"),
            ("\u{1112}\u{1161}\u{11ab}1234567", "\u{d55c}1234567"),
            ("a\u{323}\u{307}1234567", "a\u{307}\u{323}1234567"),
        ];
        for (one, other) in same {
            assert_eq!(form(one), form(other), "{one}");
            assert!(form(one).is_ok(), "{one}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        // Case, width, compatibility forms, and letters of two scripts (RFC 8265 §4.2.2).
        let differ = [
            ("Correct Horse", "correct horse"),
            ("\u{ff41}bcdefgh", "abcdefgh"),
            ("\u{fb01}nanzamt", "finanzamt"),
            ("\u{430}bcdefgh", "abcdefgh"),
            ("\u{131}stanbul", "istanbul"),
            (" password", "password"),
        ];
        for (one, other) in differ {
            assert_ne!(form(one).unwrap(), form(other).unwrap(), "{one}");
        }
    }

    #[test]
    fn newer_letters_and_pictures_are_welcome() {
        for good in [
            "πßåπßåπßå",
            "foo9_bar-baz",
            "🥰🫠🤔🥰🫠🤔🥰🫠",
            "Jack of \u{2666}s",
            "क\u{94d}\u{200d}षकखगघङच",
            "சொற்கள்நல்ல",
        ] {
            assert!(form(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_cannot_be_seen_or_is_no_letter_is_refused() {
        let bad = [
            '\0',
            '\t',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{feff}',
            '\u{fffe}',
            '\u{e000}',
            '\u{378}',
            '\u{10ffff}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{115f}',
            '\u{3164}',
            '\u{640}',
            '\u{fff9}',
        ];
        for letter in bad {
            let text = format!("pass{letter}word");
            assert_eq!(form(&text), Err(BadPassword::BadCharacter), "U+{:04x}", u32::from(letter));
        }
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(DISALLOWED.windows(2).all(|two| two[0].end() < two[1].start()));
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(form(""), Err(BadPassword::TooShort));
        assert_eq!(form("äöüßäöü"), Err(BadPassword::TooShort));
        assert!(form("äöüßäöüß").is_ok());
        // Fourteen typed, seven characters.
        assert_eq!(form(&"u\u{308}".repeat(7)), Err(BadPassword::TooShort));
        assert!(form(&"🥰".repeat(1_024)).is_ok());
        assert_eq!(form(&"a".repeat(1_025)), Err(BadPassword::TooLong));
        assert_eq!(form(&"a".repeat(1 << 20)), Err(BadPassword::TooLong));
        // Form C makes three of one, so that there are too many only afterwards.
        assert_eq!(form(&"\u{1d160}".repeat(1_000)), Err(BadPassword::TooLong));
    }

    proptest! {
        #[test]
        fn the_form_is_its_own_form(text in "\\PC{0,60}|.{0,60}") {
            if let Ok(once) = form(&text) {
                prop_assert_eq!(form(&once).unwrap(), once.as_str());
                prop_assert_eq!(form(&once.nfd().collect::<String>()).unwrap(), once.as_str());
                prop_assert!((Password::MIN..=Password::MAX).contains(&once.chars().count()));
            }
        }

        #[test]
        fn nothing_grows_past_the_room_made_for_it(text in "[\\u{1d15e}-\\u{1d164}\\u{fb1d}-\\u{fb4e}\\u{958}-\\u{95f}\\u{2adc}\\u{300}-\\u{345}a]{8,200}") {
            let grown: String = text.nfc().collect();
            prop_assert!(grown.len() <= text.len() * GROWTH);
        }

        #[test]
        fn ascii_stays_as_it_is(text in "[ -~]{8,80}") {
            prop_assert_eq!(form(&text).unwrap(), text);
        }
    }
}
