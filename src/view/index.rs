//! From a hash to the numbers of the records that may have it: open addressing
//! over single words, so that a reader never sees half an entry.

use crate::domain::{TenantId, UserId};
use std::sync::atomic::{AtomicU64, Ordering};

const EMPTY: u64 = 0;
const GONE: u64 = 1;
/// Record numbers are stored plus this, so that no word is [`EMPTY`] or [`GONE`].
const OFFSET: u64 = 2;

/// A word is 32 bits of the hash and the number of a record. The hash has to
/// be uniform already: a digest is.
pub struct Index {
    words: Box<[AtomicU64]>,
}

impl Index {
    /// An index that stays at most three quarters full with that many records.
    pub fn with_room_for(records: usize) -> Self {
        let words = (records + records / 3).max(64);
        Self { words: (0..words).map(|_| AtomicU64::new(EMPTY)).collect() }
    }

    /// Words that may be used before it should be rebuilt.
    pub fn room(&self) -> usize {
        self.words.len() / 8 * 7
    }

    /// Records that may have this hash, the likeliest first.
    #[inline]
    pub fn candidates(&self, hash: [u64; 4]) -> impl Iterator<Item = u32> {
        let wanted = tag(hash);
        self.chain(hash)
            .map(|word| word.load(Ordering::Acquire))
            .take_while(|word| *word != EMPTY)
            .filter(move |word| *word != GONE && word & TAG == wanted)
            .map(number)
    }

    /// Adds a record. True if it took a word that was never used before.
    pub fn add(&self, hash: [u64; 4], at: u32) -> bool {
        for word in self.chain(hash) {
            let before = word.load(Ordering::Relaxed);
            if before == EMPTY || before == GONE {
                word.store(tag(hash) | (u64::from(at) + OFFSET), Ordering::Release);
                return before == EMPTY;
            }
        }
        false
    }

    /// Takes a record out. Its word stays used until the index is rebuilt.
    pub fn remove(&self, hash: [u64; 4], at: u32) {
        let sought = tag(hash) | (u64::from(at) + OFFSET);
        for word in self.chain(hash) {
            match word.load(Ordering::Relaxed) {
                EMPTY => return,
                found if found == sought => return word.store(GONE, Ordering::Release),
                _ => {}
            }
        }
    }

    /// The words from the hash's own place on, once round.
    fn chain(&self, hash: [u64; 4]) -> impl Iterator<Item = &AtomicU64> {
        let [first, ..] = hash;
        let home = usize::try_from((u128::from(first) * self.words.len() as u128) >> 64).unwrap_or(0);
        let (before, after) = self.words.split_at(home.min(self.words.len()));
        after.iter().chain(before)
    }
}

/// The half of a word that holds bits of the hash.
const TAG: u64 = 0xffff_fffe_0000_0000;

/// A hash of an identifier, random in its last half already.
pub fn hash([high, low]: [u64; 2]) -> [u64; 4] {
    let low = low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [low, low.rotate_left(32) ^ high, 0, 0]
}

/// A hash of a person in a tenant.
pub fn hash_of_pair(tenant: TenantId, user: UserId) -> [u64; 4] {
    let ([_, tenant], [high, low]) = (tenant.halves(), user.halves());
    hash([high, low ^ tenant.rotate_left(17)])
}

fn tag([_, second, ..]: [u64; 4]) -> u64 {
    second & TAG
}

fn number(word: u64) -> u32 {
    u32::try_from((word & !TAG) - OFFSET).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(of: u64) -> [u64; 4] {
        let mix = |salt: u64| {
            (of + salt)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        [mix(1), mix(2), mix(3), mix(4)]
    }

    #[test]
    fn finds_what_was_added_and_not_what_was_removed() {
        let index = Index::with_room_for(1000);
        for at in 0..1000 {
            assert!(index.add(hash(u64::from(at)), at));
        }
        for at in (0..1000).step_by(2) {
            index.remove(hash(u64::from(at)), at);
        }
        for at in 0..1000 {
            assert_eq!(index.candidates(hash(u64::from(at))).any(|found| found == at), at % 2 == 1, "{at}");
        }
        assert!(!index.add(hash(0), 0), "a removed word is used again");
        assert_eq!(index.candidates(hash(5_000_000)).count(), 0);
    }

    #[test]
    fn a_full_index_still_ends_its_search() {
        let index = Index::with_room_for(1);
        let added = (0..200).filter(|at| index.add(hash(u64::from(*at)), *at)).count();
        assert_eq!(added, 64);
        assert_eq!(index.candidates(hash(9_999)).count(), 0);
    }

    #[test]
    fn the_largest_numbers_survive() {
        let index = Index::with_room_for(1);
        index.add(hash(1), u32::MAX);
        assert_eq!(index.candidates(hash(1)).next(), Some(u32::MAX));
    }
}
