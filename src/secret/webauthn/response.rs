//! A browser's two answers: a new credential, and a proof of having one.

use super::authenticator::AuthenticatorData;
use super::client_data::ClientData;
use super::key::PublicKey;
use super::{Ceremonies, MAX_CREDENTIAL_ID, MAX_JSON, Purpose, Rejected, RelyingParty, Used};
use crate::domain::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Decoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Entries of an attestation object: `fmt`, `attStmt`, `authData`.
const ATTESTATION_ENTRIES: u64 = 3;

/// `RegistrationResponseJSON` (§5.5), read and not yet looked at.
pub struct Attestation {
    id: Vec<u8>,
    client: ClientData,
    object: Vec<u8>,
}

/// A credential that was registered.
#[derive(Debug)]
pub struct NewCredential {
    /// Its id.
    pub id: Vec<u8>,
    /// Its key.
    pub key: PublicKey,
    /// How often it has signed, if it counts.
    pub counter: u32,
    /// Whether it can be on several devices, which never changes.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// The challenge, to be taken.
    pub used: Used,
}

impl Attestation {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, Rejected> {
        let envelope: Envelope<Attested> = parse(json)?;
        Ok(Self {
            id: envelope.credential_id()?,
            client: ClientData::read(decoded(&envelope.response.client_data, "clientDataJSON")?)?,
            object: decoded(&envelope.response.attestation_object, "attestationObject")?,
        })
    }

    /// Registers the credential (§7.1 steps 7 to 20 and 25; with no
    /// attestation asked for, statements are not looked at).
    pub fn verify(
        self,
        party: &RelyingParty,
        ceremonies: &Ceremonies<'_>,
        purpose: &Purpose,
        now: Timestamp,
    ) -> Result<NewCredential, Rejected> {
        self.client.check("webauthn.create", party)?;
        let used = ceremonies.check(purpose, &self.client.challenge, now)?;
        let data = AuthenticatorData::read(authenticator_data(&self.object)?)?;
        data.check(party, false)?;
        let (backup_eligible, backed_up) = (data.is_backup_eligible(), data.is_backed_up());
        let attested = data.attested.ok_or(Rejected::Malformed("attestedCredentialData"))?;
        if attested.id != self.id {
            return Err(Rejected::Malformed("id"));
        }
        let (id, key, counter) = (self.id, attested.key, data.counter);
        Ok(NewCredential { id, key, counter, backup_eligible, backed_up, used })
    }
}

/// `AuthenticationResponseJSON` (§5.5), read and not yet looked at.
pub struct Assertion {
    id: Vec<u8>,
    client: ClientData,
    data: Vec<u8>,
    signature: Vec<u8>,
    user: Option<Vec<u8>>,
}

/// What an assertion has shown. Whether the count went up is for who knows the
/// one before, inside the transaction that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// How often the credential has signed, if it counts.
    pub counter: u32,
    /// Whether it is on several devices by now.
    pub backed_up: bool,
    /// Whether the authenticator made sure who its user is.
    pub verified: bool,
    /// The challenge, to be taken.
    pub used: Used,
}

impl Assertion {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, Rejected> {
        let envelope: Envelope<Asserted> = parse(json)?;
        let user = envelope.response.user_handle.as_deref().filter(|handle| !handle.is_empty());
        Ok(Self {
            id: envelope.credential_id()?,
            client: ClientData::read(decoded(&envelope.response.client_data, "clientDataJSON")?)?,
            data: decoded(&envelope.response.authenticator_data, "authenticatorData")?,
            signature: decoded(&envelope.response.signature, "signature")?,
            user: user.map(|handle| decoded(handle, "userHandle")).transpose()?,
        })
    }

    /// The credential that it claims to be of.
    pub fn credential_id(&self) -> &[u8] {
        &self.id
    }

    /// The person that the authenticator keeps it for, if it says so.
    pub fn user(&self) -> Option<&[u8]> {
        self.user.as_deref()
    }

    /// Makes sure that the key signed, just now, for this (§7.2 steps 10 to 21).
    pub fn verify(
        &self,
        party: &RelyingParty,
        ceremonies: &Ceremonies<'_>,
        purpose: &Purpose,
        key: &PublicKey,
        backup_eligible: bool,
        now: Timestamp,
    ) -> Result<Proof, Rejected> {
        self.client.check("webauthn.get", party)?;
        let used = ceremonies.check(purpose, &self.client.challenge, now)?;
        let data = AuthenticatorData::read(&self.data)?;
        // Whoever has no password given must show that the device knows them.
        data.check(party, *purpose == Purpose::Login)?;
        if data.attested.is_some() || data.is_backup_eligible() != backup_eligible {
            return Err(Rejected::Flags);
        }
        let signed = [self.data.as_slice(), &self.client.hash()].concat();
        if !key.holds(&signed, &self.signature) {
            return Err(Rejected::Signature);
        }
        Ok(Proof {
            counter: data.counter,
            backed_up: data.is_backed_up(),
            verified: data.is_verified(),
            used,
        })
    }
}

/// What both answers have. Members that are not known are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    id: String,
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    response: T,
}

#[derive(Deserialize)]
struct Attested {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "attestationObject")]
    attestation_object: String,
}

#[derive(Deserialize)]
struct Asserted {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "authenticatorData")]
    authenticator_data: String,
    signature: String,
    #[serde(rename = "userHandle", default)]
    user_handle: Option<String>,
}

impl<T> Envelope<T> {
    fn credential_id(&self) -> Result<Vec<u8>, Rejected> {
        let id = decoded(&self.id, "id")?;
        let sound = self.id == self.raw_id && (1..=MAX_CREDENTIAL_ID).contains(&id.len());
        if sound && self.kind == "public-key" { Ok(id) } else { Err(Rejected::Malformed("id")) }
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Rejected> {
    if json.len() > MAX_JSON {
        return Err(Rejected::TooLong);
    }
    serde_json::from_str(json).map_err(|_error: serde_json::Error| Rejected::Malformed("JSON"))
}

fn decoded(text: &str, part: &'static str) -> Result<Vec<u8>, Rejected> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_error: base64::DecodeError| Rejected::Malformed(part))
}

/// `authData` of an attestation object (§6.5.4).
fn authenticator_data(object: &[u8]) -> Result<&[u8], Rejected> {
    read_object(object).ok_or(Rejected::Malformed("attestationObject"))
}

fn read_object(object: &[u8]) -> Option<&[u8]> {
    let mut reader = Decoder::new(object);
    let Ok(Some(ATTESTATION_ENTRIES)) = reader.map() else { return None };
    let mut seen = Vec::new();
    let mut data = None;
    for _ in 0..ATTESTATION_ENTRIES {
        let Ok(name) = reader.str() else { return None };
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        if name == "authData" {
            let Ok(bytes) = reader.bytes() else { return None };
            data = Some(bytes);
        } else if name == "fmt" || name == "attStmt" {
            let Ok(()) = reader.skip() else { return None };
        } else {
            return None;
        }
    }
    data.filter(|_| reader.position() == object.len())
}
