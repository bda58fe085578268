//! Looks after the list of replicas: those who fell silent are shut out, and
//! in the end forgotten.

use super::database::Database;
use crate::domain::Clock;
use crate::domain::lease::{Findings, Reaper, Row, Terms};
use crate::store::{Enlisted, ReplicaId, Result};
use std::sync::Arc;
use std::time::Duration;

/// Looks again and again. Any replica may do this, and all do.
pub async fn reap<D: Database>(database: D, clock: Arc<dyn Clock>, terms: Terms) {
    let mut reaper = Reaper::default();
    let pause = Duration::from_micros(terms.waits) / 2;
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = look(&database, &*clock, terms, &mut reaper).await {
            tracing::debug!(%error, "the list of replicas cannot be looked at");
        }
    }
}

async fn look<D: Database>(
    database: &D,
    clock: &dyn Clock,
    terms: Terms,
    reaper: &mut Reaper<ReplicaId>,
) -> Result<()> {
    let sent = clock.moment().monotonic;
    let rows = database.enlisted().await?;
    let received = clock.moment().monotonic;
    carry_out(database, reaper.look(terms, &as_rows(&rows), sent, received)).await
}

/// What a [`Reaper`] looks at.
pub fn as_rows(rows: &[Enlisted]) -> Vec<Row<ReplicaId>> {
    rows.iter().map(|row| Row { id: row.id, renews: row.renewals, draining: row.draining }).collect()
}

/// Does what was found to be due.
pub async fn carry_out<D: Database>(database: &D, findings: Findings<ReplicaId>) -> Result<()> {
    for row in findings.drain {
        tracing::warn!("a replica has been silent for a whole lease and is shut out");
        database.drain(row.id, Some(row.renews)).await?;
    }
    for row in findings.delete {
        database.forget(row.id, Some(row.renews)).await?;
    }
    Ok(())
}
