//! The one writer of a view.

mod retain;

pub use retain::Kept;

use super::View;
use super::cuts::Concerned;
use super::index::{self, Index};
use super::people::People;
use super::principals::Holder;
use crate::domain::address::Networks;
use crate::domain::break_glass::GrantState;
use crate::domain::changes::{Change, Revision};
use crate::domain::keys::{Environment, KeyKind, KeyState};
use crate::domain::sessions::SessionState;
use crate::domain::{CredentialId, Digest, KeyId, Permissions};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Applies changes to a [`View`]. There is one for each view.
pub struct Writer {
    view: Arc<View>,
    by_id: Index,
    /// Words of `by_digest` and `by_id` that are used.
    used: (usize, usize),
    /// Records given out so far, and those free again.
    next: u32,
    free: Vec<u32>,
    /// The record of the previous secret of a key, by the key's own record.
    previous: HashMap<u32, u32>,
    people: People,
}

impl Writer {
    pub(super) fn new(view: Arc<View>, keys: usize, people: usize) -> Self {
        Self {
            people: People::with_room_for(people, Arc::clone(&view)),
            view,
            by_id: Index::with_room_for(keys),
            used: (0, 0),
            next: 0,
            free: Vec::new(),
            previous: HashMap::new(),
        }
    }

    /// Applies one change, then cuts what it ends: what was registered and may
    /// not go on. Gives how many were cut. Applying a change again changes nothing.
    pub fn apply(&mut self, change: Change) -> u32 {
        let concerned = Concerned::by(&change);
        match change {
            Change::Tenant(tenant) => self.people.apply_tenant(tenant),
            Change::User(user) => self.people.apply_user(user),
            Change::Role(role) => self.people.apply_role(role),
            Change::Member(member) => self.people.apply_member(&member),
            Change::Key(key) => self.apply_key(&key),
            Change::Session(session) => self.apply_key(&as_key(&session)),
            Change::Grant(grant) => self.apply_grant(&grant),
            Change::SigningKey(key) => self.view.signing.apply(&key),
        }
        concerned.judge(&self.view)
    }

    /// Declares every change up to this one to be in full effect.
    pub fn advance(&mut self, to: Revision) {
        self.view.applied.store(to.number(), Ordering::Release);
    }

    /// The record first: who finds the grant by its tenant finds it whole.
    fn apply_grant(&mut self, grant: &GrantState) {
        self.apply_key(&in_place_of_a_key(grant));
        if !grant.closed {
            self.view.grants.pin().insert(grant.tenant, grant.id);
        }
    }

    fn apply_key(&mut self, key: &KeyState) {
        let id = CredentialId::of(key.digest, key.id.halves());
        let existing = self.record_of(id);
        if key.revoked {
            if let Some(at) = existing {
                self.remove(at, id);
                self.view.keys.fetch_sub(1, Ordering::Relaxed);
            }
            return;
        }
        let principal = self.people.principal(Holder { tenant: key.tenant, kind: key.kind, user: key.user });
        match existing {
            Some(at) => self.rewrite(at, key, principal),
            None => self.insert(key, principal),
        }
    }

    /// Puts a key that has no record into one.
    fn insert(&mut self, key: &KeyState, principal: u32) {
        let Some(at) = self.new_record() else { return };
        let Some(entry) = self.view.entries.get_or_grow(at) else { return };
        self.confine(at, key);
        // What came late for the key that had the record before is nobody's.
        entry.tally.forget();
        entry.write(key, principal);
        self.make_room();
        self.used.0 += usize::from(self.view.by_digest.load().add(key.digest.words(), at));
        self.used.1 += usize::from(self.by_id.add(index::hash(key.id.halves()), at));
        self.view.keys.fetch_add(1, Ordering::Relaxed);
        self.add_previous(at, key, principal);
    }

    /// Puts a key's new state into its record. A secret that lives on through
    /// a rotation has its own record before it loses the key's, so that no
    /// reader misses it in between.
    fn rewrite(&mut self, at: u32, key: &KeyState, principal: u32) {
        let Some(before) = self.view.entries.get(at).map(super::Entry::digest) else { return };
        let outlived = self.previous.remove(&at);
        self.add_previous(at, key, principal);
        self.confine(at, key);
        if let Some(entry) = self.view.entries.get(at) {
            entry.write(key, principal);
        }
        self.unconfine(at, key);
        if before != key.digest {
            self.make_room();
            let index = self.view.by_digest.load();
            index.remove(before.words(), at);
            self.used.0 += usize::from(index.add(key.digest.words(), at));
        }
        if let Some(outlived) = outlived {
            self.discard(outlived);
        }
    }

