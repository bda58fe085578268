//! The keys that tokens are verified with, and the verification.

use super::claims::{AccessClaims, Members, Proven, from_seconds};
use super::digested::Digested;
use super::front::{self, Header, Parts};
use super::key::{KeyFault, VerifyingKey};
use super::shared::SharedSecret;
use crate::domain::Timestamp;
use crate::domain::signing::{Kid, MAX_SKEW, SigningKeyState};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whom a token must be from and for.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// The one issuer.
    pub issuer: &'a str,
    /// The one audience.
    pub audience: &'a str,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It does not look like one of ours; no key was looked for.
    #[error("not an access token")]
    Malformed,
    /// It looks like one of ours, by a key that is not known.
    #[error("the access token's key is not known")]
    UnknownKey,
    /// It is not one that a key in force signed for this use. No more is told.
    #[error("the access token is not valid")]
    Invalid,
    /// It was good until then; its signature is right.
    #[error("the access token expired at {at}")]
    Expired {
        /// When it expired.
        at: Timestamp,
    },
}

/// All keys that verify tokens, by their names. Cheap to copy.
#[derive(Debug, Clone, Default)]
pub struct Keyset {
    keys: BTreeMap<Kid, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: Arc<VerifyingKey>,
    state: SigningKeyState,
    /// How the header of each token begins that this program signed with it.
    header: String,
}

impl Keyset {
    /// Keys that it holds at most.
    pub const MAX: usize = 64;

    /// Takes in what is now known of a key, in place of what was known of it. A
    /// name stays with its key: another key or algorithm under it is refused.
    pub fn put(&mut self, state: SigningKeyState, shared: Option<&SharedSecret>) -> Result<(), KeyFault> {
        if let Some(known) = self.keys.get_mut(&state.kid) {
            let same = known.state.algorithm == state.algorithm && known.state.public == state.public;
            if !same {
                return Err(KeyFault::Taken);
            }
            known.state = state;
            return Ok(());
        }
        if self.keys.len() >= Self::MAX {
            return Err(KeyFault::Full);
        }
        let key = Arc::new(VerifyingKey::from_state(&state, shared)?);
        let header = front::header_of(key.algorithm(), key.kid());
        self.keys.insert(state.kid.clone(), Entry { key, state, header });
        Ok(())
    }

    /// Forgets a key.
    pub fn remove(&mut self, kid: &Kid) {
        self.keys.remove(kid);
    }

    /// What is known of the keys, in the order of their names.
    pub fn states(&self) -> impl Iterator<Item = &SigningKeyState> {
        self.keys.values().map(|entry| &entry.state)
    }

    /// What the token claims, if a key in force signed it for this use and it is
    /// good now. Whether its session still stands is for the caller to see.
    pub fn verify(
        &self,
        token: &str,
        expect: &Expect<'_>,
        now: Timestamp,
    ) -> Result<AccessClaims, TokenFault> {
        self.judged(&Digested::of(token), expect, now, AccessClaims::of)
    }

    /// The same, of which only what a check goes on with is given.
    pub fn prove(
        &self,
        token: &Digested<'_>,
        expect: &Expect<'_>,
        now: Timestamp,
    ) -> Result<Proven, TokenFault> {
        self.judged(token, expect, now, Proven::of)
    }

    fn judged<T>(
        &self,
        token: &Digested<'_>,
        expect: &Expect<'_>,
        now: Timestamp,
        take: impl FnOnce(&Members<'_>) -> Option<T>,
    ) -> Result<T, TokenFault> {
        let parts = Parts::of(token.text()).ok_or(TokenFault::Malformed)?;
        let entry = self.entry(&parts)?;
        let signature = parts.signature().ok_or(TokenFault::Malformed)?;
        let key = entry.filter(|entry| entry.state.verifies(now)).ok_or(TokenFault::Invalid)?.key.as_ref();
        if !key.holds(parts.message.as_bytes(), || token.signed(), signature.as_slice()) {
            return Err(TokenFault::Invalid);
        }
        let payload = parts.payload().ok_or(TokenFault::Invalid)?;
        let members = Members::read(&payload).ok_or(TokenFault::Invalid)?;
        let claims = take(&members).ok_or(TokenFault::Invalid)?;
        judge(&members, expect, now).map(|()| claims)
    }

    /// The published keys as a JSON Web Key Set (RFC 7517 §5), those of the future
    /// among them. Never a secret: HS256 has nothing to publish.
    pub fn jwks_json(&self, now: Timestamp) -> String {
        let published = self.keys.values().filter(|entry| entry.state.is_published(now));
        let keys: Vec<String> = published.filter_map(|entry| entry.key.published()).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// The key that the token's header names, if it is for that algorithm.
    ///
    /// A header that is written just as ours are needs no reading: nearly all are.
    fn entry(&self, parts: &Parts<'_>) -> Result<Option<&Entry>, TokenFault> {
        if let Some(entry) = self.keys.values().find(|entry| entry.header == parts.header) {
            return Ok(Some(entry));
        }
        let header = parts.header().ok_or(TokenFault::Malformed)?;
        let header = Header::read(header.as_slice()).ok_or(TokenFault::Malformed)?;
        parts.signature().ok_or(TokenFault::Malformed)?;
        let entry = self.keys.get(header.kid).ok_or(TokenFault::UnknownKey)?;
        Ok(Some(entry).filter(|entry| entry.key.algorithm() == header.algorithm))
    }
}

/// Looks at claims whose signature is right.
fn judge(members: &Members<'_>, expect: &Expect<'_>, now: Timestamp) -> Result<(), TokenFault> {
    let meant = members.iss == expect.issuer && members.aud == expect.audience;
    if !meant || from_seconds(members.iat) > now.plus(MAX_SKEW) {
        return Err(TokenFault::Invalid);
    }
    let expires = from_seconds(members.exp);
    if expires <= now { Err(TokenFault::Expired { at: expires }) } else { Ok(()) }
}
