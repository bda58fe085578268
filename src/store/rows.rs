//! From columns to the domain's types and back.

use super::Error;
use crate::domain::address::Networks;
use crate::domain::{Digest, Permissions, Timestamp};

/// What a column holds cannot be read: nothing is known then.
pub fn corrupt(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable(error.into())
}

/// Sixteen bytes of an identifier.
pub fn id(bytes: &[u8]) -> Result<[u8; 16], Error> {
    bytes.try_into().map_err(corrupt)
}

/// Thirty-two bytes of a digest.
pub fn digest(bytes: &[u8]) -> Result<Digest, Error> {
    Digest::from_slice(bytes).ok_or_else(|| corrupt("a digest of another length"))
}

/// A text that the domain reads.
pub fn text<T>(text: &str) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(corrupt)
}

/// Permissions by name; `*` is no narrowing.
pub fn scopes(names: &str) -> Result<Permissions, Error> {
    if names == "*" { Ok(Permissions::ALL) } else { Permissions::from_names(names).map_err(corrupt) }
}

/// The reverse of [`scopes`].
pub fn scope_names(scopes: Permissions) -> String {
    if scopes == Permissions::ALL { "*".into() } else { scopes.to_names() }
}

/// Networks, separated by spaces.
pub fn networks(texts: &str) -> Result<Networks, Error> {
    Networks::parse(texts.split_ascii_whitespace()).map_err(corrupt)
}

/// The reverse of [`networks`].
pub fn network_texts(networks: &Networks) -> String {
    networks.to_texts().join(" ")
}

/// A count that fits.
pub fn count(number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(corrupt)
}

/// A point in time.
pub const fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}
