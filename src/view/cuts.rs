//! What goes on by leave of a credential, so that it can be ended at once when
//! the credential is.
//!
//! Whoever begins something that lasts, such as a stream, registers the
//! [`Terms`] under which it may go on, and keeps the [`Held`] that it gets. The
//! writer judges anew what a change may concern: after it has changed the
//! records, and before it declares the change to be in effect.
//!
//! # Invariants
//! A change judges everything that was registered before the change looked
//! through its shard. Who registers later sees the records as they are after
//! the change; so each of them judges once more after it has registered, and
//! between the two nobody slips through.

use super::{Judge, View};
use crate::domain::changes::Change;
use crate::domain::{CredentialId, Refusal, TenantId, Timestamp, UserId};
use crate::view::Terms;
use futures_util::task::AtomicWaker;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

/// Streams and waiting calls that can be registered at once; each takes about
/// 400 bytes. A stream beyond is refused, a call beyond is judged at its end.
pub const MOST: usize = 1 << 18;

/// A power of two; readers of the view never wait at any of these.
const SHARDS: usize = 64;

/// Everything that is registered, under each of its tags.
pub struct Cuts {
    shards: [Mutex<Shard>; SHARDS],
    registered: AtomicUsize,
    next: AtomicU64,
}

type Shard = BTreeMap<(Tag, u64), Arc<Cell>>;

/// What a change can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    Credential(CredentialId),
    User(UserId),
    Tenant(TenantId),
}

struct Cell {
    number: u64,
    terms: Terms,
    /// When the secret ends, in microseconds, as of the last change.
    expire: AtomicI64,
    /// Why it was cut.
    cut: OnceLock<Refusal>,
    wakers: [AtomicWaker; 2],
}

/// The end of what is registered that waits to hear of a cut. Each has a waker
/// of its own, so that two tasks can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who reads what comes from the caller.
    Request,
    /// Who writes what goes to the caller.
    Answer,
}

/// Something registered; dropping it takes it out.
pub struct Held {
    view: Arc<View>,
    cell: Arc<Cell>,
}

impl View {
    /// Registers what shall go on for as long as its terms hold. Judge once
    /// more after this, before anything is let through: a change may just have
    /// been applied. `None` if there are [`MOST`] already.
    pub fn register(self: &Arc<Self>, terms: Terms) -> Option<Held> {
        let cell = self.cuts.add(terms)?;
        Some(Held { view: Arc::clone(self), cell })
    }

    /// Ends everything that is registered: nothing that was judged by this view
    /// may go on. Gives how many were cut.
    pub fn cut_all(&self, told: &Refusal) -> u32 {
        count(self.cuts.all().iter().filter(|cell| cell.cut(told.clone())))
    }
}

impl Held {
    /// Why it was cut, if it was. One atomic load.
    #[inline]
    pub fn is_cut(&self) -> Option<&Refusal> {
        self.cell.cut.get()
    }

    /// When the secret ends, as of the last change. Nobody cuts at that time:
    /// whoever holds this looks at the clock.
    #[inline]
    pub fn expire(&self) -> Timestamp {
        Timestamp::from_micros(self.cell.expire.load(Ordering::Acquire))
    }

    /// The terms that were registered.
    pub fn terms(&self) -> &Terms {
        &self.cell.terms
    }

    /// Why it was cut; else the task is woken when it is, and when
    /// [`Held::expire`] changes. Each side remembers its last task.
    pub fn poll_cut(&self, side: Side, cx: &Context<'_>) -> Poll<Refusal> {
        let [request, answer] = &self.cell.wakers;
        let waker = if side == Side::Request { request } else { answer };
        waker.register(cx.waker());
        match self.is_cut() {
            Some(told) => Poll::Ready(told.clone()),
            None => Poll::Pending,
        }
    }

    /// Waits until it is cut, on the side of the answer.
    pub fn cut(&self) -> impl Future<Output = Refusal> {
        poll_fn(|cx| self.poll_cut(Side::Answer, cx))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.view.cuts.remove(&self.cell);
    }
}

impl Cuts {
    pub(super) fn new() -> Self {
        Self {
            shards: [const { Mutex::new(BTreeMap::new()) }; SHARDS],
            registered: AtomicUsize::new(0),
            next: AtomicU64::new(0),
        }
    }

    /// How many are registered.
    pub(super) fn len(&self) -> usize {
        self.registered.load(Ordering::Relaxed)
    }

