//! Following the change log.

use super::replicas::{self, ReplicaId};
use super::tx::Own;
use super::{Across, Conn, Error, Result, Store, changes};
use crate::domain::changes::{Change, Revision};
use crate::domain::sabotage::{self, Protection};
use diesel_async::SimpleAsyncConnection;
use futures_util::{FutureExt, StreamExt};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Changes read at once.
const BATCH: usize = 1000;

/// Follows the change log on a session of its own. PostgreSQL wakes it by
/// NOTIFY, SQLite, being in this process, by a channel; both are hints only,
/// and it looks by itself when `wait` is over.
pub struct Tail {
    store: Store,
    seq: u64,
    own: Option<Own>,
    head: watch::Receiver<u64>,
}

/// What one look at the log gave.
pub struct Look {
    /// The changes after those of the look before, with their numbers.
    pub changes: Vec<(u64, Change)>,
    /// Whether these are all that there were at the time of the look.
    pub complete: bool,
    /// Whether changes are missing after them: the log was cut short, or the
    /// database set back and grown anew.
    pub gap: bool,
}

impl Tail {
    pub(super) fn new(store: Store, seq: u64) -> Self {
        let head = store.head.subscribe();
        Self { store, seq, own: None, head }
    }

    /// Goes on after that change, what came before having been loaded otherwise.
    pub fn go_on_after(&mut self, revision: Revision) {
        self.seq = revision.number();
    }

    /// Promises that this replica never again answers from a state before
    /// `revision`, and tells which changes cut streams here.
    pub async fn acknowledge(
        &mut self,
        id: ReplicaId,
        revision: Revision,
        cuts: &str,
        limit: Duration,
    ) -> Result<()> {
        let Some(own) = &mut self.own else { return Err(Error::Unavailable("no session".into())) };
        let told = timeout(limit, replicas::acknowledge(own.get()?, id, revision, cuts)).await;
        let outcome = told.unwrap_or_else(|elapsed| Err(Error::Unavailable(elapsed.into())));
        if outcome.is_err() {
            self.own = None;
        }
        outcome
    }

    /// Looks at the log, within `limit`. After an error, call again: it
    /// reconnects and goes on where it was.
    pub async fn look(&mut self, limit: Duration) -> Result<Look> {
        let looked = timeout(limit, self.look_now()).await;
        let outcome = looked.unwrap_or_else(|elapsed| Err(Error::Unavailable(elapsed.into())));
        if outcome.is_err() {
            self.own = None;
        }
        outcome
    }

    /// Waits for a hint that there is something new, at most `wait`.
    pub async fn wait(&mut self, wait: Duration) {
        let Some(own) = &mut self.own else {
            return tokio::time::sleep(wait.min(Duration::from_millis(50))).await;
        };
        let lost = match own.get() {
            Ok(Conn::Sqlite(_)) => {
                timeout(wait, self.head.changed()).await.is_ok_and(|changed| changed.is_err())
            }
            Ok(Conn::Pg(c)) => {
                let mut notices = pin!(c.notifications_stream());
                // What this process commits it knows before the notice comes round.
                let lost = tokio::select! {
                    () = tokio::time::sleep(wait) => false,
                    _ = self.head.changed() => false,
                    notice = notices.next() => !matches!(notice, Some(Ok(_))),
                };
                while let Some(Some(Ok(_))) = notices.next().now_or_never() {}
                lost
            }
            Err(_) => true,
        };
        if lost {
            self.own = None;
        }
    }

    async fn look_now(&mut self) -> Result<Look> {
        if self.own.is_none() {
            self.own = Some(listen(&self.store).await?);
        }
        self.head.mark_unchanged();
        let Some(own) = &mut self.own else { return Err(Error::Unavailable("no session".into())) };
        let found = changes::after(own.get()?, self.seq, BATCH).await?;
        let complete = found.len() < BATCH;
        let mut changes = found;
        let mut whole = (self.seq + 1..).zip(&changes).take_while(|(due, (seq, _))| due == seq).count();
        if sabotage::is_off(Protection::CommitOrder) {
            whole = changes.len();
        }
        let gap = whole < changes.len();
        changes.truncate(whole);
        self.seq = changes.last().map_or(self.seq, |(seq, _)| *seq);
        Ok(Look { changes, complete, gap })
    }
}

/// A session that hears of commits. LISTEN comes before the first look, so no
/// commit falls between them. The session is closed in the end: its queue of
/// notices has no bound, so it must not go back to the pool.
async fn listen(store: &Store) -> Result<Own> {
    let mut own = Own::new(store.read(Across::Views).await?);
    if let Conn::Pg(c) = own.get()? {
        // A promise is kept in memory; that it reaches the disk need not be waited for.
        c.batch_execute("SET synchronous_commit = off; LISTEN doorward_changes").await?;
    }
    Ok(own)
}
