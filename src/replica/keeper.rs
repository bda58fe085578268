//! Keeps the lease: renews it again and again, and enlists anew when shut out.

use super::database::{Database, Renews};
use crate::domain::changes::Revision;
use crate::domain::sabotage::{self, Protection};
use crate::domain::{Clock, Entropy};
use crate::store::{Renewal, ReplicaId};
use crate::view::View;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest pause between tries while the database does not answer.
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// What the follower is told.
pub enum News {
    /// Renewed: sent at that moment, with this result.
    Renewed {
        /// The moment before it was sent.
        sent: u64,
        /// What was applied here before it was sent.
        known: Revision,
        /// What came back.
        renewal: Renewal,
    },
    /// Others have shut this replica out: it was silent for too long.
    ShutOut,
    /// It is enlisted again, under this id.
    Enlisted(ReplicaId),
}

/// Renews for one replica.
pub struct Keeping<D: Database> {
    pub database: D,
    pub keeper: D::Keeper,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub lease: Duration,
    pub id: ReplicaId,
    pub view: Arc<View>,
    pub news: mpsc::Sender<News>,
}

impl<D: Database> Keeping<D> {
    /// Renews until nobody listens.
    pub async fn run(mut self) {
        let mut failures = 0_u32;
        // A reply that is later than a lease proves nothing, counted from its sending.
        let limit =
            if sabotage::is_off(Protection::ExpiryFromSending) { self.lease * 30 } else { self.lease };
        loop {
            let known = self.view.applied();
            let sent = self.clock.moment().monotonic;
            let (news, pause) = match self.keeper.renew(self.id, limit).await {
                Ok(Some(renewal)) => {
                    if failures > 0 {
                        tracing::info!(failures, "the lease can be renewed again");
                    }
                    failures = 0;
                    (Some(News::Renewed { sent, known, renewal }), self.lease / 4)
                }
                Ok(None) => {
                    tracing::warn!("this replica was shut out for its silence; it comes back as a new one");
                    if self.news.send(News::ShutOut).await.is_err() {
                        return;
                    }
                    (self.enlist().await.map(News::Enlisted), Duration::ZERO)
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(%error, "the lease cannot be renewed; checks end with it");
                    }
                    failures = failures.saturating_add(1);
                    (None, MAX_PAUSE.min(self.lease / 16 * failures))
                }
            };
            let told = match news {
                Some(news) => self.news.send(news).await.is_ok(),
                None => !self.news.is_closed(),
            };
            if !told {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Enlists under a new id; `None` if that cannot be done now.
    async fn enlist(&mut self) -> Option<ReplicaId> {
        let id = fresh_id(&*self.entropy);
        match self.database.enlist(id, self.lease).await {
            Ok(()) => {
                self.id = id;
                Some(id)
            }
            Err(error) => {
                tracing::error!(%error, "the replica cannot be enlisted");
                tokio::time::sleep(MAX_PAUSE).await;
                None
            }
        }
    }
}

/// The id of one life of a replica.
pub fn fresh_id(entropy: &dyn Entropy) -> ReplicaId {
    let mut id = [0; 16];
    entropy.fill(&mut id);
    ReplicaId::from_bytes(id)
}
