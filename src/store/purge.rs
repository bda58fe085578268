//! Rows of tenants that were deleted, taken away some at a time.
//!
//! Each that a view may hold is told as ended, so that replicas that run for
//! long do not keep it.

use super::query::{Columns as _, RunQueryDsl};
use super::rows::id;
use super::schema::{api_keys, members, sessions, tenant_owners, tenants};
use super::tenants::tenant_for_update;
use super::{Conn, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::keys::KeyState;
use crate::domain::members::MemberState;
use crate::domain::sessions::SessionState;
use crate::domain::{TenantId, Timestamp, UserId};
use diesel::prelude::*;

/// Tenants that were deleted before then, the longest first.
pub async fn tenants_due(conn: &mut Conn, before: Timestamp, most: i64) -> Result<Vec<TenantId>> {
    let found: Vec<Vec<u8>> = tenants::table
        .filter(tenants::delete_time.lt(before.micros()))
        .order(tenants::delete_time)
        .limit(most)
        .select(tenants::id)
        .load(conn)
        .await?;
    found.iter().map(|tenant| Ok(TenantId::from_bytes(id(tenant)?))).collect()
}

/// Whether the tenant is still to go. Holds it as it is.
pub async fn still_due(tx: &mut Tx, tenant: TenantId, before: Timestamp) -> Result<bool> {
    let found = tenant_for_update(tx, tenant).await?;
    Ok(found.and_then(|tenant| tenant.delete_time).is_some_and(|deleted| deleted < before))
}

/// Takes keys away.
pub async fn purge_keys(tx: &mut Tx, tenant: TenantId, most: i64) -> Result<usize> {
    let rows: Vec<super::keys::Row> = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .order(api_keys::id)
        .limit(most)
        .select(super::keys::Row::columns())
        .load(tx.conn()?)
        .await?;
    let ids: Vec<Vec<u8>> = rows.iter().map(|row| row.id.clone()).collect();
    let gone = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(api_keys::id.eq_any(ids));
    let gone = diesel::delete(gone).execute(tx.conn()?).await?;
    for row in &rows {
        let state = super::keys::state(row)?;
        if !state.revoked {
            tx.record(Change::Key(Box::new(KeyState { revoked: true, ..state })));
        }
    }
    Ok(gone)
}

/// Takes sessions away, with their refresh tokens.
pub async fn purge_sessions(tx: &mut Tx, tenant: TenantId, most: i64) -> Result<usize> {
    type Found = (Vec<u8>, Vec<u8>, i64, Option<i64>);
    let found: Vec<Found> = sessions::table
        .filter(sessions::tenant_id.eq(tenant.as_bytes().to_vec()))
        .order(sessions::id)
        .limit(most)
        .select((sessions::id, sessions::user_id, sessions::expire_time, sessions::revoke_time))
        .load(tx.conn()?)
        .await?;
    let ids: Vec<Vec<u8>> = found.iter().map(|(session, ..)| session.clone()).collect();
    let gone = sessions::table
        .filter(sessions::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(sessions::id.eq_any(ids));
    let gone = diesel::delete(gone).execute(tx.conn()?).await?;
    for (session, user, expire, revoked) in &found {
        if revoked.is_none() {
            tx.record(Change::Session(SessionState {
                id: crate::domain::SessionId::from_bytes(id(session)?),
                tenant,
                user: UserId::from_bytes(id(user)?),
                expire: Timestamp::from_micros(*expire),
                revoked: true,
            }));
        }
    }
    Ok(gone)
}

/// Takes memberships away, but for the owner's, which goes with the tenant.
pub async fn purge_members(tx: &mut Tx, tenant: TenantId, most: i64) -> Result<usize> {
    let found: Vec<Vec<u8>> = members::table
        .filter(members::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(members::role.ne("owner"))
        .limit(most)
        .select(members::user_id)
        .load(tx.conn()?)
        .await?;
    let place = members::table
        .filter(members::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(members::user_id.eq_any(found.clone()));
    let gone = diesel::delete(place).execute(tx.conn()?).await?;
    for user in &found {
        let user = UserId::from_bytes(id(user)?);
        tx.record(Change::Member(MemberState { tenant, user, role: None }));
    }
    Ok(gone)
}

/// Takes the tenant itself away, and with it what is left of it.
pub async fn purge_tenant(tx: &mut Tx, tenant: TenantId) -> Result<usize> {
    let owner: Option<Vec<u8>> = tenant_owners::table
        .find(tenant.as_bytes().to_vec())
        .select(tenant_owners::user_id)
        .first(tx.conn()?)
        .await
        .optional()?;
    let place = tenants::table.find(tenant.as_bytes().to_vec());
    let gone = diesel::delete(place).execute(tx.conn()?).await?;
    if let Some(owner) = owner {
        let user = UserId::from_bytes(id(&owner)?);
        tx.record(Change::Member(MemberState { tenant, user, role: None }));
    }
    Ok(gone)
}
