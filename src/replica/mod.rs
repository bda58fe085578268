//! Keeps a view in step with the database, and says for how long it may answer.
//!
//! The follower reads the change log and applies it in order. Each look that
//! found everything there was proves the view fresh as of the moment *before*
//! the look was sent; from then on it may answer for one lease. When the
//! database cannot be reached for longer, nothing is answered from memory.

mod follower;
mod freshness;

pub use follower::Following;
pub use freshness::Freshness;

use crate::domain::changes::Revision;
use crate::domain::{Clock, Fault};
use crate::store::Store;
use crate::view::View;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// `[coherence]`: how revocations spread.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How long a view may answer after it was last proven fresh, in milliseconds.
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

/// The view, and what is known of its freshness.
pub struct Replica {
    /// What checks are answered from.
    pub view: Arc<View>,
    freshness: Arc<Freshness>,
    applied: watch::Receiver<u64>,
}

impl Replica {
    /// Loads the view and begins to follow. Ends with `Following`.
    pub async fn start(
        store: &Store,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<(Arc<Self>, Following), crate::store::Error> {
        follower::start(store, clock, options).await
    }

    /// Whether the view may answer at this moment of the monotonic clock (µs).
    pub fn is_fresh(&self, monotonic: u64) -> bool {
        self.freshness.holds(monotonic)
    }

    /// For how long the view may still answer.
    pub fn remaining(&self, monotonic: u64) -> Duration {
        self.freshness.remaining(monotonic)
    }

    /// Waits until a revision is in full effect here.
    ///
    /// # Errors
    /// It is not within `most`.
    pub async fn wait_for(&self, revision: Revision, most: Duration) -> Result<(), Fault> {
        if self.view.applied() >= revision {
            return Ok(());
        }
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| *applied >= revision.number());
        match tokio::time::timeout(most, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(closed)) => Err(Fault::new(closed)),
            Err(late) => Err(Fault::new(late)),
        }
    }
}
