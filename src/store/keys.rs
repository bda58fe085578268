//! API keys in the database.

use super::lock::Lock;
use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, count, digest, id, network_texts, networks, scope_names, scopes, text, time};
use super::schema::{api_key_uses, api_keys, requests};
use super::snapshot::BATCH;
use super::when::when;
use super::{Across, Conn, Error, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::keys::{Environment, Key, KeyKind, KeyState, Previous};
use crate::domain::paging::Page;
use crate::domain::{KeyId, TenantId, Timestamp, UserId};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool};
use diesel::upsert::excluded;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = api_keys, treat_none_as_null = true)]
pub(super) struct Row {
    pub(super) id: Vec<u8>,
    tenant_id: Vec<u8>,
    kind: String,
    user_id: Option<Vec<u8>>,
    environment: String,
    scopes: String,
    digest: Vec<u8>,
    imported: bool,
    previous_digest: Option<Vec<u8>>,
    previous_until: Option<i64>,
    networks: String,
    per_minute: i64,
    expire_time: Option<i64>,
    display_name: String,
    prefix: String,
    created_by: String,
    create_time: i64,
    update_time: i64,
    revoke_time: Option<i64>,
    version: i64,
}

impl From<&Key> for Row {
    fn from(key: &Key) -> Self {
        let state = &key.state;
        Self {
            id: state.id.as_bytes().to_vec(),
            tenant_id: state.tenant.as_bytes().to_vec(),
            kind: state.kind.name().into(),
            user_id: state.user.map(|user| user.as_bytes().to_vec()),
            environment: state.environment.name().into(),
            scopes: scope_names(state.scopes),
            digest: state.digest.to_bytes().to_vec(),
            imported: state.imported,
            previous_digest: state.previous.map(|previous| previous.digest.to_bytes().to_vec()),
            previous_until: state.previous.map(|previous| previous.until.micros()),
            networks: network_texts(&state.networks),
            per_minute: state.per_minute.into(),
            expire_time: state.expire.map(Timestamp::micros),
            display_name: key.display_name.as_str().into(),
            prefix: key.prefix.clone(),
            created_by: key.created_by.clone(),
            create_time: key.create_time.micros(),
            update_time: key.update_time.micros(),
            revoke_time: key.revoke_time.map(Timestamp::micros),
            version: key.version,
        }
    }
}

impl TryFrom<Row> for Key {
    type Error = Error;
    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            display_name: text(&row.display_name)?,
            prefix: row.prefix.clone(),
            created_by: row.created_by.clone(),
            create_time: time(row.create_time),
            update_time: time(row.update_time),
            revoke_time: row.revoke_time.map(time),
            version: row.version,
            state: state(&row)?,
        })
    }
}

pub(super) fn state(row: &Row) -> Result<KeyState> {
    let previous = match (&row.previous_digest, row.previous_until) {
        (Some(bytes), Some(until)) => Some(Previous { digest: digest(bytes)?, until: time(until) }),
        _ => None,
    };
    Ok(KeyState {
        id: KeyId::from_bytes(id(&row.id)?),
        tenant: TenantId::from_bytes(id(&row.tenant_id)?),
        kind: KeyKind::named(&row.kind).ok_or_else(|| corrupt("a key of an unknown kind"))?,
        user: row.user_id.as_deref().map(id).transpose()?.map(UserId::from_bytes),
        environment: Environment::named(&row.environment).ok_or_else(|| corrupt("an unknown environment"))?,
        scopes: scopes(&row.scopes)?,
        digest: digest(&row.digest)?,
        imported: row.imported,
        previous,
        networks: networks(&row.networks)?,
        per_minute: count(row.per_minute)?,
        expire: row.expire_time.map(time),
        revoked: row.revoke_time.is_some(),
    })
}

/// Which keys of a tenant are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyFilter {
    /// Only this person's.
    pub user: Option<UserId>,
    /// Only of this kind.
    pub kind: Option<KeyKind>,
    /// Only of this environment.
    pub environment: Option<Environment>,
    /// Whether revoked ones are listed too.
    pub revoked: bool,
}

