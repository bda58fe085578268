//! Keeps a view in step with the database, says for how long it may answer,
//! and makes sure that what was revoked is revoked everywhere.
//!
//! | file | subject |
//! |---|---|
//! | `follower` | reads the change log, applies it, promises |
//! | `keeper` | renews the lease |
//! | `lease` | the lease as everybody sees it |
//! | `fence` | waits until a change has happened everywhere |
//! | `membership` | shuts out replicas that fell silent |
//! | `coalesced` | one read for all who wait for one |
//! | `cuts` | which changes cut streams |
//! | `database` | what all this asks of the database |
//!
//! docs/coherence.md explains the protocol.

mod coalesced;
mod cuts;
mod database;
mod fence;
mod follower;
mod keeper;
mod lease;
mod membership;
mod outlast;
#[cfg(test)]
mod simulation;
mod watchers;

pub use database::{Database, Log, Renews};
pub use fence::{Settled, Spreading};
pub use watchers::Watcher;

use crate::domain::changes::{Change, Revision};
use crate::domain::lease::Terms;
use crate::domain::sabotage::{self, Protection};
use crate::domain::{Clock, Entropy, Fault};
use crate::store::{Enlisted, Error, ReplicaId};
use crate::view::View;
use coalesced::Coalesced;
use futures_util::FutureExt;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;

/// At most one look at the head of the log in this time, however many wait for one.
const HEAD_SPACING: Duration = Duration::from_millis(5);

/// At most one look at the members in this time.
const MEMBERS_SPACING: Duration = Duration::from_millis(1);

/// Changes that a listener may be behind before it has to start over.
const FEED: usize = 4_096;

/// `[coherence]`: how revocations spread.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How long a view may answer after it was last proven fresh, in
    /// milliseconds. All replicas need the same.
    pub lease_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { lease_ms: 2_000 }
    }
}

impl Options {
    /// The lease.
    pub const fn lease(self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// What is wrong with the options, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        (!(100..=60_000).contains(&self.lease_ms)).then_some("coherence.lease_ms must be 100 to 60000")
    }
}

/// What listeners hear of.
#[derive(Debug, Clone)]
pub enum Applied {
    /// A change is in effect here.
    Change {
        /// Its number.
        revision: Revision,
        /// What changed.
        change: Change,
    },
    /// Everything was loaded anew: what was heard before is of another history.
    Reset,
}

/// What the tasks of a replica share.
struct Shared {
    view: Arc<View>,
    leased: lease::Leased,
    applied: watch::Sender<Revision>,
    /// Never again does this replica, or a watcher of it, answer from before that.
    promised: watch::Sender<Revision>,
    id: watch::Sender<ReplicaId>,
    era: watch::Sender<Arc<str>>,
    cuts: cuts::Cuts,
    feed: broadcast::Sender<Arc<Applied>>,
}

/// The view, and what is known of its freshness.
pub struct Replica {
    /// What checks are answered from.
    pub view: Arc<View>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    members: Coalesced<Arc<[Enlisted]>>,
    newest: Coalesced<Revision>,
}

