//! Watching: a copy of what checks rely on, kept in another process under a
//! lease that is a part of this replica's own.
//!
//! The watcher first gets a snapshot, or the changes since it was last here,
//! and then every change in the order of commits, as far as it may see it. A
//! lease is sent only after everything that it presupposes. The guard ends the
//! stream with the watcher's credential, and when it may no longer see so much.

mod lens;
mod pending;

use super::{App, Caller};
use crate::domain::changes::{Change, Revision};
use crate::domain::{Failure, Fault, Permission, Refusal};
use crate::replica::{Applied, Watcher};
use futures_util::{Stream, StreamExt};
use lens::{Lens, Sight};
use pending::Pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Events that wait for a slow watcher.
pub const BACKLOG: usize = 1024;

/// States in one part of a snapshot.
const PART: usize = 64;

/// Changes read at once when a watcher comes back.
const PAGE: usize = 1000;

/// Pages after which a snapshot is the shorter way.
const MOST_PAGES: usize = 50;

/// Changes that a watcher may leave unacknowledged.
const MOST_PENDING: usize = 100_000;

/// How long a watcher may take no event at all before it is let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watchers that are sent a snapshot at the same time. Each holds a connection
/// to the database, of which a pool has at least three for reading.
const SNAPSHOTS: usize = 2;

/// How long a watcher waits for its turn to get one; less than a watcher waits
/// for a sign of life.
const TURN: Duration = Duration::from_secs(5);

/// How long one may take, however steadily the watcher reads.
const SNAPSHOT: Duration = Duration::from_mins(2);

/// What all watchers of a replica share.
#[derive(Debug)]
pub struct Watches {
    /// Ends their streams, which would never end by themselves.
    pub stopping: CancellationToken,
    snapshots: Semaphore,
}

impl Default for Watches {
    fn default() -> Self {
        Self { stopping: CancellationToken::default(), snapshots: Semaphore::new(SNAPSHOTS) }
    }
}

/// Where a watcher wants to begin.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// The era of an earlier stream, if there was one.
    pub era: String,
    /// The last revision in full effect at the watcher.
    pub revision: Option<Revision>,
}

/// What a watcher says after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Grant me a lease.
    Renew(u64),
    /// Everything up to there is in full effect here.
    Acknowledge(Revision),
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What holds for the whole stream.
    Terms {
        /// The history that revisions count, and what of it is seen.
        era: String,
        /// Requests a minute of keys whose tenant says nothing.
        default_per_minute: u32,
        /// How often a lease should be asked for.
        renew: Duration,
    },
    /// Forget everything: a snapshot begins.
    Begin,
    /// A part of it.
    Part(Vec<Change>),
    /// It is complete and of this revision.
    End(Revision),
    /// Something changed.
    Change(Revision, Vec<Change>),
    /// All up to the revision was sent; answers may be given for so long.
    Lease {
        /// The renewal's number.
        number: u64,
        /// What has to be in full effect first.
        revision: Revision,
        /// For how long from the renewal's sending.
        remaining: Duration,
    },
    /// Forget everything and open another stream.
    Reset,
}

/// One watcher's stream.
pub struct Watch {
    app: Arc<App>,
    caller: Caller,
    lens: Lens,
    feed: broadcast::Receiver<Arc<Applied>>,
    /// From when the snapshot or what was missed has been sent.
    watcher: Option<Watcher>,
    pending: Pending,
    /// A lease that waits for what it presupposes to be sent.
    granted: Option<Told>,
    out: mpsc::Sender<Result<Told, Failure>>,
}

