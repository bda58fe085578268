//! How keys are used: counted in the view, written down every few seconds,
//! looked at for what is unusual, told to whoever may know.

use super::{App, Caller, Meter};
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::usage::{Counts, FLOOR, Hour, HourOfUse};
use crate::domain::{Failure, Fault, KeyId, Permission, Refusal, TenantId, Timestamp};
use crate::store::usage::{self as rows, Added};
use crate::store::{Across, Conn, Error, keys};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Hours that one request may ask about: 31 days.
pub const MOST_HOURS: i64 = 31 * 24;

/// Keys that are looked at for unusual use in one go.
const MOST_BUSY: i64 = 1_000;

/// Keys and hours that wait to be written down while the database does not
/// answer, of about 100 bytes each.
const MOST_PENDING: usize = 1_000_000;

/// What was counted and is not written down yet.
pub struct Usage {
    pending: Mutex<BTreeMap<(KeyId, Hour), Counts>>,
    kept: Duration,
    /// What keys sent.
    pub meter: Arc<Meter>,
}

impl Usage {
    /// Counts that are kept for that long.
    pub fn kept_for(kept: Duration) -> Self {
        Self { pending: Mutex::default(), kept, meter: Arc::default() }
    }

    /// The first hour that is still kept.
    pub(super) fn kept_since(&self, now: Timestamp) -> Hour {
        Hour::of(now).minus(i64::try_from(self.kept.as_secs() / 3600).unwrap_or(i64::MAX))
    }
}

impl App {
    /// Writes down what was counted since the last time. What a crash loses is
    /// what was counted since then.
    ///
    /// # Errors
    /// The database fails; what is not written down is kept for the next time,
    /// and counted twice if it had been written and only the answer was lost.
    pub async fn usage_flush(&self) -> Result<(), Failure> {
        let mut pending = self.usage.pending.lock().await;
        let hour = Hour::of(self.clock.now());
        // A look at every key there is: not on a thread that answers calls.
        let view = Arc::clone(&self.replica.view);
        let taken = tokio::task::spawn_blocking(move || view.take_counts()).await.map_err(Fault::new)?;
        for (key, counts) in taken {
            let there = pending.entry((key, hour)).or_default();
            *there = there.plus(counts);
        }
        if pending.len() > MOST_PENDING {
            tracing::warn!(waiting = pending.len(), "too many counts of use wait; the oldest are dropped");
            while pending.len() > MOST_PENDING {
                pending.pop_first();
            }
        }
        while let Some(batch) = next_batch(&mut pending) {
            // Taken out first: whoever ends this half-way writes nothing twice.
            let (store, added) = (self.store.clone(), batch.clone());
            let writing = async move { rows::usage_add(&store, &added).await };
            if let Err(error) = self.store.detached(writing).await {
                pending.extend(batch.into_iter().map(|(key, hour, counts)| ((key, hour), counts)));
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Looks for keys whose use in this hour is far above their own usual, and
    /// writes each into the audit log once a day. Gives how many there were.
    pub async fn usage_spikes(&self) -> Result<usize, Failure> {
        let hour = Hour::of(self.clock.now());
        let busy =
            rows::usage_busy(&mut self.store.read(Across::Jobs).await?, hour, FLOOR, MOST_BUSY).await?;
        let mut spikes = 0;
        for (tenant, key, total) in busy {
            let history = rows::usage_history(&mut self.store.read(Across::Jobs).await?, key, hour).await?;
            if history.is_spike(hour, total)
                && self.spike_note(tenant, key, hour, total, history.mean()).await?
            {
                spikes += 1;
            }
        }
        Ok(spikes)
    }

    /// Drops counts that are older than they are kept, `most` at most; gives
    /// how many. Run again, it goes on.
    pub async fn usage_prune(&self, now: Timestamp, most: u32) -> Result<usize, Failure> {
        let (store, before) = (self.store.clone(), self.usage.kept_since(now));
        let pruning = async move { rows::usage_prune(&store, before, most.into()).await };
        let dropped = self.store.detached(pruning).await?;
        match u32::try_from(dropped).map_or(0, |dropped| most.saturating_sub(dropped)) {
            0 => Ok(dropped),
            left => Ok(dropped.saturating_add(self.ingest_prune(now, left).await?)),
        }
    }

    /// The hours from `from` to before `until` in which a key was used.
    ///
    /// # Errors
    /// `NOT_FOUND` for a key that the caller may not know of.
    pub async fn key_usage(
        &self,
        caller: &Caller,
        key: KeyId,
        from: Hour,
        until: Hour,
    ) -> Result<Vec<HourOfUse>, Failure> {
        let mut conn = self.usage_readable(caller, key).await?;
        Ok(rows::usage_of(&mut conn, key, from, until).await?)
    }

    /// A connection to read what a key was used for.
    ///
    /// # Errors
    /// `NOT_FOUND` for a key that the caller may not know of.
    pub(super) async fn usage_readable(&self, caller: &Caller, key: KeyId) -> Result<Conn, Failure> {
        let all = caller.may(Permission::USAGE_READ) || caller.may(Permission::KEYS_MANAGE);
        if !all {
            caller.must(Permission::KEYS_READ)?;
        }
        let mut conn = self.store.read(caller.tenant()).await?;
        let found = keys::key_by_id(&mut conn, caller.tenant(), key).await?;
        let known = found.filter(|found| {
            let own = found.state.user.is_some() && found.state.user == caller.user();
            let itself = caller.verified.credential.key() == Some(key);
            caller.reaches(found.state.environment) && (all || own || itself)
        });
        if known.is_none() {
            return Err(self.absent(Refusal::not_found("key")));
        }
        Ok(conn)
    }

    async fn spike_note(
        &self,
        tenant: TenantId,
        key: KeyId,
        hour: Hour,
        total: u64,
        mean: u64,
    ) -> Result<bool, Failure> {
        let event = Event::new(tenant, Action::UsageSpike, key, self.clock.now(), &*self.entropy);
        let store = self.store.clone();
        let writing = async move {
            store
                .write(&Actor::system("usage"), event, async move |tx| {
                    tx.detail("hour", hour.begins());
                    tx.detail("checks", total);
                    tx.detail("usual", mean);
                    // Told before today, so nothing is written, the entry neither.
                    if rows::usage_spike_note(tx, key, hour).await? { Ok(()) } else { Err(Error::Conflict) }
                })
                .await
        };
        match self.store.detached(writing).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The next rows to be written, taken out, in the order of their keys.
fn next_batch(pending: &mut BTreeMap<(KeyId, Hour), Counts>) -> Option<Vec<Added>> {
    let next = std::iter::from_fn(|| pending.pop_first());
    let batch: Vec<Added> = next.take(rows::BATCH).map(|((key, hour), counts)| (key, hour, counts)).collect();
    (!batch.is_empty()).then_some(batch)
}
