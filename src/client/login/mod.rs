//! A person's login on this machine: kept in a file, and refreshed when it must be.
//!
//! There is one file for each server, which only its owner can read. What is in
//! it is sent to the server that gave it and to no other.

mod file;
mod form;
mod refresh;

pub use file::{LOGIN_FILE_VARIABLE, Lock, Logins};
pub use refresh::{NotFresh, fresh, is_over};

use super::credential::Presented;
use crate::domain::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// How long before its end an access token is no longer begun with.
const EARLY: Duration = Duration::from_secs(30);

/// Why a kept login cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The environment names no folder to keep a login in.
    #[error(
        "there is nowhere to keep a login: set HOME, XDG_CONFIG_HOME, or {LOGIN_FILE_VARIABLE} to a file"
    )]
    NoPlace,
    /// The file or its folder cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Others may read the file, or put another in its place.
    #[error(
        "{path} is open to other users, so it is not used; mend it with: chmod {mend} {path}; \
         and if they may have read it: doorward session revoke-all"
    )]
    Open {
        /// The file or its folder.
        path: PathBuf,
        /// The rights it should have, in octal.
        mend: &'static str,
    },
    /// Somebody else's file.
    #[error("{path} belongs to another user, so it is not used; name your own in {LOGIN_FILE_VARIABLE}")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Not a file that was written here.
    #[error("{path} is not a login ({fault}); remove it and log in again: doorward login")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// Another process holds the lock for too long.
    #[error("another process has been using {path} for {} s; try again", .after.as_secs())]
    Busy {
        /// The lock.
        path: PathBuf,
        /// How long was waited.
        after: Duration,
    },
}

/// Who logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Who {
    /// The person's id.
    pub id: String,
    /// The e-mail address.
    pub email: String,
    /// The role in the tenant.
    pub role: String,
    /// The tenant.
    pub tenant_id: String,
}

/// What a login gave: its tokens are wiped when dropped and never shown.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Goes with every call.
    pub access: Presented,
    /// When the access token ends, by this machine's clock.
    pub expire_time: Timestamp,
    /// Is changed for the next tokens, once.
    pub refresh: Presented,
    /// Who logged in.
    pub user: Who,
}

impl Tokens {
    /// Whether the access token is at its end, or will be within 30 seconds.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.plus(EARLY) >= self.expire_time
    }
}

/// What is kept for one server.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The tokens, while somebody is logged in.
    pub tokens: Option<Tokens>,
    /// Shows the server that it knows this device; stays after a logout.
    pub device: Option<Presented>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_stale_half_a_minute_before_its_end() {
        let secret = Presented::new("dw_planted".to_owned()).unwrap();
        let tokens = Tokens {
            access: secret.clone(),
            expire_time: Timestamp::from_micros(100_000_000),
            refresh: secret.clone(),
            user: Who::default(),
        };
        for (second, stale) in [(0, false), (69, false), (70, true), (100, true), (1000, true)] {
            assert_eq!(tokens.is_stale(Timestamp::from_micros(second * 1_000_000)), stale, "{second}");
        }
        let shown = format!("{:?}", Login { tokens: Some(tokens), device: Some(secret) });
        assert!(!shown.contains("planted"), "{shown}");
    }
}
