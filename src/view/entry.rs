//! One key in the view: a record of atomic words that one writer changes and
//! any number of readers read whole.
//!
//! # Invariants
//! `seal` holds the flags and a version, whose lowest bit is set while the
//! writer is changing the record. A reader that saw the same resting seal
//! before and after read one state of it. All accesses are atomic, so a torn
//! read is only ever retried, never undefined.

use super::tally::{Minute, Tally};
use crate::domain::address::Networks;
use crate::domain::keys::{Environment, KeyKind, KeyState};
use crate::domain::limits::{self, Limit, Rate};
use crate::domain::reading::Reading;
use crate::domain::usage::{Counts, Outcome};
use crate::domain::{CredentialId, Digest, KeyId, Permissions, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};

/// Tries before a reader gives its time slice to the writer.
const SPINS: u32 = 64;

const LIVE: u32 = 1;
const PREVIOUS: u32 = 1 << 1;
const TEST: u32 = 1 << 2;
const IMPORTED: u32 = 1 << 3;
const CONFINED: u32 = 1 << 4;
const KIND: u32 = 5;
/// The flags of a seal, `KIND` with its three bits being the last of them.
const FLAGS: u32 = 0xff;
/// Set in a seal while the writer is at work; each piece of work adds it twice.
const AT_WORK: u32 = 1 << 8;

/// A key or the previous secret of one. 88 bytes.
#[derive(Default)]
pub struct Entry {
    /// Version and flags. The version comes round after eight million changes
    /// of one record, which no reader sits through.
    seal: AtomicU32,
    digest: [AtomicU64; 4],
    id: [AtomicU64; 2],
    scopes: AtomicU64,
    expire: AtomicI64,
    /// The rate limit's arrival time; for a previous secret, the record that has it.
    arrival: AtomicU64,
    principal: AtomicU32,
    per_minute: AtomicU32,
    /// When it was last accepted, and how often since that was last written
    /// down; for a previous secret, nothing.
    pub(super) tally: Tally,
}

const _: () = assert!(size_of::<Entry>() == 88, "a million keys are to take 200 MB");

/// Where keys may be used from, by record: those alone that are confined.
pub type Confined = papaya::HashMap<u32, Arc<Networks>>;

/// The networks of a confined record. While the writer is at work the list can
/// be missing for a moment; the version tells, and what was read is read again.
fn networks_of(confined: &Confined, at: u32) -> Arc<Networks> {
    confined.pin().get(&at).cloned().unwrap_or_else(|| Arc::new(Networks::nowhere()))
}

/// Where a key's rate limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell(pub(super) u32);

/// A key that was found, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Found {
    /// The key or session.
    pub id: CredentialId,
    /// What it is narrowed to.
    pub scopes: Permissions,
    /// When the presented secret ends; [`Timestamp::NEVER`] if it does not.
    pub expire: Timestamp,
    /// Whose it is.
    pub kind: KeyKind,
    /// Live or test.
    pub environment: Environment,
    /// Whether the presented secret is the one before the last rotation.
    pub previous: bool,
    /// Whether it was issued elsewhere.
    pub imported: bool,
    /// Requests a minute; 0 is the tenant's default.
    pub per_minute: u32,
    /// Where it may be used from; `None` is everywhere.
    pub networks: Option<Arc<Networks>>,
    /// Where its rate limit is counted.
    pub cell: Cell,
    pub(super) principal: u32,
}

