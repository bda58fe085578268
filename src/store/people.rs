//! What logging in looks at and leaves behind: passwords, known devices,
//! links that were mailed, and logins that wait for their second factor.

use super::lock::Lock;
use super::query::RunQueryDsl;
use super::rows::{digest, id, text, time};
use super::schema::{challenges, devices, mailed_tokens, members, tenants, users};
use super::when::when;
use super::{Across, Conn, Result, Store, Tx};
use crate::domain::roles::Assigned;
use crate::domain::users::Email;
use crate::domain::{Digest, TenantId, Timestamp, UserId};
use diesel::prelude::*;

/// Devices that are known of a person at a time; the one that was away for
/// longest is forgotten for another.
const MAX_DEVICES: i64 = 50;

/// A person, as their login finds them.
#[derive(Clone)]
pub struct Person {
    /// The person.
    pub id: UserId,
    /// The address.
    pub email: Email,
    /// The hash of the password; none until they have set one.
    pub password_hash: Option<String>,
    /// Whether everything of theirs is refused.
    pub disabled: bool,
    /// Whether the address is known to be theirs.
    pub email_verified: bool,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Person({})", self.id)
    }
}

type PersonRow = (Vec<u8>, String, Option<String>, bool, bool);

const PERSON: (users::id, users::email, users::password_hash, users::disabled, users::email_verified) =
    (users::id, users::email, users::password_hash, users::disabled, users::email_verified);

fn person((bytes, email, password_hash, disabled, email_verified): PersonRow) -> Result<Person> {
    Ok(Person {
        id: UserId::from_bytes(id(&bytes)?),
        email: text(&email)?,
        password_hash,
        disabled,
        email_verified,
    })
}

/// The person of that address.
pub async fn person_by_email(conn: &mut Conn, email: &Email) -> Result<Option<Person>> {
    let row: Option<PersonRow> =
        users::table.filter(users::email.eq(email.as_str())).select(PERSON).first(conn).await.optional()?;
    row.map(person).transpose()
}

/// A person.
pub async fn person_by_id(conn: &mut Conn, user: UserId) -> Result<Option<Person>> {
    let row: Option<PersonRow> =
        users::table.find(user.as_bytes().to_vec()).select(PERSON).first(conn).await.optional()?;
    row.map(person).transpose()
}

/// A person, held as they are until the transaction ends: whoever changes the
/// password waits, or has changed it.
pub async fn person_held(tx: &mut Tx, user: UserId) -> Result<Option<Person>> {
    tx.lock(Lock::PersonShared, user.as_bytes()).await?;
    person_by_id(tx.conn()?, user).await
}

/// Sets a person's password, if it is still the one that was read.
pub async fn password_replace(tx: &mut Tx, user: UserId, before: Option<&str>, hash: &str) -> Result<bool> {
    let place = users::table
        .find(user.as_bytes().to_vec())
        .filter(when(before.map(|before| users::password_hash.eq(before.to_owned()))));
    Ok(diesel::update(place).set(users::password_hash.eq(hash)).execute(tx.conn()?).await? == 1)
}

/// A person's address is known to be theirs.
pub async fn email_verified(tx: &mut Tx, user: UserId, email: &Email) -> Result<bool> {
    let place = users::table.find(user.as_bytes().to_vec()).filter(users::email.eq(email.as_str()));
    Ok(diesel::update(place).set(users::email_verified.eq(true)).execute(tx.conn()?).await? == 1)
}

/// The tenants that a person belongs to and that are not deleted, the one that they joined first coming first.
pub async fn memberships(conn: &mut Conn, user: UserId, most: i64) -> Result<Vec<(TenantId, Assigned)>> {
    let rows: Vec<(Vec<u8>, String)> = members::table
        .inner_join(tenants::table)
        .filter(members::user_id.eq(user.as_bytes().to_vec()))
        .filter(tenants::delete_time.is_null())
        .order((members::create_time, members::tenant_id))
        .limit(most)
        .select((members::tenant_id, members::role))
        .load(conn)
        .await?;
    rows.iter().map(|(tenant, role)| Ok((TenantId::from_bytes(id(tenant)?), text(role)?))).collect()
}

