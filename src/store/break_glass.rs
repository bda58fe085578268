//! Break-glass grants in the database, and which master keys were used.

use super::lock::Lock;
use super::query::{Columns, RunQueryDsl};
use super::rows::{id, scope_names, scopes, time};
use super::schema::{break_glass_grants as grants, break_glass_keys as keys, members, users};
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::break_glass::GrantState;
use crate::domain::changes::Change;
use crate::domain::users::Email;
use crate::domain::{GrantId, Refusal, TenantId, Timestamp};
use diesel::prelude::*;

/// Grants that are read at once; there is one open in a tenant at a time.
const MOST: i64 = 10_000;

/// People who hear of a grant.
const MOST_TOLD: i64 = 10;

#[derive(Queryable, Selectable)]
#[diesel(table_name = grants)]
struct Row {
    id: Vec<u8>,
    tenant_id: Vec<u8>,
    permissions: String,
    expire_time: i64,
    close_time: Option<i64>,
}

impl TryFrom<Row> for GrantState {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: GrantId::from_bytes(id(&row.id)?),
            tenant: TenantId::from_bytes(id(&row.tenant_id)?),
            permissions: scopes(&row.permissions)?,
            expire: time(row.expire_time),
            closed: row.close_time.is_some(),
        })
    }
}

/// Adds a grant, and notes the use of the key that opened it.
pub async fn grant_insert(tx: &mut Tx, grant: &GrantState, key: &[u8; 16]) -> Result<()> {
    let now = tx.time().micros();
    let used = (keys::key_id.eq(key.to_vec()), keys::use_time.eq(now));
    diesel::insert_into(keys::table).values(used).on_conflict_do_nothing().execute(tx.conn()?).await?;
    let row = (
        grants::id.eq(grant.id.as_bytes().to_vec()),
        grants::tenant_id.eq(grant.tenant.as_bytes().to_vec()),
        grants::key_id.eq(key.to_vec()),
        grants::permissions.eq(scope_names(grant.permissions)),
        grants::create_time.eq(now),
        grants::expire_time.eq(grant.expire.micros()),
        grants::vetoed.eq(false),
    );
    diesel::insert_into(grants::table).values(row).execute(tx.conn()?).await?;
    tx.record(Change::Grant(grant.clone()));
    Ok(())
}

/// The grants of a tenant that are open, read where one may be opened or closed.
pub async fn grants_for_update(tx: &mut Tx, tenant: TenantId) -> Result<Vec<GrantState>> {
    tx.lock(Lock::Tenant, tenant.as_bytes()).await?;
    open(tx.conn()?, Some(tenant)).await
}

/// Closes a grant; `vetoed` if somebody of the tenant did.
pub async fn grant_close(tx: &mut Tx, grant: &GrantState, vetoed: bool) -> Result<()> {
    let at = tx.time().micros();
    let place = grants::table.find(grant.id.as_bytes().to_vec()).filter(grants::close_time.is_null());
    let set = (grants::close_time.eq(at), grants::vetoed.eq(vetoed));
    diesel::update(place).set(set).execute(tx.conn()?).await?;
    tx.record(Change::Grant(GrantState { closed: true, ..grant.clone() }));
    Ok(())
}

/// When somebody of the tenant last closed a grant that this key had opened.
pub async fn last_veto(tx: &mut Tx, tenant: TenantId, key: &[u8; 16]) -> Result<Option<Timestamp>> {
    let last: Option<Option<i64>> = grants::table
        .filter(grants::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(grants::key_id.eq(key.to_vec()))
        .filter(grants::vetoed.eq(true))
        .order(grants::close_time.desc())
        .select(grants::close_time)
        .first(tx.conn()?)
        .await
        .optional()?;
    Ok(last.flatten().map(time))
}

/// When a key was first used, if it was.
pub async fn key_first_used(conn: &mut Conn, key: &[u8; 16]) -> Result<Option<Timestamp>> {
    let found: Option<i64> =
        keys::table.find(key.to_vec()).select(keys::use_time).first(conn).await.optional()?;
    Ok(found.map(time))
}

/// The same inside of a transaction.
pub async fn key_first_used_before(tx: &mut Tx, key: &[u8; 16]) -> Result<Option<Timestamp>> {
    key_first_used(tx.conn()?, key).await
}

/// Grants that are past their end and were not cleared away.
pub async fn grants_over(conn: &mut Conn, now: Timestamp) -> Result<Vec<GrantState>> {
    let rows: Vec<Row> = grants::table
        .filter(grants::close_time.is_null())
        .filter(grants::expire_time.le(now.micros()))
        .limit(MOST)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(GrantState::try_from).collect()
}

/// Who shall hear of what is done in a tenant without them: its owner.
pub async fn owners(conn: &mut Conn, tenant: TenantId) -> Result<Vec<Email>> {
    let found: Vec<String> = members::table
        .inner_join(users::table)
        .filter(members::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(members::role.eq(crate::domain::members::Role::Owner.name()))
        .limit(MOST_TOLD)
        .select(users::email)
        .load(conn)
        .await?;
    found.iter().map(|email| super::rows::text(email)).collect()
}

/// Every open grant, of all tenants or of one.
pub(super) async fn open(conn: &mut Conn, only: Option<TenantId>) -> Result<Vec<GrantState>> {
    let rows: Vec<Row> = grants::table
        .filter(grants::close_time.is_null())
        .filter(when(only.map(|only| grants::tenant_id.eq(only.as_bytes().to_vec()))))
        .order(grants::id)
        .limit(MOST)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(GrantState::try_from).collect()
}

/// Refuses a mutation whose caller's grant is over, and holds the grant as it
/// is until the mutation has committed.
pub(super) async fn grant_still_stands(tx: &mut Tx, grant: GrantId) -> Result<()> {
    tx.lock(Lock::GrantShared, grant.as_bytes()).await?;
    let now = tx.time();
    let row: Option<Row> = grants::table
        .find(grant.as_bytes().to_vec())
        .select(Row::columns())
        .first(tx.conn()?)
        .await
        .optional()?;
    match row.map(GrantState::try_from).transpose()? {
        Some(found) if !found.closed && found.expire > now => Ok(()),
        _ => Err(Refusal::grant_over().into()),
    }
}
