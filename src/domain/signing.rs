//! The keys that sign access tokens: what all replicas know of them, and when
//! one follows another.
//!
//! A key is published ahead of its use, so that services that hold the key set
//! for a while know it by then. It signs as long as what it signs ends before
//! it does; so nothing good is refused when it retires.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The longest that an access token may live: one hour.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_hours(1);

/// How far the clock of whoever signed a token may be ahead of the clock of
/// whoever reads it: ten seconds.
pub const MAX_SKEW: Duration = Duration::from_secs(10);

/// How tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256; keys have 2048 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// HMAC with SHA-256, under a secret that all who verify must share.
    #[serde(rename = "HS256")]
    Hs256,
}

/// A text that names no algorithm that tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of RS256, ES256, EdDSA, HS256")]
pub struct BadAlgorithm;

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Es256, Self::EdDsa, Self::Hs256];

    /// Its name as header `alg` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// Whether its keys have a public half, which others may verify with.
    pub const fn has_public_half(self) -> bool {
        match self {
            Self::Rs256 | Self::Es256 | Self::EdDsa => true,
            Self::Hs256 => false,
        }
    }
}

impl FromStr for Algorithm {
    type Err = BadAlgorithm;
    fn from_str(text: &str) -> Result<Self, BadAlgorithm> {
        Self::ALL.into_iter().find(|known| known.name() == text).ok_or(BadAlgorithm)
    }
}

/// Names a signing key: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kid(Arc<str>);

/// A text that names no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 letters, digits, `-` and `_`")]
pub struct BadKid;

impl Kid {
    /// Letters that it may have.
    pub const MAX: usize = 64;

    /// Whether the text has the form of one.
    pub fn is_well_formed(text: &str) -> bool {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=Self::MAX).contains(&text.len()) && text.bytes().all(known)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kid {
    type Err = BadKid;
    fn from_str(text: &str) -> Result<Self, BadKid> {
        if Self::is_well_formed(text) { Ok(Self(text.into())) } else { Err(BadKid) }
    }
}

impl TryFrom<String> for Kid {
    type Error = BadKid;
    fn try_from(text: String) -> Result<Self, BadKid> {
        text.parse()
    }
}

impl From<Kid> for String {
    fn from(kid: Kid) -> Self {
        kid.0.as_ref().to_owned()
    }
}

impl Borrow<str> for Kid {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What every replica knows of a signing key. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyState {
    /// Its name in tokens and in the key set.
    pub kid: Kid,
    /// The one algorithm that it is good for.
    pub algorithm: Algorithm,
    /// The public half: its required members as a JSON Web Key, in the form that
    /// RFC 7638 §3 hashes. Empty for HS256, whose secret is in the settings.
    pub public: String,
    /// What it signs before this is not accepted.
    pub activate: Timestamp,
    /// From this on nothing that it signed is accepted.
    pub retire: Timestamp,
    /// Whether it was called back before its time: nothing that it signed is
    /// accepted any more.
    pub withdrawn: bool,
}

impl SigningKeyState {
    /// Whether what it signed is accepted now: from its activation, by the clock
    /// of whoever signs ([`MAX_SKEW`]), until it retires.
    pub fn verifies(&self, now: Timestamp) -> bool {
        !self.withdrawn && self.activate <= now.plus(MAX_SKEW) && now < self.retire
    }

    /// Whether nothing that it signed was accepted any more at that time.
    pub fn is_dead_since(&self, time: Timestamp) -> bool {
        self.retire < time
    }

    /// Whether others are told of it: before its use too.
    pub fn is_published(&self, now: Timestamp) -> bool {
        self.algorithm.has_public_half() && !self.withdrawn && now < self.retire
    }

    /// The end of its signing, if tokens live that long.
    fn signs_until(&self, token_life: Duration) -> Timestamp {
        let life = i64::try_from(token_life.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.retire.micros().saturating_sub(life))
    }

    fn signs(&self, now: Timestamp, token_life: Duration) -> bool {
        !self.withdrawn && self.activate <= now && now < self.signs_until(token_life)
    }
}

/// How signing keys follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningPolicy {
    /// What new keys are made for.
    pub algorithm: Algorithm,
    /// How long before its use a key is published.
    pub lead: Duration,
    /// How long a key signs.
    pub period: Duration,
    /// How long a token lives.
    pub token_life: Duration,
}

/// Why no keys can follow one another so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSigningPolicy {
    /// The life of tokens is out of bounds.
    #[error("access tokens must live for one minute to one hour")]
    TokenLife,
    /// The time ahead of use is out of bounds.
    #[error("signing keys must be published for seven days at most before they are used")]
    Lead,
    /// The time of signing is out of bounds.
    #[error("signing keys must be used for one year at most, and for longer than their lead and two tokens")]
    Period,
}

