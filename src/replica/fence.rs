//! Waiting until a change that takes rights away has happened everywhere.

use super::{Replica, cuts};
use crate::domain::changes::Revision;
use crate::domain::lease::{Fence, Member, Verdict};
use crate::domain::sabotage::{self, Protection};
use crate::store::Enlisted;
use std::sync::Arc;
use std::time::Duration;

/// The shortest and the longest pause between looks at the members.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// How a change came into effect everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Replicas that acknowledged it, this one included.
    pub acknowledged: u32,
    /// Replicas that did not, whose leases were waited out.
    pub expired: u32,
    /// Streams that it cut.
    pub cut: u32,
    /// From the commit until it was in effect everywhere.
    pub took: Duration,
}

/// It was committed, and had not reached everybody when the time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("committed and still spreading")]
pub struct Spreading;

impl Replica {
    /// Waits until nobody answers from the state before `revision` any more.
    /// `committed` is a moment after the answer to the commit came; by
    /// `deadline` this returns.
    ///
    /// # Errors
    /// The deadline came first.
    pub async fn fence(
        &self,
        revision: Revision,
        committed: u64,
        deadline: Option<u64>,
    ) -> Result<Settled, Spreading> {
        let fence = Fence::new(self.shared.leased.terms(), revision, committed);
        let mut pause = PAUSES.0;
        // As last read; what was read after the commit stays true enough to be told.
        let mut members = None;
        loop {
            let read = self.members_until(fence.until().min(deadline.unwrap_or(u64::MAX))).await;
            let is_new = read.is_some();
            members = read.or(members);
            let now = self.clock.moment().monotonic;
            let known = members.as_deref().unwrap_or_default();
            let verdict = match fence.verdict(known.iter().map(|row| self.member(row)), now) {
                Verdict::Returned { .. } if !is_new && now < fence.until() => {
                    Verdict::Waiting { until: fence.until() }
                }
                judged @ (Verdict::Returned { .. } | Verdict::Waiting { .. }) => judged,
            };
            let done = match verdict {
                Verdict::Returned { acknowledged, expired } => Some((acknowledged, expired)),
                Verdict::Waiting { .. } if sabotage::is_off(Protection::Fence) => Some((0, 0)),
                Verdict::Waiting { .. } => None,
            };
            if let Some((acknowledged, expired)) = done {
                let members = members.unwrap_or_default();
                return Ok(self.settled(
                    revision,
                    &members,
                    (acknowledged, expired),
                    now - committed.min(now),
                ));
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(Spreading);
            }
            let left = fence.until().min(deadline.unwrap_or(u64::MAX)).saturating_sub(now);
            self.news_or(pause.min(Duration::from_micros(left))).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The members as of after the call, unless that takes until `until`.
    async fn members_until(&self, until: u64) -> Option<Arc<[Enlisted]>> {
        let now = self.clock.moment().monotonic;
        let most = Duration::from_micros(until.saturating_sub(now));
        match tokio::time::timeout(most, self.members.after_now()).await {
            Ok(Ok(members)) => Some(members),
            Ok(Err(fault)) => {
                tracing::debug!(%fault, "the members cannot be read; the lease is waited out");
                None
            }
            Err(_) => None,
        }
    }

    /// Waits for this replica's own promise to move, at most so long.
    async fn news_or(&self, pause: Duration) {
        let mut promised = self.shared.promised.subscribe();
        // Either is reason to look again.
        drop(tokio::time::timeout(pause, promised.changed()).await);
    }

    fn member(&self, row: &Enlisted) -> Member {
        if row.draining {
            return Member::Draining;
        }
        // This replica's promise holds before the database has heard of it.
        let own = (row.id == *self.shared.id.borrow()).then(|| *self.shared.promised.borrow());
        Member::Serving { acknowledged: row.acknowledged.max(own.unwrap_or_default()) }
    }

    fn settled(
        &self,
        revision: Revision,
        members: &[Enlisted],
        counts: (usize, usize),
        took: u64,
    ) -> Settled {
        let own = *self.shared.id.borrow();
        let others = members.iter().filter(|row| row.id != own).map(|row| cuts::told(&row.cuts, revision));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Settled {
            acknowledged: count(counts.0),
            expired: count(counts.1),
            cut: others.fold(self.shared.cuts.of(revision), u32::saturating_add),
            took: Duration::from_micros(took),
        }
    }
}
