//! Envelope encryption of what Doorward must be able to read again: seeds of
//! second factors, private signing keys, secrets of identity providers.
//!
//! Every value has a data key of its own, which the root key wraps. To change
//! the root key, only the wrapped data keys are written anew. A value opens
//! only in the place that it was sealed for, so nobody who can write to the
//! database can move one tenant's secret into another's row.
//!
//! `sealed = version(1) root-key-id(8) length(2) wrapped-data-key payload`

mod kms;
mod root_key;

pub use kms::{DataKey, Kms};
pub use root_key::{BadRootKey, RootKey, RootKeyId};

use super::aead;
use crate::domain::{Entropy, TenantId};
use kms::LocalKeys;
use std::fmt;
use zeroize::Zeroizing;

/// The layout of sealed values that is written here.
const VERSION: u8 = 1;

/// Bytes that a wrapped data key may have, whoever wrapped it.
const MAX_WRAPPED: usize = 2048;

/// Seals values and opens them.
pub struct Sealer {
    kms: Box<dyn Kms>,
}

/// Where a sealed value lives. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's key in its stored form.
    pub row: &'a [u8],
    /// The tenant whose row it is; `None` for what belongs to nobody or to a person.
    pub tenant: Option<TenantId>,
}

/// Why a value was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingFault {
    /// It is cut short, or of a version that is not known.
    #[error("the sealed value is malformed")]
    Malformed,
    /// It is wrapped under a root key that is not at hand.
    #[error("the sealed value needs root key {0}, which is not configured")]
    UnknownKey(RootKeyId),
    /// It was changed, is for another place, or its key is another.
    #[error("the sealed value does not open here")]
    Refused,
    /// It has more than [`Sealer::MAX_PLAIN`] bytes.
    #[error("more than {} bytes cannot be sealed", Sealer::MAX_PLAIN)]
    TooLong,
    /// The cipher itself failed.
    #[error("the cipher failed")]
    Cipher,
    /// The keeper of the root keys did not answer.
    #[error("the keeper of the root keys failed: {0}")]
    Unavailable(String),
}

impl Sealer {
    /// Bytes that a value may have.
    pub const MAX_PLAIN: usize = 64 * 1024;

    /// Seals under `current`; opens what `older` ones sealed as well.
    pub fn new(current: RootKey, older: Vec<RootKey>) -> Self {
        Self::over(Box::new(LocalKeys { current, older }))
    }

    /// Leaves the wrapping of data keys to `kms`.
    pub fn over(kms: Box<dyn Kms>) -> Self {
        Self { kms }
    }

    /// Seals `plain` for its place, under a new data key.
    pub fn seal(
        &self,
        place: &Place<'_>,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealingFault> {
        if plain.len() > Self::MAX_PLAIN {
            return Err(SealingFault::TooLong);
        }
        let mut data_key = DataKey::new([0; 32]);
        entropy.fill(data_key.as_mut_slice());
        let payload = aead::encrypt(&data_key, &place.context(), plain, entropy)?;
        self.envelope(&data_key, &payload, entropy)
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingFault> {
        let envelope = Envelope::read(sealed)?;
        let data_key = self.kms.unwrap(envelope.key, envelope.wrapped)?;
        aead::decrypt(&data_key, &place.context(), envelope.payload)
    }

    /// The same value with its data key wrapped under the current root key;
    /// `None` if it already is. The payload stays as it is and is not opened.
    pub fn rewrap(&self, sealed: &[u8], entropy: &dyn Entropy) -> Result<Option<Vec<u8>>, SealingFault> {
        let envelope = Envelope::read(sealed)?;
        if envelope.key == self.kms.current_key_id() {
            return Ok(None);
        }
        let data_key = self.kms.unwrap(envelope.key, envelope.wrapped)?;
        self.envelope(&data_key, envelope.payload, entropy).map(Some)
    }

    /// The root key that new values are sealed under.
    pub fn current_key_id(&self) -> RootKeyId {
        self.kms.current_key_id()
    }

    /// The root key that a sealed value needs.
    pub fn key_id_of(sealed: &[u8]) -> Result<RootKeyId, SealingFault> {
        Envelope::read(sealed).map(|envelope| envelope.key)
    }

    fn envelope(
        &self,
        data_key: &DataKey,
        payload: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealingFault> {
        let (key, wrapped) = self.kms.wrap(data_key, entropy)?;
        Envelope { key, wrapped: &wrapped, payload }.write()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("current", &self.current_key_id()).finish_non_exhaustive()
    }
}

impl Place<'_> {
    /// Its one encoding: every part has its length before it, so that no two
    /// places read alike.
    fn context(&self) -> Vec<u8> {
        let mut context = b"doorward sealed value 1".to_vec();
        let tenant = self.tenant.as_ref().map_or(&[][..], |tenant| tenant.as_bytes());
        for part in [self.table.as_bytes(), self.column.as_bytes(), self.row, tenant] {
            context.extend_from_slice(&(part.len() as u64).to_be_bytes());
            context.extend_from_slice(part);
        }
        context
    }
}

/// The parts of a sealed value.
struct Envelope<'a> {
    key: RootKeyId,
    wrapped: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes a sealed value apart; that its parts are sound is not known yet.
    fn read(sealed: &'a [u8]) -> Result<Self, SealingFault> {
        let parts = || {
            let (&[version], rest) = sealed.split_first_chunk()?;
            let (key, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (wrapped, payload) = rest.split_at_checked(length)?;
            let bounded = length <= MAX_WRAPPED && payload.len() <= Sealer::MAX_PLAIN + aead::OVERHEAD;
            (version == VERSION && bounded).then_some(Self {
                key: RootKeyId::from_bytes(*key),
                wrapped,
                payload,
            })
        };
        parts().ok_or(SealingFault::Malformed)
    }

    fn write(&self) -> Result<Vec<u8>, SealingFault> {
        let length = match u16::try_from(self.wrapped.len()) {
            Ok(length) if self.wrapped.len() <= MAX_WRAPPED => length,
            Ok(_) | Err(_) => return Err(SealingFault::Malformed),
        };
        let parts: [&[u8]; 5] =
            [&[VERSION], self.key.as_bytes(), &length.to_be_bytes(), self.wrapped, self.payload];
        Ok(parts.concat())
    }
}

#[cfg(test)]
mod tests;
