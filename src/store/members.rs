//! Memberships in the database.

use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, id, text, time};
use super::schema::{members, roles, tenant_owners, users};
use super::snapshot::BATCH;
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::members::{MemberState, Role};
use crate::domain::paging::Page;
use crate::domain::roles::Assigned;
use crate::domain::users::Email;
use crate::domain::{RoleId, TenantId, Timestamp, UserId};
use diesel::prelude::*;
use std::collections::HashMap;

#[derive(Queryable, Selectable)]
#[diesel(table_name = members)]
struct Row {
    tenant_id: Vec<u8>,
    user_id: Vec<u8>,
    role: String,
}

/// A member as admins see them.
#[derive(Debug, Clone)]
pub struct Member {
    /// The person.
    pub user: UserId,
    /// Their address.
    pub email: Email,
    /// Their role.
    pub role: Assigned,
    /// The role's name.
    pub role_name: String,
    /// Since when.
    pub create_time: Timestamp,
}

impl TryFrom<Row> for MemberState {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            tenant: TenantId::from_bytes(id(&row.tenant_id)?),
            user: UserId::from_bytes(id(&row.user_id)?),
            role: Some(text(&row.role)?),
        })
    }
}

pub(super) async fn count(conn: &mut Conn) -> Result<u64> {
    let count: i64 = members::table.count().get_result(conn).await?;
    u64::try_from(count).map_err(corrupt)
}

/// Adds a member.
pub async fn member_insert(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    role: impl Into<Assigned>,
) -> Result<()> {
    let role = role.into();
    let row = (
        members::tenant_id.eq(tenant.as_bytes().to_vec()),
        members::user_id.eq(user.as_bytes().to_vec()),
        members::role.eq(role.to_string()),
        members::create_time.eq(tx.time().micros()),
    );
    diesel::insert_into(members::table).values(row).execute(tx.conn()?).await?;
    if role == Assigned::BuiltIn(Role::Owner) {
        let row = (
            tenant_owners::tenant_id.eq(tenant.as_bytes().to_vec()),
            tenant_owners::user_id.eq(user.as_bytes().to_vec()),
        );
        diesel::insert_into(tenant_owners::table).values(row).execute(tx.conn()?).await?;
    }
    tx.record(Change::Member(MemberState { tenant, user, role: Some(role) }));
    Ok(())
}

/// Gives a member another role; false if there is no such member.
pub async fn member_set_role(
    tx: &mut Tx,
    tenant: TenantId,
    user: UserId,
    role: impl Into<Assigned>,
) -> Result<bool> {
    let role = role.into();
    let place = members::table.find((tenant.as_bytes().to_vec(), user.as_bytes().to_vec()));
    let changed = diesel::update(place).set(members::role.eq(role.to_string())).execute(tx.conn()?).await?;
    tx.record(Change::Member(MemberState { tenant, user, role: Some(role) }));
    Ok(changed == 1)
}

/// Makes another member the owner, who becomes an admin; false if the one was
/// no owner or the other no member. The database itself sees to it that there
/// is exactly one owner when this commits.
pub async fn owner_replace(tx: &mut Tx, tenant: TenantId, from: UserId, to: UserId) -> Result<bool> {
    let bytes = |user: UserId| user.as_bytes().to_vec();
    let place =
        tenant_owners::table.find(tenant.as_bytes().to_vec()).filter(tenant_owners::user_id.eq(bytes(from)));
    let named = diesel::update(place).set(tenant_owners::user_id.eq(bytes(to))).execute(tx.conn()?).await?;
    // In this order: at no moment may there be two.
    Ok(named == 1
        && member_set_role(tx, tenant, from, Role::Admin).await?
        && member_set_role(tx, tenant, to, Role::Owner).await?)
}

/// A tenant's member.
pub async fn member_by_id(conn: &mut Conn, tenant: TenantId, user: UserId) -> Result<Option<Assigned>> {
    let place = members::table.find((tenant.as_bytes().to_vec(), user.as_bytes().to_vec()));
    let role: Option<String> = place.select(members::role).first(conn).await.optional()?;
    role.as_deref().map(text).transpose()
}

