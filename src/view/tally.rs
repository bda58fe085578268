//! When a key was last accepted, and how often since that was last written
//! down: two counts in one word, so that a check costs one atomic addition.
//! Refusals are rare, and stand in a table beside the records.

use crate::domain::usage::{Counts, Outcome};
use crate::domain::{CredentialId, KeyId, Timestamp};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The minute since 1970 in the upper half; below it the checks that accepted
/// the key.
///
/// # Invariants
/// The count never runs over into the minute: it is added to only while it is
/// below the middle of its range, which leaves two thousand million for
/// whoever looked at the same moment.
#[derive(Default)]
pub struct Tally(AtomicU64);

const MINUTE: i64 = 60_000_000;
const HALF: u32 = u64::BITS / 2;
const COUNT: u64 = (1 << HALF) - 1;
const MIDDLE: u64 = 1 << (HALF - 1);

/// The beginning of a point's minute.
pub fn minute_of(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros() - time.micros().rem_euclid(MINUTE))
}

impl Tally {
    /// Notes that the key was accepted, and counts it if somebody will take the counts.
    #[inline]
    pub fn accepted(&self, now: Timestamp, counted: bool) {
        let minute = u64::try_from(now.micros() / MINUTE).unwrap_or(0) & COUNT;
        let word = self.0.load(Ordering::Relaxed);
        if word >> HALF != minute {
            self.turn(minute);
        }
        if counted && word & COUNT < MIDDLE {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[cold]
    fn turn(&self, minute: u64) {
        let turned = |word: u64| Some((word & COUNT) | (minute << HALF));
        // The closure always gives a word, so there is nothing to see in the answer.
        let _always = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, turned);
    }

    /// The minute in which it was last accepted, if it was.
    pub fn last(&self) -> Option<Timestamp> {
        let minute = i64::try_from(self.0.load(Ordering::Relaxed) >> HALF).unwrap_or(0);
        (minute > 0).then(|| Timestamp::from_micros(minute * MINUTE))
    }

    /// Forgets both.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Takes how often it was accepted; the count begins anew.
    pub fn take(&self) -> Counts {
        // Most keys rest at any time: reading leaves the line with those who share it.
        if self.0.load(Ordering::Relaxed) & COUNT == 0 {
            return Counts::default();
        }
        let accepted = self.0.fetch_and(!COUNT, Ordering::Relaxed) & COUNT;
        Counts::default().with(Outcome::Accepted, accepted)
    }
}

/// Counts that do not stand in a key's record: of refusals, and of keys whose record is gone.
#[derive(Default)]
pub struct Aside {
    on: AtomicBool,
    refused: papaya::HashMap<KeyId, Refused>,
    kept: Mutex<Vec<(KeyId, Counts)>>,
}

/// Refusals by outcome.
#[derive(Default)]
struct Refused([AtomicU64; Outcome::COUNT]);

/// Keys of each kind that are kept so at most, of about 100 bytes each.
const MOST: usize = 65_536;

impl Aside {
    /// Checks are counted from now on: somebody will take the counts.
    pub fn switch_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// Whether they are.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Counts a refusal. Waits for nobody.
    pub fn refused(&self, of: CredentialId, outcome: Outcome) {
        // Sessions have records too, and their use is told by when they were last seen.
        let Some(key) = of.key().filter(|_| self.is_on()) else { return };
        let refused = self.refused.pin();
        if refused.len() >= MOST && !refused.contains_key(&key) {
            return;
        }
        if let Some(count) = refused.get_or_insert_with(key, Refused::default).0.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps the counts of a record that is about to be emptied. For the writer of the view.
    pub fn save(&self, of: CredentialId, tally: &Tally) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = tally.take();
        if let Some(key) = of.key().filter(|_| !counts.is_empty() && kept.len() < MOST) {
            kept.push((key, counts));
        }
    }