/// The tasks of a replica; they stop when this is dropped.
pub struct Following(Vec<JoinHandle<()>>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Replica {
    /// Enlists, loads the view, and begins to follow and to renew.
    pub async fn start<D: Database>(
        database: &D,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: Options,
    ) -> Result<(Arc<Self>, Following), Error> {
        let lease = options.lease();
        let id = keeper::fresh_id(&*entropy);
        if database.has_others() {
            outlast::outlast_other_leases(database, &*clock, lease).await?;
        }
        database.enlist(id, lease).await?;
        let (keys, people) = database.counts().await?;
        let room = |count: u64| usize::try_from(count + count / 8).unwrap_or(usize::MAX);
        let (view, mut writer) = View::with_room_for(room(keys), room(people));
        view.count_uses();
        let revision = database.snapshot(|change| _ = writer.apply(change)).await?;
        writer.advance(revision);
        let mut keeper = database.keeper();
        let sent = clock.moment().monotonic;
        let first = keeper.renew(id, lease).await?.ok_or_else(|| Error::Unavailable("shut out".into()))?;
        let shared = Arc::new(Shared {
            view: Arc::clone(&view),
            leased: lease::Leased::new(Terms::of(lease)),
            applied: watch::Sender::new(revision),
            promised: watch::Sender::new(revision),
            id: watch::Sender::new(id),
            era: watch::Sender::new(first.era.as_str().into()),
            cuts: cuts::Cuts::default(),
            feed: broadcast::Sender::new(FEED),
        });
        let (sender, news) = mpsc::channel(4);
        shared.leased.renewed(sent, first.head, revision);
        let keeping = keeper::Keeping {
            database: database.clone(),
            keeper,
            clock: Arc::clone(&clock),
            entropy,
            lease,
            id,
            view: Arc::clone(&view),
            news: sender,
        };
        let follower = follower::Follower {
            database: database.clone(),
            log: database.log(revision),
            writer,
            clock: Arc::clone(&clock),
            lease,
            shared: Arc::clone(&shared),
            news,
            id,
            told: Revision::default(),
            retry: None,
            went_back: false,
        };
        let mut tasks = vec![tokio::spawn(keeping.run()), tokio::spawn(follower.run())];
        if database.has_others() {
            let reaping = membership::reap(database.clone(), Arc::clone(&clock), Terms::of(lease));
            tasks.push(tokio::spawn(reaping));
        }
        let replica = Self {
            view,
            shared,
            clock,
            members: Coalesced::new(MEMBERS_SPACING, {
                let database = database.clone();
                move || {
                    let database = database.clone();
                    async move {
                        database.enlisted().await.map(Arc::from).map_err(|error| error.to_string().into())
                    }
                    .boxed()
                }
            }),
            newest: Coalesced::new(HEAD_SPACING, {
                let database = database.clone();
                move || {
                    let database = database.clone();
                    async move { database.newest().await.map_err(|error| error.to_string().into()) }.boxed()
                }
            }),
        };
        Ok((Arc::new(replica), Following(tasks)))
    }

    /// Whether the view may answer at this moment of the boot-time clock (µs).
    #[inline]
    pub fn is_fresh(&self, monotonic: u64) -> bool {
        self.shared.leased.holds(monotonic) || sabotage::is_off(Protection::Lease)
    }

    /// For how long the view may still answer.
    pub fn remaining(&self, monotonic: u64) -> Duration {
        Duration::from_micros(self.shared.leased.remaining(monotonic))
    }

    /// Waits until a revision is in full effect here.
    ///
    /// # Errors
    /// It is not within `most`.
    pub async fn wait_for(&self, revision: Revision, most: Duration) -> Result<(), Fault> {
        if self.view.applied() >= revision {
            return Ok(());
        }
        let mut applied = self.shared.applied.subscribe();
        let reached = applied.wait_for(|applied| *applied >= revision);
        match tokio::time::timeout(most, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(closed)) => Err(Fault::new(closed)),
            Err(late) => Err(Fault::new(late)),
        }
    }

    /// Waits until everything that was committed before this call is in effect
    /// here: so what is unknown then does not exist.
    ///
    /// # Errors
    /// The database does not answer, or that takes longer than `most`.
    pub async fn catch_up(&self, most: Duration) -> Result<(), Fault> {
        match tokio::time::timeout(most, self.newest.after_now()).await {
            Ok(newest) => self.wait_for(newest?, most).await,
            Err(late) => Err(Fault::new(late)),
        }
    }

    /// Hears of every change from now on, in order, once it is in effect here.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Applied>> {
        self.shared.feed.subscribe()
    }

    /// The era of the change log: revisions of another one are of another history.
    pub fn era(&self) -> Arc<str> {
        Arc::clone(&self.shared.era.borrow())
    }

    /// Leaves: nothing is answered from here on, and who revokes something
    /// need not wait for this replica. To be called when nothing is served any
    /// more, after [`Following`] was dropped.
    pub async fn leave<D: Database>(&self, database: &D) -> Result<(), Error> {
        let id = *self.shared.id.borrow();
        self.shared.leased.lost();
        database.drain(id, None).await?;
        let now = self.clock.moment().monotonic;
        if let Some(until) = self.shared.leased.granted_until(now) {
            tokio::time::sleep(Duration::from_micros(until - now)).await;
        }
        database.forget(id, None).await
    }
}