/// As what a person belongs to a tenant, if they do.
pub async fn membership(conn: &mut Conn, tenant: TenantId, user: UserId) -> Result<Option<Assigned>> {
    super::members::member_by_id(conn, tenant, user).await
}

/// The same, inside the transaction that relies on it.
pub async fn is_member(tx: &mut Tx, tenant: TenantId, user: UserId) -> Result<bool> {
    Ok(membership(tx.conn()?, tenant, user).await?.is_some())
}

/// Whether a device is one that the person has logged in from.
pub async fn device_is_known(conn: &mut Conn, user: UserId, device: Digest) -> Result<bool> {
    let place =
        devices::table.find(device.to_bytes().to_vec()).filter(devices::user_id.eq(user.as_bytes().to_vec()));
    let found: i64 = place.count().get_result(conn).await?;
    Ok(found == 1)
}

/// The person has logged in from this device.
pub async fn device_seen(tx: &mut Tx, user: UserId, device: Digest) -> Result<()> {
    let (bytes, owner, now) = (device.to_bytes().to_vec(), user.as_bytes().to_vec(), tx.time().micros());
    let row =
        (devices::digest.eq(bytes.clone()), devices::user_id.eq(owner.clone()), devices::last_seen.eq(now));
    diesel::insert_into(devices::table)
        .values(row)
        .on_conflict(devices::digest)
        .do_update()
        .set(devices::last_seen.eq(now))
        .execute(tx.conn()?)
        .await?;
    let kept = devices::table
        .filter(devices::user_id.eq(owner.clone()))
        .order(devices::last_seen.desc())
        .limit(MAX_DEVICES)
        .select(devices::digest);
    let kept: Vec<Vec<u8>> = kept.load(tx.conn()?).await?;
    let forgotten = devices::table.filter(devices::user_id.eq(owner)).filter(devices::digest.ne_all(kept));
    diesel::delete(forgotten).execute(tx.conn()?).await?;
    Ok(())
}

/// No device is known of the person any more.
pub async fn devices_forget(tx: &mut Tx, user: UserId) -> Result<()> {
    let place = devices::table.filter(devices::user_id.eq(user.as_bytes().to_vec()));
    diesel::delete(place).execute(tx.conn()?).await?;
    Ok(())
}

/// What a link that was mailed is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Setting the password anew.
    Reset,
    /// Showing that the address is theirs.
    Verification,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verification => "verification",
        }
    }
}

/// A link was mailed; earlier ones of the same purpose end.
pub async fn mailed_insert(
    tx: &mut Tx,
    token: Digest,
    user: UserId,
    purpose: Purpose,
    email: &Email,
    expire: Timestamp,
) -> Result<()> {
    mailed_forget(tx, user, purpose).await?;
    let row = (
        mailed_tokens::digest.eq(token.to_bytes().to_vec()),
        mailed_tokens::user_id.eq(user.as_bytes().to_vec()),
        mailed_tokens::purpose.eq(purpose.name()),
        mailed_tokens::email.eq(email.as_str()),
        mailed_tokens::expire_time.eq(expire.micros()),
    );
    diesel::insert_into(mailed_tokens::table).values(row).execute(tx.conn()?).await?;
    Ok(())
}

/// Takes a link's token: whose it is, if it is good; nobody gets it again.
pub async fn mailed_take(tx: &mut Tx, token: Digest, purpose: Purpose) -> Result<Option<(UserId, Email)>> {
    let place = || {
        mailed_tokens::table.find(token.to_bytes().to_vec()).filter(mailed_tokens::purpose.eq(purpose.name()))
    };
    let found: Option<(Vec<u8>, String, i64)> = place()
        .select((mailed_tokens::user_id, mailed_tokens::email, mailed_tokens::expire_time))
        .first(tx.conn()?)
        .await
        .optional()?;
    let Some((user, email, expire)) = found else { return Ok(None) };
    let taken = diesel::delete(place()).execute(tx.conn()?).await?;
    if taken != 1 || time(expire) <= tx.time() {
        return Ok(None);
    }
    Ok(Some((UserId::from_bytes(id(&user)?), text(&email)?)))
}