    /// All that was kept. A key that was refused nothing since the last time
    /// leaves the table; a refusal in that very moment may go uncounted.
    pub fn take(&self) -> Vec<(KeyId, Counts)> {
        let mut taken = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let refused = self.refused.pin();
        for (key, counts) in &refused {
            let Refused(cells) = counts;
            let counts = cells.each_ref().map(|cell| cell.swap(0, Ordering::Relaxed));
            let counts = Counts::from_array(counts);
            if counts.is_empty() {
                refused.remove(key);
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

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_123_456_789);

    fn key(number: u8) -> CredentialId {
        CredentialId::Key(KeyId::from_bytes([number; 16]))
    }

    #[test]
    fn the_minute_and_the_count_are_told_apart() {
        let tally = Tally::default();
        assert_eq!(tally.last(), None);
        tally.accepted(NOW, false);
        assert!(tally.take().is_empty(), "nobody takes the counts");
        for _ in 0..70_000 {
            tally.accepted(NOW, true);
        }
        assert_eq!(tally.take().to_array(), [70_000, 0, 0, 0, 0, 0, 0]);
        assert!(tally.take().is_empty());
        assert_eq!(tally.last(), Some(minute_of(NOW)));
        tally.accepted(NOW.plus(std::time::Duration::from_mins(3)), true);
        assert_eq!(tally.last(), Some(minute_of(NOW.plus(std::time::Duration::from_mins(3)))));
        assert_eq!(tally.take().total(), 1);
    }

    #[test]
    fn a_count_that_nobody_takes_stands_still_and_leaves_the_minute_alone() {
        let tally = Tally::default();
        tally.accepted(NOW, false);
        tally.0.fetch_add(MIDDLE - 1, Ordering::Relaxed);
        for _ in 0..10 {
            tally.accepted(NOW, true);
        }
        assert_eq!(tally.last(), Some(minute_of(NOW)));
        assert_eq!(tally.take().of(Outcome::Accepted), MIDDLE);
    }

    #[test]
    fn refusals_are_told_apart_and_the_table_is_bounded() {
        let aside = Aside::default();
        aside.refused(key(1), Outcome::Expired);
        assert!(aside.take().is_empty(), "nobody takes the counts");
        aside.switch_on();
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..=place).for_each(|_| aside.refused(key(1), outcome));
        }
        assert_eq!(aside.take(), [(key(1).key().unwrap(), Counts::from_array([1, 2, 3, 4, 5, 6, 7]))]);
        assert!(aside.take().is_empty());
        assert!(aside.refused.pin().is_empty(), "who rests leaves");
        for number in 0..u64::try_from(MOST).unwrap() + 10 {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            aside.refused(CredentialId::Key(KeyId::from_bytes(bytes)), Outcome::RateLimit);
        }
        assert_eq!(aside.take().len(), MOST);
    }

    // R21: of checks at the same time none is lost, and none is counted twice.
    #[test]
    fn what_is_taken_adds_up() {
        const EACH: u64 = 200_000;
        let (tally, aside) = (Arc::new(Tally::default()), Arc::new(Aside::default()));
        aside.switch_on();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (tally, aside) = (Arc::clone(&tally), Arc::clone(&aside));
                std::thread::spawn(move || {
                    for at in 0..EACH {
                        let minutes = u32::try_from(at % 3).unwrap();
                        tally.accepted(NOW.plus(std::time::Duration::from_mins(minutes.into())), true);
                        aside.refused(key(7), Outcome::RateLimit);
                        if number == 0 && at % 1_000 == 0 {
                            aside.save(key(7), &tally);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        aside.save(key(7), &tally);
        let sum = aside.take().into_iter().fold(Counts::default(), |sum, (_, counts)| sum.plus(counts));
        assert_eq!((sum.of(Outcome::Accepted), sum.of(Outcome::RateLimit)), (4 * EACH, 4 * EACH));
    }
}
