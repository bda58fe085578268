//! What the authenticator says and signs (§6.1).

use super::key::PublicKey;
use super::{MAX_CREDENTIAL_ID, Rejected, RelyingParty};
use minicbor::Decoder;

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;

/// The authenticator's data, every byte of it accounted for.
pub struct AuthenticatorData<'b> {
    id_hash: &'b [u8; 32],
    flags: u8,
    /// How often it has signed, if it counts.
    pub counter: u32,
    /// The new credential, at registration.
    pub attested: Option<Attested<'b>>,
}

/// A new credential.
pub struct Attested<'b> {
    /// Its id.
    pub id: &'b [u8],
    /// Its key.
    pub key: PublicKey,
}

impl<'b> AuthenticatorData<'b> {
    /// Reads all of it.
    pub fn read(bytes: &'b [u8]) -> Result<Self, Rejected> {
        let malformed = Rejected::Malformed("authenticatorData");
        let (id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(malformed)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(malformed)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let mut attested = None;
        if flags & ATTESTED != 0 {
            let (found, after) = attested_first(rest)?;
            (attested, rest) = (Some(found), after);
        }
        if flags & EXTENSIONS != 0 {
            rest = after_map(rest).ok_or(malformed)?;
        }
        if !rest.is_empty() {
            return Err(malformed);
        }
        Ok(Self { id_hash, flags: *flags, counter: u32::from_be_bytes(*counter), attested })
    }

    /// Whether it answers this relying party, with somebody there (§7.1 steps
    /// 14 to 17, §7.2 steps 16 to 19).
    pub fn check(&self, party: &RelyingParty, must_verify: bool) -> Result<(), Rejected> {
        if !party.is_meant(self.id_hash) {
            return Err(Rejected::RelyingParty);
        }
        if !self.has(PRESENT) {
            return Err(Rejected::NotPresent);
        }
        if must_verify && !self.is_verified() {
            return Err(Rejected::NotVerified);
        }
        if self.is_backed_up() && !self.is_backup_eligible() { Err(Rejected::Flags) } else { Ok(()) }
    }

    /// Whether the authenticator made sure who its user is.
    pub const fn is_verified(&self) -> bool {
        self.has(VERIFIED)
    }

    /// Whether the credential can be on several devices.
    pub const fn is_backup_eligible(&self) -> bool {
        self.has(BACKUP_ELIGIBLE)
    }

    /// Whether it is.
    pub const fn is_backed_up(&self) -> bool {
        self.has(BACKED_UP)
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The credential that the bytes begin with (§6.5.1); gives what comes after it.
fn attested_first(bytes: &[u8]) -> Result<(Attested<'_>, &[u8]), Rejected> {
    let malformed = Rejected::Malformed("attestedCredentialData");
    let (_model, rest) = bytes.split_first_chunk::<16>().ok_or(malformed)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !(1..=MAX_CREDENTIAL_ID).contains(&length) {
        return Err(malformed);
    }
    let (id, rest) = rest.split_at_checked(length).ok_or(malformed)?;
    let (key, rest) = PublicKey::first(rest)?;
    Ok((Attested { id, key }, rest))
}

/// What comes after the map that the bytes begin with: extensions, of which
/// none was asked for and none is read.
fn after_map(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Decoder::new(bytes);
    let (Ok(Some(_)), end) = (reader.probe().map(), reader.skip()) else { return None };
    let Ok(()) = end else { return None };
    bytes.get(reader.position()..)
}
