//! When a key was last accepted, and how often since that was last written
//! down: two numbers in one word, so that a check costs one atomic addition.
//! Refusals are rare, and stand in a table beside the records, as does what a
//! busy key's record has no room for.

use crate::domain::usage::{Counts, Outcome};
use crate::domain::{CredentialId, KeyId, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// The minute of the last use in the upper bits; below it the checks that
/// accepted the key.
///
/// # Invariants
/// The count never runs over into the minute: it is added to only while it is
/// below the middle of its range, which leaves two thousand for whoever looked
/// at the same moment.
#[derive(Default)]
pub struct Tally(AtomicU32);

/// Bits of the count.
const BITS: u32 = 12;
const COUNT: u32 = (1 << BITS) - 1;
const MIDDLE: u32 = 1 << (BITS - 1);

/// A minute, counted from the one before the first that a view was asked in:
/// 1 to a million, which is two years. Later ones are told as the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute(u32);

const LAST: u32 = (1 << (u32::BITS - BITS)) - 1;

impl Tally {
    /// Notes that the key was accepted, and counts it if somebody will take the
    /// counts. True when it is time to: the count is half way to where it would
    /// stand still.
    #[inline]
    pub fn accepted(&self, minute: Minute, counted: bool) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        if word >> BITS != minute.0 {
            self.turn(minute);
        }
        let count = word & COUNT;
        if counted && count < MIDDLE {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        count >= MIDDLE / 2
    }

    #[cold]
    fn turn(&self, minute: Minute) {
        let turned = |word: u32| Some((word & COUNT) | (minute.0 << BITS));
        // The closure always gives a word, so there is nothing to see in the answer.
        let _always = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turned);
    }

    /// The minute in which it was last accepted, if it was.
    pub fn last(&self) -> Option<Minute> {
        let minute = self.0.load(Ordering::Relaxed) >> BITS;
        (minute > 0).then_some(Minute(minute))
    }

    /// Forgets both.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Takes how often it was accepted; the count begins anew.
    pub fn take(&self) -> u64 {
        // Most keys rest at any time: reading leaves the line with those who share it.
        if self.0.load(Ordering::Relaxed) & COUNT == 0 {
            return 0;
        }
        (self.0.fetch_and(!COUNT, Ordering::Relaxed) & COUNT).into()
    }
}

/// What all records share: whether their counts are taken, since when minutes
/// are counted, and the counts that do not stand in a record.
#[derive(Default)]
pub struct Shared {
    on: AtomicBool,
    /// The minute since 1970 before the first; 0 as long as nothing was asked.
    base: AtomicU32,
    aside: papaya::HashMap<KeyId, Cells>,
}

/// Counts by outcome.
#[derive(Default)]
struct Cells([AtomicU64; Outcome::COUNT]);

const MICROS: i64 = 60_000_000;

/// Keys that have counts aside at most, of about 100 bytes each.
const MOST: usize = 65_536;

impl Shared {
    /// Checks are counted from now on: somebody will take the counts.
    pub fn switch_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// Whether they are.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The minute of a point in time.
    #[inline]
    pub fn minute(&self, time: Timestamp) -> Minute {
        let minute = u32::try_from(time.micros() / MICROS).unwrap_or(0);
        let base = match self.base.load(Ordering::Relaxed) {
            0 => self.begin(minute),
            base => base,
        };
        Minute(minute.saturating_sub(base).clamp(1, LAST))
    }

    #[cold]
    fn begin(&self, minute: u32) -> u32 {
        let base = minute.saturating_sub(1).max(1);
        match self.base.compare_exchange(0, base, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => base,
            Err(first) => first,
        }
    }

    /// When a minute begins.
    pub fn beginning_of(&self, minute: Minute) -> Timestamp {
        let since_1970 = i64::from(self.base.load(Ordering::Relaxed)) + i64::from(minute.0);
        Timestamp::from_micros(since_1970 * MICROS)
    }

    /// Counts a refusal. Waits for nobody.
    pub fn refused(&self, of: CredentialId, outcome: Outcome) {
        if self.is_on() {
            self.add(of, outcome, 1);
        }
    }

    /// Takes a record's count aside: the record has no room for more, or is about to be emptied.
    #[cold]
    pub fn save(&self, of: CredentialId, tally: &Tally) {
        let accepted = tally.take();
        if accepted > 0 {
            self.add(of, Outcome::Accepted, accepted);
        }
    }

    fn add(&self, of: CredentialId, outcome: Outcome, many: u64) {
        // Sessions have records too, and their use is told by when they were last seen.
        let Some(key) = of.key() else { return };
        let aside = self.aside.pin();
        if aside.len() >= MOST && !aside.contains_key(&key) {
            return;
        }
        if let Some(count) = aside.get_or_insert_with(key, Cells::default).0.get(outcome as usize) {
            count.fetch_add(many, Ordering::Relaxed);
        }
    }

