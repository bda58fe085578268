//! How often keys were used, by the hour. Outside the change log and the audit
//! log: no view needs it, and it is no mutation by anybody.

use super::lock::Lock;
use super::query::RunQueryDsl;
use super::rows::{corrupt, id};
use super::schema::{api_keys, key_usage};
use super::{Across, Conn, Error, Result, Store, Tx};
use crate::domain::usage::{Counts, History, Hour, HourOfUse, Outcome, WINDOW};
use crate::domain::{KeyId, TenantId};
use diesel::prelude::*;
use diesel::upsert::excluded;

/// Rows that are written in one transaction.
pub const BATCH: usize = 500;

/// What a key was used for in an hour, to be added to what is there.
pub type Added = (KeyId, Hour, Counts);

/// Adds counts, in one transaction. Those of a key that is gone are dropped.
/// Whoever calls sorts them: two that add in different orders wait for each other.
pub async fn usage_add(store: &Store, added: &[Added]) -> Result<()> {
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

async fn add(conn: &mut Conn, (key, hour, counts): &Added) -> Result<()> {
    use key_usage as u;
    let stored = |outcome| i64::try_from(counts.of(outcome)).unwrap_or(i64::MAX);
    let row = (
        u::key_id.eq(key.as_bytes().to_vec()),
        u::hour.eq(hour.number()),
        u::accepted.eq(stored(Outcome::Accepted)),
        u::expired.eq(stored(Outcome::Expired)),
        u::address.eq(stored(Outcome::Address)),
        u::permission.eq(stored(Outcome::Permission)),
        u::rate_limit.eq(stored(Outcome::RateLimit)),
        u::suspended.eq(stored(Outcome::Suspended)),
        u::other.eq(stored(Outcome::Other)),
        u::spike.eq(false),
    );
    diesel::insert_into(u::table)
        .values(row)
        .on_conflict((u::key_id, u::hour))
        .do_update()
        .set((
            u::accepted.eq(u::accepted + excluded(u::accepted)),
            u::expired.eq(u::expired + excluded(u::expired)),
            u::address.eq(u::address + excluded(u::address)),
            u::permission.eq(u::permission + excluded(u::permission)),
            u::rate_limit.eq(u::rate_limit + excluded(u::rate_limit)),
            u::suspended.eq(u::suspended + excluded(u::suspended)),
            u::other.eq(u::other + excluded(u::other)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

type Row = (i64, i64, i64, i64, i64, i64, i64, i64, bool);

/// The hours from `from` to before `until` in which a key was used, in their order.
pub async fn usage_of(conn: &mut Conn, key: KeyId, from: Hour, until: Hour) -> Result<Vec<HourOfUse>> {
    use key_usage as u;
    let rows: Vec<Row> = u::table
        .filter(u::key_id.eq(key.as_bytes().to_vec()))
        .filter(u::hour.ge(from.number()))
        .filter(u::hour.lt(until.number()))
        .order(u::hour)
        .select((
            u::hour,
            u::accepted,
            u::expired,
            u::address,
            u::permission,
            u::rate_limit,
            u::suspended,
            u::other,
            u::spike,
        ))
        .load(conn)
        .await?;
    rows.into_iter().map(hour_of_use).collect()
}

fn hour_of_use((hour, a, b, c, d, e, f, g, spike): Row) -> Result<HourOfUse> {
    let mut counts = [0; Outcome::COUNT];
    for (count, stored) in counts.iter_mut().zip([a, b, c, d, e, f, g]) {
        *count = u64::try_from(stored).map_err(corrupt)?;
    }
    Ok(HourOfUse { hour: Hour::from_number(hour), counts: Counts::from_array(counts), spike })
}

/// Keys with more than `floor` checks in an hour that were not found unusual in
/// it, `most` at most, with their tenants.
pub async fn usage_busy(
    conn: &mut Conn,
    hour: Hour,
    floor: u64,
    most: i64,
) -> Result<Vec<(TenantId, KeyId, u64)>> {
    use key_usage as u;
    let total =
        u::accepted + u::expired + u::address + u::permission + u::rate_limit + u::suspended + u::other;
    let rows: Vec<(Vec<u8>, Vec<u8>, i64)> = u::table
        .inner_join(api_keys::table)
        .filter(u::hour.eq(hour.number()))
        .filter(u::spike.eq(false))
        .filter(total.gt(i64::try_from(floor).unwrap_or(i64::MAX)))
        .order(u::key_id)
        .limit(most)
        .select((api_keys::tenant_id, u::key_id, total))
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(tenant, key, total)| {
            let (tenant, key) = (TenantId::from_bytes(id(&tenant)?), KeyId::from_bytes(id(&key)?));
            Ok((tenant, key, u64::try_from(total).map_err(corrupt)?))
        })
        .collect()
}

/// What a key was used for before an hour.
pub async fn usage_history(conn: &mut Conn, key: KeyId, hour: Hour) -> Result<History> {
    let first: Option<i64> = key_usage::table
        .filter(key_usage::key_id.eq(key.as_bytes().to_vec()))
        .order(key_usage::hour)
        .select(key_usage::hour)
        .first(conn)
        .await
        .optional()?;
    let before = usage_of(conn, key, hour.minus(WINDOW), hour).await?;
    Ok(History {
        first: first.map(Hour::from_number),
        hours: before.len() as u64,
        total: before.iter().fold(0, |sum, used| sum.saturating_add(used.counts.total())),
    })
}

/// Notes that a key's hour is unusual: true for the first one of its day and
/// for exactly one of those who say so.
pub async fn usage_spike_note(tx: &mut Tx, key: KeyId, hour: Hour) -> Result<bool> {
    use key_usage as u;
    tx.lock(Lock::Key, key.as_bytes()).await?;
    let of_key = || u::table.filter(u::key_id.eq(key.as_bytes().to_vec()));
    let noted: i64 = of_key()
        .filter(u::hour.ge(hour.day().number()))
        .filter(u::spike.eq(true))
        .count()
        .get_result(tx.conn()?)
        .await?;
    if noted > 0 {
        return Ok(false);
    }
    let place = u::table.find((key.as_bytes().to_vec(), hour.number()));
    Ok(diesel::update(place).set(u::spike.eq(true)).execute(tx.conn()?).await? == 1)
}

/// Drops counts of hours before this one, `most` at most; gives how many.
pub async fn usage_prune(store: &Store, before: Hour, most: i64) -> Result<usize> {
    use key_usage as u;
    let pruning = async |conn: &mut Conn| {
        let old: Vec<(Vec<u8>, i64)> = u::table
            .filter(u::hour.lt(before.number()))
            .order((u::hour, u::key_id))
            .limit(most)
            .select((u::key_id, u::hour))
            .load(conn)
            .await?;
        let Some((key, hour)) = old.last().cloned() else { return Ok(0) };
        let through = u::hour.lt(hour).or(u::hour.eq(hour).and(u::key_id.le(key)));
        Ok(diesel::delete(u::table.filter(through)).execute(conn).await?)
    };
    store.in_bulk(Across::Jobs, pruning).await
}
