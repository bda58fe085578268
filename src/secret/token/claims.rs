//! What an access token claims (RFC 9068 §2.2).

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
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    nbf: i64,
    auth_time: i64,
    jti: &'a str,
    sid: &'a str,
    tid: &'a str,
    client_id: &'a str,
    #[serde(borrow)]
    amr: Vec<&'a str>,
}

impl AccessClaims {
    /// Reads claims; every one of them must be there once, and no others.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let Ok(members) = serde_json::from_slice::<Members<'_>>(json) else { return None };
        let times = [members.exp, members.iat, members.nbf, members.auth_time];
        let real = times.iter().all(|time| (1..=MAX_SECONDS).contains(time));
        if !real || members.nbf != members.iat {
            return None;
        }
        let claims = Self {
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
            methods: members.amr.into_iter().map(str::to_owned).collect(),
        };
        claims.checked().is_ok().then_some(claims)
    }

    /// The claims as JSON, if a token may have them.
    pub(super) fn write(&self) -> Result<Vec<u8>, BadClaims> {
        self.checked()?;
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
        serde_json::to_vec(&members).map_err(|_impossible| BadClaims { claim: "these" })
    }

    /// Whether they are within bounds, whatever the time is.
    fn checked(&self) -> Result<(), BadClaims> {
        let methods = &self.methods;
        let life = seconds(self.expires).saturating_sub(seconds(self.issued));
        let bounds = [
            ("iss", is_plain(&self.issuer, MAX_PARTY)),
            ("aud", is_plain(&self.audience, MAX_PARTY)),
            ("client_id", is_plain(&self.client, MAX_CLIENT)),
            ("jti", is_plain(&self.id, MAX_ID)),
            ("amr", methods.len() <= MAX_METHODS && methods.iter().all(|name| is_plain(name, MAX_METHOD))),
            ("iat", (1..=MAX_SECONDS).contains(&seconds(self.issued))),
            ("exp", seconds(self.expires) <= MAX_SECONDS && life > 0),
            ("exp", self.expires.since(self.issued) <= MAX_TOKEN_LIFE),
            ("auth_time", seconds(self.authenticated) > 0),
            ("auth_time", self.authenticated <= self.issued.plus(MAX_SKEW)),
        ];
        let wrong = bounds.iter().find(|(_, within)| !within);
        wrong.map_or(Ok(()), |(claim, _)| Err(BadClaims { claim }))
    }
}

/// Printable ASCII that JSON writes without escapes, and something of it.
fn is_plain(text: &str, max: usize) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    (1..=max).contains(&text.len()) && text.bytes().all(plain)
}

/// Whole seconds since 1970, rounded down.
fn seconds(time: Timestamp) -> i64 {
    time.micros().div_euclid(1_000_000)
}

fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}
