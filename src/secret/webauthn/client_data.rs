//! What the browser says that it was asked, and by which page (§5.8.1).

use super::{Rejected, RelyingParty};
use crate::secret::sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The client data, and the bytes that are signed.
pub struct ClientData {
    bytes: Vec<u8>,
    /// What was signed.
    pub challenge: Vec<u8>,
    told: Told,
}

/// Members that are not known are left alone, as §5.8.1 asks; of those that
/// are, one that comes twice is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: Option<bool>,
    #[serde(default)]
    top_origin: Option<String>,
}

impl ClientData {
    /// Reads it.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Rejected> {
        let Ok(told) = serde_json::from_slice::<Told>(&bytes) else {
            return Err(Rejected::Malformed("clientDataJSON"));
        };
        let Ok(challenge) = URL_SAFE_NO_PAD.decode(&told.challenge) else {
            return Err(Rejected::Malformed("challenge"));
        };
        Ok(Self { bytes, challenge, told })
    }

    /// Whether it is of this kind, and of a page of the relying party that
    /// stands in no other's frame (§7.1 steps 7 to 11, §7.2 steps 10 to 14).
    pub fn check(&self, kind: &str, party: &RelyingParty) -> Result<(), Rejected> {
        if self.told.kind != kind {
            return Err(Rejected::Type);
        }
        let framed = self.told.cross_origin == Some(true) || self.told.top_origin.is_some();
        if framed || !party.allows(&self.told.origin) { Err(Rejected::Origin) } else { Ok(()) }
    }

    /// What the authenticator signs of it.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.bytes).to_bytes()
    }
}
