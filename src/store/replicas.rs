//! The replicas that answer from memory, as the database knows them.
//!
//! One row is one life: a replica that was declared gone comes back under
//! another id, so that nobody takes over what a former self has promised.

use super::query::RunQueryDsl;
use super::rows::{corrupt, id};
use super::schema::{change_head, replicas};
use super::tx::Own;
use super::{Across, Conn, Error, Result, Store};
use crate::domain::changes::Revision;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};
use std::time::Duration;
use tokio::time::timeout;

/// One life of one replica: 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId([u8; 16]);

impl ReplicaId {
    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// A replica's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enlisted {
    /// Which.
    pub id: ReplicaId,
    /// It never again answers from a state before this.
    pub acknowledged: Revision,
    /// The last changes that cut streams there.
    pub cuts: String,
    /// How often it has renewed.
    pub renewals: u64,
    /// Whether it is leaving, or was found silent.
    pub draining: bool,
    /// The lease that it runs with.
    pub lease: Duration,
}

/// What a renewal proves: that this was the newest change after it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The newest change.
    pub head: Revision,
    /// The era of the change log.
    pub era: String,
}

impl Store {
    /// Enlists a replica. It must be there before the view is loaded.
    ///
    /// # Errors
    /// [`Error::Refused`] if other replicas run with another lease: a writer
    /// of a shorter one would not wait for readers of a longer one. SQLite has
    /// one process, so there a new one takes the place of all others.
    pub async fn enlist(&self, id: ReplicaId, lease: Duration) -> Result<()> {
        let lease_ms = i64::try_from(lease.as_millis()).map_err(corrupt)?;
        let mut own = Own::new(self.writers.get().await?);
        own.run(if self.is_embedded() { "BEGIN IMMEDIATE" } else { "BEGIN" }).await?;
        let conn = own.get()?;
        if let Conn::Pg(c) = conn {
            // Of two that come at once the second sees the first.
            let lock = diesel::sql_query("SELECT pg_advisory_xact_lock(7019267848)");
            diesel_async::RunQueryDsl::execute(lock, &mut **c).await?;
        } else {
            diesel::delete(replicas::table).execute(conn).await?;
        }
        let others: Vec<i64> = replicas::table
            .filter(replicas::lease_ms.ne(lease_ms))
            .select(replicas::lease_ms)
            .load(conn)
            .await?;
        if let Some(other) = others.first() {
            return Err(other_lease(*other).into());
        }
        let row = (
            replicas::id.eq(id.0.to_vec()),
            replicas::acknowledged.eq(0),
            replicas::cuts.eq(""),
            replicas::renewals.eq(0),
            replicas::draining.eq(false),
            replicas::lease_ms.eq(lease_ms),
        );
        diesel::insert_into(replicas::table).values(row).execute(conn).await?;
        own.run("COMMIT").await?;
        own.give_back();
        Ok(())
    }

    /// Every replica, as of a moment after the call.
    pub async fn enlisted(&self) -> Result<Vec<Enlisted>> {
        type Row = (Vec<u8>, i64, String, i64, bool, i64);
        let columns = (
            replicas::id,
            replicas::acknowledged,
            replicas::cuts,
            replicas::renewals,
            replicas::draining,
            replicas::lease_ms,
        );
        let rows: Vec<Row> =
            replicas::table.select(columns).load(&mut self.read(Across::Views).await?).await?;
        rows.into_iter()
            .map(|(bytes, acknowledged, cuts, renewals, draining, lease_ms)| {
                Ok(Enlisted {
                    id: ReplicaId(id(&bytes)?),
                    acknowledged: Revision::from_number(u64::try_from(acknowledged).map_err(corrupt)?),
                    cuts,
                    renewals: u64::try_from(renewals).map_err(corrupt)?,
                    draining,
                    lease: Duration::from_millis(u64::try_from(lease_ms).map_err(corrupt)?),
                })
            })
            .collect()
    }

    /// The newest change, as of a moment after the call.
    pub async fn newest(&self) -> Result<Revision> {
        let head = super::changes::head(&mut self.read(Across::Views).await?).await?;
        Ok(Revision::from_number(head))
    }

    /// Marks a replica as leaving. `seen` is how often it had renewed when it
    /// was judged; if it has renewed since, nothing happens.
    pub async fn drain(&self, id: ReplicaId, seen: Option<u64>) -> Result<()> {
        let conn = &mut self.writers.get().await?;
        let seen = seen.map(i64::try_from).transpose().map_err(corrupt)?;
        let it = replicas::table.find(id.0.to_vec());
        match seen {
            Some(seen) => {
                let silent = it.filter(replicas::renewals.eq(seen));
                diesel::update(silent).set(replicas::draining.eq(true)).execute(conn).await?;
            }
            None => {
                diesel::update(it).set(replicas::draining.eq(true)).execute(conn).await?;
            }
        }
        Ok(())
    }