/// The owner of a tenant.
pub async fn owner_of(conn: &mut Conn, tenant: TenantId) -> Result<Option<UserId>> {
    let found: Option<Vec<u8>> = tenant_owners::table
        .find(tenant.as_bytes().to_vec())
        .select(tenant_owners::user_id)
        .first(conn)
        .await
        .optional()?;
    found.map(|user| Ok(UserId::from_bytes(id(&user)?))).transpose()
}

/// How many members a tenant has.
pub async fn member_count(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let all = members::table.filter(members::tenant_id.eq(tenant.as_bytes().to_vec()));
    Ok(all.count().get_result(tx.conn()?).await?)
}

/// Ends a membership; false if there was none.
pub async fn member_delete(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<bool> {
    let place = members::table.find((tenant.as_bytes().to_vec(), user.as_bytes().to_vec()));
    let ended = diesel::delete(place).execute(tx.conn()?).await?;
    tx.record(Change::Member(MemberState { tenant, user, role: None }));
    Ok(ended == 1)
}

/// A page of a tenant's members, the newest people first.
pub async fn member_page(conn: &mut Conn, tenant: TenantId, page: Page) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = members::table
        .inner_join(users::table)
        .filter(members::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(when(page.after.map(|after| members::user_id.lt(after.to_vec()))))
        .order(members::user_id.desc())
        .limit(i64::from(page.size) + 1)
        .select((members::user_id, users::email, members::role, members::create_time))
        .load(conn)
        .await?;
    let names = role_names(conn, tenant, &rows).await?;
    rows.into_iter()
        .map(|(user, email, role, since)| {
            Ok(Member {
                user: UserId::from_bytes(id(&user)?),
                email: text(&email)?,
                role: text(&role)?,
                role_name: names.get(&role).cloned().unwrap_or(role),
                create_time: time(since),
            })
        })
        .collect()
}

type MemberRow = (Vec<u8>, String, String, i64);

/// The names of the tenant's own roles that these members have, by their ids as text.
async fn role_names(
    conn: &mut Conn,
    tenant: TenantId,
    rows: &[MemberRow],
) -> Result<HashMap<String, String>> {
    let custom = |role: &str| match role.parse() {
        Ok(Assigned::Custom(id)) => Some(id.as_bytes().to_vec()),
        Ok(Assigned::BuiltIn(_)) | Err(_) => None,
    };
    let wanted: Vec<Vec<u8>> = rows.iter().filter_map(|(_, _, role, _)| custom(role)).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(Vec<u8>, String)> = roles::table
        .filter(roles::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(roles::id.eq_any(wanted))
        .select((roles::id, roles::name))
        .load(conn)
        .await?;
    found.into_iter().map(|(role, name)| Ok((RoleId::from_bytes(id(&role)?).to_string(), name))).collect()
}

/// A tenant's member as admins see them.
pub async fn member_get(conn: &mut Conn, tenant: TenantId, user: UserId) -> Result<Option<Member>> {
    let found: Option<(String, String, i64)> = members::table
        .find((tenant.as_bytes().to_vec(), user.as_bytes().to_vec()))
        .inner_join(users::table)
        .select((users::email, members::role, members::create_time))
        .first(conn)
        .await
        .optional()?;
    let Some((email, role, since)) = found else { return Ok(None) };
    let role: Assigned = text(&role)?;
    let role_name = super::roles::role_title(conn, tenant, role).await?;
    Ok(Some(Member { user, email: text(&email)?, role, role_name, create_time: time(since) }))
}

/// The next memberships, of all or of one tenant; none after the last.
pub(super) async fn page(
    conn: &mut Conn,
    only: Option<TenantId>,
    after: Option<(TenantId, UserId)>,
) -> Result<Vec<MemberState>> {
    let later = after.map(|(tenant, user)| {
        let (tenant, user) = (tenant.as_bytes().to_vec(), user.as_bytes().to_vec());
        let same = members::tenant_id.eq(tenant.clone()).and(members::user_id.gt(user));
        members::tenant_id.gt(tenant).or(same)
    });
    let rows: Vec<Row> = members::table
        .filter(when(later))
        .filter(when(only.map(|only| members::tenant_id.eq(only.as_bytes().to_vec()))))
        .order((members::tenant_id, members::user_id))
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(MemberState::try_from).collect()
}
