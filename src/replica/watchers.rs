//! Views in other processes that live on this replica's lease.

use super::{Replica, Shared};
use crate::domain::changes::Revision;
use std::sync::Arc;
use std::time::Duration;

/// One of them. Dropped when it is no longer heard.
pub struct Watcher {
    shared: Arc<Shared>,
    number: u64,
}

impl Replica {
    /// A watcher that begins with that state. `None` if there are too many.
    pub fn watcher(&self, state: Revision, now: u64) -> Option<Watcher> {
        let Ok(number) = self.shared.leased.watcher_joined(state, now) else { return None };
        Some(Watcher { shared: Arc::clone(&self.shared), number })
    }

    /// For how long a proof holds; watchers ask several times in that time.
    pub fn lease(&self) -> Duration {
        Duration::from_micros(self.shared.leased.terms().holds)
    }
}

impl Watcher {
    /// What of the lease is passed on at `now`: the state that it needs, and
    /// for how long it holds from when the watcher asked. `None` if this
    /// replica has no lease itself.
    pub fn grant(&self, now: u64) -> Option<(Revision, Duration)> {
        let granted = self.shared.leased.grant(self.number, || self.shared.view.applied(), now);
        granted.map(|(state, remaining)| (state, Duration::from_micros(remaining)))
    }

    /// The watcher has applied that state, streams cut.
    pub fn acknowledged(&self, state: Revision) {
        self.shared.leased.watcher_acknowledged(self.number, state);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.leased.watcher_gone(self.number);
    }
}