/// Adds a key.
///
/// # Errors
/// [`Error::Conflict`] if a key of that digest is there, in whatever tenant.
pub async fn key_insert(tx: &mut Tx, key: &Key) -> Result<()> {
    diesel::insert_into(api_keys::table).values(Row::from(key)).execute(tx.conn()?).await?;
    tx.record(Change::Key(Box::new(key.state.clone())));
    Ok(())
}

/// Replaces a key whose version is still the one before.
/// False if it is not: somebody else was quicker.
pub async fn key_replace(tx: &mut Tx, key: &Key) -> Result<bool> {
    let place = api_keys::table
        .find(key.state.id.as_bytes().to_vec())
        .filter(api_keys::tenant_id.eq(key.state.tenant.as_bytes().to_vec()))
        .filter(api_keys::version.eq(key.version - 1));
    let replaced = diesel::update(place).set(Row::from(key)).execute(tx.conn()?).await?;
    tx.record(Change::Key(Box::new(key.state.clone())));
    Ok(replaced == 1)
}

/// Revokes every key of a person in a tenant; gives how many.
pub async fn keys_revoke_of(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<usize> {
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(api_keys::user_id.eq(user.as_bytes().to_vec()))
        .filter(api_keys::revoke_time.is_null())
        .select(Row::columns())
        .load(tx.conn()?)
        .await?;
    let at = tx.time().micros();
    let place = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(api_keys::user_id.eq(user.as_bytes().to_vec()))
        .filter(api_keys::revoke_time.is_null());
    let set = (
        api_keys::revoke_time.eq(at),
        api_keys::update_time.eq(at),
        api_keys::version.eq(api_keys::version + 1),
    );
    let revoked = diesel::update(place).set(set).execute(tx.conn()?).await?;
    for row in &rows {
        tx.record(Change::Key(Box::new(KeyState { revoked: true, ..state(row)? })));
    }
    Ok(revoked)
}

/// Refuses unless the credential of whoever writes stands still, and sees to
/// it that it does until the commit: a revocation and what was done with the
/// key have an order.
pub(super) async fn key_still_stands(tx: &mut Tx, key: KeyId) -> Result<()> {
    #[derive(QueryableByName)]
    struct Revoked {
        #[diesel(sql_type = Bool)]
        revoked: bool,
    }
    let bytes = key.as_bytes().to_vec();
    let found: Vec<Revoked> = match tx.conn()? {
        Conn::Pg(c) => {
            let look = "SELECT revoke_time IS NOT NULL AS revoked FROM api_keys WHERE id = $1 FOR SHARE";
            diesel_async::RunQueryDsl::load(diesel::sql_query(look).bind::<Binary, _>(bytes), &mut **c)
                .await?
        }
        // The transaction is the only one that writes.
        Conn::Sqlite(c) => {
            let look = "SELECT revoke_time IS NOT NULL AS revoked FROM api_keys WHERE id = ?";
            diesel_async::RunQueryDsl::load(diesel::sql_query(look).bind::<Binary, _>(bytes), &mut **c)
                .await?
        }
    };
    match found.first() {
        Some(key) if !key.revoked => Ok(()),
        _ => Err(crate::domain::Refusal::invalid_api_key().into()),
    }
}

/// A tenant's key, read where it will be written. Whoever else would change it
/// waits, so that a revocation cannot lose a race.
pub async fn key_for_update(tx: &mut Tx, tenant: TenantId, key: KeyId) -> Result<Option<Key>> {
    tx.lock(Lock::Key, key.as_bytes()).await?;
    key_by_id(tx.conn()?, tenant, key).await
}

/// A tenant's key.
pub async fn key_by_id(conn: &mut Conn, tenant: TenantId, key: KeyId) -> Result<Option<Key>> {
    let row: Option<Row> = api_keys::table
        .find(key.as_bytes().to_vec())
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .select(Row::columns())
        .first(conn)
        .await
        .optional()?;
    row.map(Key::try_from).transpose()
}

/// A page of a tenant's keys, the newest first, and one more if there is more.
pub async fn key_page(conn: &mut Conn, tenant: TenantId, filter: KeyFilter, page: Page) -> Result<Vec<Key>> {
    let rows: Vec<Row> = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(when(filter.user.map(|user| api_keys::user_id.eq(user.as_bytes().to_vec()))))
        .filter(when(filter.kind.map(|kind| api_keys::kind.eq(kind.name()))))
        .filter(when(filter.environment.map(|environment| api_keys::environment.eq(environment.name()))))
        .filter(when((!filter.revoked).then(|| api_keys::revoke_time.is_null())))
        .filter(when(page.after.map(|after| api_keys::id.lt(after.to_vec()))))
        .order(api_keys::id.desc())
        .limit(i64::from(page.size) + 1)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.into_iter().map(Key::try_from).collect()
}

/// When each of these keys was last accepted, as far as it has been written.
pub async fn key_last_uses(conn: &mut Conn, keys: &[KeyId]) -> Result<Vec<(KeyId, Timestamp)>> {
    let ids: Vec<Vec<u8>> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
    let rows: Vec<(Vec<u8>, i64)> = api_key_uses::table
        .filter(api_key_uses::key_id.eq_any(ids))
        .select((api_key_uses::key_id, api_key_uses::last_used))
        .load(conn)
        .await?;
    rows.into_iter().map(|(key, used)| Ok((KeyId::from_bytes(id(&key)?), time(used)))).collect()
}

/// Remembers a request so that a retry of it does nothing twice.
///
/// Gives the target of the first request of that id, if this is not the first.
pub async fn request_once(
    tx: &mut Tx,
    tenant: TenantId,
    actor: &str,
    request_id: &str,
    target: &str,
) -> Result<Option<String>> {
    let place = (tenant.as_bytes().to_vec(), actor, request_id);
    let row = (
        requests::tenant_id.eq(tenant.as_bytes().to_vec()),
        requests::actor.eq(actor),
        requests::request_id.eq(request_id),
        requests::target.eq(target),
        requests::create_time.eq(tx.time().micros()),
    );
    let added =
        diesel::insert_into(requests::table).values(row).on_conflict_do_nothing().execute(tx.conn()?).await?;
    if added == 1 {
        return Ok(None);
    }
    Ok(requests::table.find(place).select(requests::target).first(tx.conn()?).await.optional()?)
}

/// Stamps written in one transaction.
const STAMPS: usize = 500;

/// Stamps keys as used. Outside the change log and the audit log: no view
/// needs it, and it is no mutation by anybody.
pub async fn keys_used(store: &super::Store, uses: Vec<(KeyId, Timestamp)>) -> Result<()> {
    for stamps in uses.chunks(STAMPS) {
        match store.in_bulk(Across::Jobs, async |conn| stamp(conn, stamps).await).await {
            // A key whose tenant was deleted meanwhile needs no stamp; the
            // others of the same transaction get theirs next time.
            Ok(()) | Err(Error::Dangling) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn stamp(conn: &mut Conn, stamps: &[(KeyId, Timestamp)]) -> Result<()> {
    for (key, used) in stamps {
        let row =
            (api_key_uses::key_id.eq(key.as_bytes().to_vec()), api_key_uses::last_used.eq(used.micros()));
        diesel::insert_into(api_key_uses::table)
            .values(row)
            .on_conflict(api_key_uses::key_id)
            .do_update()
            .set(api_key_uses::last_used.eq(excluded(api_key_uses::last_used)))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// How many of a tenant's keys are not revoked.
pub async fn key_count_of(tx: &mut Tx, tenant: TenantId) -> Result<i64> {
    let live = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(api_keys::revoke_time.is_null());
    Ok(live.count().get_result(tx.conn()?).await?)
}

pub(super) async fn count_live(conn: &mut Conn) -> Result<u64> {
    let count: i64 = api_keys::table.filter(api_keys::revoke_time.is_null()).count().get_result(conn).await?;
    u64::try_from(count).map_err(corrupt)
}

/// The next keys that are not revoked, of all or of one tenant; none after the last.
pub(super) async fn page_live(
    conn: &mut Conn,
    only: Option<TenantId>,
    after: Option<KeyId>,
) -> Result<Vec<KeyState>> {
    let rows: Vec<Row> = api_keys::table
        .filter(when(after.map(|after| api_keys::id.gt(after.as_bytes().to_vec()))))
        .filter(api_keys::revoke_time.is_null())
        .filter(when(only.map(|only| api_keys::tenant_id.eq(only.as_bytes().to_vec()))))
        .order(api_keys::id)
        .limit(BATCH)
        .select(Row::columns())
        .load(conn)
        .await?;
    rows.iter().map(state).collect()
}
