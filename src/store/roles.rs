//! Roles that tenants made for themselves, in the database.

use super::lock::Lock;
use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, id, text, time};
use super::schema::{invitations, members, roles};
use super::snapshot::BATCH;
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::roles::{Assigned, CustomRole, RoleName, RoleState};
use crate::domain::{Permissions, RoleId, TenantId};
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = roles, treat_none_as_null = true)]
struct Row {
    id: Vec<u8>,
    tenant_id: Vec<u8>,
    name: String,
    description: String,
    permissions: String,
    create_time: i64,
    update_time: i64,
    version: i64,
}

impl From<&CustomRole> for Row {
    fn from(role: &CustomRole) -> Self {
        Self {
            id: role.state.id.as_bytes().to_vec(),
            tenant_id: role.state.tenant.as_bytes().to_vec(),
            name: role.state.name.to_string(),
            description: role.description.clone(),
            permissions: role.state.permissions.to_names(),
            create_time: role.create_time.micros(),
            update_time: role.update_time.micros(),
            version: role.version,
        }
    }
}

impl TryFrom<Row> for CustomRole {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            state: RoleState {
                id: RoleId::from_bytes(id(&row.id)?),
                tenant: TenantId::from_bytes(id(&row.tenant_id)?),
                name: text(&row.name)?,
                permissions: Permissions::from_names(&row.permissions).map_err(corrupt)?,
                deleted: false,
            },
            description: row.description,
            create_time: time(row.create_time),
            update_time: time(row.update_time),
            version: row.version,
        })
    }
}

/// Adds a role.
///
/// # Errors
/// [`Error::Conflict`] if the tenant has one of that name.
pub async fn role_insert(tx: &mut Tx, role: &CustomRole) -> Result<()> {
    diesel::insert_into(roles::table).values(Row::from(role)).execute(tx.conn()?).await?;
    tx.record(Change::Role(role.state.clone()));
    Ok(())
}

/// Replaces a role whose version is still the one before.
/// False if it is not: somebody else was quicker.
///
/// # Errors
/// [`Error::Conflict`] if the tenant has another of that name.
pub async fn role_replace(tx: &mut Tx, role: &CustomRole) -> Result<bool> {
    let place = roles::table
        .find(role.state.id.as_bytes().to_vec())
        .filter(roles::tenant_id.eq(role.state.tenant.as_bytes().to_vec()))
        .filter(roles::version.eq(role.version - 1));
    let replaced = diesel::update(place).set(Row::from(role)).execute(tx.conn()?).await?;
    tx.record(Change::Role(role.state.clone()));
    Ok(replaced == 1)
}

/// Deletes a role that nobody has, and that no invitation gives.
pub async fn role_delete(tx: &mut Tx, role: RoleState) -> Result<()> {
    let place = roles::table
        .find(role.id.as_bytes().to_vec())
        .filter(roles::tenant_id.eq(role.tenant.as_bytes().to_vec()));
    diesel::delete(place).execute(tx.conn()?).await?;
    tx.record(Change::Role(RoleState { deleted: true, ..role }));
    Ok(())
}

/// A tenant's role, held until the transaction ends: nobody else changes,
/// deletes or gives it meanwhile.
pub async fn role_for_update(tx: &mut Tx, tenant: TenantId, role: RoleId) -> Result<Option<CustomRole>> {
    tx.lock(Lock::Role, role.as_bytes()).await?;
    role_by_id(tx.conn()?, tenant, role).await
}

/// A tenant's role.
pub async fn role_by_id(conn: &mut Conn, tenant: TenantId, role: RoleId) -> Result<Option<CustomRole>> {
    let row: Option<Row> = roles::table
        .find(role.as_bytes().to_vec())
        .filter(roles::tenant_id.eq(tenant.as_bytes().to_vec()))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(CustomRole::try_from).transpose()
}

/// A tenant's role of that name.
pub async fn role_by_name(conn: &mut Conn, tenant: TenantId, name: &RoleName) -> Result<Option<CustomRole>> {
    let row: Option<Row> = roles::table
        .filter(roles::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(roles::name.eq(name.as_str()))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(CustomRole::try_from).transpose()
}

/// All roles that a tenant made for itself, by name.
pub async fn roles_of(conn: &mut Conn, tenant: TenantId) -> Result<Vec<CustomRole>> {
    let rows: Vec<Row> = roles::table
        .filter(roles::tenant_id.eq(tenant.as_bytes().to_vec()))
        .order(roles::name)
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(CustomRole::try_from).collect()
}

/// The name under which answers tell a role that somebody has.
pub async fn role_title(conn: &mut Conn, tenant: TenantId, role: Assigned) -> Result<String> {
    match role {
        Assigned::BuiltIn(role) => Ok(role.name().to_owned()),
        Assigned::Custom(id) => {
            let found = role_by_id(conn, tenant, id).await?;
            Ok(found.map(|role| role.state.name.to_string()).unwrap_or_default())
        }
    }
}

/// Whether somebody has the role, or is invited to it.
pub async fn role_is_given(tx: &mut Tx, tenant: TenantId, role: RoleId) -> Result<bool> {
    let (tenant, role) = (tenant.as_bytes().to_vec(), role.to_string());
    let have = members::table.filter(members::tenant_id.eq(tenant.clone())).filter(members::role.eq(&role));
    let have: i64 = have.count().get_result(tx.conn()?).await?;
    let invited =
        invitations::table.filter(invitations::tenant_id.eq(tenant)).filter(invitations::role.eq(&role));
    let invited: i64 = invited.count().get_result(tx.conn()?).await?;
    Ok(have + invited > 0)
}

/// The next roles, of all or of one tenant; none after the last.
pub(super) async fn page(
    conn: &mut Conn,
    only: Option<TenantId>,
    after: Option<RoleId>,
) -> Result<Vec<RoleState>> {
    let rows: Vec<Row> = roles::table
        .filter(when(after.map(|after| roles::id.gt(after.as_bytes().to_vec()))))
        .filter(when(only.map(|only| roles::tenant_id.eq(only.as_bytes().to_vec()))))
        .order(roles::id)
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok(CustomRole::try_from(row)?.state)).collect()
}
