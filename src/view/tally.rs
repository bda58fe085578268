//! How often a key was checked since it was last written down: seven counts in
//! one word, so that a check costs one atomic addition more.
//!
//! # Invariants
//! No count runs over into its neighbour. A count is added to only while it is
//! below the middle of its range, so half of the range is left for whoever
//! looked at the same moment: 128 threads at least.

use crate::domain::usage::{Counts, Outcome};
use crate::domain::{CredentialId, KeyId};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Bits of the count of accepted checks, and of each of the others.
const WIDE: u32 = 16;
const NARROW: u32 = 8;

/// A key's counts.
#[derive(Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Counts one check. True when it is time to take the counts: one is half
    /// way to where it would stand still.
    #[inline]
    pub fn count(&self, outcome: Outcome) -> bool {
        let (shift, bits) = place(outcome);
        let there = (self.0.load(Ordering::Relaxed) >> shift) & mask(bits);
        let middle = 1 << (bits - 1);
        if there < middle {
            self.0.fetch_add(1 << shift, Ordering::Relaxed);
        }
        there >= middle / 2
    }

    /// Lets go of the counts.
    pub fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Takes the counts; they begin anew.
    pub fn take(&self) -> Counts {
        // Most keys rest at any time: reading leaves the line with those who share it.
        if self.0.load(Ordering::Relaxed) == 0 {
            return Counts::default();
        }
        let word = self.0.swap(0, Ordering::Relaxed);
        Counts::from_array(Outcome::ALL.map(|outcome| {
            let (shift, bits) = place(outcome);
            (word >> shift) & mask(bits)
        }))
    }
}

const fn place(outcome: Outcome) -> (u32, u32) {
    match outcome as u32 {
        0 => (0, WIDE),
        number => (WIDE + NARROW * (number - 1), NARROW),
    }
}

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Counts that did not wait in their record for the next time that all are taken.
#[derive(Default)]
pub struct Spilled {
    on: AtomicBool,
    kept: Mutex<Vec<(KeyId, Counts)>>,
}

/// Counts that are kept so at most, of 72 bytes each.
const MOST: usize = 65_536;

impl Spilled {
    /// Checks are counted from now on: somebody will take the counts.
    pub fn switch_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// Whether they are.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Takes a record's counts, unless somebody else is at it: a check waits
    /// for nobody, and the next one comes by here too.
    #[cold]
    pub fn spill(&self, of: CredentialId, tally: &Tally) {
        match self.kept.try_lock() {
            Ok(kept) => keep(kept, of, tally),
            Err(TryLockError::Poisoned(poisoned)) => keep(poisoned.into_inner(), of, tally),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// The same for the writer of the view, who empties the record afterwards.
    pub fn save(&self, of: CredentialId, tally: &Tally) {
        keep(self.kept.lock().unwrap_or_else(PoisonError::into_inner), of, tally);
    }

    /// All that was kept.
    pub fn take(&self) -> Vec<(KeyId, Counts)> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn keep(mut kept: MutexGuard<'_, Vec<(KeyId, Counts)>>, of: CredentialId, tally: &Tally) {
    if kept.len() >= MOST {
        return;
    }
    let counts = tally.take();
    // Sessions have records too, and their use is told by when they were last seen.
    if let Some(key) = of.key().filter(|_| !counts.is_empty()) {
        kept.push((key, counts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn each_outcome_has_its_own_count() {
        let tally = Tally::default();
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            for _ in 0..=place {
                assert!(!tally.count(outcome));
            }
        }
        assert_eq!(tally.take(), Counts::from_array([1, 2, 3, 4, 5, 6, 7]));
        assert!(tally.take().is_empty());
    }

    #[test]
    fn a_count_that_nobody_takes_stands_still_and_hurts_no_other() {
        for outcome in Outcome::ALL {
            let tally = Tally::default();
            let calls = (0..100_000).filter(|_| tally.count(outcome)).count();
            let counts = tally.take();
            assert_eq!(counts.of(outcome), counts.total(), "{outcome:?}");
            assert_eq!(counts.total(), if outcome == Outcome::Accepted { 32_768 } else { 128 });
            assert!(calls > 60_000, "it asks to be taken in time");
        }
    }

    // R21: of checks at the same time none is lost, and none is counted twice.
    #[test]
    fn what_is_taken_adds_up() {
        const EACH: u64 = 200_000;
        let (tally, spilled) = (Arc::new(Tally::default()), Arc::new(Spilled::default()));
        let id = CredentialId::Key(KeyId::from_bytes([1; 16]));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (tally, spilled) = (Arc::clone(&tally), Arc::clone(&spilled));
                std::thread::spawn(move || {
                    for _ in 0..EACH {
                        if tally.count(Outcome::Accepted) {
                            spilled.spill(id, &tally);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        spilled.save(id, &tally);
        let sum = spilled.take().into_iter().fold(Counts::default(), |sum, (_, counts)| sum.plus(counts));
        assert_eq!((sum.of(Outcome::Accepted), sum.total()), (4 * EACH, 4 * EACH));
    }
}