impl SigningPolicy {
    /// The shortest life of a token.
    pub const MIN_TOKEN_LIFE: Duration = Duration::from_mins(1);
    /// The longest time ahead of use.
    pub const MAX_LEAD: Duration = Duration::from_hours(7 * 24);
    /// The longest time of signing.
    pub const MAX_PERIOD: Duration = Duration::from_hours(366 * 24);

    /// The policy, if keys can follow one another so.
    pub fn checked(self) -> Result<Self, BadSigningPolicy> {
        if !(Self::MIN_TOKEN_LIFE..=MAX_TOKEN_LIFE).contains(&self.token_life) {
            return Err(BadSigningPolicy::TokenLife);
        }
        if self.lead > Self::MAX_LEAD {
            return Err(BadSigningPolicy::Lead);
        }
        // Else every key would be due again as soon as it is made.
        if self.period > Self::MAX_PERIOD || self.period <= self.lead.saturating_add(2 * MAX_TOKEN_LIFE) {
            return Err(BadSigningPolicy::Period);
        }
        Ok(self)
    }
}

impl Default for SigningPolicy {
    /// RS256, tokens of 15 minutes, keys of 30 days, known one day ahead.
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Rs256,
            lead: Duration::from_hours(24),
            period: Duration::from_hours(30 * 24),
            token_life: Duration::from_mins(15),
        }
    }
}

/// A key to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKey {
    /// What for.
    pub algorithm: Algorithm,
    /// When it begins to sign.
    pub activate: Timestamp,
    /// When the last token that it signed is dead.
    pub retire: Timestamp,
}

/// What is to be done with the signing keys now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The key that signs now. `None` until the new one is made.
    pub signer: Option<Kid>,
    /// The key to be made now, if one is due.
    pub create: Option<NewKey>,
    /// Keys that nothing depends on any more: they may be forgotten.
    pub dead: Vec<Kid>,
}

/// Decides which key signs, whether another is due, and which may be forgotten.
///
/// A successor begins when the last key ends, and is due `policy.lead` before.
/// If no key can sign now, because there is none yet or all are withdrawn, the
/// new one begins at once. After a change of the algorithm the old key signs on
/// until the new one was known for the lead.
pub fn due(states: &[SigningKeyState], now: Timestamp, policy: &SigningPolicy) -> Due {
    let signer = signer(states, now, policy);
    Due {
        signer: signer.map(|state| state.kid.clone()),
        create: new_activation(states, signer, now, policy).map(|activate| NewKey {
            algorithm: policy.algorithm,
            activate,
            retire: activate.plus(policy.period).plus(policy.token_life),
        }),
        dead: states.iter().filter(|state| state.retire <= now).map(|state| state.kid.clone()).collect(),
    }
}

/// The newest key of the algorithm in force; while there is none, the newest of another.
fn signer<'a>(
    states: &'a [SigningKeyState],
    now: Timestamp,
    policy: &SigningPolicy,
) -> Option<&'a SigningKeyState> {
    let able = states.iter().filter(|state| state.signs(now, policy.token_life));
    able.max_by_key(|state| (state.algorithm == policy.algorithm, state.activate, &state.kid))
}

/// When a key that is to be made now begins to sign; `None` if none is due.
fn new_activation(
    states: &[SigningKeyState],
    signer: Option<&SigningKeyState>,
    now: Timestamp,
    policy: &SigningPolicy,
) -> Option<Timestamp> {
    let Some(signer) = signer else { return Some(now) };
    let known = now.plus(policy.lead);
    let same = states.iter().filter(|state| !state.withdrawn && state.algorithm == policy.algorithm);
    let end = same.map(|state| state.signs_until(policy.token_life)).filter(|end| *end > now).max();
    match end {
        Some(end) => (end <= known).then_some(end),
        None => Some(known.min(signer.signs_until(policy.token_life))),
    }
}

#[cfg(test)]
#[path = "signing_tests.rs"]
mod tests;
