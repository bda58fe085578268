//! What may be taken from a log without breaking what it proves: entries of
//! before, whose leaves stay; values of fields, whose commitments stay.

use super::tree::{self, Head, TILE, signed};
use crate::domain::audit::merkle::Span;
use crate::domain::{TenantId, Timestamp, UserId};
use crate::store::lock::Lock;
use crate::store::people::membership;
use crate::store::query::RunQueryDsl;
use crate::store::rows::{corrupt, id};
use crate::store::schema::{audit_checkpoints, audit_entries, audit_fields, audit_heads};
use crate::store::tx::Own;
use crate::store::{Conn, Result, Tx};
use diesel::prelude::*;
use std::time::Duration;

/// How long a log's checkpoints are kept here; the last one always is.
const KEEP_CHECKPOINTS: Duration = Duration::from_hours(31 * 24);

/// Entries whose fields are erased at once.
const ERASED: i64 = 1000;

/// Logs that have entries from before `time` which can go, after `after` by id.
pub async fn prunable(
    conn: &mut Conn,
    time: Timestamp,
    after: Option<TenantId>,
    most: i64,
) -> Result<Vec<TenantId>> {
    let tile = i64::try_from(TILE).map_err(corrupt)?;
    let after = after.map_or(Vec::new(), |after| after.as_bytes().to_vec());
    let oldest_last = audit_entries::table
        .filter(audit_entries::tenant_id.eq(audit_heads::tenant_id))
        .filter(audit_entries::idx.eq(audit_heads::first + (tile - 1)))
        .filter(audit_entries::time.lt(time.micros()));
    let rows: Vec<Vec<u8>> = audit_heads::table
        .filter(audit_heads::held.eq(false))
        .filter((audit_heads::sealed - audit_heads::first).ge(tile))
        .filter(audit_heads::tenant_id.gt(after))
        .filter(diesel::dsl::exists(oldest_last))
        .order(audit_heads::tenant_id)
        .limit(most)
        .select(audit_heads::tenant_id)
        .load(conn)
        .await?;
    rows.iter().map(|row| Ok(TenantId::from_bytes(id(row)?))).collect()
}

/// The head of a log, held until the transaction ends.
pub async fn head_held(tx: &mut Tx, tenant: TenantId) -> Result<Option<Head>> {
    tx.lock(Lock::AuditHead, tenant.as_bytes()).await?;
    tree::head(tx.conn()?, tenant).await
}

/// Deletes whole tiles of entries that were all written before `time`, at most
/// `most` entries; gives their places.
pub async fn prune(tx: &mut Tx, tenant: TenantId, time: Timestamp, most: u64) -> Result<Option<Span>> {
    let Some(head) = head_held(tx, tenant).await?.filter(|head| !head.held) else { return Ok(None) };
    let conn = tx.conn()?;
    let most = head.first.saturating_add(most).min(head.tree.size()) / TILE * TILE;
    let kept: Option<i64> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::idx.ge(signed(head.first)?))
        .filter(audit_entries::idx.lt(signed(most)?))
        .filter(audit_entries::time.ge(time.micros()))
        .select(diesel::dsl::min(audit_entries::idx))
        .first(conn)
        .await?;
    let end = kept.map(tree::number).transpose()?.map_or(most, |kept| kept / TILE * TILE);
    if end <= head.first {
        return Ok(None);
    }
    tx.keeping().await?;
    let conn = tx.conn()?;
    let (first, last) = (signed(head.first)?, signed(end)?);
    let id = tenant.as_bytes().to_vec();
    let fields = audit_fields::table.filter(audit_fields::tenant_id.eq(id.clone()));
    let fields = fields.filter(audit_fields::idx.ge(first)).filter(audit_fields::idx.lt(last));
    diesel::delete(fields).execute(conn).await?;
    let entries = audit_entries::table.filter(audit_entries::tenant_id.eq(id.clone()));
    let entries = entries.filter(audit_entries::idx.ge(first)).filter(audit_entries::idx.lt(last));
    diesel::delete(entries).execute(conn).await?;
    diesel::update(audit_heads::table.find(id)).set(audit_heads::first.eq(last)).execute(conn).await?;
    Ok(Some(head.first..end))
}

