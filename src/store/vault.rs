//! Everything in the database that hangs from the root key, wherever it lies.
//!
//! # Invariants
//! Each column that `secret::Sealer` seals for is one of [`SealedColumn`]: a
//! rotation of the root key passes by what is not named here.

use super::query::RunQueryDsl;
use super::rows::corrupt;
use super::schema::{instance, provider_keys, signing_keys, totp_factors};
use super::{Conn, Result, Tx};
use diesel::prelude::*;

/// A column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedColumn {
    /// What authenticators share with Doorward.
    TotpFactors,
    /// Private halves of what tokens are signed with.
    SigningKeys,
    /// Keys with other providers.
    ProviderKeys,
    /// What audit logs are signed with; one row.
    AuditKey,
}

/// The name of the one row of [`SealedColumn::AuditKey`].
const AUDIT_KEY: &str = "audit_key";

impl SealedColumn {
    /// Every column.
    pub const ALL: [Self; 4] = [Self::TotpFactors, Self::SigningKeys, Self::ProviderKeys, Self::AuditKey];

    /// Table and column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TotpFactors => "totp_factors.secret",
            Self::SigningKeys => "signing_keys.private",
            Self::ProviderKeys => "provider_keys.secret",
            Self::AuditKey => "instance.audit_key",
        }
    }
}

/// A sealed value and its row's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedValue {
    /// The row's primary key, as bytes.
    pub row: Vec<u8>,
    /// The value.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedValue").finish_non_exhaustive()
    }
}

/// The next values of a column by their row's key, `most` at most; none after the last.
pub async fn sealed_page(
    conn: &mut Conn,
    column: SealedColumn,
    after: &[u8],
    most: i64,
) -> Result<Vec<SealedValue>> {
    let bytes = |(row, sealed): (Vec<u8>, Vec<u8>)| SealedValue { row, sealed };
    let text = |(row, sealed): (String, Vec<u8>)| SealedValue { row: row.into_bytes(), sealed };
    Ok(match column {
        SealedColumn::TotpFactors => {
            let next = totp_factors::table.filter(totp_factors::user_id.gt(after.to_vec()));
            let next = next.order(totp_factors::user_id).limit(most);
            let values = next.select((totp_factors::user_id, totp_factors::secret)).load(conn).await?;
            values.into_iter().map(bytes).collect()
        }
        SealedColumn::SigningKeys => {
            let next = signing_keys::table.filter(signing_keys::kid.gt(kid(after)?.to_owned()));
            let next = next.order(signing_keys::kid).limit(most);
            let values = next.select((signing_keys::kid, signing_keys::private)).load(conn).await?;
            values.into_iter().map(text).collect()
        }
        SealedColumn::ProviderKeys => {
            let next = provider_keys::table.filter(provider_keys::id.gt(after.to_vec()));
            let next = next.order(provider_keys::id).limit(most);
            let values = next.select((provider_keys::id, provider_keys::secret)).load(conn).await?;
            values.into_iter().map(bytes).collect()
        }
        SealedColumn::AuditKey => {
            let next = instance::table.filter(instance::name.gt(kid(after)?.to_owned()));
            let next = next.filter(instance::name.eq(AUDIT_KEY)).limit(most);
            let values = next.select((instance::name, instance::value)).load(conn).await?;
            values.into_iter().map(text).collect()
        }
    })
}

/// Puts a value in the place of the one that was read; false if that is not
/// there any more: somebody has set another meanwhile.
pub async fn sealed_replace(
    tx: &mut Tx,
    column: SealedColumn,
    before: &SealedValue,
    after: &[u8],
) -> Result<bool> {
    let (row, was) = (&before.row, &before.sealed);
    let replaced = match column {
        SealedColumn::TotpFactors => {
            let place = totp_factors::table.find(row.clone()).filter(totp_factors::secret.eq(was));
            diesel::update(place).set(totp_factors::secret.eq(after)).execute(tx.conn()?).await?
        }
        SealedColumn::SigningKeys => {
            let place = signing_keys::table.find(kid(row)?).filter(signing_keys::private.eq(was));
            diesel::update(place).set(signing_keys::private.eq(after)).execute(tx.conn()?).await?
        }
        SealedColumn::ProviderKeys => {
            let place = provider_keys::table.find(row.clone()).filter(provider_keys::secret.eq(was));
            diesel::update(place).set(provider_keys::secret.eq(after)).execute(tx.conn()?).await?
        }
        SealedColumn::AuditKey => {
            let place = instance::table.find(kid(row)?).filter(instance::value.eq(was));
            diesel::update(place).set(instance::value.eq(after)).execute(tx.conn()?).await?
        }
    };
    Ok(replaced == 1)
}

fn kid(row: &[u8]) -> Result<&str> {
    std::str::from_utf8(row).map_err(corrupt)
}
