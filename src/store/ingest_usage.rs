//! How much telemetry keys sent, by the hour. Outside the change log and the
//! audit log, as [`super::usage`].

use super::query::RunQueryDsl;
use super::rows::corrupt;
use super::schema::ingest_usage;
use super::{Across, Conn, Error, Result, Store};
use crate::domain::ingest::{HourOfIngest, Ingested, Telemetry};
use crate::domain::usage::Hour;
use crate::domain::{KeyId, TenantId};
use diesel::prelude::*;
use diesel::upsert::excluded;

/// Rows that are written in one transaction.
pub const BATCH: usize = 500;

/// What was sent in an hour, to be added to what is there.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    /// By whom, and of which kind.
    pub sender: (TenantId, KeyId, Telemetry),
    /// The hour.
    pub hour: Hour,
    /// The counts.
    pub sent: Ingested,
}

/// Adds counts, in one transaction. Those of a key that is gone are dropped.
/// Whoever calls sorts them: two that add in different orders wait for each other.
pub async fn ingest_usage_add(store: &Store, added: &[Added]) -> Result<()> {
    match add_all(store, added).await {
        Err(Error::Dangling) => {}
        other => return other,
    }
    // A key's tenant was deleted meanwhile; one by one, the others are not lost with it.
    for one in added {
        match add_all(store, std::slice::from_ref(one)).await {
            Ok(()) | Err(Error::Dangling) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn add_all(store: &Store, added: &[Added]) -> Result<()> {
    let adding = async |conn: &mut Conn| {
        for one in added {
            add(conn, one).await?;
        }
        Ok(())
    };
    store.in_bulk(Across::Jobs, adding).await
}

async fn add(conn: &mut Conn, Added { sender, hour, sent }: &Added) -> Result<()> {
    use ingest_usage as u;
    let stored = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (tenant, key, telemetry) = sender;
    let row = (
        u::tenant_id.eq(tenant.as_bytes().to_vec()),
        u::key_id.eq(key.as_bytes().to_vec()),
        u::hour.eq(hour.number()),
        u::signal.eq(i64::from(telemetry.number())),
        u::requests.eq(stored(sent.requests)),
        u::bytes_in.eq(stored(sent.bytes_in)),
        u::bytes_out.eq(stored(sent.bytes_out)),
        u::accepted.eq(stored(sent.accepted)),
        u::rejected.eq(stored(sent.rejected)),
    );
    diesel::insert_into(u::table)
        .values(row)
        .on_conflict((u::key_id, u::hour, u::signal))
        .do_update()
        .set((
            u::requests.eq(u::requests + excluded(u::requests)),
            u::bytes_in.eq(u::bytes_in + excluded(u::bytes_in)),
            u::bytes_out.eq(u::bytes_out + excluded(u::bytes_out)),
            u::accepted.eq(u::accepted + excluded(u::accepted)),
            u::rejected.eq(u::rejected + excluded(u::rejected)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

type Row = (i64, i64, i64, i64, i64, i64, i64);

/// The hours from `from` to before `until` in which a key sent telemetry, in
/// their order and by the signal.
pub async fn ingest_usage_of(
    conn: &mut Conn,
    key: KeyId,
    from: Hour,
    until: Hour,
) -> Result<Vec<HourOfIngest>> {
    use ingest_usage as u;
    let rows: Vec<Row> = u::table
        .filter(u::key_id.eq(key.as_bytes().to_vec()))
        .filter(u::hour.ge(from.number()))
        .filter(u::hour.lt(until.number()))
        .order((u::hour, u::signal))
        .select((u::hour, u::signal, u::requests, u::bytes_in, u::bytes_out, u::accepted, u::rejected))
        .load(conn)
        .await?;
    rows.into_iter().map(hour_of_ingest).collect()
}

fn hour_of_ingest(
    (hour, signal, requests, bytes_in, bytes_out, accepted, rejected): Row,
) -> Result<HourOfIngest> {
    let known = Telemetry::ALL.into_iter().find(|known| i64::from(known.number()) == signal);
    let telemetry = known.ok_or_else(|| corrupt(format!("there is no signal {signal}")))?;
    let count = |stored: i64| u64::try_from(stored).map_err(corrupt);
    let sent = Ingested {
        requests: count(requests)?,
        bytes_in: count(bytes_in)?,
        bytes_out: count(bytes_out)?,
        accepted: count(accepted)?,
        rejected: count(rejected)?,
    };
    Ok(HourOfIngest { hour: Hour::from_number(hour), telemetry, sent })
}

/// Drops counts of hours before this one, `most` at most; gives how many.
pub async fn ingest_usage_prune(store: &Store, before: Hour, most: i64) -> Result<usize> {
    use ingest_usage as u;
    let pruning = async |conn: &mut Conn| {
        let old: Vec<(Vec<u8>, i64, i64)> = u::table
            .filter(u::hour.lt(before.number()))
            .order((u::hour, u::key_id, u::signal))
            .limit(most)
            .select((u::key_id, u::hour, u::signal))
            .load(conn)
            .await?;
        let Some((key, hour, signal)) = old.last().cloned() else { return Ok(0) };
        let of_key = u::key_id.lt(key.clone()).or(u::key_id.eq(key).and(u::signal.le(signal)));
        let through = u::hour.lt(hour).or(u::hour.eq(hour).and(of_key));
        Ok(diesel::delete(u::table.filter(through)).execute(conn).await?)
    };
    store.in_bulk(Across::Jobs, pruning).await
}
