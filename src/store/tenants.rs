//! Tenants in the database.

use super::lock::Lock;
use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, count, id, network_texts, networks, text, time};
use super::schema::tenants;
use super::snapshot::BATCH;
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::entitlements::Entitlements;
use crate::domain::features::Features;
use crate::domain::keys::KeyKind;
use crate::domain::paging::Page;
use crate::domain::tenants::{Slug, Tenant, TenantState};
use crate::domain::{TenantId, Timestamp};
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = tenants, treat_none_as_null = true)]
struct Row {
    id: Vec<u8>,
    slug: String,
    display_name: String,
    suspended: bool,
    networks: String,
    per_minute: i64,
    create_time: i64,
    update_time: i64,
    version: i64,
    mfa_required: bool,
    access_ttl: i64,
    session_ttl: i64,
    key_kinds: String,
    features: String,
    delete_time: Option<i64>,
    entitlements: String,
}

impl From<&Tenant> for Row {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.state.id.as_bytes().to_vec(),
            slug: tenant.state.slug.to_string(),
            display_name: tenant.display_name.as_str().to_owned(),
            suspended: tenant.state.suspended,
            networks: network_texts(&tenant.state.networks),
            per_minute: tenant.state.per_minute.into(),
            create_time: tenant.create_time.micros(),
            update_time: tenant.update_time.micros(),
            version: tenant.version,
            mfa_required: tenant.state.mfa_required,
            access_ttl: tenant.access_ttl.into(),
            session_ttl: tenant.session_ttl.into(),
            key_kinds: tenant.key_kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" "),
            features: tenant.state.features.to_names(),
            delete_time: tenant.delete_time.map(Timestamp::micros),
            entitlements: entitlement_names(tenant.state.entitlements),
        }
    }
}

impl TryFrom<Row> for Tenant {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            state: TenantState {
                id: TenantId::from_bytes(id(&row.id)?),
                slug: text(&row.slug)?,
                suspended: row.suspended,
                networks: networks(&row.networks)?,
                per_minute: count(row.per_minute)?,
                mfa_required: row.mfa_required,
                deleted: row.delete_time.is_some(),
                features: Features::from_names(&row.features).ok_or_else(|| corrupt("an unknown feature"))?,
                entitlements: Entitlements::named(row.entitlements.split_ascii_whitespace()),
            },
            display_name: text(&row.display_name)?,
            access_ttl: count(row.access_ttl)?,
            session_ttl: count(row.session_ttl)?,
            key_kinds: kinds(&row.key_kinds)?,
            delete_time: row.delete_time.map(time),
            create_time: time(row.create_time),
            update_time: time(row.update_time),
            version: row.version,
        })
    }
}

fn kinds(names: &str) -> Result<Vec<KeyKind>> {
    let kind = |name| KeyKind::named(name).ok_or_else(|| corrupt("an unknown kind of keys"));
    names.split_ascii_whitespace().map(kind).collect()
}

/// Adds a tenant.
pub async fn tenant_insert(tx: &mut Tx, tenant: &Tenant) -> Result<()> {
    diesel::insert_into(tenants::table).values(Row::from(tenant)).execute(tx.conn()?).await?;
    tx.record(Change::Tenant(tenant.state.clone()));
    Ok(())
}

/// Replaces a tenant whose version is still the one before.
/// False if it is not: somebody else was quicker.
pub async fn tenant_replace(tx: &mut Tx, tenant: &Tenant) -> Result<bool> {
    let place = tenants::table
        .find(tenant.state.id.as_bytes().to_vec())
        .filter(tenants::version.eq(tenant.version - 1));
    let replaced = diesel::update(place).set(Row::from(tenant)).execute(tx.conn()?).await?;
    tx.record(Change::Tenant(tenant.state.clone()));
    Ok(replaced == 1)
}

/// Sets what a tenant is entitled to, which [`tenant_for_update`] holds. No
/// change that admins make, so its version stays.
pub(super) async fn tenant_entitle(
    tx: &mut Tx,
    mut state: TenantState,
    entitlements: Entitlements,
) -> Result<()> {
    if state.entitlements == entitlements {
        return Ok(());
    }
    state.entitlements = entitlements;
    let place = tenants::table.find(state.id.as_bytes().to_vec());
    let set = tenants::entitlements.eq(entitlement_names(entitlements));
    diesel::update(place).set(set).execute(tx.conn()?).await?;
    tx.record(Change::Tenant(state));
    Ok(())
}

fn entitlement_names(entitlements: Entitlements) -> String {
    entitlements.names().collect::<Vec<_>>().join(" ")
}

/// The tenant of that id, read where it will be written.
pub async fn tenant_for_update(tx: &mut Tx, tenant: TenantId) -> Result<Option<Tenant>> {
    tx.lock(Lock::Tenant, tenant.as_bytes()).await?;
    tenant_by_id(tx.conn()?, tenant).await
}

/// The tenant of that id.
pub async fn tenant_by_id(conn: &mut Conn, tenant: TenantId) -> Result<Option<Tenant>> {
    let row: Option<Row> = tenants::table
        .find(tenant.as_bytes().to_vec())
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(Tenant::try_from).transpose()
}

/// The tenant of that short name.
pub async fn tenant_by_slug(conn: &mut Conn, slug: &Slug) -> Result<Option<Tenant>> {
    let row: Option<Row> = tenants::table
        .filter(tenants::slug.eq(slug.as_str()))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(Tenant::try_from).transpose()
}

/// A page of all tenants, or of the one.
pub async fn tenant_page(conn: &mut Conn, only: Option<TenantId>, page: Page) -> Result<Vec<Tenant>> {
    let rows: Vec<Row> = tenants::table
        .filter(when(only.map(|only| tenants::id.eq(only.as_bytes().to_vec()))))
        .filter(when(page.after.map(|after| tenants::id.lt(after.to_vec()))))
        .order(tenants::id.desc())
        .limit(i64::from(page.size) + 1)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(Tenant::try_from).collect()
}

/// The next tenants, of all or of the one; none after the last.
pub(super) async fn page(
    conn: &mut Conn,
    only: Option<TenantId>,
    after: Option<TenantId>,
) -> Result<Vec<TenantState>> {
    let rows: Vec<Row> = tenants::table
        .filter(when(after.map(|after| tenants::id.gt(after.as_bytes().to_vec()))))
        .filter(when(only.map(|only| tenants::id.eq(only.as_bytes().to_vec()))))
        .order(tenants::id)
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok(Tenant::try_from(row)?.state)).collect()
}
