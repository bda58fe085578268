//! The keys that tokens are signed with, their private halves sealed.

use super::query::RunQueryDsl;
use super::rows::corrupt;
use super::schema::signing_keys;
use super::{Conn, Result, Tx};
use crate::domain::changes::Change;
use crate::domain::signing::{Kid, SigningKeyState};
use diesel::prelude::*;

/// Keys that are kept; older ones have long retired.
const MOST: i64 = 100;

/// Adds a key.
pub async fn signing_key_insert(tx: &mut Tx, state: &SigningKeyState, private: &[u8]) -> Result<()> {
    let row = (
        signing_keys::kid.eq(state.kid.as_str()),
        signing_keys::state.eq(serde_json::to_string(state).map_err(corrupt)?),
        signing_keys::private.eq(private),
        signing_keys::create_time.eq(tx.time().micros()),
        signing_keys::withdrawn.eq(state.withdrawn),
    );
    diesel::insert_into(signing_keys::table).values(row).execute(tx.conn()?).await?;
    tx.record(Change::SigningKey(state.clone()));
    Ok(())
}

/// Replaces what is known of a key; false if there is no such.
pub async fn signing_key_replace(tx: &mut Tx, state: &SigningKeyState) -> Result<bool> {
    let set = (
        signing_keys::state.eq(serde_json::to_string(state).map_err(corrupt)?),
        signing_keys::withdrawn.eq(state.withdrawn),
    );
    let place = signing_keys::table.find(state.kid.as_str());
    let replaced = diesel::update(place).set(set).execute(tx.conn()?).await?;
    tx.record(Change::SigningKey(state.clone()));
    Ok(replaced == 1)
}

/// Every key, the newest first, as read where one may be added.
pub async fn signing_keys_for_update(tx: &mut Tx) -> Result<Vec<SigningKeyState>> {
    all(tx.conn()?).await
}

/// A key's sealed private half.
pub async fn signing_key_private(conn: &mut Conn, kid: &Kid) -> Result<Option<Vec<u8>>> {
    let found = signing_keys::table.find(kid.as_str()).select(signing_keys::private);
    Ok(found.first(conn).await.optional()?)
}

/// Every key, the newest first.
pub(super) async fn all(conn: &mut Conn) -> Result<Vec<SigningKeyState>> {
    let texts: Vec<String> = signing_keys::table
        .order(signing_keys::create_time.desc())
        .limit(MOST)
        .select(signing_keys::state)
        .load(conn)
        .await?;
    texts.iter().map(|text| serde_json::from_str(text).map_err(corrupt)).collect()
}
