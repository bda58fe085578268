//! The mail server, and how it is reached.

use super::options::{Options, SmtpUrl};
use crate::domain::address::is_this_machine;
use crate::domain::reading::Reading;
use http::Uri;
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::time::Duration;

/// Connections to the mail server.
pub const CONNECTIONS: u8 = 4;

/// After how long an unused connection is closed.
const IDLE: Duration = Duration::from_secs(30);

/// A mail server's URL that cannot be used. Tells nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSmtp {
    /// Not a URL of the right kind.
    #[error("must be smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST, a port behind it if need be")]
    Unreadable,
    /// A path or a query, which the library would read as settings of its own.
    #[error("must have no path and no query")]
    Extras,
}

/// Why a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Whether trying again can help.
    pub again: bool,
    /// What it was, without anything of the letter.
    pub why: &'static str,
    /// What the server answered (RFC 5321 §4.2), if it did.
    pub code: Option<u16>,
}

/// A mail server.
pub struct Server(AsyncSmtpTransport<Tokio1Executor>);

/// Whether a URL can be used.
pub fn check(url: &SmtpUrl, plaintext: bool) -> Result<(), BadSmtp> {
    let told = told(url, plaintext)?;
    // Also reads the certificates that are trusted, which do not depend on the URL.
    match AsyncSmtpTransport::<Tokio1Executor>::from_url(&told) {
        Ok(_) => Ok(()),
        Err(_) => Err(BadSmtp::Unreadable),
    }
}

impl Server {
    /// The server that the options name. Connects when it is first used.
    pub fn new(url: &SmtpUrl, options: &Options) -> Result<Self, BadSmtp> {
        let told = told(url, options.danger_allow_plaintext)?;
        let pool = PoolConfig::new().min_idle(0).max_size(u32::from(CONNECTIONS)).idle_timeout(IDLE);
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&told).or(Err(BadSmtp::Unreadable))?;
        Ok(Self(builder.timeout(Some(options.send_timeout())).pool_config(pool).build()))
    }

    /// Hands a message over. After a time-out the server may have it all the
    /// same; then the next try makes two of it.
    pub async fn send(&self, message: Message) -> Result<(), Failed> {
        match self.0.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// The URL as the library takes it: TLS from the start for `smtps`, and for
/// `smtp` by STARTTLS, never without unless the server is on this machine or
/// plaintext is allowed.
fn told(url: &SmtpUrl, plaintext: bool) -> Result<zeroize::Zeroizing<String>, BadSmtp> {
    let text = url.reveal();
    let read: Uri = text.parse().readable().ok_or(BadSmtp::Unreadable)?;
    let host = read.host().filter(|host| !host.is_empty()).ok_or(BadSmtp::Unreadable)?;
    if !matches!(read.path(), "" | "/") || text.contains(['?', '#']) {
        return Err(BadSmtp::Extras);
    }
    let starttls = match read.scheme_str() {
        Some("smtps") => false,
        Some("smtp") => !(plaintext || is_this_machine(host)),
        Some(_) | None => return Err(BadSmtp::Unreadable),
    };
    Ok(zeroize::Zeroizing::new(format!("{text}{}", if starttls { "?tls=required" } else { "" })))
}

/// The error's own text repeats what the server said, which has addresses in it.
fn failed(error: &Error) -> Failed {
    let why = if error.is_permanent() {
        "the mail server refuses it"
    } else if error.is_transient() {
        "the mail server cannot take it now"
    } else if error.is_timeout() {
        "the mail server does not answer in time"
    } else if error.is_tls() {
        "TLS with the mail server fails"
    } else if error.is_client() {
        "the mail server cannot do what is asked of it"
    } else {
        "the mail server cannot be reached"
    };
    Failed { again: !error.is_permanent(), why, code: error.status().map(u16::from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SmtpUrl {
        text.to_owned().into()
    }

    #[test]
    fn nothing_leaves_this_machine_in_plaintext_unless_that_is_allowed() {
        for (given, allowed, expected) in [
            ("smtp://mail.example.com", false, "smtp://mail.example.com?tls=required"),
            ("smtp://u:p@mail.example.com:2525", false, "smtp://u:p@mail.example.com:2525?tls=required"),
            ("smtp://localhost.example.com", false, "smtp://localhost.example.com?tls=required"),
            ("smtp://mail.example.com", true, "smtp://mail.example.com"),
            ("smtp://127.0.0.1:2525", false, "smtp://127.0.0.1:2525"),
            ("smtp://[::1]:2525", false, "smtp://[::1]:2525"),
            ("smtps://u:p%40@mail.example.com", true, "smtps://u:p%40@mail.example.com"),
        ] {
            assert_eq!(*told(&url(given), allowed).unwrap(), expected);
            assert_eq!(check(&url(given), allowed), Ok(()), "{given}");
        }
    }

    #[test]
    fn urls_that_mean_something_else_are_refused() {
        for (bad, why) in [
            ("", BadSmtp::Unreadable),
            ("mail.example.com", BadSmtp::Unreadable),
            ("https://mail.example.com", BadSmtp::Unreadable),
            ("smtp://", BadSmtp::Unreadable),
            ("smtp://mail.example.com?tls=opportunistic", BadSmtp::Extras),
            ("smtp://mail.example.com/ehlo", BadSmtp::Extras),
            ("smtp://mail.example.com#x", BadSmtp::Extras),
        ] {
            assert_eq!(check(&url(bad), false), Err(why), "{bad}");
        }
    }
}