    /// All that stands aside. A key that had nothing to take leaves the table;
    /// what is counted of it in that very moment may be lost.
    pub fn take(&self) -> Vec<(KeyId, Counts)> {
        let aside = self.aside.pin();
        let mut taken = Vec::with_capacity(aside.len());
        for (key, Cells(cells)) in &aside {
            let counts = Counts::from_array(cells.each_ref().map(|cell| cell.swap(0, Ordering::Relaxed)));
            if counts.is_empty() {
                aside.remove(key);
            } else {
                taken.push((*key, counts));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_123_456_789);
    const BEGINS: Timestamp = Timestamp::from_micros(1_790_000_100_000_000);

    fn key(number: u8) -> CredentialId {
        CredentialId::Key(KeyId::from_bytes([number; 16]))
    }

    #[test]
    fn the_minute_and_the_count_are_told_apart() {
        let (tally, shared) = (Tally::default(), Shared::default());
        assert_eq!(tally.last(), None);
        tally.accepted(shared.minute(NOW), false);
        assert_eq!(tally.take(), 0, "nobody takes the counts");
        for _ in 0..1_000 {
            assert!(!tally.accepted(shared.minute(NOW), true));
        }
        assert_eq!((tally.take(), tally.take()), (1_000, 0));
        assert_eq!(tally.last().map(|minute| shared.beginning_of(minute)), Some(BEGINS));
        let later = Duration::from_mins(3);
        tally.accepted(shared.minute(NOW.plus(later)), true);
        assert_eq!(tally.last().map(|minute| shared.beginning_of(minute)), Some(BEGINS.plus(later)));
        assert_eq!(tally.take(), 1);
    }

    #[test]
    fn a_count_that_nobody_takes_stands_still_and_leaves_the_minute_alone() {
        let (tally, shared) = (Tally::default(), Shared::default());
        let asked = (0..10_000).filter(|_| tally.accepted(shared.minute(NOW), true)).count();
        assert_eq!(asked, 10_000 - 1_024, "it asks to be taken in time");
        assert_eq!(tally.last().map(|minute| shared.beginning_of(minute)), Some(BEGINS));
        assert_eq!(tally.take(), u64::from(MIDDLE));
    }

    #[test]
    fn a_clock_that_goes_astray_breaks_no_count() {
        let (tally, shared) = (Tally::default(), Shared::default());
        tally.accepted(shared.minute(NOW), true);
        for time in [Timestamp::from_micros(-1), Timestamp::from_micros(0), Timestamp::NEVER] {
            tally.accepted(shared.minute(time), true);
        }
        assert_eq!(tally.take(), 4);
    }

    #[test]
    fn refusals_are_told_apart_and_the_table_is_bounded() {
        let shared = Shared::default();
        shared.refused(key(1), Outcome::Expired);
        assert!(shared.take().is_empty(), "nobody takes the counts");
        shared.switch_on();
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..=place).for_each(|_| shared.refused(key(1), outcome));
        }
        assert_eq!(shared.take(), [(key(1).key().unwrap(), Counts::from_array([1, 2, 3, 4, 5, 6, 7]))]);
        assert!(shared.take().is_empty());
        assert!(shared.aside.pin().is_empty(), "who rests leaves");
        for number in 0..u64::try_from(MOST).unwrap() + 10 {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            shared.refused(CredentialId::Key(KeyId::from_bytes(bytes)), Outcome::RateLimit);
        }
        assert_eq!(shared.take().len(), MOST);
    }

    // R21: of checks at the same time none is lost, and none is counted twice.
    #[test]
    fn what_is_taken_adds_up() {
        const EACH: u64 = 200_000;
        let (tally, shared) = (Arc::new(Tally::default()), Arc::new(Shared::default()));
        shared.switch_on();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (tally, shared) = (Arc::clone(&tally), Arc::clone(&shared));
                std::thread::spawn(move || {
                    for at in 0..EACH {
                        let minute = shared.minute(NOW.plus(Duration::from_mins(at % 3)));
                        if tally.accepted(minute, true) {
                            shared.save(key(7), &tally);
                        }
                        shared.refused(key(7), Outcome::RateLimit);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        shared.save(key(7), &tally);
        let sum = shared.take().into_iter().fold(Counts::default(), |sum, (_, counts)| sum.plus(counts));
        assert_eq!((sum.of(Outcome::Accepted), sum.of(Outcome::RateLimit)), (4 * EACH, 4 * EACH));
    }
}
