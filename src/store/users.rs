//! People in the database.

use super::query::{Columns, RunQueryDsl};
use super::rows::{id, text};
use super::schema::users;
use super::snapshot::BATCH;
use super::{Conn, Error, Result, Tx};
use crate::domain::UserId;
use crate::domain::changes::Change;
use crate::domain::users::{Email, UserState};
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

pub(super) async fn each(conn: &mut Conn, mut take: impl FnMut(UserState) + Send) -> Result<()> {
    let mut after = Vec::new();
    loop {
        let rows: Vec<Row> = users::table
            .filter(users::id.gt(after.clone()))
            .order(users::id)
            .limit(BATCH)
            .select(Row::columns())
            .load(conn)
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for row in rows {
            take(row.try_into()?);
        }
    }
}
