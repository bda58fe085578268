//! Memberships in the database.

use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, id, text, time};
use super::schema::{members, users};
use super::snapshot::BATCH;
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::members::{MemberState, Role};
use crate::domain::paging::Page;
use crate::domain::users::Email;
use crate::domain::{TenantId, Timestamp, UserId};
use diesel::prelude::*;

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
    pub role: Role,
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
pub async fn member_insert(tx: &mut Tx, tenant: TenantId, user: UserId, role: Role) -> Result<()> {
    let row = (
        members::tenant_id.eq(tenant.as_bytes().to_vec()),
        members::user_id.eq(user.as_bytes().to_vec()),
        members::role.eq(role.name()),
        members::create_time.eq(tx.time().micros()),
    );
    diesel::insert_into(members::table).values(row).execute(tx.conn()?).await?;
    tx.record(Change::Member(MemberState { tenant, user, role: Some(role) }));
    Ok(())
}

/// Gives a member another role; false if there is no such member.
pub async fn member_set_role(tx: &mut Tx, tenant: TenantId, user: UserId, role: Role) -> Result<bool> {
    let place = members::table.find((tenant.as_bytes().to_vec(), user.as_bytes().to_vec()));
    let changed = diesel::update(place).set(members::role.eq(role.name())).execute(tx.conn()?).await?;
    tx.record(Change::Member(MemberState { tenant, user, role: Some(role) }));
    Ok(changed == 1)
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
    let rows: Vec<(Vec<u8>, String, String, i64)> = members::table
        .inner_join(users::table)
        .filter(members::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(when(page.after.map(|after| members::user_id.lt(after.to_vec()))))
        .order(members::user_id.desc())
        .limit(i64::from(page.size) + 1)
        .select((members::user_id, users::email, members::role, members::create_time))
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(user, email, role, since)| {
            Ok(Member {
                user: UserId::from_bytes(id(&user)?),
                email: text(&email)?,
                role: text(&role)?,
                create_time: time(since),
            })
        })
        .collect()
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
