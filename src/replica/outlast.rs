//! Lets a changed lease take effect after a crash: rows that replicas with
//! another lease left behind keep newcomers out, and nobody else is there to
//! forget them.

use super::database::Database;
use super::membership;
use crate::domain::Clock;
use crate::domain::lease::{Reaper, Terms};
use crate::store::{Enlisted, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// Waits until replicas with another lease are forgotten, or one of them is
/// seen alive; then it is for [`Database::enlist`] to refuse. A dead one takes
/// two waits: one to be sure that it is silent, one for what it last promised.
pub async fn outlast_other_leases<D: Database>(
    database: &D,
    clock: &dyn Clock,
    lease: Duration,
) -> Result<()> {
    let mut reaper = Reaper::default();
    let mut first = BTreeMap::new();
    loop {
        let sent = clock.moment().monotonic;
        let mut rows = database.enlisted().await?;
        let received = clock.moment().monotonic;
        rows.retain(|row| row.lease != lease);
        let Some(longest) = rows.iter().map(|row| row.lease).max() else { return Ok(()) };
        let terms = Terms::of(longest.max(lease));
        if first.is_empty() {
            tracing::warn!(
                replicas = rows.len(),
                wait_ms = terms.waits / 500,
                "replicas with another coherence.lease_ms are enlisted; waiting to see whether they are gone"
            );
        }
        if rows.iter().any(|row| is_alive(&mut first, row)) {
            return Ok(());
        }
        membership::carry_out(database, reaper.look(terms, &membership::as_rows(&rows), sent, received))
            .await?;
        tokio::time::sleep(Duration::from_micros(terms.waits) / 16).await;
    }
}

/// Whether it has renewed since it was first seen here.
fn is_alive(first: &mut BTreeMap<crate::store::ReplicaId, u64>, row: &Enlisted) -> bool {
    *first.entry(row.id).or_insert(row.renewals) != row.renewals
}
