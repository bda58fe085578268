//! The change log: what views are fed with, in commit order.

use super::query::{Columns, RunQueryDsl};
use super::rows::corrupt;
use super::schema::{change_head, changes};
use super::{Conn, Pg, Result};
use crate::domain::Timestamp;
use crate::domain::changes::Change;
use crate::domain::sabotage::{self, Protection};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = changes)]
struct Logged {
    seq: i64,
    payload: String,
    time: i64,
}

/// Gives the changes the next numbers; the last of them is returned, or 0 if
/// there are none. Called last in a transaction: from here to the commit it
/// holds the lock that puts commits in order.
pub(super) async fn append(conn: &mut Conn, new: &[Change], time: Timestamp) -> Result<u64> {
    if new.is_empty() {
        return Ok(0);
    }
    let payloads = new.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>().map_err(corrupt)?;
    let last = match conn {
        Conn::Pg(c) => append_at_once(c, &payloads, time).await?,
        Conn::Sqlite(_) => append_one_by_one(conn, payloads, time).await?,
    };
    u64::try_from(last).map_err(corrupt)
}

async fn append_one_by_one(conn: &mut Conn, payloads: Vec<String>, time: Timestamp) -> QueryResult<i64> {
    let many = i64::try_from(payloads.len()).unwrap_or(i64::MAX);
    let last: i64 = diesel::update(change_head::table)
        .set(change_head::seq.eq(change_head::seq + many))
        .returning(change_head::seq)
        .get_result(conn)
        .await?;
    for (seq, payload) in (last - many + 1..).zip(payloads) {
        diesel::insert_into(changes::table)
            .values(Logged { seq, payload, time: time.micros() })
            .execute(conn)
            .await?;
    }
    Ok(last)
}

/// The same in one round trip, for while it runs every other writer waits. The
/// advisory lock makes them wait in line; the row's own lock alone does not.
async fn append_at_once(conn: &mut Pg, payloads: &[String], time: Timestamp) -> QueryResult<i64> {
    if sabotage::is_off(Protection::CommitOrder) {
        return append_out_of_order(conn, payloads, time).await;
    }
    let query = diesel::sql_query(
        "WITH lock AS MATERIALIZED (SELECT pg_advisory_xact_lock(7019267847)),
              head AS (UPDATE change_head SET seq = seq + cardinality($1) FROM lock RETURNING seq),
              log AS (INSERT INTO changes (seq, payload, time)
                      SELECT seq - cardinality($1) + n, payload, $2
                      FROM head, unnest($1) WITH ORDINALITY AS new (payload, n))
         SELECT seq, pg_notify('doorward_changes', '') FROM head",
    )
    .bind::<Array<Text>, _>(payloads)
    .bind::<BigInt, _>(time.micros());
    Ok(diesel_async::RunQueryDsl::get_result::<Head>(query, conn).await?.seq)
}

#[derive(QueryableByName)]
struct Head {
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// What a plain sequence would do: numbers are drawn before the commit, and
/// commits overtake each other. Only a sabotaged build ever comes here.
async fn append_out_of_order(conn: &mut Pg, payloads: &[String], time: Timestamp) -> QueryResult<i64> {
    let sequence = diesel::sql_query("CREATE SEQUENCE IF NOT EXISTS sabotaged_changes START 1000000");
    diesel_async::RunQueryDsl::execute(sequence, conn).await?;
    let query = diesel::sql_query(
        "WITH log AS (INSERT INTO changes (seq, payload, time)
                      SELECT nextval('sabotaged_changes'), payload, $2 FROM unnest($1) AS new (payload)
                      RETURNING seq)
         SELECT max(seq) AS seq FROM log, (SELECT pg_sleep(random() * 0.02)) AS pause",
    );
    let query = query.bind::<Array<Text>, _>(payloads).bind::<BigInt, _>(time.micros());
    Ok(diesel_async::RunQueryDsl::get_result::<Head>(query, conn).await?.seq)
}

/// The number of the last change.
pub(super) async fn head(conn: &mut Conn) -> Result<u64> {
    let head: i64 = change_head::table.select(change_head::seq).first(conn).await?;
    u64::try_from(head).map_err(corrupt)
}

/// At most `most` changes after `seq`, in order, with their numbers.
pub(super) async fn after(conn: &mut Conn, seq: u64, most: usize) -> Result<Vec<(u64, Change)>> {
    let rows: Vec<Logged> = changes::table
        .filter(changes::seq.gt(i64::try_from(seq).map_err(corrupt)?))
        .order(changes::seq)
        .limit(i64::try_from(most).map_err(corrupt)?)
        .select(Logged::columns())
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let change = serde_json::from_str(&row.payload).map_err(corrupt)?;
            Ok((u64::try_from(row.seq).map_err(corrupt)?, change))
        })
        .collect()
}