/// Why a stream ends.
enum End {
    /// The watcher went away, or does not keep up.
    Gone,
    /// It has to be told this last.
    Told(Told),
    /// It failed.
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for End {
    fn from(failure: T) -> Self {
        Self::Failed(failure.into())
    }
}

impl App {
    /// A stream for a watcher. What it is told goes to the receiver.
    pub fn watch(self: &Arc<Self>, caller: &Caller) -> (Watch, mpsc::Receiver<Result<Told, Failure>>) {
        let everything = caller.may(Permission::PLATFORM_VERIFY);
        let (out, told) = mpsc::channel(BACKLOG);
        // Before anything is read: what is committed from now on comes by the feed.
        let feed = self.replica.feed();
        let watch = Watch {
            app: Arc::clone(self),
            caller: caller.clone(),
            lens: Lens::new((!everything).then(|| caller.tenant())),
            feed,
            watcher: None,
            pending: Pending::default(),
            granted: None,
            out,
        };
        (watch, told)
    }
}

impl Watch {
    /// Serves the stream to its end. `asked` is what the watcher says after
    /// it opened the stream.
    pub async fn run(mut self, open: Open, asked: impl Stream<Item = Result<Asked, Failure>> + Send) {
        match self.serve(open, asked).await {
            End::Gone => {}
            End::Told(told) => self.last(Ok(told)).await,
            End::Failed(failure) => self.last(Err(failure)).await,
        }
    }

    /// Ends a stream that was not opened as it should.
    pub async fn refuse(self, refusal: Refusal) {
        self.last(Err(refusal.into())).await;
    }

    async fn last(&self, last: Result<Told, Failure>) {
        if let Err(unheard) = timeout(PATIENCE, self.out.send(last)).await {
            tracing::debug!(%unheard, correlation.id = %self.caller.correlation, "a watcher does not read");
        }
    }

    async fn serve(&mut self, open: Open, asked: impl Stream<Item = Result<Asked, Failure>> + Send) -> End {
        let served = async {
            let era = self.era();
            let (default_per_minute, renew) =
                (self.app.verifier.default_per_minute(), self.app.replica.lease() / 4);
            self.tell(Told::Terms { era: era.clone(), default_per_minute, renew }).await?;
            let resumed = match open.revision.filter(|_| open.era == era) {
                Some(revision) => self.resume(revision).await?,
                None => false,
            };
            if !resumed {
                self.snapshot().await?;
            }
            self.join()?;
            self.follow(asked).await
        };
        match served.await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Names the history that revisions count and what of it is seen: under
    /// another right to see, another copy is needed.
    fn era(&self) -> String {
        let scope = self.lens.only().map_or_else(|| "*".to_owned(), |tenant| tenant.to_string());
        format!("{}/{scope}", self.app.replica.era())
    }

    /// Registers the watcher: from now on changes wait for it while it holds a lease.
    fn join(&mut self) -> Result<(), End> {
        let now = self.app.clock.moment().monotonic;
        let watcher = self.app.replica.watcher(self.pending.acknowledged(), now);
        self.watcher = Some(watcher.ok_or_else(|| Fault::new("there are too many watchers"))?);
        Ok(())
    }

    /// Everything that the watcher may see, as of one revision. A connection to
    /// the database is held meanwhile, so that neither many watchers nor a slow
    /// one may keep others from theirs.
    async fn snapshot(&mut self) -> Result<(), End> {
        let app = Arc::clone(&self.app);
        let _turn = match timeout(TURN, app.watches.snapshots.acquire()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(closed)) => return Err(Fault::new(closed).into()),
            Err(late) => return Err(Fault::new(late).into()),
        };
        timeout(SNAPSHOT, self.read_out()).await.unwrap_or(Err(End::Gone))
    }

    async fn read_out(&mut self) -> Result<(), End> {
        self.tell(Told::Begin).await?;
        let mut snapshot = self.app.store.snapshot_of(self.lens.only()).await.map_err(Failure::from)?;
        while let Some(mut states) = snapshot.more().await.map_err(Failure::from)? {
            states.retain(Change::is_watched);
            self.lens.learn(&states);
            for part in states.chunks(PART) {
                self.tell(Told::Part(part.to_vec())).await?;
            }
        }
        let revision = snapshot.revision();
        self.pending.pass(revision, true);
        self.tell(Told::End(revision)).await
    }

