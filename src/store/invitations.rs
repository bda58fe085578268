//! Invitations in the database. One that was accepted, revoked or forgotten is
//! no longer there: the audit log has what became of it.

use super::query::{Columns, RunQueryDsl};
use super::rows::{digest, id, text, time};
use super::schema::invitations;
use super::when::when;
use super::{Across, Conn, Error, Result, Store, Tx};
use crate::domain::invitations::Invitation;
use crate::domain::paging::Page;
use crate::domain::{Digest, InvitationId, TenantId, Timestamp};
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = invitations)]
struct Row {
    id: Vec<u8>,
    tenant_id: Vec<u8>,
    email: String,
    role: String,
    digest: Vec<u8>,
    invited_by: String,
    create_time: i64,
    expire_time: i64,
}

impl From<&Invitation> for Row {
    fn from(invitation: &Invitation) -> Self {
        Self {
            id: invitation.id.as_bytes().to_vec(),
            tenant_id: invitation.tenant.as_bytes().to_vec(),
            email: invitation.email.as_str().to_owned(),
            role: invitation.role.to_string(),
            digest: invitation.token.to_bytes().to_vec(),
            invited_by: invitation.invited_by.clone(),
            create_time: invitation.create_time.micros(),
            expire_time: invitation.expire_time.micros(),
        }
    }
}

impl TryFrom<Row> for Invitation {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: InvitationId::from_bytes(id(&row.id)?),
            tenant: TenantId::from_bytes(id(&row.tenant_id)?),
            email: text(&row.email)?,
            role: text(&row.role)?,
            token: digest(&row.digest)?,
            invited_by: row.invited_by,
            create_time: time(row.create_time),
            expire_time: time(row.expire_time),
        })
    }
}

/// Adds an invitation; one to the same address that has expired makes room.
///
/// # Errors
/// [`Error::Conflict`] if the address is invited already.
pub async fn invitation_insert(tx: &mut Tx, invitation: &Invitation) -> Result<()> {
    let over = invitations::table
        .filter(invitations::tenant_id.eq(invitation.tenant.as_bytes().to_vec()))
        .filter(invitations::email.eq(invitation.email.as_str().to_owned()))
        .filter(invitations::expire_time.le(tx.time().micros()));
    diesel::delete(over).execute(tx.conn()?).await?;
    diesel::insert_into(invitations::table).values(Row::from(invitation)).execute(tx.conn()?).await?;
    Ok(())
}

/// Gives an invitation another token and another end; false if it is gone.
pub async fn invitation_renew(tx: &mut Tx, invitation: &Invitation) -> Result<bool> {
    let place = of(invitation.tenant, invitation.id);
    let set = (
        invitations::digest.eq(invitation.token.to_bytes().to_vec()),
        invitations::expire_time.eq(invitation.expire_time.micros()),
    );
    Ok(diesel::update(invitations::table.filter(place)).set(set).execute(tx.conn()?).await? == 1)
}

/// Takes an invitation away; false if it was gone. Of two who come with the
/// same one, one takes it.
pub async fn invitation_delete(tx: &mut Tx, tenant: TenantId, invitation: InvitationId) -> Result<bool> {
    let place = invitations::table.filter(of(tenant, invitation));
    Ok(diesel::delete(place).execute(tx.conn()?).await? == 1)
}

/// A tenant's invitation.
pub async fn invitation_by_id(
    conn: &mut Conn,
    tenant: TenantId,
    invitation: InvitationId,
) -> Result<Option<Invitation>> {
    let row: Option<Row> = invitations::table
        .filter(of(tenant, invitation))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(Invitation::try_from).transpose()
}

/// The invitation of a token, in whatever tenant: who comes with it does not say.
pub async fn invitation_by_token(conn: &mut Conn, token: Digest) -> Result<Option<Invitation>> {
    let row: Option<Row> = invitations::table
        .filter(invitations::digest.eq(token.to_bytes().to_vec()))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(Invitation::try_from).transpose()
}

/// A page of a tenant's invitations, the latest first, and one more if there is more.
pub async fn invitation_page(conn: &mut Conn, tenant: TenantId, page: Page) -> Result<Vec<Invitation>> {
    let rows: Vec<Row> = invitations::table
        .filter(invitations::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(when(page.after.map(|after| invitations::id.lt(after.to_vec()))))
        .order(invitations::id.desc())
        .limit(i64::from(page.size) + 1)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(Invitation::try_from).collect()
}

/// How many invitations of a tenant wait.
pub async fn invitation_count(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let all = invitations::table.filter(invitations::tenant_id.eq(tenant.as_bytes().to_vec()));
    Ok(all.count().get_result(tx.conn()?).await?)
}

impl Store {
    /// Forgets invitations that expired before then, at most so many; gives how many.
    pub async fn invitations_prune(&self, before: Timestamp, most: u32) -> Result<u64> {
        self.in_bulk(Across::Jobs, async |conn| {
            let over: Vec<Vec<u8>> = invitations::table
                .filter(invitations::expire_time.lt(before.micros()))
                .order(invitations::expire_time)
                .limit(most.into())
                .select(invitations::id)
                .load(conn)
                .await?;
            let place = invitations::table.filter(invitations::id.eq_any(over));
            let gone = diesel::delete(place).execute(conn).await?;
            Ok(u64::try_from(gone).unwrap_or(u64::MAX))
        })
        .await
    }
}

#[diesel::dsl::auto_type]
fn of(tenant: TenantId, invitation: InvitationId) -> _ {
    let (tenant, id): (Vec<u8>, Vec<u8>) = (tenant.as_bytes().to_vec(), invitation.as_bytes().to_vec());
    invitations::id.eq(id).and(invitations::tenant_id.eq(tenant))
}
