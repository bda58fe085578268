//! Sessions and their refresh tokens in the database.

use super::lock::Lock;
use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, digest, id, time};
use super::schema::{refresh_tokens, sessions};
use super::snapshot::BATCH;
use super::when::when;
use super::{Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::paging::Page;
use crate::domain::sessions::{Methods, Session, SessionState};
use crate::domain::{Digest, Refusal, SessionId, TenantId, Timestamp, UserId};
use diesel::prelude::*;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
struct Row {
    id: Vec<u8>,
    tenant_id: Vec<u8>,
    user_id: Vec<u8>,
    methods: String,
    device: String,
    address: Option<String>,
    create_time: i64,
    last_seen: i64,
    expire_time: i64,
    revoke_time: Option<i64>,
}

impl From<&Session> for Row {
    fn from(session: &Session) -> Self {
        let state = &session.state;
        Self {
            id: state.id.as_bytes().to_vec(),
            tenant_id: state.tenant.as_bytes().to_vec(),
            user_id: state.user.as_bytes().to_vec(),
            methods: session.methods.names().collect::<Vec<_>>().join(" "),
            device: session.device.clone(),
            address: session.address.map(|address| address.to_string()),
            create_time: session.create_time.micros(),
            last_seen: session.last_seen.micros(),
            expire_time: state.expire.micros(),
            revoke_time: None,
        }
    }
}

impl TryFrom<Row> for Session {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            state: SessionState {
                id: SessionId::from_bytes(id(&row.id)?),
                tenant: TenantId::from_bytes(id(&row.tenant_id)?),
                user: UserId::from_bytes(id(&row.user_id)?),
                expire: time(row.expire_time),
                revoked: row.revoke_time.is_some(),
            },
            methods: Methods::named(row.methods.split(' ')),
            device: row.device,
            address: row.address.map(|text| text.parse().map_err(corrupt)).transpose()?,
            create_time: time(row.create_time),
            last_seen: time(row.last_seen),
        })
    }
}

/// A refresh token, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its session.
    pub session: SessionId,
    /// When it was used, if it was.
    pub used: Option<Timestamp>,
    /// What came of its use.
    pub next: Option<Successor>,
}

/// The token after a token that was used.
#[derive(Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its digest.
    pub digest: Digest,
    /// Itself, sealed under the token that it succeeds.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for Successor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Successor")
    }
}

/// Adds a session with its first refresh token.
pub async fn session_insert(tx: &mut Tx, session: &Session, refresh: Digest) -> Result<()> {
    diesel::insert_into(sessions::table).values(Row::from(session)).execute(tx.conn()?).await?;
    refresh_insert(tx, session.state.id, refresh).await?;
    tx.record(Change::Session(session.state.clone()));
    Ok(())
}

/// A session, whoever's it is.
pub async fn session_by_id(conn: &mut Conn, session: SessionId) -> Result<Option<Session>> {
    let row: Option<Row> = sessions::table
        .find(session.as_bytes().to_vec())
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(Session::try_from).transpose()
}

/// The same, read where it will be changed.
pub async fn session_for_update(tx: &mut Tx, session: SessionId) -> Result<Option<Session>> {
    tx.lock(Lock::Session, session.as_bytes()).await?;
    session_by_id(tx.conn()?, session).await
}

/// A page of a person's live sessions in a tenant, the latest first.
pub async fn session_page(
    conn: &mut Conn,
    tenant: TenantId,
    user: UserId,
    now: Timestamp,
    page: Page,
) -> Result<Vec<Session>> {
    let rows: Vec<Row> = sessions::table
        .filter(sessions::user_id.eq(user.as_bytes().to_vec()))
        .filter(sessions::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(sessions::revoke_time.is_null())
        .filter(sessions::expire_time.gt(now.micros()))
        .filter(when(page.after.map(|after| sessions::id.lt(after.to_vec()))))
        .order(sessions::id.desc())
        .limit(i64::from(page.size) + 1)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(Session::try_from).collect()
}

/// A person's live sessions, in one tenant or in all, the quietest first.
pub async fn sessions_live(tx: &mut Tx, user: UserId, only: Option<TenantId>) -> Result<Vec<Session>> {
    let now = tx.time().micros();
    let rows: Vec<Row> = sessions::table
        .filter(sessions::user_id.eq(user.as_bytes().to_vec()))
        .filter(when(only.map(|only| sessions::tenant_id.eq(only.as_bytes().to_vec()))))
        .filter(sessions::revoke_time.is_null())
        .filter(sessions::expire_time.gt(now))
        .order(sessions::last_seen)
        .select(Row::columns())
        .load(tx.conn()?)
        .await?;
    rows.into_iter().map(Session::try_from).collect()
}

/// Ends a session; false if it had ended before.
pub async fn session_revoke(tx: &mut Tx, state: &SessionState) -> Result<bool> {
    let at = tx.time().micros();
    let place = sessions::table.find(state.id.as_bytes().to_vec()).filter(sessions::revoke_time.is_null());
    let ended = diesel::update(place).set(sessions::revoke_time.eq(at)).execute(tx.conn()?).await?;
    tx.record(Change::Session(SessionState { revoked: true, ..state.clone() }));
    Ok(ended == 1)
}

/// Sessions that ended by themselves and were not cleared away, some at a time.
pub async fn sessions_over(conn: &mut Conn, now: Timestamp) -> Result<Vec<SessionState>> {
    const MOST: i64 = 500;
    let rows: Vec<Row> = sessions::table
        .filter(sessions::revoke_time.is_null())
        .filter(sessions::expire_time.le(now.micros()))
        .limit(MOST)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok(Session::try_from(row)?.state)).collect()
}

