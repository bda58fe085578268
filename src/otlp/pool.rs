//! The bytes that all requests together may hold in memory, shared so that no tenant can starve the others.
//!
//! Up to the half everybody takes what they need. Beyond it a tenant holds at most an equal share, one share being left
//! for whoever comes next, but always as much as one request of full size needs. The last eighth is for those who hold
//! little: however many large senders there are, a small one gets through.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::TenantId;

/// What part of the whole holding "little" is.
const LITTLE: usize = 64;

/// Bytes that are free, and who holds the others.
#[derive(Debug)]
pub struct Pool {
    total: usize,
    request: usize,
    state: Mutex<State>,
}

/// Why bytes were not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Nobody could have them.
    ForAll,
    /// The tenant holds its share.
    ForTenant,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Tenants that hold something.
    held: HashMap<TenantId, usize>,
}

impl Pool {
    /// `total` bytes, of which one request of full size needs `request`.
    pub fn new(total: usize, request: usize) -> Self {
        Self { total, request, state: Mutex::new(State { free: total, held: HashMap::new() }) }
    }

    /// Bytes that are free.
    pub fn free(&self) -> usize {
        self.state().free
    }

    /// Whether a tenant could have `count` bytes more.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(&self, tenant: TenantId, count: usize) -> Result<(), Full> {
        self.judge(&self.state(), tenant, count)
    }

    /// Gives a tenant `count` bytes.
    ///
    /// # Errors
    /// Why not.
    pub fn take(&self, tenant: TenantId, count: usize) -> Result<(), Full> {
        let mut state = self.state();
        self.judge(&state, tenant, count)?;
        state.free = state.free.saturating_sub(count);
        let held = state.held.entry(tenant).or_default();
        *held = held.saturating_add(count);
        Ok(())
    }

    /// Takes `count` bytes back from a tenant.
    pub fn give_back(&self, tenant: TenantId, count: usize) {
        let mut state = self.state();
        state.free = state.free.saturating_add(count).min(self.total);
        if let Some(held) = state.held.get_mut(&tenant) {
            *held = held.saturating_sub(count);
            if *held == 0 {
                state.held.remove(&tenant);
            }
        }
    }

    fn judge(&self, state: &State, tenant: TenantId, count: usize) -> Result<(), Full> {
        let Some(left) = state.free.checked_sub(count) else { return Err(Full::ForAll) };
        if left >= self.total / 2 {
            return Ok(());
        }
        let own = state.held.get(&tenant).copied();
        let after = own.unwrap_or(0).saturating_add(count);
        let active = state.held.len() + usize::from(own.is_none());
        let share = (self.total / (active + 1)).max(self.request);
        let is_little = after <= self.total / LITTLE;
        let is_last = left < self.total / 8;
        if after > share || (is_last && !is_little) { Err(Full::ForTenant) } else { Ok(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::from_bytes([number; 16])
    }

    /// Takes in steps until no more is given; how much that was.
    fn grab(pool: &Pool, who: u8) -> usize {
        let mut taken = 0;
        while pool.take(tenant(who), 10).is_ok() {
            taken += 10;
        }
        taken
    }

    // R60
    #[test]
    fn a_hog_leaves_room_for_others() {
        let pool = Pool::new(6_400, 1_000);
        assert_eq!(grab(&pool, 1), 3_200, "half, and a share for whoever comes next");
        assert_eq!(grab(&pool, 2), 2_130, "a third");
        assert_eq!(pool.take(tenant(1), 1), Err(Full::ForTenant));
        assert_eq!(grab(&pool, 3), 270, "what is left before the last eighth, more than which is little");
        for meek in 4..8 {
            assert_eq!(pool.take(tenant(meek), 100), Ok(()), "{meek}");
            assert_eq!(pool.take(tenant(meek), 1), Err(Full::ForTenant));
        }
    }

    #[test]
    fn a_request_of_full_size_always_fits_alone() {
        let pool = Pool::new(5_000, 4_000);
        for step in 0..40 {
            assert_eq!(pool.take(tenant(1), 100), Ok(()), "{step}");
        }
        assert_eq!(pool.take(tenant(1), 100), Err(Full::ForTenant));
        assert_eq!(pool.take(tenant(2), 78), Ok(()));
        pool.give_back(tenant(1), 4_000);
        assert_eq!(pool.take(tenant(2), 1_000), Ok(()), "nobody needs it");
    }

    #[test]
    fn what_is_given_back_is_free_and_who_holds_nothing_is_forgotten() {
        let pool = Pool::new(1_000, 900);
        pool.take(tenant(1), 400).unwrap();
        assert_eq!(pool.fits(tenant(2), 601), Err(Full::ForAll));
        pool.give_back(tenant(1), 400);
        assert_eq!((pool.free(), pool.state().held.len()), (1_000, 0));
        pool.give_back(tenant(1), 400);
        assert_eq!(pool.free(), 1_000);
    }
}