    fn add_previous(&mut self, main: u32, key: &KeyState, principal: u32) {
        let Some(previous) = key.previous else { return };
        let Some(at) = self.new_record() else { return };
        let Some(entry) = self.view.entries.get_or_grow(at) else { return };
        self.confine(at, key);
        entry.write_previous(key, previous.digest, previous.until, principal, main);
        self.make_room();
        self.used.0 += usize::from(self.view.by_digest.load().add(previous.digest.words(), at));
        self.previous.insert(main, at);
    }

    fn remove(&mut self, at: u32, id: CredentialId) {
        if let Some(previous) = self.previous.remove(&at) {
            self.discard(previous);
        }
        self.by_id.remove(index::hash(id.halves()), at);
        self.discard(at);
    }

    /// Empties a record and makes it free.
    fn discard(&mut self, at: u32) {
        let Some(entry) = self.view.entries.get(at) else { return };
        let digest = entry.digest();
        if let Some((_, id)) = entry.live() {
            self.view.tallies.save(id, &entry.tally);
        }
        entry.clear();
        self.view.confined.pin().remove(&at);
        self.view.by_digest.load().remove(digest.words(), at);
        self.free.push(at);
    }

    /// Puts a key's networks beside its record, before the record says that
    /// there are some.
    fn confine(&self, at: u32, key: &KeyState) {
        if !key.networks.is_everywhere() {
            self.view.confined.pin().insert(at, Arc::new(key.networks.clone()));
        }
    }

    /// Takes them away, after the record says that there are none.
    fn unconfine(&self, at: u32, key: &KeyState) {
        if key.networks.is_everywhere() {
            self.view.confined.pin().remove(&at);
        }
    }

    fn record_of(&self, id: CredentialId) -> Option<u32> {
        let is_it = |at: &u32| self.view.entries.get(*at).is_some_and(|entry| entry.is_of(id));
        self.by_id.candidates(index::hash(id.halves())).find(is_it)
    }

    fn new_record(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let at = self.next;
            self.next = self.next.checked_add(1)?;
            Some(at)
        })
    }

    /// Rebuilds an index that is nearly full, for half as many records again.
    fn make_room(&mut self) {
        let by_digest = self.view.by_digest.load_full();
        if self.used.0 + 1 < by_digest.room() && self.used.1 + 1 < self.by_id.room() {
            return;
        }
        let records = (self.next as usize - self.free.len()) * 3 / 2 + 64;
        let (fresh, by_id) = (Index::with_room_for(records), Index::with_room_for(records));
        let previous: std::collections::HashSet<u32> = self.previous.values().copied().collect();
        self.used = (0, 0);
        for at in 0..self.next {
            let Some((digest, id)) = self.view.entries.get(at).and_then(super::Entry::live) else { continue };
            self.used.0 += usize::from(fresh.add(digest.words(), at));
            if !previous.contains(&at) {
                self.used.1 += usize::from(by_id.add(index::hash(id.halves()), at));
            }
        }
        self.view.by_digest.store(Arc::new(fresh));
        self.by_id = by_id;
    }
}

/// A grant takes one too.
fn in_place_of_a_key(grant: &GrantState) -> KeyState {
    KeyState {
        id: KeyId::from_halves(grant.id.halves()),
        tenant: grant.tenant,
        kind: KeyKind::BreakGlass,
        user: None,
        environment: Environment::Live,
        scopes: grant.permissions,
        digest: Digest::of_grant(grant.id),
        imported: false,
        previous: None,
        networks: Networks::default(),
        per_minute: 0,
        expire: Some(grant.expire),
        revoked: grant.closed,
    }
}

/// A session takes a record like a key's, and so everything that holds for keys
/// holds for it: found in one step, cut, limited. The digest, which is none of a
/// secret's, tells it apart.
fn as_key(session: &SessionState) -> KeyState {
    KeyState {
        id: KeyId::from_halves(session.id.halves()),
        tenant: session.tenant,
        kind: KeyKind::User,
        user: Some(session.user),
        environment: Environment::Live,
        scopes: Permissions::ALL,
        digest: Digest::of_session(session.id),
        imported: false,
        previous: None,
        networks: Networks::default(),
        per_minute: 0,
        expire: Some(session.expire),
        revoked: session.revoked,
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
