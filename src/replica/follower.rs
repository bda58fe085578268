//! Follows the change log.

use super::{Freshness, Options, Replica};
use crate::domain::Clock;
use crate::domain::changes::Revision;
use crate::store::{Error, Store, Tail};
use crate::view::{View, Writer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The longest pause between tries while the database does not answer.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// The task that follows; it stops when this is dropped.
pub struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn start(
    store: &Store,
    clock: Arc<dyn Clock>,
    options: Options,
) -> Result<(Arc<Replica>, Following), Error> {
    let (keys, people) = store.counts().await?;
    let room = |count: u64| usize::try_from(count + count / 8).unwrap_or(usize::MAX);
    let (view, mut writer) = View::with_room_for(room(keys), room(people));
    let sent = clock.moment().monotonic;
    let revision = store.snapshot(|change| writer.apply(change)).await?;
    writer.advance(revision);
    let freshness = Arc::new(Freshness::default());
    freshness.prove(sent, options.lease());
    let (sender, applied) = watch::channel(revision.number());
    let follower = Follower {
        tail: store.tail(revision),
        writer,
        clock,
        lease: options.lease(),
        freshness: Arc::clone(&freshness),
        applied: sender,
    };
    let following = Following(tokio::spawn(follower.run()));
    Ok((Arc::new(Replica { view, freshness, applied }), following))
}

struct Follower {
    tail: Tail,
    writer: Writer,
    clock: Arc<dyn Clock>,
    lease: Duration,
    freshness: Arc<Freshness>,
    applied: watch::Sender<u64>,
}

impl Follower {
    async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            match self.step().await {
                Ok(complete) => {
                    if failures > 0 {
                        tracing::info!(failures, "the change log can be read again");
                    }
                    failures = 0;
                    if complete {
                        self.tail.wait(self.lease / 4).await;
                    }
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(%error, "the change log cannot be read; checks end with the lease");
                    }
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(MAX_PAUSE.min(Duration::from_millis(20) * failures)).await;
                }
            }
        }
    }

    /// One look. Changes take effect in order, each in full before it is
    /// declared to be; only then is the view proven fresh.
    async fn step(&mut self) -> Result<bool, Error> {
        let sent = self.clock.moment().monotonic;
        let look = self.tail.look(self.lease).await?;
        let last = look.changes.last().map(|(seq, _)| *seq);
        for (seq, change) in look.changes {
            self.writer.apply(change);
            self.writer.advance(Revision::from_number(seq));
        }
        if let Some(last) = last {
            self.applied.send_replace(last);
        }
        if look.complete {
            self.freshness.prove(sent, self.lease);
        }
        Ok(look.complete)
    }
}
