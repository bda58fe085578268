//! Letters to people, and where they are left to be carried.
//!
//! A letter is made of fixed text and of values that other people may have
//! chosen: no value can end a line, begin a header or become a link.

mod link;
mod texts;

pub use link::{BadLinkBase, LinkBase};
pub use texts::{INVITATION_FOR, Invited, Letters, RESET_FOR, SignedIn, VERIFICATION_FOR};

use super::users::Email;
use std::fmt;
use zeroize::Zeroizing;

/// A letter; personal, and often as good as a credential. Only [`Letters`]
/// makes one.
#[derive(Clone)]
pub struct Letter {
    to: Email,
    subject: String,
    text: Zeroizing<String>,
}

impl Letter {
    /// Whom it is for.
    pub fn to(&self) -> &Email {
        &self.to
    }

    /// What it is about: one line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it says: lines that end in `\n`.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Letter {
    /// Neither who gets it nor what it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter([redacted])")
    }
}

/// Takes letters to be carried.
///
/// Posting puts a letter into a bounded queue and does nothing else, so that
/// it takes the same time whoever it is for and whether mail works or not: a
/// caller learns nothing of who exists, and waits for no mail server. What
/// room `mail` makes of this carries them from a task of its own, within
/// bounded time and tries. The queue is in memory: a letter can be lost, and
/// whoever waits for one asks again.
pub trait Outbox: Send + Sync {
    /// Leaves a letter to be carried.
    ///
    /// # Errors
    /// The queue is full; the letter is gone.
    fn post(&self, letter: Letter) -> Result<(), Full>;
}

/// No letter is taken at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue of letters is full")]
pub struct Full;
