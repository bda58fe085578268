//! A fast look for what every spelling of every denied key has in common.
//!
//! Folding keeps letters and digits in place and only loses their case, so each spelling of a denied key has the key's
//! words in it, whatever stands around them. Of each key one word is looked for. Bytes that have none of those words
//! cannot hold a denied key, and need no closer look. The words are few, as many keys share one ("tenant").
//!
//! Of each word the three neighbours that are rarest in telemetry are compared at many places at once, with the widest
//! instructions that the processor has.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

/// Places that are compared at once.
const LANES: usize = 64;
/// Places that are tested together, without a branch in between.
const BLOCK: usize = 2 * LANES;
/// Most words; looking for more costs as much as reading the keys.
const MAX_WORDS: usize = 4;
/// Words have from 3 bytes, as shorter ones are everywhere,
const MIN_WORD: usize = 3;
/// to this many; of a longer one only the beginning is looked for.
const MAX_WORD: usize = 32;
/// Neighbours that are compared.
const PROBE: usize = 3;
/// A block and the neighbours of its last place.
const WINDOW: usize = BLOCK + PROBE - 1;
/// The bit in which the cases of a letter differ.
const CASE: u8 = 0x20;
/// Letters and digits, those that are rare in telemetry first.
const BY_RARITY: &[u8] = b"qzjxkvwyb9876543210gfhpmudlcosrnaite";

/// The words to look for.
#[derive(Debug)]
pub struct Needles {
    /// `None` where they could not tell anything.
    words: Option<Vec<Word>>,
    /// What the processor can do.
    level: Level,
}

/// A word in lower case.
#[derive(Debug)]
struct Word {
    text: Box<[u8]>,
    /// Its rarest neighbours, and where in it they are.
    probe: [u8; PROBE],
    place: usize,
}

impl Needles {
    /// The words of these keys, which are folded: lower case, words parted by `_`.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let level = Level::new();
        let mut keys: Vec<&[u8]> = keys.into_iter().collect();
        keys.sort_by_key(|key| longest_word(key).len());
        let mut words: Vec<Word> = Vec::new();
        for key in keys {
            if words.iter().any(|word| has(key, &word.text)) {
                continue;
            }
            let Some(word) = Word::new(longest_word(key)).filter(|_| words.len() < MAX_WORDS) else {
                return Self { words: None, level };
            };
            words.push(word);
        }
        Self { words: Some(words), level }
    }

    /// The first place in `body`, from `start` on, where one of the words may begin; the end if there is none.
    pub fn find(&self, body: &[u8], start: usize) -> usize {
        let Some(words) = &self.words else { return start };
        let found = match words.as_slice() {
            [] => None,
            [one] => self.look([one], body, start),
            [one, two] => self.look([one, two], body, start),
            [one, two, three] => self.look([one, two, three], body, start),
            [one, two, three, four, ..] => self.look([one, two, three, four], body, start),
        };
        found.unwrap_or(body.len().max(start))
    }

    fn look<const WORDS: usize>(&self, words: [&Word; WORDS], body: &[u8], start: usize) -> Option<usize> {
        let found = dispatch!(self.level, simd => in_blocks(simd, words, body, start));
        let found = found.or_else(|rest| in_rest(&words, body, start, rest).ok_or(rest));
        let Ok(probed) = found else { return None };
        // Another word may have begun earlier and be probed later.
        let farthest = words.iter().map(|word| word.place).max().unwrap_or_default();
        let first = probed.saturating_sub(farthest).max(start);
        (first..=probed).find(|place| words.iter().any(|word| word.begins(body, *place)))
    }
}

/// The first place from `at` on where the probe of a word is, and the word around it; or where the last whole window
/// ends.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled anew for each kind of processor")]
fn in_blocks<S: Simd, const WORDS: usize>(
    simd: S,
    words: [&Word; WORDS],
    body: &[u8],
    start: usize,
) -> Result<usize, usize> {
    let probes = words.map(|word| word.probe);
    let mut at = start;
    while let Some(window) = body.get(at..).and_then(|rest| rest.first_chunk()) {
        let candidates = candidates(simd, probes, window);
        if candidates != 0
            && let Some(place) = first_probed(&words, body, start, at, candidates)
        {
            return Ok(place);
        }
        at += BLOCK;
    }
    Err(at)
}

/// As bits, the places of a block where some probe matches.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled anew for each kind of processor")]
fn candidates<S: Simd, const WORDS: usize>(
    simd: S,
    probes: [[u8; PROBE]; WORDS],
    window: &[u8; WINDOW],
) -> u128 {
    let [low, high] = [0, LANES].map(|at| differences(simd, probes, window, at));
    let none = u8x64::splat(simd, 0);
    if !low.min(high).simd_eq(none).any_true() {
        return 0;
    }
    let [low, high] = [low, high].map(|differences| u128::from(differences.simd_eq(none).to_bitmask()));
    low | high << LANES
}