impl Entry {
    /// The key, if this record is of that digest and in use.
    ///
    /// Lists of networks are few, and stand in a table beside the records.
    #[inline]
    pub fn read(&self, at: u32, digest: Digest, confined: &Confined) -> Option<Found> {
        let mut tries = 0_u32;
        loop {
            let seal = self.seal.load(Ordering::Acquire);
            if seal & AT_WORK == 0 {
                let found = self.read_once(at, digest, seal, confined);
                fence(Ordering::Acquire);
                if self.seal.load(Ordering::Relaxed) == seal {
                    return found;
                }
            }
            tries += 1;
            if tries.is_multiple_of(SPINS) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    #[inline]
    fn read_once(&self, at: u32, digest: Digest, flags: u32, confined: &Confined) -> Option<Found> {
        if self.digest() != digest || flags & LIVE == 0 {
            return None;
        }
        let previous = flags & PREVIOUS != 0;
        let counted_at =
            if previous { u32::try_from(self.arrival.load(Ordering::Relaxed)).readable()? } else { at };
        Some(Found {
            id: CredentialId::of(digest, self.halves()),
            scopes: Permissions::from_bits(self.scopes.load(Ordering::Relaxed)),
            expire: Timestamp::from_micros(self.expire.load(Ordering::Relaxed)),
            kind: kind_of(flags),
            environment: if flags & TEST == 0 { Environment::Live } else { Environment::Test },
            previous,
            imported: flags & IMPORTED != 0,
            per_minute: self.per_minute.load(Ordering::Relaxed),
            networks: if flags & CONFINED == 0 { None } else { Some(networks_of(confined, at)) },
            cell: Cell(counted_at),
            principal: self.principal.load(Ordering::Relaxed),
        })
    }

    fn halves(&self) -> [u64; 2] {
        let [high, low] = &self.id;
        [high.load(Ordering::Relaxed), low.load(Ordering::Relaxed)]
    }

    fn id(&self) -> CredentialId {
        CredentialId::of(self.digest(), self.halves())
    }

    /// Whether the record is of that credential. For the writer alone.
    pub fn is_of(&self, id: CredentialId) -> bool {
        self.is_live() && self.id() == id
    }

    fn is_live(&self) -> bool {
        self.seal.load(Ordering::Relaxed) & LIVE != 0
    }

    /// Digest and key of a record in use. For the writer alone.
    pub fn live(&self) -> Option<(Digest, CredentialId)> {
        self.is_live().then(|| (self.digest(), self.id()))
    }

    /// The digest in the record.
    pub fn digest(&self) -> Digest {
        let [a, b, c, d] = &self.digest;
        Digest::from_words([a, b, c, d].map(|word| word.load(Ordering::Relaxed)))
    }

    /// Fills the record with a key's current secret, keeping what its limit has counted.
    pub fn write(&self, key: &KeyState, principal: u32) {
        self.change(|entry| entry.fill(key, key.digest, key.expire, principal, 0));
    }

    /// Fills the record with a key's previous secret; its limit is counted at `main`.
    pub fn write_previous(
        &self,
        key: &KeyState,
        digest: Digest,
        until: Timestamp,
        principal: u32,
        main: u32,
    ) {
        self.change(|entry| {
            let flags = entry.fill(key, digest, Some(until), principal, PREVIOUS);
            entry.arrival.store(u64::from(main), Ordering::Relaxed);
            flags
        });
    }

    /// Empties the record; whoever holds its number finds nothing.
    pub fn clear(&self) {
        self.change(|entry| {
            entry.digest.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            entry.arrival.store(0, Ordering::Relaxed);
            entry.tally.forget();
            0
        });
    }

    /// Changes the record; `write` gives its new flags.
    fn change(&self, write: impl FnOnce(&Self) -> u32) {
        let seal = self.seal.load(Ordering::Relaxed).wrapping_add(AT_WORK);
        self.seal.store(seal, Ordering::Relaxed);
        fence(Ordering::Release);
        let flags = write(self);
        self.seal.store(seal.wrapping_add(AT_WORK) & !FLAGS | flags, Ordering::Release);
    }

    /// Stores everything but the flags, which it gives back.
    fn fill(
        &self,
        key: &KeyState,
        digest: Digest,
        expire: Option<Timestamp>,
        principal: u32,
        more: u32,
    ) -> u32 {
        let kind = (0..).zip(KeyKind::ALL).find(|(_, kind)| *kind == key.kind).map_or(0, |(at, _)| at);
        let test = if key.environment == Environment::Test { TEST } else { 0 };
        let imported = if key.imported { IMPORTED } else { 0 };
        let confined = if key.networks.is_everywhere() { 0 } else { CONFINED };
        let flags = LIVE | more | test | imported | confined | (kind << KIND);
        for (word, value) in self.id.iter().zip(key.id.halves()) {
            word.store(value, Ordering::Relaxed);
        }
        for (word, value) in self.digest.iter().zip(digest.words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.scopes.store(key.scopes.bits(), Ordering::Relaxed);
        self.expire.store(expire.unwrap_or(Timestamp::NEVER).micros(), Ordering::Relaxed);
        self.principal.store(principal, Ordering::Relaxed);
        self.per_minute.store(key.per_minute, Ordering::Relaxed);
        flags
    }

    /// The key, and the minute in which it was last accepted, if it was.
    pub fn last_use(&self) -> Option<(CredentialId, Minute)> {
        let flags = self.seal.load(Ordering::Relaxed);
        let counts = flags & LIVE != 0 && flags & PREVIOUS == 0;
        let used = self.tally.last().filter(|_| counts)?;
        Some((self.id(), used))
    }

    /// Takes what the key was used for, if it is a key's record and there is anything.
    pub fn take_counts(&self) -> Option<(KeyId, Counts)> {
        let id = self.live().map(|(_, id)| id)?;
        let accepted = self.tally.take();
        // Sessions have records too; their use is told by when they were last seen.
        let key = id.key().filter(|_| accepted > 0)?;
        Some((key, Counts::default().with(Outcome::Accepted, accepted)))
    }

    /// Takes `cost` from the limit, in one atomic step: of requests that race
    /// for the last place exactly one gets it.
    pub fn take(&self, limit: Limit, cost: u32, now: u64) -> Rate {
        let mut arrival = self.arrival.load(Ordering::Relaxed);
        loop {
            let (next, rate) = limits::decide(arrival, now, limit, cost);
            let Some(next) = next else { return rate };
            match self.arrival.compare_exchange_weak(arrival, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return rate,
                Err(changed) => arrival = changed,
            }
        }
    }
}

fn kind_of(flags: u32) -> KeyKind {
    KeyKind::ALL.get(((flags & FLAGS) >> KIND) as usize).copied().unwrap_or(KeyKind::Ingest)
}
