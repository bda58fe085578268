//! A fast look for what every spelling of every denied key has in common.
//!
//! Folding keeps letters and digits in place and only loses their case, so each spelling of a denied key has the key's
//! words in it, whatever stands around them. Of each key one word is looked for. Bytes that have none of those words
//! cannot hold a denied key, and need no closer look. The words are few, as many keys share one ("tenant").

/// Bytes that are tested at once, without a branch in between.
const BLOCK: usize = 64;
/// Most words; looking for more costs as much as reading the keys.
const MAX_WORDS: usize = 4;
/// Words have from 3 bytes, as shorter ones are everywhere,
const MIN_WORD: usize = 3;
/// to this many; of a longer one only the beginning is looked for.
const MAX_WORD: usize = 32;
/// Letters and digits, those that are rare in telemetry first.
const BY_RARITY: &[u8] = b"qzjxkvwyb9876543210gfhpmudlcosrnaite";

/// The words to look for.
#[derive(Debug)]
pub struct Needles(Option<Vec<Word>>);

/// A word in lower case, and the places of its three rarest bytes.
#[derive(Debug)]
struct Word {
    text: Box<[u8]>,
    probes: [(usize, u8); 3],
}

impl Needles {
    /// The words of these keys, which are folded: lower case, words parted by `_`.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut keys: Vec<&[u8]> = keys.into_iter().collect();
        keys.sort_by_key(|key| longest_word(key).len());
        let mut words: Vec<Word> = Vec::new();
        for key in keys {
            if words.iter().any(|word| has(key, &word.text)) {
                continue;
            }
            let Some(word) = Word::new(longest_word(key)).filter(|_| words.len() < MAX_WORDS) else {
                return Self(None);
            };
            words.push(word);
        }
        Self(Some(words))
    }

    /// The first place in `body`, from `start` on, where one of the words may begin; the end if there is none.
    pub fn find(&self, body: &[u8], start: usize) -> usize {
        let Some(words) = &self.0 else { return start };
        let mut at = start;
        let nowhere = body.len().max(start);
        if words.is_empty() {
            return nowhere;
        }
        while let Some(window) = body.get(at..).and_then(|rest| rest.first_chunk::<{ BLOCK + MAX_WORD }>()) {
            let hits = words.iter().filter(|word| word.may_begin(window));
            if let Some(place) = hits.filter_map(|word| word.place(window)).min() {
                return at + place;
            }
            at += BLOCK;
        }
        let rest = body.get(at..).unwrap_or_default();
        (0..rest.len())
            .find(|place| words.iter().any(|word| word.begins(rest, *place)))
            .map_or(nowhere, |place| at + place)
    }
}

impl Word {
    /// `None` for a word that is too short to tell anything.
    fn new(text: &[u8]) -> Option<Self> {
        let text = text.get(..MAX_WORD).unwrap_or(text);
        if text.len() < MIN_WORD {
            return None;
        }
        let mut places: Vec<(usize, u8)> = text.iter().copied().enumerate().collect();
        let rank = |byte: u8| BY_RARITY.iter().position(|other| *other == byte);
        places.sort_by_key(|(_, byte)| rank(*byte));
        let probes = *places.first_chunk()?;
        Some(Self { text: text.into(), probes })
    }

    /// Whether its three probes match somewhere in the first [`BLOCK`] places. Every place is computed, so that the
    /// compiler does sixteen in one instruction.
    #[inline]
    fn may_begin(&self, window: &[u8; BLOCK + MAX_WORD]) -> bool {
        let [first, second, third] = self.probes.map(|(place, byte)| (shifted(window, place), byte));
        let places = first.0.iter().zip(second.0).zip(third.0);
        let found = places.fold(0_u8, |found, ((one, two), three)| {
            found | matches(*one, first.1) & matches(*two, second.1) & matches(*three, third.1)
        });
        found != 0
    }

    /// Where it begins in the first [`BLOCK`] places.
    fn place(&self, window: &[u8; BLOCK + MAX_WORD]) -> Option<usize> {
        let [(place, byte), ..] = self.probes;
        let alike =
            shifted(window, place).iter().enumerate().filter(|(_, found)| matches(**found, byte) != 0);
        alike.map(|(place, _)| place).find(|place| self.begins(window, *place))
    }