/// For each place from `at` on, something that is 0 where a probe matches.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled anew for each kind of processor")]
fn differences<S: Simd, const WORDS: usize>(
    simd: S,
    probes: [[u8; PROBE]; WORDS],
    window: &[u8; WINDOW],
    at: usize,
) -> u8x64<S> {
    let [first, second, third] =
        [at, at + 1, at + 2].map(|place| u8x64::from_slice(simd, lanes(window, place)));
    let mut least = u8x64::splat(simd, u8::MAX);
    for probe in probes {
        let [one, two, three] = probe.map(|byte| u8x64::splat(simd, byte));
        // Some bytes that are no letters pass as well; `Word::begins` does not let them.
        least = least.min(((first ^ one) | (second ^ two) | (third ^ three)) & u8x64::splat(simd, !CASE));
    }
    least
}

/// The first of the candidates in the block at `at` that is really in a word.
#[cold]
fn first_probed(
    words: &[&Word],
    body: &[u8],
    start: usize,
    at: usize,
    mut candidates: u128,
) -> Option<usize> {
    while candidates != 0 {
        let place = at + candidates.trailing_zeros() as usize;
        if words.iter().any(|word| word.is_around(body, start, place)) {
            return Some(place);
        }
        candidates &= candidates - 1;
    }
    None
}

/// The same in what is shorter than a window.
fn in_rest(words: &[&Word], body: &[u8], start: usize, at: usize) -> Option<usize> {
    (at..body.len()).find(|place| words.iter().any(|word| word.is_around(body, start, *place)))
}

impl Word {
    /// `None` for a word that is too short to tell anything.
    fn new(text: &[u8]) -> Option<Self> {
        let text = text.get(..MAX_WORD).unwrap_or(text);
        if text.len() < MIN_WORD {
            return None;
        }
        let rank = |byte: &u8| BY_RARITY.iter().position(|other| other == byte);
        let probes = text.windows(PROBE).enumerate();
        let (place, probe) = probes.min_by_key(|(_, probe)| probe.iter().filter_map(rank).sum::<usize>())?;
        Some(Self { text: text.into(), probe: *probe.first_chunk()?, place })
    }

    /// Whether its probe is at `place` of `haystack`, and the word around it, from `start` on.
    fn is_around(&self, haystack: &[u8], start: usize, place: usize) -> bool {
        let place = place.checked_sub(self.place).filter(|place| *place >= start);
        place.is_some_and(|place| self.begins(haystack, place))
    }

    fn begins(&self, haystack: &[u8], place: usize) -> bool {
        let found = haystack.get(place..).and_then(|rest| rest.get(..self.text.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(&self.text))
    }
}

/// What is compared for the places from `place` on.
#[inline(always)]
fn lanes(window: &[u8; WINDOW], place: usize) -> &[u8; LANES] {
    const NONE: &[u8; LANES] = &[0; LANES];
    window.get(place..).and_then(|rest| rest.first_chunk()).unwrap_or(NONE)
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

    /// The same for the processor's oldest relatives.
    fn plain(keys: &[&str]) -> Needles {
        Needles { level: Level::baseline(), ..needles(keys) }
    }

    fn words(keys: &[&str]) -> Option<Vec<String>> {
        let words = needles(keys).words?;
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
        let keys = ["tenant_id", "x_scope_orgid"];
        let (needles, plain) = (needles(&keys), plain(&keys));
        for word in ["tenant", "TENANT", "TeNaNt", "orgid", "OrgID"] {
            for before in 0..300 {
                for after in [0, 1, 31, 32, 33, 64, 200] {
                    let text = [vec![b'n'; before], word.as_bytes().to_vec(), vec![b'a'; after]].concat();
                    assert_eq!(needles.find(&text, 0), before, "{word} {after}");
                    assert_eq!(plain.find(&text, 0), before, "{word} {after}");
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
        fn nothing_is_overlooked(
            text in vec(prop::sample::select(b"tenanTENAorgidORGIDslug._ ".to_vec()), 0..900),
            start in 0..900_usize,
            count in 1..5_usize,
        ) {
            let keys = &["tenant", "orgid", "slug", "ten"][..count];
            let lower = text.to_ascii_lowercase();
            let begins = |at: &usize| keys.iter().any(|key| lower[*at..].starts_with(key.as_bytes()));
            let expected = (start..text.len()).find(begins).unwrap_or(text.len().max(start));
            prop_assert_eq!(needles(keys).find(&text, start), expected);
            prop_assert_eq!(plain(keys).find(&text, start), expected);
        }
    }
}