/// Holds a log against pruning and erasure, or lets it go; false if it was so before.
pub async fn hold(tx: &mut Tx, tenant: TenantId, held: bool) -> Result<bool> {
    let Some(head) = head_held(tx, tenant).await? else { return Err(corrupt("there is no audit log")) };
    tx.keeping().await?;
    let place = audit_heads::table.find(tenant.as_bytes().to_vec());
    diesel::update(place).set(audit_heads::held.eq(held)).execute(tx.conn()?).await?;
    Ok(head.held != held)
}

/// Deletes checkpoints of fewer entries than `size` that are older than they
/// are kept. What they said the later ones say as well.
pub(super) async fn drop_checkpoints(
    own: &mut Own,
    tenant: TenantId,
    size: u64,
    now: Timestamp,
) -> Result<()> {
    own.keeping().await?;
    let kept = i64::try_from(KEEP_CHECKPOINTS.as_micros()).unwrap_or(i64::MAX);
    let old = audit_checkpoints::table
        .filter(audit_checkpoints::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_checkpoints::size.lt(signed(size)?))
        .filter(audit_checkpoints::time.lt(now.micros().saturating_sub(kept)));
    diesel::delete(old).execute(own.get()?).await?;
    Ok(())
}

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Values.
    pub fields: usize,
    /// Whether there are more.
    pub more: bool,
}

/// Erases values of entries that a person made or that are about them, and
/// values that are their e-mail address; some at a time.
pub async fn erase(tx: &mut Tx, tenant: TenantId, user: &str, email: Option<&str>) -> Result<Erased> {
    tx.keeping().await?;
    let conn = tx.conn()?;
    let of_tenant = || audit_fields::table.filter(audit_fields::tenant_id.eq(tenant.as_bytes().to_vec()));
    let theirs = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::actor.eq(user.to_owned()).or(audit_entries::target.eq(user.to_owned())))
        .select(audit_entries::idx);
    let places: Vec<i64> = of_tenant()
        .filter(audit_fields::idx.eq_any(theirs))
        .select(audit_fields::idx)
        .distinct()
        .limit(ERASED)
        .load(conn)
        .await?;
    let mut more = places.len() as u64 >= ERASED.unsigned_abs();
    let gone = audit_fields::table
        .filter(audit_fields::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_fields::idx.eq_any(places));
    let mut fields = diesel::delete(gone).execute(conn).await?;
    if let Some(email) = email {
        let places: Vec<i64> = of_tenant()
            .filter(audit_fields::value.eq(email.to_owned()))
            .select(audit_fields::idx)
            .distinct()
            .limit(ERASED)
            .load(conn)
            .await?;
        more |= places.len() as u64 >= ERASED.unsigned_abs();
        let gone = audit_fields::table
            .filter(audit_fields::tenant_id.eq(tenant.as_bytes().to_vec()))
            .filter(audit_fields::idx.eq_any(places))
            .filter(audit_fields::value.eq(email.to_owned()));
        fields += diesel::delete(gone).execute(conn).await?;
    }
    Ok(Erased { fields, more })
}

/// Whether a person belongs to a tenant, or its log has entries that they made
/// or that are about them.
pub async fn is_known(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<bool> {
    let conn = tx.conn()?;
    if membership(conn, tenant, user).await?.is_some() {
        return Ok(true);
    }
    let user = user.to_string();
    let first: Option<i64> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::actor.eq(user.clone()).or(audit_entries::target.eq(user)))
        .select(audit_entries::idx)
        .first(conn)
        .await
        .optional()?;
    Ok(first.is_some())
}
