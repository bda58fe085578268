//! Which credential it was.

use super::{Digest, GrantId, KeyId, SessionId};
use std::fmt;

/// A key, a session or a grant; public, unlike the secret that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialId {
    /// An API key.
    Key(KeyId),
    /// A person's session, whose access tokens stand for it.
    Session(SessionId),
    /// A break-glass grant, which the master key stands for.
    Grant(GrantId),
}

impl CredentialId {
    /// The key, if it is one.
    pub const fn key(self) -> Option<KeyId> {
        match self {
            Self::Key(key) => Some(key),
            Self::Session(_) | Self::Grant(_) => None,
        }
    }

    /// The session, if it is one.
    pub const fn session(self) -> Option<SessionId> {
        match self {
            Self::Session(session) => Some(session),
            Self::Key(_) | Self::Grant(_) => None,
        }
    }

    /// The grant, if it is one.
    pub const fn grant(self) -> Option<GrantId> {
        match self {
            Self::Grant(grant) => Some(grant),
            Self::Key(_) | Self::Session(_) => None,
        }
    }

    /// The id as two numbers, for tables that hold it so.
    pub fn halves(self) -> [u64; 2] {
        match self {
            Self::Key(key) => key.halves(),
            Self::Session(session) => session.halves(),
            Self::Grant(grant) => grant.halves(),
        }
    }

    /// The credential of that digest, by an id's two numbers: the digest tells
    /// a session and a grant from a key.
    pub fn of(digest: Digest, halves: [u64; 2]) -> Self {
        if digest.is_of_session() {
            Self::Session(SessionId::from_halves(halves))
        } else if digest.is_of_grant() {
            Self::Grant(GrantId::from_halves(halves))
        } else {
            Self::Key(KeyId::from_halves(halves))
        }
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Session(session) => session.fmt(f),
            Self::Grant(grant) => grant.fmt(f),
        }
    }
}
