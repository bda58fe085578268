//! Whether a password may be set: no composition rules, but an estimate of the
//! guesses that it takes (NIST SP 800-63B-4 §3.1.1.2, ASVS 6.2.4 and 6.2.12).
//!
//! The estimate is zxcvbn's, and [`SCORE`] is demanded. It knows some 30,000
//! passwords by rank; each of them alone, and with the usual changes of case and
//! letters, is far below that score, so it is the list of common ones too.

use super::BadPassword;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Score, zxcvbn};

/// What is demanded: more than 10⁸ guesses, out of reach where each is slow, as
/// with Argon2id. Eight random characters fall just short of it, nine do not.
const SCORE: Score = Score::Three;
/// Characters that are looked at: the cost of an estimate grows with their
/// square and more, and with letters that stand for others; so many took 20 ms at
/// worst. What follows can only make a password stronger.
const LOOKED_AT: usize = 32;
/// Words that are taken from all that is known.
const MAX_WORDS: usize = 24;
/// Characters of such a word.
const MAX_WORD: usize = 64;
/// Shorter pieces say nothing.
const MIN_WORD: usize = 3;
/// Known of everybody here.
const HOUSE: &str = "doorward";

/// What a guesser may know of a person: their address, their tenant's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known(Vec<String>);

impl Default for Known {
    /// Nothing but what is known of everybody.
    fn default() -> Self {
        Self(vec![HOUSE.to_owned()])
    }
}

impl Known {
    /// These texts, what is before and after their `@`, and their words: at most
    /// 24 in all, the first first.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        for text in texts {
            known.add(text);
            text.split('@').for_each(|part| known.add(part));
            text.split(|letter: char| !letter.is_alphanumeric()).for_each(|word| known.add(word));
        }
        known
    }

    fn add(&mut self, word: &str) {
        let word: String = word.chars().take(MAX_WORD).collect();
        if self.0.len() < MAX_WORDS && word.chars().nth(MIN_WORD - 1).is_some() && !self.0.contains(&word) {
            self.0.push(word);
        }
    }
}

/// Refuses what can be guessed.
pub(super) fn check(password: &str, known: &Known) -> Result<(), BadPassword> {
    let end = password.char_indices().nth(LOOKED_AT).map_or(password.len(), |(at, _)| at);
    let looked_at = password.get(..end).unwrap_or(password);
    let words: Vec<&str> = known.0.iter().map(String::as_str).collect();
    let estimate = zxcvbn(looked_at, &words);
    if estimate.score() >= SCORE {
        return Ok(());
    }
    let listed = matches!(estimate.sequence(), [only] if matches!(only.pattern, MatchPattern::Dictionary(_)));
    Err(if listed { BadPassword::Common } else { BadPassword::Guessable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of those that are chosen most, with eight characters or more.
    const MOST_CHOSEN: &str = "password 12345678 123456789 1234567890 baseball football qwertyuiop superman \
        1qaz2wsx trustno1 jennifer sunshine iloveyou starwars computer michelle 11111111 princess 987654321 \
        corvette 1234qwer 88888888 internet samantha whatever maverick steelers mercedes 123123123 qwer1234 \
        hardcore q1w2e3r4 midnight bigdaddy victoria 1q2w3e4r cocacola marlboro asdfasdf 87654321 12344321 \
        rockyou1 password1 password123 letmein1 welcome1 admin123 changeme passw0rd p@ssw0rd Password1 \
        qwerty123 abc12345 1q2w3e4r5t zaq12wsx dragon12 monkey123 michael1 charlie1 iloveyou1 football1";

    fn refused(password: &str, known: &[&str]) -> Option<BadPassword> {
        check(password, &Known::of(known.iter().copied())).err()
    }

    #[test]
    fn what_most_people_choose_is_refused() {
        for password in MOST_CHOSEN.split_whitespace() {
            assert!(refused(password, &[]).is_some(), "{password}");
            assert!(refused(&format!("{password}!"), &[]).is_some(), "{password}!");
        }
        assert_eq!(refused("password", &[]), Some(BadPassword::Common));
        assert_eq!(refused("aaaaaaaaaaaaaaaa", &[]), Some(BadPassword::Guessable));
        assert_eq!(refused("20261122", &[]), Some(BadPassword::Guessable));
    }

    #[test]
    fn what_is_known_of_a_person_counts_for_little() {
        let known = ["gzegzolka.brzeszczot@example.com", "Wyindywidualizowany Sklep"];
        for password in ["gzegzolka.brzeszczot", "Wyindywidualizowany7", "gz3gzolka2026"] {
            assert_eq!(refused(password, &[]), None, "{password} is unknown elsewhere");
            assert!(refused(password, &known).is_some(), "{password}");
        }
        assert!(refused("doorward2026", &[]).is_some());
    }

    #[test]
    fn what_is_long_or_random_is_taken() {
        for password in [
            "correct horse battery staple",
            "vQ7#kd9!wLz2",
            "zielony słoń tańczy w deszczu",
            "🥰🫠🤔🦜🥝🫐🪿🦦🐙🍋",
        ] {
            assert_eq!(refused(password, &["ada@example.com", "Acme"]), None, "{password}");
        }
    }

    #[test]
    fn no_more_is_known_than_has_room() {
        let many: Vec<String> =
            (0..1_000).map(|number| format!("word{number}-{}", "x".repeat(500))).collect();
        let known = Known::of(many.iter().map(String::as_str));
        assert_eq!(known.0.len(), MAX_WORDS);
        assert!(known.0.iter().all(|word| word.chars().count() <= MAX_WORD));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_password_makes_it_panic(password in "\\PC{8,80}|[a@4e3i1!o0s$5]{8,64}|(aab?){3,30}|[0-9/.-]{8,64}") {
            let _: Result<(), BadPassword> = check(&password, &Known::of(["ada@example.com"]));
        }
    }
}
