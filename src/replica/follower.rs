//! Follows the change log: applies what it finds, then promises never to
//! answer from before it.

use super::database::{Database, Log};
use super::keeper::News;

use super::{Applied, Shared};
use crate::domain::Clock;
use crate::domain::changes::Revision;
use crate::domain::sabotage::{self, Protection};
use crate::store::{Error, Renewal, ReplicaId};
use crate::view::Writer;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest pause between tries while the database does not answer.
const MAX_PAUSE: Duration = Duration::from_millis(500);

pub struct Follower<D: Database> {
    pub database: D,
    pub log: D::Log,
    pub writer: Writer,
    pub clock: Arc<dyn Clock>,
    pub lease: Duration,
    pub shared: Arc<Shared>,
    pub news: mpsc::Receiver<News>,
    pub id: ReplicaId,
    /// What the database has been told of the promises made.
    pub told: Revision,
    /// When a promise that watchers hold back may be made.
    pub retry: Option<u64>,
    /// Whether the database was seen to have gone back.
    pub went_back: bool,
}

impl<D: Database> Follower<D> {
    pub async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            match self.step().await {
                Ok(complete) => {
                    if failures > 0 {
                        tracing::info!(failures, "the change log can be read again");
                    }
                    failures = 0;
                    if complete {
                        self.rest().await;
                    }
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(%error, "the change log cannot be read; checks end with the lease");
                    }
                    failures = failures.saturating_add(1);
                    self.told = Revision::default();
                    tokio::time::sleep(MAX_PAUSE.min(Duration::from_millis(20) * failures)).await;
                }
            }
        }
    }

    /// One look. Each change takes effect in order: the records, then the
    /// streams that are cut, then the declaration; at last the promise.
    async fn step(&mut self) -> Result<bool, Error> {
        while let Ok(news) = self.news.try_recv() {
            self.hear(news).await?;
        }
        let look = self.log.look(self.lease).await?;
        for (seq, change) in look.changes {
            let revision = Revision::from_number(seq);
            let feed = (self.shared.feed.receiver_count() > 0)
                .then(|| Arc::new(Applied::Change { revision, change: change.clone() }));
            let cut = self.writer.apply(change);
            self.shared.cuts.note(revision, cut);
            self.writer.advance(revision);
            if let Some(feed) = feed {
                // Nobody may be listening any more, which is fine.
                drop(self.shared.feed.send(feed));
            }
        }
        if look.gap {
            tracing::error!("changes are missing from the log; everything is loaded anew");
            self.reload().await?;
        }
        self.promise().await?;
        Ok(look.complete)
    }

    /// Makes the promise that was earned, in memory and then to the database.
    async fn promise(&mut self) -> Result<(), Error> {
        let applied = self.shared.view.applied();
        self.shared.leased.settle(applied);
        self.shared.applied.send_if_modified(|known| std::mem::replace(known, applied) != applied);
        let now = self.clock.moment().monotonic;
        let (earned, retry) = self.shared.leased.acknowledgeable(applied, now);
        self.retry = retry;
        self.shared.promised.send_if_modified(|promised| {
            earned > *promised && {
                *promised = earned;
                true
            }
        });
        if earned > self.told {
            let cuts = self.shared.cuts.to_string();
            self.log.acknowledge(self.id, earned, &cuts, self.lease).await?;
            self.told = earned;
        }
        Ok(())
    }

    /// Waits for whatever may be reason to look again.
    async fn rest(&mut self) {
        let now = self.clock.moment().monotonic;
        let retry = self.retry.map_or(self.lease, |until| Duration::from_micros(until.saturating_sub(now)));
        let heard = tokio::select! {
            biased;
            news = self.news.recv() => news,
            () = self.shared.leased.watchers_moved.notified() => None,
            () = self.log.wait(retry.min(self.lease / 4).max(Duration::from_millis(1))) => None,
        };
        if let Some(news) = heard
            && let Err(error) = self.hear(news).await
        {
            tracing::error!(%error, "the database cannot be loaded anew; trying again");
        }
    }

    async fn hear(&mut self, news: News) -> Result<(), Error> {
        match news {
            News::Renewed { sent, known, renewal } => self.renewed(sent, known, renewal).await?,
            News::ShutOut => self.shared.leased.lost(),
            News::Enlisted(id) => {
                (self.id, self.told) = (id, Revision::default());
                self.shared.id.send_replace(id);
            }
        }
        Ok(())
    }

    async fn renewed(&mut self, sent: u64, known: Revision, renewal: Renewal) -> Result<(), Error> {
        let applied = self.shared.view.applied();
        if *renewal.era != **self.shared.era.borrow() {
            tracing::warn!("a new era has begun; everything is loaded anew");
            self.shared.leased.lost();
            self.reload().await?;
            self.shared.era.send_replace(renewal.era.into());
            return Ok(());
        }
        let mut need = renewal.head;
        if sabotage::is_off(Protection::CommitOrder) {
            need = Revision::default();
        } else if need < known {
            self.shared.leased.lost();
            if !std::mem::replace(&mut self.went_back, true) {
                tracing::error!(
                    head = need.number(),
                    applied = known.number(),
                    "the database has gone back to an earlier state; nothing is answered until `doorward new-era` is run"
                );
            }
            return Ok(());
        }
        self.went_back = false;
        let sent = if sabotage::is_off(Protection::ExpiryFromSending) {
            self.clock.moment().monotonic
        } else {
            sent
        };
        self.shared.leased.renewed(sent, need, applied);
        Ok(())
    }

    /// Loads everything anew into the view, which answers nothing meanwhile.
    async fn reload(&mut self) -> Result<(), Error> {
        self.shared.leased.lost();
        self.shared.leased.watchers_over();
        let writer = &mut self.writer;
        let mut kept = crate::view::Kept::default();
        let head = self.database.snapshot(|change| {
            kept.note(&change);
            _ = writer.apply(change);
        });
        let head = head.await?;
        self.writer.retain(&kept);
        self.writer.advance(head);
        self.log.go_on_after(head);
        (self.told, self.went_back) = (Revision::default(), false);
        self.shared.promised.send_replace(Revision::default());
        drop(self.shared.feed.send(Arc::new(Applied::Reset)));
        Ok(())
    }
}