    fn add(&self, terms: Terms) -> Option<Arc<Cell>> {
        if self.registered.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.registered.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let cell = Arc::new(Cell {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            expire: AtomicI64::new(terms.expire.micros()),
            terms,
            cut: OnceLock::new(),
            wakers: [AtomicWaker::new(), AtomicWaker::new()],
        });
        for tag in tags(&cell.terms) {
            lock(self.shard(tag)).insert((tag, cell.number), Arc::clone(&cell));
        }
        Some(cell)
    }

    fn remove(&self, cell: &Cell) {
        for tag in tags(&cell.terms) {
            lock(self.shard(tag)).remove(&(tag, cell.number));
        }
        self.registered.fetch_sub(1, Ordering::Relaxed);
    }

    fn of(&self, tag: Tag) -> Vec<Arc<Cell>> {
        let shard = lock(self.shard(tag));
        shard.range((tag, 0)..=(tag, u64::MAX)).map(|(_, cell)| Arc::clone(cell)).collect()
    }

    fn all(&self) -> Vec<Arc<Cell>> {
        let keys = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            let by_key = shard.iter().filter(|((tag, _), _)| matches!(tag, Tag::Credential(_)));
            by_key.map(|(_, cell)| Arc::clone(cell)).collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(keys).collect()
    }

    fn shard(&self, tag: Tag) -> &Mutex<Shard> {
        let [_, random] = match tag {
            Tag::Credential(id) => id.halves(),
            Tag::User(id) => id.halves(),
            Tag::Tenant(id) => id.halves(),
        };
        let at = usize::try_from(random % SHARDS as u64).unwrap_or(0);
        let [first, ..] = &self.shards;
        self.shards.get(at).unwrap_or(first)
    }
}

/// What one change can end. Named before the change is applied, which consumes it.
pub(super) struct Concerned(Option<Tag>);

impl Concerned {
    pub(super) fn by(change: &Change) -> Self {
        Self(Some(match change {
            Change::Tenant(tenant) => Tag::Tenant(tenant.id),
            Change::User(user) => Tag::User(user.id),
            Change::Role(role) => Tag::Tenant(role.tenant),
            Change::Member(member) => Tag::User(member.user),
            Change::Key(key) => Tag::Credential(CredentialId::Key(key.id)),
            Change::Session(session) => Tag::Credential(CredentialId::Session(session.id)),
            Change::Grant(grant) => Tag::Credential(CredentialId::Grant(grant.id)),
            // A token is looked at when it comes; what it opened stands on its session.
            Change::SigningKey(_) => return Self(None),
        }))
    }

    /// Judges anew all that the change can concern; gives how many were cut.
    pub(super) fn judge(&self, view: &View) -> u32 {
        self.0.map_or(0, |tag| judged(view, &view.cuts.of(tag)))
    }
}

/// Judges everything anew, as after loading; gives how many were cut.
pub(super) fn judge_all(view: &View) -> u32 {
    judged(view, &view.cuts.all())
}

/// No lock is held while they are judged and woken.
fn judged(view: &View, cells: &[Arc<Cell>]) -> u32 {
    let judge = Judge { view, default_per_minute: 0 };
    count(cells.iter().filter(|cell| cell.judge(&judge)))
}

impl Cell {
    /// Whether it had to be cut.
    fn judge(&self, judge: &Judge<'_>) -> bool {
        match judge.still_stands(&self.terms) {
            Ok(expire) => {
                if self.expire.swap(expire.micros(), Ordering::AcqRel) != expire.micros() {
                    self.wake();
                }
                false
            }
            Err(told) => self.cut(told),
        }
    }

    /// Cuts it, unless it has been before.
    fn cut(&self, told: Refusal) -> bool {
        let first = self.cut.set(told).is_ok();
        if first {
            self.wake();
        }
        first
    }

    fn wake(&self) {
        self.wakers.iter().for_each(AtomicWaker::wake);
    }
}

/// All tags of something registered, none twice.
fn tags(terms: &Terms) -> impl Iterator<Item = Tag> {
    let elsewhere = (terms.tenant != terms.home).then_some(Tag::Tenant(terms.tenant));
    let tags = [
        Some(Tag::Credential(terms.credential)),
        terms.user.map(Tag::User),
        Some(Tag::Tenant(terms.home)),
        elsewhere,
    ];
    tags.into_iter().flatten()
}

/// A panic while a shard was locked has left it whole: nothing but insertions
/// and removals happens there.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count<T>(cut: impl Iterator<Item = T>) -> u32 {
    u32::try_from(cut.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "cuts_tests.rs"]
mod tests;
