//! People in the database.

use super::query::{Columns, RunQueryDsl};
use super::rows::{id, text};
use super::schema::{members, users};
use super::snapshot::BATCH;
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::users::{Email, UserState};
use crate::domain::{TenantId, UserId};
use diesel::prelude::*;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct Row {
    id: Vec<u8>,
    email: String,
    operator: bool,
    disabled: bool,
}

impl TryFrom<Row> for UserState {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: UserId::from_bytes(id(&row.id)?),
            email: text(&row.email)?,
            operator: row.operator,
            disabled: row.disabled,
        })
    }
}

/// Adds a person, with the hash of a password if they have one.
pub async fn user_insert(tx: &mut Tx, user: &UserState, password_hash: Option<&str>) -> Result<()> {
    let row = (
        users::id.eq(user.id.as_bytes().to_vec()),
        users::email.eq(user.email.as_str()),
        users::password_hash.eq(password_hash),
        users::operator.eq(user.operator),
        users::disabled.eq(user.disabled),
        users::create_time.eq(tx.time().micros()),
        users::version.eq(1_i64),
    );
    diesel::insert_into(users::table).values(row).execute(tx.conn()?).await?;
    tx.record(Change::User(user.clone()));
    Ok(())
}

/// The person of that address.
pub async fn user_by_email(tx: &mut Tx, email: &Email) -> Result<Option<UserState>> {
    let row: Option<Row> = users::table
        .filter(users::email.eq(email.as_str()))
        .select(Row::columns())
        .first(tx.conn()?)
        .await
        .optional()?;
    row.map(UserState::try_from).transpose()
}

/// A person.
pub(super) async fn by_id(conn: &mut Conn, user: UserId) -> Result<Option<UserState>> {
    let row: Option<Row> =
        users::table.find(user.as_bytes().to_vec()).select(Row::columns()).first(conn).await.optional()?;
    row.map(UserState::try_from).transpose()
}

/// The next people, of all or of the members of one tenant; none after the last.
pub(super) async fn page(
    conn: &mut Conn,
    only: Option<TenantId>,
    after: Option<UserId>,
) -> Result<Vec<UserState>> {
    let rows: Vec<Row> = users::table
        .filter(when(after.map(|after| users::id.gt(after.as_bytes().to_vec()))))
        .filter(when(only.map(|only| users::id.eq_any(members_of(only)))))
        .order(users::id)
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(UserState::try_from).collect()
}

/// The people of a tenant, for the condition of another query.
#[diesel::dsl::auto_type]
fn members_of(tenant: TenantId) -> _ {
    let bytes: Vec<u8> = tenant.as_bytes().to_vec();
    members::table.filter(members::tenant_id.eq(bytes)).select(members::user_id)
}
