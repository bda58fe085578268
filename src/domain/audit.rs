//! What the audit log says of a mutation.
//!
//! Every entry is a leaf of its tenant's Merkle tree ([`merkle`]). What may be
//! personal or free text enters the tree only as a salted commitment, so that
//! it can be erased without a trace in any root or proof ([`entry`]).

#[cfg(feature = "server")]
pub mod checkpoint;
#[cfg(feature = "server")]
pub mod entry;
#[cfg(feature = "server")]
pub mod export;
pub mod merkle;
#[cfg(feature = "server")]
pub mod verdict;

pub use super::actions::Action;
use super::{CredentialId, Entropy, TenantId, Timestamp};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// The log of what concerns no tenant: keys of the instance, and the
/// checkpoints of all other logs.
pub const PLATFORM: TenantId = TenantId::from_bytes([0; 16]);

/// A credential that was presented.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// Which.
    pub id: CredentialId,
    /// The tenant whose it is.
    pub tenant: TenantId,
}

/// Who does something, through which request.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The user's id, the key's id, or `system`.
    pub id: String,
    /// The credential that was presented, if one was.
    pub credential: Option<Presented>,
    /// The tenant whose credential it is, if the actor acts for another (R6).
    pub home: Option<TenantId>,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// The request's correlation id.
    pub correlation: String,
}

impl Actor {
    /// Doorward itself, or whoever holds its command line.
    pub fn system(correlation: impl Into<String>) -> Self {
        Self {
            id: "system".into(),
            credential: None,
            home: None,
            address: None,
            correlation: correlation.into(),
        }
    }
}

/// An entry of the audit log, before it has a number.
#[derive(Debug, Clone)]
pub struct Event {
    /// The tenant that it happened in.
    pub tenant: TenantId,
    /// What was done.
    pub action: Action,
    /// To what: an id.
    pub target: String,
    /// When.
    pub time: Timestamp,
    /// Ids, numbers and names of our own, which stay readable for ever.
    pub facts: Vec<(&'static str, String)>,
    /// What may be personal, as names and values; never a secret. It can be erased.
    pub detail: Vec<(Cow<'static, str>, String)>,
    /// What salts are made of; kept nowhere.
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only a server writes entries"))]
    pub(crate) seed: Seed,
}

/// Random bytes that salts are made of.
#[derive(Clone)]
pub(crate) struct Seed(
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "only a server writes entries"))]
    pub(crate) [u8; 32],
);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

impl Event {
    /// What happens now to a target of a tenant, with no detail yet.
    pub fn new(
        tenant: TenantId,
        action: Action,
        target: impl fmt::Display,
        time: Timestamp,
        entropy: &dyn Entropy,
    ) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let (facts, detail) = (Vec::new(), Vec::new());
        Self { tenant, action, target: target.to_string(), time, facts, detail, seed: Seed(seed) }
    }
}

/// Whether what an entry speaks of was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was tried, and refused.
    Refused,
}

impl Outcome {
    /// The public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl Action {
    /// Whether entries of this action speak of what was done. What is refused
    /// otherwise leaves no entry of its own: it changed nothing.
    pub const fn outcome(self) -> Outcome {
        if matches!(self, Self::CredentialsRefused | Self::LoginsRefused | Self::RefreshTokenReused) {
            Outcome::Refused
        } else {
            Outcome::Done
        }
    }
}
