//! Who holds the root keys.

use super::{RootKey, RootKeyId, SealingFault};
use crate::domain::Entropy;
use crate::secret::aead::{self, CipherKey};
use zeroize::Zeroizing;

/// The key of one sealed value.
pub type DataKey = Zeroizing<[u8; 32]>;

/// Wraps data keys under root keys. Root keys in memory are the built-in one;
/// a key service of a cloud, or a hardware module, can stand here as well.
pub trait Kms: Send + Sync {
    /// The root key that new data keys are wrapped under.
    fn current_key_id(&self) -> RootKeyId;

    /// Wraps a data key under the current root key, which it names: 2048 bytes
    /// at most.
    fn wrap(&self, data_key: &DataKey, entropy: &dyn Entropy) -> Result<(RootKeyId, Vec<u8>), SealingFault>;

    /// Unwraps what was wrapped under the root key `key`. Whatever was changed
    /// or wrapped under another is [`SealingFault::Refused`].
    fn unwrap(&self, key: RootKeyId, wrapped: &[u8]) -> Result<DataKey, SealingFault>;
}

/// Keeps wrapped data keys apart from all else that a root key might encrypt.
/// The place is not in it: a data key is wrapped anew without knowing it.
const CONTEXT: &[u8] = b"doorward data key 1";

/// Root keys that this process holds.
pub(super) struct LocalKeys {
    pub(super) current: RootKey,
    pub(super) older: Vec<RootKey>,
}

impl Kms for LocalKeys {
    fn current_key_id(&self) -> RootKeyId {
        self.current.id()
    }

    fn wrap(&self, data_key: &DataKey, entropy: &dyn Entropy) -> Result<(RootKeyId, Vec<u8>), SealingFault> {
        let wrapped = aead::encrypt(self.current.bytes(), CONTEXT, data_key.as_slice(), entropy)?;
        Ok((self.current.id(), wrapped))
    }

    fn unwrap(&self, key: RootKeyId, wrapped: &[u8]) -> Result<DataKey, SealingFault> {
        let root = std::iter::once(&self.current)
            .chain(&self.older)
            .find(|root| root.id() == key)
            .ok_or(SealingFault::UnknownKey(key))?;
        let bytes = aead::decrypt(root.bytes(), CONTEXT, wrapped)?;
        let mut data_key = CipherKey::new([0; 32]);
        if bytes.len() != data_key.len() {
            return Err(SealingFault::Malformed);
        }
        data_key.copy_from_slice(&bytes);
        Ok(data_key)
    }
}
