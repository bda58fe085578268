//! All that a check needs, in memory.
//!
//! A [`View`] is a copy of the keys, principals and tenants of a Doorward:
//! loaded from one snapshot, then fed only by the change log, by one
//! [`Writer`]. Readers take no lock. What is not in it does not exist: there is
//! no read-through that could bring back what was revoked.
//!
//! # Invariants
//! A change is in full effect for every reader that begins after
//! [`View::applied`] has reached it.

mod arena;
mod cuts;
mod entry;
mod index;
mod judge;
mod people;
mod principals;
mod signing;
mod tally;
mod writer;

pub use cuts::{Held, MOST as MOST_HELD, Side};
pub use entry::Found;
pub use judge::{Demand, Judge, Presented, Terms, Verified, token_expired};
pub use signing::SigningKeys;
pub use writer::{Kept, Writer};

use crate::domain::changes::Revision;
use crate::domain::principal::{Home, Principal};
use crate::domain::usage::{Counts, Outcome};
use crate::domain::{CredentialId, Digest, GrantId, KeyId, TenantId, Timestamp, UserId};
use arc_swap::{ArcSwap, Guard};
use arena::Arena;
use cuts::Cuts;
use entry::{Confined, Entry};
use index::Index;
use principals::Slot;
use signing::Signing;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tally::Shared;

/// The readers' side.
pub struct View {
    entries: Arena<Entry>,
    confined: Confined,
    by_digest: ArcSwap<Index>,
    principals: Arena<Slot>,
    members: ArcSwap<Index>,
    slugs: papaya::HashMap<String, TenantId>,
    tenants: papaya::HashMap<TenantId, Arc<Home>>,
    /// The grant that was last opened in a tenant, be it over or not.
    grants: papaya::HashMap<TenantId, GrantId>,
    signing: Signing,
    tallies: Shared,
    cuts: Cuts,
    applied: AtomicU64,
    keys: AtomicU64,
}

impl View {
    /// An empty view and its writer, with room for as many keys and memberships
    /// as are to be expected. There may be more.
    pub fn with_room_for(keys: usize, people: usize) -> (Arc<Self>, Writer) {
        let view = Arc::new(Self {
            entries: Arena::new(),
            confined: Confined::new(),
            by_digest: ArcSwap::from_pointee(Index::with_room_for(keys)),
            principals: Arena::new(),
            members: ArcSwap::from_pointee(Index::with_room_for(people)),
            slugs: papaya::HashMap::new(),
            tenants: papaya::HashMap::new(),
            grants: papaya::HashMap::new(),
            signing: Signing::default(),
            tallies: Shared::default(),
            cuts: Cuts::new(),
            applied: AtomicU64::new(0),
            keys: AtomicU64::new(0),
        });
        let writer = Writer::new(Arc::clone(&view), keys, people);
        (view, writer)
    }

    /// The key whose secret has this digest.
    pub fn key(&self, digest: Digest) -> Option<Found> {
        let index = self.by_digest.load();
        index.candidates(digest.words()).find_map(|at| {
            let entry = self.entries.get(at)?;
            entry.read(at, digest, &self.confined)
        })
    }

    /// The break-glass grant that is open in a tenant; it may be past its end.
    pub fn grant_of(&self, tenant: TenantId) -> Option<Found> {
        let grant = self.grants.pin().get(&tenant).copied()?;
        self.key(Digest::of_grant(grant))
    }

    /// Who a key stands for, as of now.
    pub fn principal(&self, found: &Found) -> Option<Arc<Principal>> {
        self.principals.get(found.principal)?.current()
    }

    /// A person as a member of a tenant, if they are one.
    pub fn member(&self, tenant: TenantId, user: UserId) -> Option<Arc<Principal>> {
        self.principals.get(self.member_at(tenant, user)?)?.current()
    }

    fn member_at(&self, tenant: TenantId, user: UserId) -> Option<u32> {
        let is_it = |at: &u32| {
            let principal = self.principals.get(*at).and_then(Slot::current);
            principal.is_some_and(|it| it.tenant() == tenant && it.user == Some(user))
        };
        self.members.load().candidates(index::hash_of_pair(tenant, user)).find(is_it)
    }

    /// The tenant of that short name.
    pub fn tenant_named(&self, slug: &str) -> Option<TenantId> {
        self.slugs.pin().get(slug).copied()
    }

    /// A tenant.
    pub fn tenant(&self, tenant: TenantId) -> Option<Arc<Home>> {
        self.tenants.pin().get(&tenant).cloned()
    }

    /// The keys that tokens are signed with; not to be held for long.
    pub fn signing_keys(&self) -> Guard<Arc<SigningKeys>> {
        self.signing.current()
    }

    /// The record in which the uses of a key that was found are counted.
    #[inline]
    fn counter(&self, found: &Found) -> Option<&Entry> {
        self.entries.get(found.cell.0)
    }

    /// Notes that a key was accepted.
    #[inline]
    fn accepted(&self, found: &Found, counter: Option<&Entry>, now: Timestamp) {
        if let Some(entry) = counter
            && entry.tally.accepted(self.tallies.minute(now), self.tallies.is_on())
        {
            self.tallies.save(found.id, &entry.tally);
        }
    }

    /// Notes that a key was refused.
    fn refused(&self, found: &Found, outcome: Outcome) {
        self.tallies.refused(found.id, outcome);
    }

    /// Counts checks by key from now on. Whoever says so takes the counts with
    /// [`View::take_counts`], every few seconds.
    pub fn count_uses(&self) {
        self.tallies.switch_on();
    }

    /// What keys were used for since the last time; a key can be in it more
    /// than once. A count can be told of the key that has a record next, if the
    /// record's key is revoked in the very moment of the check.
    pub fn take_counts(&self) -> Vec<(KeyId, Counts)> {
        let mut counts = self.tallies.take();
        let entries = (0..=u32::MAX).map_while(|at| self.entries.get(at));
        counts.extend(entries.filter_map(Entry::take_counts));
        counts
    }

    /// The minute in which the key of this digest was last accepted.
    pub fn last_use(&self, digest: Digest) -> Option<Timestamp> {
        let found = self.key(digest)?;
        let (_, minute) = self.entries.get(found.cell.0)?.last_use()?;
        Some(self.tallies.beginning_of(minute))
    }

    /// Every key and session that was accepted in the minute of `since` or later, with
    /// the minute in which it last was.
    pub fn used_since(&self, since: Timestamp) -> Vec<(CredentialId, Timestamp)> {
        let entries = (0..=u32::MAX).map_while(|at| self.entries.get(at));
        let used = entries.filter_map(Entry::last_use);
        let used = used.map(|(key, minute)| (key, self.tallies.beginning_of(minute)));
        used.filter(|(_, used)| used.plus(Duration::from_mins(1)) > since).collect()
    }

    /// The last change that is in full effect.
    pub fn applied(&self) -> Revision {
        Revision::from_number(self.applied.load(Ordering::Acquire))
    }

    /// Streams and waiting calls that are registered.
    pub fn registered(&self) -> usize {
        self.cuts.len()
    }

    /// Keys and sessions that are held.
    pub fn len(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
