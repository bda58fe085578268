//! What an access token claims (RFC 9068 §2.2).

use crate::domain::sessions::Methods;
use crate::domain::signing::{MAX_SKEW, MAX_TOKEN_LIFE};
use crate::domain::{SessionId, TenantId, Timestamp, UserId, reading::Reading};
use serde::{Deserialize, Serialize};

/// The claims of an access token. Times have whole seconds in the token: what is
/// below a second is cut off when it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who issued it (`iss`): at most 256 characters.
    pub issuer: String,
    /// Whom it is for (`aud`): at most 256 characters.
    pub audience: String,
    /// The person (`sub`).
    pub user: UserId,
    /// The tenant that they act in (`tid`).
    pub tenant: TenantId,
    /// The session that it belongs to (`sid`).
    pub session: SessionId,
    /// The client that asked for it (`client_id`): at most 128 characters.
    pub client: String,
    /// Its own name (`jti`): at most 64 characters.
    pub id: String,
    /// When it was issued (`iat`), and from when on it is good (`nbf`).
    pub issued: Timestamp,
    /// From when on it is dead (`exp`): one hour after it was issued at most.
    pub expires: Timestamp,
    /// When the person last proved who they are (`auth_time`).
    pub authenticated: Timestamp,
    /// How they did (`amr`, RFC 8176): at most 8 of at most 32 characters.
    pub methods: Vec<String>,
}

/// Claims that no token may have: a text is empty, too long or has other than
/// printable ASCII characters without `"` and `\`, or the times do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an access token cannot claim {claim}")]
pub struct BadClaims {
    /// The claim that is out of bounds.
    pub claim: &'static str,
}

/// The longest issuer and audience.
const MAX_PARTY: usize = 256;
/// The longest name of a client.
const MAX_CLIENT: usize = 128;
/// The longest name of a token.
const MAX_ID: usize = 64;
/// The most methods.
const MAX_METHODS: usize = 8;
/// The longest name of a method.
const MAX_METHOD: usize = 32;
/// The end of the year 9999, in seconds since 1970.
const MAX_SECONDS: i64 = 253_402_300_799;

/// The claims as the token has them. Their texts are borrowed: one with an
/// escape is refused, since ours have none.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Members<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: &'a str,
    pub(super) aud: &'a str,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) auth_time: i64,
    pub(super) jti: &'a str,
    pub(super) sid: &'a str,
    pub(super) tid: &'a str,
    pub(super) client_id: &'a str,
    #[serde(borrow)]
    pub(super) amr: Vec<&'a str>,
}

impl<'a> Members<'a> {
    /// Reads claims; every one of them must be there once, and no others, and
    /// they must be within bounds.
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        let members = match super::scan::members(json) {
            Some(members) => members,
            None => match serde_json::from_slice(json) {
                Ok(members) => members,
                Err(_) => return None,
            },
        };
        let times = [members.exp, members.iat, members.nbf, members.auth_time];
        let real = times.iter().all(|time| (1..=MAX_SECONDS).contains(time));
        let sound = real && members.nbf == members.iat && members.checked().is_ok();
        sound.then_some(members)
    }

    /// Whether they are within bounds, whatever the time is.
    fn checked(&self) -> Result<(), BadClaims> {
        let methods = &self.amr;
        let (life, most) = (self.exp.saturating_sub(self.iat), MAX_TOKEN_LIFE.as_secs());
        let skew = i64::try_from(MAX_SKEW.as_secs()).unwrap_or(0);
        let bounds = [
            ("iss", is_plain(self.iss, MAX_PARTY)),
            ("aud", is_plain(self.aud, MAX_PARTY)),
            ("client_id", is_plain(self.client_id, MAX_CLIENT)),
            ("jti", is_plain(self.jti, MAX_ID)),
            ("amr", methods.len() <= MAX_METHODS && methods.iter().all(|name| is_plain(name, MAX_METHOD))),
            ("iat", (1..=MAX_SECONDS).contains(&self.iat)),
            ("exp", self.exp <= MAX_SECONDS && life > 0),
            ("exp", u64::try_from(life).is_ok_and(|life| life <= most)),
            ("auth_time", self.auth_time > 0),
            ("auth_time", self.auth_time <= self.iat.saturating_add(skew)),
        ];
        let wrong = bounds.iter().find(|(_, within)| !within);
        wrong.map_or(Ok(()), |(claim, _)| Err(BadClaims { claim }))
    }
}

/// What a check goes on with, of a token that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The session.
    pub session: SessionId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its person.
    pub user: UserId,
    /// How they proved who they are.
    pub methods: Methods,
    /// When they last did.
    pub authenticated: Timestamp,
    /// From when on the token is dead.
    pub expires: Timestamp,
}

impl Proven {
    pub(super) fn of(members: &Members<'_>) -> Option<Self> {
        Some(Self {
            session: members.sid.parse().readable()?,
            tenant: members.tid.parse().readable()?,
            user: members.sub.parse().readable()?,
            methods: Methods::named(members.amr.iter().copied()),
            authenticated: from_seconds(members.auth_time),
            expires: from_seconds(members.exp),
        })
    }
}

impl AccessClaims {
    pub(super) fn of(members: &Members<'_>) -> Option<Self> {
        Some(Self {
            issuer: members.iss.to_owned(),
            audience: members.aud.to_owned(),
            user: members.sub.parse().readable()?,
            tenant: members.tid.parse().readable()?,
            session: members.sid.parse().readable()?,
            client: members.client_id.to_owned(),
            id: members.jti.to_owned(),
            issued: from_seconds(members.iat),
            expires: from_seconds(members.exp),
            authenticated: from_seconds(members.auth_time),
            methods: members.amr.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    /// The claims as JSON, if a token may have them.
    pub(super) fn write(&self) -> Result<Vec<u8>, BadClaims> {
        let (sub, sid, tid) = (self.user.to_string(), self.session.to_string(), self.tenant.to_string());
        let iat = seconds(self.issued);
        let members = Members {
            iss: &self.issuer,
            sub: &sub,
            aud: &self.audience,
            exp: seconds(self.expires),
            iat,
            nbf: iat,
            auth_time: seconds(self.authenticated),
            jti: &self.id,
            sid: &sid,
            tid: &tid,
            client_id: &self.client,
            amr: self.methods.iter().map(String::as_str).collect(),
        };
        members.checked()?;
        // To the microsecond, which the token does not have any more.
        if self.expires.since(self.issued) > MAX_TOKEN_LIFE {
            return Err(BadClaims { claim: "exp" });
        }
        serde_json::to_vec(&members).map_err(|_impossible| BadClaims { claim: "these" })
    }
}

/// Printable ASCII that JSON writes without escapes, and something of it.
fn is_plain(text: &str, max: usize) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    // Without an early end many bytes are looked at together.
    (1..=max).contains(&text.len()) && text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// Whole seconds since 1970, rounded down.
fn seconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1_000_000)
}

pub(super) fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}
