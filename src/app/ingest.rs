//! How much telemetry keys send: counted by the gateway, written down every
//! few seconds with the counts of checks.

use super::{App, Caller};
use crate::domain::ingest::{HourOfIngest, Ingested, Telemetry};
use crate::domain::usage::Hour;
use crate::domain::{Failure, KeyId, TenantId, Timestamp};
use crate::store::ingest_usage::{self as rows, Added};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Keys and signals that are counted between two times of writing down, of
/// about 100 bytes each.
const MOST_COUNTED: usize = 100_000;

/// Keys, signals and hours that wait to be written down while the database
/// does not answer, of about 150 bytes each.
const MOST_PENDING: usize = 1_000_000;

type Sender = (TenantId, KeyId, Telemetry);

/// What was sent and is not written down yet.
#[derive(Default)]
pub struct Meter {
    counted: Mutex<BTreeMap<Sender, Ingested>>,
    pending: tokio::sync::Mutex<BTreeMap<(Sender, Hour), Ingested>>,
}

impl Meter {
    /// Counts what a key sent.
    pub fn count(&self, tenant: TenantId, key: KeyId, telemetry: Telemetry, sent: Ingested) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = (tenant, key, telemetry);
        if counted.len() >= MOST_COUNTED && !counted.contains_key(&sender) {
            tracing::warn!("too many keys send telemetry at once; what one of them sent is not counted");
            return;
        }
        let there = counted.entry(sender).or_default();
        *there = there.plus(sent);
    }

    fn take(&self) -> BTreeMap<Sender, Ingested> {
        std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl App {
    /// Writes down what was sent since the last time, as
    /// [`App::usage_flush`] does with checks.
    ///
    /// # Errors
    /// The database fails; what is not written down is kept for the next time.
    pub async fn ingest_flush(&self) -> Result<(), Failure> {
        let meter = &self.usage.meter;
        let mut pending = meter.pending.lock().await;
        let hour = Hour::of(self.clock.now());
        for (sender, sent) in meter.take() {
            let there = pending.entry((sender, hour)).or_default();
            *there = there.plus(sent);
        }
        if pending.len() > MOST_PENDING {
            tracing::warn!(waiting = pending.len(), "too many counts of telemetry wait; some are dropped");
            while pending.len() > MOST_PENDING {
                pending.pop_first();
            }
        }
        while let Some(batch) = next_batch(&mut pending) {
            // Taken out first: whoever ends this half-way writes nothing twice.
            let (store, added) = (self.store.clone(), batch.clone());
            let writing = async move { rows::ingest_usage_add(&store, &added).await };
            if let Err(error) = self.store.detached(writing).await {
                pending.extend(batch.into_iter().map(|one| ((one.sender, one.hour), one.sent)));
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// The hours from `from` to before `until` in which a key sent telemetry.
    ///
    /// # Errors
    /// `NOT_FOUND` for a key that the caller may not know of.
    pub async fn key_ingest(
        &self,
        caller: &Caller,
        key: KeyId,
        from: Hour,
        until: Hour,
    ) -> Result<Vec<HourOfIngest>, Failure> {
        let mut conn = self.usage_readable(caller, key).await?;
        Ok(rows::ingest_usage_of(&mut conn, key, from, until).await?)
    }

    /// Drops counts that are older than they are kept, `most` at most; gives how many.
    pub(super) async fn ingest_prune(&self, now: Timestamp, most: u32) -> Result<usize, Failure> {
        let before = self.usage.kept_since(now);
        let store = self.store.clone();
        let pruning = async move { rows::ingest_usage_prune(&store, before, most.into()).await };
        Ok(self.store.detached(pruning).await?)
    }
}

/// The next rows to be written, taken out, in the order of their keys.
fn next_batch(pending: &mut BTreeMap<(Sender, Hour), Ingested>) -> Option<Vec<Added>> {
    let next = std::iter::from_fn(|| pending.pop_first());
    let batch: Vec<Added> =
        next.take(rows::BATCH).map(|((sender, hour), sent)| Added { sender, hour, sent }).collect();
    (!batch.is_empty()).then_some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_are_bounded() {
        let meter = Meter::default();
        let one = Ingested { requests: 1, bytes_in: 10, bytes_out: 20, accepted: 3, rejected: 4 };
        let key = |number: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            KeyId::from_bytes(bytes)
        };
        let tenant = TenantId::from_bytes([1; 16]);
        for number in 0..=MOST_COUNTED {
            meter.count(tenant, key(number), Telemetry::Logs, one);
        }
        meter.count(tenant, key(0), Telemetry::Logs, one);
        meter.count(tenant, key(0), Telemetry::Traces, one);
        let taken = meter.take();
        assert_eq!(taken.len(), MOST_COUNTED);
        let twice = Ingested { requests: 2, bytes_in: 20, bytes_out: 40, accepted: 6, rejected: 8 };
        assert_eq!(taken[&(tenant, key(0), Telemetry::Logs)], twice);
        assert!(meter.take().is_empty());
    }
}