/// Whose link it is, if there is such; it stays as it is.
pub async fn mailed_owner(conn: &mut Conn, token: Digest, purpose: Purpose) -> Result<Option<UserId>> {
    let place = mailed_tokens::table
        .find(token.to_bytes().to_vec())
        .filter(mailed_tokens::purpose.eq(purpose.name()));
    let found: Option<Vec<u8>> = place.select(mailed_tokens::user_id).first(conn).await.optional()?;
    found.map(|user| Ok(UserId::from_bytes(id(&user)?))).transpose()
}

/// Links of this purpose that were mailed to a person end.
pub async fn mailed_forget(tx: &mut Tx, user: UserId, purpose: Purpose) -> Result<()> {
    let place = mailed_tokens::table
        .filter(mailed_tokens::user_id.eq(user.as_bytes().to_vec()))
        .filter(mailed_tokens::purpose.eq(purpose.name()));
    diesel::delete(place).execute(tx.conn()?).await?;
    Ok(())
}

/// Clears away links that nobody followed in time.
pub async fn mailed_sweep(store: &Store, now: Timestamp) -> Result<usize> {
    let over = mailed_tokens::table.filter(mailed_tokens::expire_time.lt(now.micros()));
    store.in_bulk(Across::Jobs, async |conn| Ok(diesel::delete(over).execute(conn).await?)).await
}

/// A login that waits for its second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// Who.
    pub user: UserId,
    /// The tenant that they log in to.
    pub tenant: TenantId,
    /// The device, if it is one that they have logged in from before.
    pub device: Option<Digest>,
    /// Until when it waits.
    pub expire: Timestamp,
}

impl Store {
    /// A login waits from now on. Logins that waited in vain are cleared away.
    pub async fn challenge_insert(&self, token: Digest, waiting: Challenge, now: Timestamp) -> Result<()> {
        let over = challenges::table.filter(challenges::expire_time.lt(now.micros()));
        let row = (
            challenges::digest.eq(token.to_bytes().to_vec()),
            challenges::user_id.eq(waiting.user.as_bytes().to_vec()),
            challenges::tenant_id.eq(waiting.tenant.as_bytes().to_vec()),
            challenges::device.eq(waiting.device.map(|device| device.to_bytes().to_vec())),
            challenges::expire_time.eq(waiting.expire.micros()),
        );
        self.in_bulk(Across::People, async |conn| {
            diesel::delete(over).execute(conn).await?;
            diesel::insert_into(challenges::table).values(row).execute(conn).await?;
            Ok(())
        })
        .await
    }
}

/// A login that waits.
pub async fn challenge_by_digest(conn: &mut Conn, token: Digest) -> Result<Option<Challenge>> {
    type Found = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, i64);
    let found: Option<Found> = challenges::table
        .find(token.to_bytes().to_vec())
        .select((challenges::user_id, challenges::tenant_id, challenges::device, challenges::expire_time))
        .first(conn)
        .await
        .optional()?;
    let Some((user, tenant, device, expire)) = found else { return Ok(None) };
    Ok(Some(Challenge {
        user: UserId::from_bytes(id(&user)?),
        tenant: TenantId::from_bytes(id(&tenant)?),
        device: device.as_deref().map(digest).transpose()?,
        expire: time(expire),
    }))
}

/// A login no longer waits; false if it did not.
pub async fn challenge_delete(tx: &mut Tx, token: Digest) -> Result<bool> {
    let place = challenges::table.find(token.to_bytes().to_vec());
    Ok(diesel::delete(place).execute(tx.conn()?).await? == 1)
}

/// No login of the person waits any more.
pub async fn challenges_forget(tx: &mut Tx, user: UserId) -> Result<()> {
    let place = challenges::table.filter(challenges::user_id.eq(user.as_bytes().to_vec()));
    diesel::delete(place).execute(tx.conn()?).await?;
    Ok(())
}