    fn begins(&self, haystack: &[u8], place: usize) -> bool {
        let found = haystack.get(place..).and_then(|rest| rest.get(..self.text.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(&self.text))
    }
}

/// The block that begins `place` bytes later.
#[inline]
fn shifted(window: &[u8; BLOCK + MAX_WORD], place: usize) -> &[u8; BLOCK] {
    const NONE: &[u8; BLOCK] = &[0; BLOCK];
    window.get(place..).and_then(|rest| rest.first_chunk()).unwrap_or(NONE)
}

/// 1 for a byte that is `lower` but for its case. Some bytes that are no letters match too; [`Word::begins`] does
/// not let them.
#[inline]
fn matches(byte: u8, lower: u8) -> u8 {
    u8::from(byte | 0x20 == lower)
}

/// The longest word of a key; the last one of several.
fn longest_word(key: &[u8]) -> &[u8] {
    key.split(|byte| *byte == b'_').max_by_key(|word| word.len()).unwrap_or_default()
}

fn has(key: &[u8], word: &[u8]) -> bool {
    key.windows(word.len()).any(|window| window == word)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn needles(keys: &[&str]) -> Needles {
        Needles::new(keys.iter().map(|key| key.as_bytes()))
    }

    fn words(keys: &[&str]) -> Option<Vec<String>> {
        let words = needles(keys).0?;
        Some(words.iter().map(|word| String::from_utf8(word.text.to_vec()).unwrap()).collect())
    }

    #[test]
    fn keys_share_words() {
        let denied = ["tenant", "tenant_id", "tenantid", "doorward_tenant_id", "x_scope_orgid"];
        assert_eq!(words(&denied), Some(vec!["orgid".into(), "tenant".into()]));
        assert_eq!(words(&[]), Some(vec![]));
    }

    #[test]
    fn where_words_cannot_tell_everything_is_looked_at() {
        assert_eq!(words(&["a_b"]), None);
        assert_eq!(words(&["one", "two", "three", "four", "five"]), None);
        assert_eq!(needles(&["id"]).find(b"nothing of the kind", 4), 4);
        assert_eq!(needles(&[]).find(b"tenant", 0), 6);
    }

    #[test]
    fn any_case_at_any_place_is_found() {
        let needles = needles(&["tenant_id", "x_scope_orgid"]);
        for word in ["tenant", "TENANT", "TeNaNt", "orgid", "OrgID"] {
            for before in 0..200 {
                for after in [0, 1, 31, 32, 33, 200] {
                    let text = [vec![b'n'; before], word.as_bytes().to_vec(), vec![b'a'; after]].concat();
                    assert_eq!(needles.find(&text, 0), before, "{word} {after}");
                    assert_eq!(needles.find(&text, before), before, "{word} {after}");
                    assert_eq!(needles.find(&text, before + 1), text.len(), "{word} {after}");
                }
            }
        }
    }

    #[test]
    fn what_only_looks_alike_is_not_found() {
        let needles = needles(&["tenant_id"]);
        let text = "tenan tennant TENA\u{4e}\u{0}T tena\u{e}t t3nant \u{14}enant ".repeat(20);
        assert_eq!(needles.find(text.as_bytes(), 0), text.len());
        assert_eq!(needles.find(b"tenant", 9), 9);
    }

    #[test]
    fn a_long_word_is_looked_for_by_its_beginning() {
        let long = "w".repeat(100);
        let text = format!("{}{long}", " ".repeat(77));
        assert_eq!(needles(&[&long]).find(text.as_bytes(), 0), 77);
    }

    proptest! {
        #[test]
        fn nothing_is_overlooked(text in vec(prop::sample::select(b"tenanTENAorgidORGID._ ".to_vec()), 0..400), start in 0..400_usize) {
            let needles = needles(&["tenant", "orgid"]);
            let lower = text.to_ascii_lowercase();
            let begins = |at: &usize| lower[*at..].starts_with(b"tenant") || lower[*at..].starts_with(b"orgid");
            let expected = (start..text.len()).find(begins).unwrap_or(text.len().max(start));
            prop_assert_eq!(needles.find(&text, start), expected);
        }
    }
}
