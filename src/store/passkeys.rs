//! Passkeys in the database, and the challenges that were used.

use super::query::RunQueryDsl;
use super::rows::{count, id, time};
use super::schema::{backup_codes, passkeys, totp_factors, used_challenges, users};
use super::{Conn, Error, Result, Tx};
use crate::domain::passkeys::{MAX_PASSKEYS, Passkey};
use crate::domain::{Digest, PasskeyId, Timestamp, UserId};
use diesel::prelude::*;

/// What a passkey's signature is verified by.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The passkey.
    pub passkey: PasskeyId,
    /// Whose it is.
    pub user: UserId,
    /// What authenticators know it by.
    pub credential_id: Vec<u8>,
    /// The public key, as the authenticator wrote it.
    pub public_key: Vec<u8>,
    /// How often it has signed; 0 if it does not count.
    pub counter: u32,
    /// Whether it can be on several devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.passkey)
    }
}

/// What a person's second factor can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enrolled {
    /// An authenticator that counts.
    pub totp: bool,
    /// Backup codes that are left.
    pub backup_codes: bool,
    /// The credential ids of their passkeys.
    pub passkeys: Vec<Vec<u8>>,
}

impl Enrolled {
    /// Whether a login asks for a second factor. Backup codes stand in for one
    /// and are none.
    pub const fn is_some(&self) -> bool {
        self.totp || !self.passkeys.is_empty()
    }
}

type PasskeyRow = (Vec<u8>, String, bool, i64, Option<i64>);
type CredentialRow = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, bool, bool);

/// The passkey that authenticators know by this id.
pub async fn credential_by_id(conn: &mut Conn, credential_id: &[u8]) -> Result<Option<Credential>> {
    let found: Option<CredentialRow> = passkeys::table
        .filter(passkeys::credential_id.eq(credential_id.to_vec()))
        .select((
            passkeys::id,
            passkeys::user_id,
            passkeys::credential_id,
            passkeys::public_key,
            passkeys::counter,
            passkeys::backup_eligible,
            passkeys::backed_up,
        ))
        .first(conn)
        .await
        .optional()?;
    let Some((passkey, user, credential_id, public_key, signed, backup_eligible, backed_up)) = found else {
        return Ok(None);
    };
    Ok(Some(Credential {
        passkey: PasskeyId::from_bytes(id(&passkey)?),
        user: UserId::from_bytes(id(&user)?),
        credential_id,
        public_key,
        counter: count(signed)?,
        backup_eligible,
        backed_up,
    }))
}

/// A person's passkeys, the oldest first.
pub async fn passkeys_of(conn: &mut Conn, user: UserId) -> Result<Vec<Passkey>> {
    let rows: Vec<PasskeyRow> = passkeys::table
        .filter(passkeys::user_id.eq(user.as_bytes().to_vec()))
        .order(passkeys::id)
        .select((
            passkeys::id,
            passkeys::display_name,
            passkeys::backed_up,
            passkeys::create_time,
            passkeys::last_used,
        ))
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(row, name, backed_up, create_time, last_used)| {
            let id = PasskeyId::from_bytes(id(&row)?);
            let (create_time, last_used) = (time(create_time), last_used.map(time));
            Ok(Passkey { id, name, backed_up, create_time, last_used })
        })
        .collect()
}

/// What a person's second factor can be.
pub async fn enrolled(conn: &mut Conn, user: UserId) -> Result<Enrolled> {
    let owner = user.as_bytes().to_vec();
    let totp: i64 = totp_factors::table
        .find(owner.clone())
        .filter(totp_factors::confirmed.eq(true))
        .count()
        .get_result(conn)
        .await?;
    let codes: i64 =
        backup_codes::table.filter(backup_codes::user_id.eq(owner.clone())).count().get_result(conn).await?;
    let passkeys: Vec<Vec<u8>> = passkeys::table
        .filter(passkeys::user_id.eq(owner))
        .order(passkeys::id)
        .select(passkeys::credential_id)
        .load(conn)
        .await?;
    Ok(Enrolled { totp: totp == 1, backup_codes: codes > 0, passkeys })
}