/// A refresh token, by its digest.
pub async fn refresh_by_digest(conn: &mut Conn, token: Digest) -> Result<Option<RefreshToken>> {
    type Found = (Vec<u8>, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);
    let found: Option<Found> = refresh_tokens::table
        .find(token.to_bytes().to_vec())
        .select((
            refresh_tokens::session_id,
            refresh_tokens::use_time,
            refresh_tokens::next_digest,
            refresh_tokens::next_sealed,
        ))
        .first(conn)
        .await
        .optional()?;
    let Some((session, used, next, sealed)) = found else { return Ok(None) };
    let next = match (next, sealed) {
        (Some(bytes), Some(sealed)) => Some(Successor { digest: digest(&bytes)?, sealed }),
        _ => None,
    };
    Ok(Some(RefreshToken { session: SessionId::from_bytes(id(&session)?), used: used.map(time), next }))
}

/// The same, read where it will be changed.
pub async fn refresh_for_update(tx: &mut Tx, token: Digest) -> Result<Option<RefreshToken>> {
    refresh_by_digest(tx.conn()?, token).await
}

/// Spends a refresh token and adds the one that follows it; false if somebody
/// else was quicker.
pub async fn refresh_spend(tx: &mut Tx, token: Digest, session: SessionId, next: &Successor) -> Result<bool> {
    let at = tx.time().micros();
    let place =
        refresh_tokens::table.find(token.to_bytes().to_vec()).filter(refresh_tokens::use_time.is_null());
    let set = (
        refresh_tokens::use_time.eq(at),
        refresh_tokens::next_digest.eq(next.digest.to_bytes().to_vec()),
        refresh_tokens::next_sealed.eq(next.sealed.clone()),
    );
    if diesel::update(place).set(set).execute(tx.conn()?).await? == 0 {
        return Ok(false);
    }
    refresh_insert(tx, session, next.digest).await?;
    let seen = sessions::table.find(session.as_bytes().to_vec());
    diesel::update(seen).set(sessions::last_seen.eq(at)).execute(tx.conn()?).await?;
    Ok(true)
}

async fn refresh_insert(tx: &mut Tx, session: SessionId, token: Digest) -> Result<()> {
    let row = (
        refresh_tokens::digest.eq(token.to_bytes().to_vec()),
        refresh_tokens::session_id.eq(session.as_bytes().to_vec()),
        refresh_tokens::create_time.eq(tx.time().micros()),
    );
    diesel::insert_into(refresh_tokens::table).values(row).execute(tx.conn()?).await?;
    Ok(())
}

/// The next live sessions, of all or of one tenant; none after the last.
pub(super) async fn page_live(
    conn: &mut Conn,
    only: Option<TenantId>,
    after: Option<SessionId>,
) -> Result<Vec<SessionState>> {
    let rows: Vec<Row> = sessions::table
        .filter(sessions::revoke_time.is_null())
        .filter(when(only.map(|only| sessions::tenant_id.eq(only.as_bytes().to_vec()))))
        .filter(when(after.map(|after| sessions::id.gt(after.as_bytes().to_vec()))))
        .order(sessions::id)
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(|row| Ok(Session::try_from(row)?.state)).collect()
}

/// Refuses a mutation whose caller's session has ended meanwhile, and holds the
/// session as it is until the mutation has committed.
pub(super) async fn session_still_stands(tx: &mut Tx, session: SessionId) -> Result<()> {
    tx.lock(Lock::SessionShared, session.as_bytes()).await?;
    match session_by_id(tx.conn()?, session).await? {
        Some(found) if !found.state.revoked => Ok(()),
        _ => Err(Refusal::session_revoked().into()),
    }
}