    /// Forgets a replica that is leaving and has not renewed since it was judged.
    pub async fn forget(&self, id: ReplicaId, seen: Option<u64>) -> Result<()> {
        let conn = &mut self.writers.get().await?;
        let it = replicas::table.find(id.0.to_vec()).filter(replicas::draining.eq(true));
        match seen.map(i64::try_from).transpose().map_err(corrupt)? {
            Some(seen) => diesel::delete(it.filter(replicas::renewals.eq(seen))).execute(conn).await?,
            None => diesel::delete(it).execute(conn).await?,
        };
        Ok(())
    }

    /// Begins a new era: every replica loads the database anew.
    pub async fn begin_era(&self, era: &str) -> Result<()> {
        let conn = &mut self.writers.get().await?;
        diesel::update(change_head::table).set(change_head::era.eq(era)).execute(conn).await?;
        Ok(())
    }

    /// The era of the change log.
    pub async fn era(&self) -> Result<String> {
        Ok(change_head::table.select(change_head::era).first(&mut self.read(Across::Views).await?).await?)
    }

    /// A session that renews leases.
    pub fn keeper(&self) -> Keeper {
        Keeper { store: self.clone(), own: None }
    }
}

fn other_lease(other: i64) -> crate::domain::Refusal {
    let message = format!(
        "other replicas run with coherence.lease_ms = {other}; all need the same, and to change it all must stop"
    );
    crate::domain::Refusal::new(crate::domain::Reason::FailedPrecondition, message)
}

/// Renews leases, on a session of its own, so that no other work holds it up.
pub struct Keeper {
    store: Store,
    own: Option<Own>,
}

#[derive(QueryableByName)]
struct Head {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Text)]
    era: String,
}

impl Keeper {
    /// Renews, within `limit`. `None` if the replica is no longer enlisted.
    ///
    /// With PostgreSQL this is a write, replicated like any other: an old
    /// primary that has lost its standby cannot answer it.
    pub async fn renew(&mut self, id: ReplicaId, limit: Duration) -> Result<Option<Renewal>> {
        let renewed = timeout(limit, self.renew_now(id)).await;
        let outcome = renewed.unwrap_or_else(|elapsed| Err(Error::Unavailable(elapsed.into())));
        if outcome.is_err() {
            self.own = None;
        }
        outcome
    }

    async fn renew_now(&mut self, id: ReplicaId) -> Result<Option<Renewal>> {
        if self.own.is_none() {
            let conn = if self.store.is_embedded() {
                self.store.read(Across::Views).await?
            } else {
                self.store.writers.get().await?
            };
            self.own = Some(Own::new(conn));
        }
        let Some(own) = &mut self.own else { return Err(Error::Unavailable("no session".into())) };
        let heads: Vec<Head> = match own.get()? {
            Conn::Pg(c) => {
                let renew = diesel::sql_query(
                    "UPDATE replicas SET renewals = renewals + 1 WHERE id = $1 AND NOT draining
                     RETURNING (SELECT seq FROM change_head) AS seq, (SELECT era FROM change_head) AS era",
                );
                diesel_async::RunQueryDsl::load(renew.bind::<Binary, _>(id.0.to_vec()), &mut **c).await?
            }
            // Nobody else could have become the primary of a file.
            Conn::Sqlite(c) => {
                let look = diesel::sql_query(
                    "SELECT seq, era FROM change_head, replicas WHERE id = ? AND NOT draining",
                );
                diesel_async::RunQueryDsl::load(look.bind::<Binary, _>(id.0.to_vec()), &mut **c).await?
            }
        };
        heads
            .into_iter()
            .next()
            .map(|head| {
                let number = u64::try_from(head.seq).map_err(corrupt)?;
                Ok(Renewal { head: Revision::from_number(number), era: head.era })
            })
            .transpose()
    }
}

/// Promises that the replica never again answers from a state before `revision`.
///
/// The promise is kept in memory, so it may come before it is durable. SQLite
/// has one process, which knows its own promises.
pub(super) async fn acknowledge(
    conn: &mut Conn,
    id: ReplicaId,
    revision: Revision,
    cuts: &str,
) -> Result<()> {
    let Conn::Pg(c) = conn else { return Ok(()) };
    let promise = diesel::sql_query(
        "UPDATE replicas SET acknowledged = $2, cuts = $3
         WHERE id = $1 AND NOT draining AND acknowledged < $2",
    );
    let promise = promise
        .bind::<Binary, _>(id.0.to_vec())
        .bind::<BigInt, _>(i64::try_from(revision.number()).map_err(corrupt)?)
        .bind::<Text, _>(cuts);
    diesel_async::RunQueryDsl::execute(promise, &mut **c).await?;
    Ok(())
}
