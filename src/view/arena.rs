//! A store of records that grows without moving any of them, so that readers
//! can look while the writer adds.

use std::sync::OnceLock;

/// Records in the first block; each block has twice the records of the one before.
const FIRST: u32 = 1024;

/// Blocks enough for every `u32`.
const BLOCKS: usize = 23;

/// Records by number. Growing allocates a block; nothing is ever moved or freed.
pub struct Arena<T> {
    blocks: [OnceLock<Box<[T]>>; BLOCKS],
}

impl<T: Default> Arena<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCKS] }
    }

    /// The record of that number, if its block is there.
    pub fn get(&self, at: u32) -> Option<&T> {
        let (block, place) = place(at)?;
        self.blocks.get(block)?.get()?.get(place)
    }

    /// The record of that number, its block being made if need be.
    pub fn get_or_grow(&self, at: u32) -> Option<&T> {
        let (block, place) = place(at)?;
        let records = (FIRST as usize) << block;
        self.blocks.get(block)?.get_or_init(|| (0..records).map(|_| T::default()).collect()).get(place)
    }
}

/// Block and place of a number: block `k` begins at `FIRST * (2^k - 1)`.
fn place(at: u32) -> Option<(usize, usize)> {
    let block = (at / FIRST).checked_add(1)?.ilog2();
    let begins = FIRST * ((1 << block) - 1);
    Some((block as usize, (at - begins) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_own_place() {
        let arena = Arena::<std::sync::atomic::AtomicU32>::new();
        assert!(arena.get(0).is_none());
        for at in 0..10_000 {
            arena.get_or_grow(at).unwrap().store(at + 1, std::sync::atomic::Ordering::Relaxed);
        }
        for at in 0..10_000 {
            assert_eq!(arena.get(at).unwrap().load(std::sync::atomic::Ordering::Relaxed), at + 1);
        }
        assert_eq!(place(FIRST - 1), Some((0, FIRST as usize - 1)));
        assert_eq!(place(FIRST), Some((1, 0)));
        assert!(place(u32::MAX).is_some_and(|(block, _)| block < BLOCKS));
    }
}
