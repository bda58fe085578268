//! Carries letters: by SMTP, into a folder, or onto the console.
//!
//! | file | subject |
//! |---|---|
//! | `options` | what the room needs to be told |
//! | `queue` | the bounded queue, tries and pauses |
//! | `carrier` | the ways a letter can go |
//! | `message` | a letter as mail programs read it |
//! | `smtp` | the mail server, and how it is reached |
//!
//! Letters are personal: no address, subject or link is logged, and no text of
//! a mail server, which repeats addresses. The one exception is the transport
//! `log`, whose purpose that is.

mod carrier;
mod message;
mod options;
mod queue;
mod smtp;
#[cfg(test)]
mod testing;

pub use options::{Options, SmtpUrl, Transport};
pub use queue::{Carrying, Queue, start};

/// Mail that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BadMail {
    /// `mail.from`.
    #[error("mail.from must be an address such as `Doorward <no-reply@example.com>`")]
    From,
    /// `mail.smtp_url`.
    #[error("mail.smtp_url: {0}")]
    Smtp(#[from] smtp::BadSmtp),
    /// `mail.folder`.
    #[error("mail.folder: {0}")]
    Folder(#[from] std::io::Error),
}