    /// The changes since a revision. False if the log no longer has them all,
    /// or if a snapshot is shorter.
    async fn resume(&mut self, since: Revision) -> Result<bool, End> {
        if let Some(tenant) = self.lens.only() {
            let people = self.app.store.people_of(tenant).await.map_err(Failure::from)?;
            self.lens.know(people);
        }
        self.pending.pass(since, false);
        for _ in 0..MOST_PAGES {
            let since = self.pending.passed();
            let page = self.app.store.changes_after(since, PAGE).await.map_err(Failure::from)?;
            let Some(page) = page else { return Ok(false) };
            let complete = page.len() < PAGE;
            for (revision, change) in page {
                self.pass(revision, &change).await?;
            }
            if complete {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn follow(
        &mut self,
        asked: impl Stream<Item = Result<Asked, Failure>> + Send,
    ) -> Result<std::convert::Infallible, End> {
        let mut asked = std::pin::pin!(asked);
        let (out, stopping) = (self.out.clone(), self.app.watches.stopping.clone());
        loop {
            tokio::select! {
                applied = self.feed.recv() => match applied {
                    Ok(applied) => self.applied(&applied).await?,
                    // Behind by more than the feed holds, or the replica started over.
                    Err(_) => return Err(End::Told(Told::Reset)),
                },
                asked = asked.next() => match asked {
                    Some(Ok(Asked::Renew(number))) => self.renew(number),
                    Some(Ok(Asked::Acknowledge(revision))) => self.pending.acknowledge(revision),
                    Some(Err(failure)) => return Err(failure.into()),
                    None => return Err(End::Gone),
                },
                // It keeps its lease, and goes on at another replica or at our next start.
                () = stopping.cancelled() => return Err(End::Gone),
                () = out.closed() => return Err(End::Gone),
            }
            self.settle()?;
            self.release().await?;
        }
    }

    async fn applied(&mut self, applied: &Applied) -> Result<(), End> {
        let Applied::Change { revision, change } = applied else { return Err(End::Told(Told::Reset)) };
        let passed = self.pending.passed();
        if *revision <= passed {
            return Ok(());
        }
        if revision.number() != passed.number() + 1 {
            return Err(End::Told(Told::Reset));
        }
        self.pass(*revision, change).await
    }

    /// Passes a change on, as far as it may be seen.
    async fn pass(&mut self, revision: Revision, change: &Change) -> Result<(), End> {
        let states = match self.lens.sight(change) {
            Sight::Nothing => Vec::new(),
            Sight::Change => vec![change.clone()],
            Sight::Newcomer(user) => {
                let person = self.app.store.person(user).await.map_err(Failure::from)?;
                person.map(Change::User).into_iter().chain([change.clone()]).collect()
            }
        };
        self.pending.pass(revision, !states.is_empty());
        if states.is_empty() {
            return Ok(());
        }
        self.tell(Told::Change(revision, states)).await
    }

    fn renew(&mut self, number: u64) {
        let now = self.app.clock.moment().monotonic;
        if let Some((revision, remaining)) = self.watcher.as_ref().and_then(|watcher| watcher.grant(now)) {
            // One that still waits is worth less than this one.
            self.granted = Some(Told::Lease { number, revision, remaining });
        }
    }

    /// Sends the lease, once everything that it presupposes has been sent.
    async fn release(&mut self) -> Result<(), End> {
        let passed = self.pending.passed();
        let is_ready = |told: &mut Told| matches!(told, Told::Lease { revision, .. } if *revision <= passed);
        match self.granted.take_if(is_ready) {
            Some(lease) => self.tell(lease).await,
            None => Ok(()),
        }
    }

    /// Tells the replica what need not wait for this watcher.
    fn settle(&self) -> Result<(), End> {
        if self.pending.len() > MOST_PENDING {
            return Err(End::Gone);
        }
        if let Some(watcher) = &self.watcher {
            watcher.acknowledged(self.pending.acknowledged());
        }
        Ok(())
    }

    async fn tell(&self, told: Told) -> Result<(), End> {
        match timeout(PATIENCE, self.out.send(Ok(told))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}
