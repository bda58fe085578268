//! Second factors in the database: authenticators and backup codes.

use super::query::RunQueryDsl;
use super::schema::{backup_codes, totp_factors};
use super::{Conn, Result, Tx};
use crate::domain::{Digest, UserId};
use diesel::prelude::*;

/// A person's authenticator.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpFactor {
    /// The secret, sealed.
    pub secret: Vec<u8>,
    /// Whether a code has confirmed it; until then it counts for nothing.
    pub confirmed: bool,
    /// The last step of which a code was accepted.
    pub last_step: i64,
}

impl std::fmt::Debug for TotpFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TotpFactor(confirmed: {}, last_step: {})", self.confirmed, self.last_step)
    }
}

/// A person's authenticator, if they have one.
pub async fn totp(conn: &mut Conn, user: UserId) -> Result<Option<TotpFactor>> {
    let found: Option<(Vec<u8>, bool, i64)> = totp_factors::table
        .find(user.as_bytes().to_vec())
        .select((totp_factors::secret, totp_factors::confirmed, totp_factors::last_step))
        .first(conn)
        .await
        .optional()?;
    Ok(found.map(|(secret, confirmed, last_step)| TotpFactor { secret, confirmed, last_step }))
}

/// Begins an enrolment, in place of one that was not confirmed; false if there
/// is an authenticator that counts.
pub async fn totp_enroll(tx: &mut Tx, user: UserId, secret: &[u8]) -> Result<bool> {
    let owner = user.as_bytes().to_vec();
    let waiting = totp_factors::table.find(owner.clone()).filter(totp_factors::confirmed.eq(false));
    diesel::delete(waiting).execute(tx.conn()?).await?;
    let row = (
        totp_factors::user_id.eq(owner),
        totp_factors::secret.eq(secret),
        totp_factors::confirmed.eq(false),
        totp_factors::last_step.eq(0_i64),
        totp_factors::create_time.eq(tx.time().micros()),
    );
    let added = diesel::insert_into(totp_factors::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(tx.conn()?)
        .await?;
    Ok(added == 1)
}

/// A code of that step was given: true for exactly one of those who say so.
pub async fn totp_accept(tx: &mut Tx, user: UserId, step: i64) -> Result<bool> {
    let place = totp_factors::table.find(user.as_bytes().to_vec()).filter(totp_factors::last_step.lt(step));
    Ok(diesel::update(place).set(totp_factors::last_step.eq(step)).execute(tx.conn()?).await? == 1)
}

/// The authenticator counts from now on; false if it did before.
pub async fn totp_confirm(tx: &mut Tx, user: UserId) -> Result<bool> {
    let place = totp_factors::table.find(user.as_bytes().to_vec()).filter(totp_factors::confirmed.eq(false));
    Ok(diesel::update(place).set(totp_factors::confirmed.eq(true)).execute(tx.conn()?).await? == 1)
}

/// The person has no authenticator any more.
pub async fn totp_delete(tx: &mut Tx, user: UserId) -> Result<bool> {
    let place = totp_factors::table.find(user.as_bytes().to_vec());
    Ok(diesel::delete(place).execute(tx.conn()?).await? == 1)
}

/// Puts these codes in the place of all others.
pub async fn backup_codes_replace(tx: &mut Tx, user: UserId, codes: &[Digest]) -> Result<()> {
    let owner = user.as_bytes().to_vec();
    diesel::delete(backup_codes::table.filter(backup_codes::user_id.eq(owner.clone())))
        .execute(tx.conn()?)
        .await?;
    for code in codes {
        let row =
            (backup_codes::user_id.eq(owner.clone()), backup_codes::digest.eq(code.to_bytes().to_vec()));
        diesel::insert_into(backup_codes::table).values(row).execute(tx.conn()?).await?;
    }
    Ok(())
}

/// Takes a backup code: true for exactly one of those who have it.
pub async fn backup_code_take(tx: &mut Tx, user: UserId, code: Digest) -> Result<bool> {
    let place = backup_codes::table.find((user.as_bytes().to_vec(), code.to_bytes().to_vec()));
    Ok(diesel::delete(place).execute(tx.conn()?).await? == 1)
}