/// The same where it is about to be changed: until the transaction ends, nobody
/// else comes this far for the same person.
pub async fn enrolled_for_update(tx: &mut Tx, user: UserId) -> Result<Enrolled> {
    let place = users::table.find(user.as_bytes().to_vec());
    // Sets it to what it is: the row is locked, on both databases.
    let locked = diesel::update(place).set(users::version.eq(users::version)).execute(tx.conn()?).await?;
    if locked != 1 {
        return Err(Error::Dangling);
    }
    enrolled(tx.conn()?, user).await
}

/// Adds a passkey.
///
/// # Errors
/// [`Error::Conflict`] if its credential is registered already, by whomever.
pub async fn passkey_insert(tx: &mut Tx, credential: &Credential, name: &str) -> Result<()> {
    let row = (
        passkeys::id.eq(credential.passkey.as_bytes().to_vec()),
        passkeys::user_id.eq(credential.user.as_bytes().to_vec()),
        passkeys::credential_id.eq(credential.credential_id.clone()),
        passkeys::public_key.eq(credential.public_key.clone()),
        passkeys::counter.eq(i64::from(credential.counter)),
        passkeys::backup_eligible.eq(credential.backup_eligible),
        passkeys::backed_up.eq(credential.backed_up),
        passkeys::display_name.eq(name),
        passkeys::create_time.eq(tx.time().micros()),
    );
    diesel::insert_into(passkeys::table).values(row).execute(tx.conn()?).await?;
    Ok(())
}

/// A passkey has signed. False if it is gone, or has signed as often before,
/// or more often: then there are two of it, or an old answer came again.
pub async fn passkey_used(
    tx: &mut Tx,
    passkey: PasskeyId,
    user: UserId,
    counter: u32,
    backed_up: bool,
) -> Result<bool> {
    let (signed, at) = (i64::from(counter), tx.time().micros());
    // One that does not count has 0 before and after (§6.1.1).
    let forward = passkeys::counter.lt(signed).or(passkeys::counter.eq(0).and(passkeys::counter.eq(signed)));
    let place = passkeys::table
        .find(passkey.as_bytes().to_vec())
        .filter(passkeys::user_id.eq(user.as_bytes().to_vec()))
        .filter(forward);
    let set =
        (passkeys::counter.eq(signed), passkeys::backed_up.eq(backed_up), passkeys::last_used.eq(Some(at)));
    Ok(diesel::update(place).set(set).execute(tx.conn()?).await? == 1)
}

/// Removes one of a person's passkeys; false if they have no such.
pub async fn passkey_delete(tx: &mut Tx, passkey: PasskeyId, user: UserId) -> Result<bool> {
    let place = passkeys::table
        .find(passkey.as_bytes().to_vec())
        .filter(passkeys::user_id.eq(user.as_bytes().to_vec()));
    Ok(diesel::delete(place).execute(tx.conn()?).await? == 1)
}

/// Takes a challenge: true for exactly one of those who answer it. Those that
/// could not be answered any more are cleared away.
pub async fn challenge_use(tx: &mut Tx, challenge: Digest, expire: Timestamp) -> Result<bool> {
    let over = used_challenges::table.filter(used_challenges::expire_time.lt(tx.time().micros()));
    diesel::delete(over).execute(tx.conn()?).await?;
    let row = (
        used_challenges::digest.eq(challenge.to_bytes().to_vec()),
        used_challenges::expire_time.eq(expire.micros()),
    );
    let added = diesel::insert_into(used_challenges::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(tx.conn()?)
        .await?;
    Ok(added == 1)
}

/// Whether one more passkey would be too many.
pub fn is_full(enrolled: &Enrolled) -> bool {
    enrolled.passkeys.len() >= MAX_PASSKEYS
}
