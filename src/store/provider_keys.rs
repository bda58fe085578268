//! Keys with other providers in the database, their secrets sealed.

use super::query::{Columns, RunQueryDsl};
use super::rows::{id, text, time};
use super::schema::provider_keys;
use super::tenants::{tenant_entitle, tenant_for_update};
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::entitlements::Entitlements;
use crate::domain::paging::Page;
use crate::domain::provider_keys::{MAX_PROVIDER_KEYS, ProviderKey, ProviderKeyName};
use crate::domain::tenants::TenantState;
use crate::domain::{ProviderKeyId, Reason, Refusal, TenantId};
use diesel::prelude::*;

/// A row without the secret.
#[derive(Queryable, Selectable)]
#[diesel(table_name = provider_keys)]
struct Row {
    id: Vec<u8>,
    tenant_id: Vec<u8>,
    provider: String,
    label: String,
    fingerprint: String,
    set_by: String,
    set_time: i64,
    fetch_time: Option<i64>,
}

impl TryFrom<Row> for ProviderKey {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: ProviderKeyId::from_bytes(id(&row.id)?),
            tenant: TenantId::from_bytes(id(&row.tenant_id)?),
            name: ProviderKeyName { provider: text(&row.provider)?, label: text(&row.label)? },
            fingerprint: row.fingerprint,
            set_by: row.set_by,
            set_time: time(row.set_time),
            fetch_time: row.fetch_time.map(time),
        })
    }
}

/// Sets a key: a new one, or a new secret in the place of the old one, which
/// keeps its id. The tenant's requests are not capped from then on.
///
/// # Errors
/// `QUOTA_EXCEEDED` if the tenant has [`MAX_PROVIDER_KEYS`] others; `NOT_FOUND`
/// if there is no such tenant.
pub async fn provider_key_set(tx: &mut Tx, wanted: ProviderKey, sealed: &[u8]) -> Result<ProviderKey> {
    let tenant = held(tx, wanted.tenant).await?;
    let there = provider_key_named(tx.conn()?, wanted.tenant, &wanted.name).await?;
    let key = match there {
        Some(before) => {
            replace(tx, &wanted, before.id, sealed).await?;
            ProviderKey { id: before.id, ..wanted }
        }
        None if count_of(tx, wanted.tenant).await? >= MAX_PROVIDER_KEYS => {
            let message = format!("a tenant has at most {MAX_PROVIDER_KEYS} provider keys; delete some");
            return Err(Refusal::new(Reason::QuotaExceeded, message).into());
        }
        None => {
            insert(tx, &wanted, sealed).await?;
            wanted
        }
    };
    tenant_entitle(tx, tenant, Entitlements::AI_UNLIMITED).await?;
    Ok(key)
}

/// Deletes a key; false if there is none. With the last one the cap is back.
pub async fn provider_key_delete(tx: &mut Tx, tenant: TenantId, name: &ProviderKeyName) -> Result<bool> {
    let state = held(tx, tenant).await?;
    let Some(there) = provider_key_named(tx.conn()?, tenant, name).await? else { return Ok(false) };
    let place = provider_keys::table.find(there.id.as_bytes().to_vec());
    diesel::delete(place).execute(tx.conn()?).await?;
    if count_of(tx, tenant).await? == 0 {
        tenant_entitle(tx, state, Entitlements::NONE).await?;
    }
    Ok(true)
}

/// A key with its sealed secret, which is noted as fetched at this time.
pub async fn provider_key_fetch(
    tx: &mut Tx,
    tenant: TenantId,
    name: &ProviderKeyName,
) -> Result<Option<(ProviderKey, Vec<u8>)>> {
    let place = provider_keys::table
        .filter(provider_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(provider_keys::provider.eq(name.provider().to_owned()))
        .filter(provider_keys::label.eq(name.label().to_owned()));
    let stamp = provider_keys::fetch_time.eq(tx.time().micros());
    // Stamped first: whoever sets another secret meanwhile waits, or came before.
    diesel::update(place).set(stamp).execute(tx.conn()?).await?;
    let Some(key) = provider_key_named(tx.conn()?, tenant, name).await? else { return Ok(None) };
    let secret = provider_keys::table.find(key.id.as_bytes().to_vec()).select(provider_keys::secret);
    let sealed: Vec<u8> = secret.first(tx.conn()?).await?;
    Ok(Some((key, sealed)))
}

/// The tenant's key of that name, without the secret.
pub async fn provider_key_named(
    conn: &mut Conn,
    tenant: TenantId,
    name: &ProviderKeyName,
) -> Result<Option<ProviderKey>> {
    let row: Option<Row> = provider_keys::table
        .filter(provider_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(provider_keys::provider.eq(name.provider().to_owned()))
        .filter(provider_keys::label.eq(name.label().to_owned()))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(ProviderKey::try_from).transpose()
}

/// A page of a tenant's keys, the newest first, and one more if there is more.
pub async fn provider_key_page(conn: &mut Conn, tenant: TenantId, page: Page) -> Result<Vec<ProviderKey>> {
    let rows: Vec<Row> = provider_keys::table
        .filter(provider_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(when(page.after.map(|after| provider_keys::id.lt(after.to_vec()))))
        .order(provider_keys::id.desc())
        .limit(i64::from(page.size) + 1)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(ProviderKey::try_from).collect()
}

/// The tenant, whose provider keys nobody else changes until the commit.
async fn held(tx: &mut Tx, tenant: TenantId) -> Result<TenantState> {
    let found = tenant_for_update(tx, tenant).await?;
    Ok(found.ok_or_else(|| Refusal::not_found("tenant"))?.state)
}

async fn count_of(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let all = provider_keys::table.filter(provider_keys::tenant_id.eq(tenant.as_bytes().to_vec()));
    Ok(all.count().get_result(tx.conn()?).await?)
}

async fn insert(tx: &mut Tx, key: &ProviderKey, sealed: &[u8]) -> Result<()> {
    let row = (
        provider_keys::id.eq(key.id.as_bytes().to_vec()),
        provider_keys::tenant_id.eq(key.tenant.as_bytes().to_vec()),
        provider_keys::provider.eq(key.name.provider()),
        provider_keys::label.eq(key.name.label()),
        provider_keys::secret.eq(sealed),
        provider_keys::fingerprint.eq(&key.fingerprint),
        provider_keys::set_by.eq(&key.set_by),
        provider_keys::set_time.eq(key.set_time.micros()),
    );
    diesel::insert_into(provider_keys::table).values(row).execute(tx.conn()?).await?;
    Ok(())
}

async fn replace(tx: &mut Tx, key: &ProviderKey, id: ProviderKeyId, sealed: &[u8]) -> Result<()> {
    let set = (
        provider_keys::secret.eq(sealed),
        provider_keys::fingerprint.eq(&key.fingerprint),
        provider_keys::set_by.eq(&key.set_by),
        provider_keys::set_time.eq(key.set_time.micros()),
        // Nobody has fetched this secret yet.
        provider_keys::fetch_time.eq(None::<i64>),
    );
    let place = provider_keys::table.find(id.as_bytes().to_vec());
    diesel::update(place).set(set).execute(tx.conn()?).await?;
    Ok(())
}
