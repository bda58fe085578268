//! What a database says of itself, as far as Doorward's promises depend on it.

use super::query::RunQueryDsl;
use super::schema::replicas;
use super::tx::Own;
use super::{Across, Conn, Pg, Result, Store};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::SimpleAsyncConnection;
use futures_util::StreamExt;
use std::pin::pin;
use std::time::Duration;

/// How long a notice may take to come round.
const NOTICE: Duration = Duration::from_secs(2);

/// What is known of a database.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Replicas that are enlisted, and how many of them are draining.
    pub replicas: (usize, usize),
    /// Leases that they were started with, in milliseconds.
    pub leases: Vec<i64>,
    /// What PostgreSQL says; nothing for SQLite.
    pub postgres: Option<PostgresFacts>,
}

/// Settings and state of a PostgreSQL server, by their names there.
#[derive(Debug, Clone, QueryableByName)]
pub struct PostgresFacts {
    /// `server_version_num`
    #[diesel(sql_type = BigInt)]
    pub version: i64,
    /// `pg_is_in_recovery()`
    #[diesel(sql_type = Bool)]
    pub in_recovery: bool,
    /// `fsync`
    #[diesel(sql_type = Text)]
    pub fsync: String,
    /// `full_page_writes`
    #[diesel(sql_type = Text)]
    pub full_page_writes: String,
    /// `synchronous_commit`
    #[diesel(sql_type = Text)]
    pub synchronous_commit: String,
    /// `synchronous_standby_names`
    #[diesel(sql_type = Text)]
    pub synchronous_standby_names: String,
    /// Standbys that are connected.
    #[diesel(sql_type = BigInt)]
    pub standbys: i64,
    /// Those of them that are waited for.
    #[diesel(sql_type = BigInt)]
    pub synchronous_standbys: i64,
    /// Those of which Doorward's role may not know whether they are.
    #[diesel(sql_type = BigInt)]
    pub hidden_standbys: i64,
    /// The role that Doorward connects as.
    #[diesel(sql_type = Text)]
    pub role: String,
    /// Whether row-level security does not hold for that role: a superuser's,
    /// or one with `BYPASSRLS`.
    #[diesel(sql_type = Bool)]
    pub passes_walls: bool,
    /// `default_transaction_read_only`
    #[diesel(sql_type = Text)]
    pub read_only: String,
    /// `statement_timeout`, as sessions that write have it.
    #[diesel(sql_type = Text)]
    pub statement_timeout: String,
    /// `max_connections`
    #[diesel(sql_type = BigInt)]
    pub max_connections: i64,
    /// Whether a session hears its notices.
    #[diesel(sql_type = Bool)]
    pub notices: bool,
}

impl Store {
    /// The role that PostgreSQL's row-level security does not hold for, if that
    /// is what Doorward connects as: its name.
    pub async fn passes_walls(&self) -> Result<Option<String>> {
        #[derive(QueryableByName)]
        struct Role {
            #[diesel(sql_type = Text)]
            role: String,
        }
        let Conn::Pg(conn) = &mut self.read(Across::Instance).await? else { return Ok(None) };
        let query = diesel::sql_query(
            "SELECT rolname::text AS role FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)",
        );
        let found: Option<Role> =
            diesel_async::RunQueryDsl::get_result(query, &mut **conn).await.optional()?;
        Ok(found.map(|found| found.role))
    }

    /// Asks the database what it is like.
    pub async fn facts(&self) -> Result<Facts> {
        let mut own = Own::new(self.writers.get().await?);
        let conn = own.get()?;
        let rows: Vec<(bool, i64)> =
            replicas::table.select((replicas::draining, replicas::lease_ms)).load(conn).await?;
        let postgres = match conn {
            Conn::Sqlite(_) => None,
            Conn::Pg(c) => Some(ask(c).await?),
        };
        let mut leases: Vec<i64> = rows.iter().map(|(_, lease)| *lease).collect();
        leases.sort_unstable();
        leases.dedup();
        let draining = rows.iter().filter(|(draining, _)| *draining).count();
        Ok(Facts { replicas: (rows.len(), draining), leases, postgres })
    }
}

async fn ask(conn: &mut Pg) -> Result<PostgresFacts> {
    let query = diesel::sql_query(
        "SELECT current_setting('server_version_num')::bigint AS version,
                pg_is_in_recovery() AS in_recovery,
                current_setting('fsync') AS fsync,
                current_setting('full_page_writes') AS full_page_writes,
                current_setting('synchronous_commit') AS synchronous_commit,
                current_setting('synchronous_standby_names') AS synchronous_standby_names,
                (SELECT count(*) FROM pg_stat_replication) AS standbys,
                (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS synchronous_standbys,
                (SELECT count(*) FROM pg_stat_replication WHERE sync_state IS NULL) AS hidden_standbys,
                current_user::text AS role,
                (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS passes_walls,
                current_setting('default_transaction_read_only') AS read_only,
                current_setting('statement_timeout') AS statement_timeout,
                current_setting('max_connections')::bigint AS max_connections,
                false AS notices",
    );
    let mut facts: PostgresFacts = diesel_async::RunQueryDsl::get_result(query, conn).await?;
    facts.notices = hears_itself(conn).await?;
    Ok(facts)
}

/// Whether this session hears a notice. Through a pooler that gives each
/// transaction another session it does not.
async fn hears_itself(conn: &mut Pg) -> Result<bool> {
    conn.batch_execute("LISTEN doorward_doctor").await?;
    conn.batch_execute("NOTIFY doorward_doctor").await?;
    let mut notices = pin!(conn.notifications_stream());
    let heard = tokio::time::timeout(NOTICE, notices.next()).await;
    Ok(matches!(heard, Ok(Some(Ok(_)))))
}
