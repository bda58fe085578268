//! `[mail]`: how letters go.

use super::{message, smtp};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a letter may be on its way at most: the shortest-lived link in one
/// works for 15 minutes.
const LONGEST: Duration = Duration::from_mins(10);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// `[mail]`: how letters go.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which way.
    pub transport: Transport,
    /// `smtps://USER:PASSWORD@HOST`, or `smtp://…` for STARTTLS. A secret.
    pub smtp_url: Option<SmtpUrl>,
    /// Allows `smtp://` without TLS to a server that is not on this machine:
    /// everybody on the way can read the links.
    pub danger_allow_plaintext: bool,
    /// Who letters are from, such as `Doorward <no-reply@example.com>`.
    pub from: Option<String>,
    /// Where transport `file` puts letters.
    pub folder: PathBuf,
    /// How long one try may take, in milliseconds.
    pub send_timeout_ms: u64,
    /// Tries, the first included.
    pub attempts: u32,
    /// The pause before the second try, in milliseconds; each later pause is
    /// four times as long, up to a minute.
    pub retry_ms: u64,
    /// Letters that may wait; more are refused. A letter takes about 1 KiB.
    pub queue: usize,
}

/// Which way letters go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// To a mail server.
    Smtp,
    /// Into a folder, a file each.
    File,
    /// Into the log, **links and all**: who reads the log can take over every
    /// account. For trying things out on one's own machine.
    Log,
    /// Nowhere.
    None,
}

/// The URL of a mail server; may hold a password and is never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct SmtpUrl(Zeroizing<String>);

impl SmtpUrl {
    /// The URL in full, password included.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for SmtpUrl {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            transport: Transport::None,
            smtp_url: None,
            danger_allow_plaintext: false,
            from: None,
            folder: PathBuf::from("mail"),
            send_timeout_ms: 10_000,
            attempts: 5,
            retry_ms: 1_000,
            queue: 1_000,
        }
    }
}

impl Options {
    /// Every fault of these options; empty if there is none.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut bounds = |name: &str, sound: bool, range: &str| {
            if !sound {
                faults.push(format!("mail.{name} must be {range}"));
            }
        };
        bounds("send_timeout_ms", (1..=60_000).contains(&self.send_timeout_ms), "1 to 60000");
        bounds("attempts", (1..=10).contains(&self.attempts), "1 to 10");
        bounds("retry_ms", (1..=60_000).contains(&self.retry_ms), "1 to 60000");
        bounds("queue", (1..=100_000).contains(&self.queue), "1 to 100000");
        // Each is sound by itself, or the sum says nothing.
        if faults.is_empty() && self.longest() > LONGEST {
            faults.push(format!(
                "mail.attempts, mail.send_timeout_ms and mail.retry_ms together let a letter take {} s; {} s is \
                 the most, for its link works for 15 minutes",
                self.longest().as_secs(),
                LONGEST.as_secs()
            ));
        }
        if let Some(from) = &self.from
            && let Err(fault) = message::sender(from)
        {
            faults.push(fault.to_string());
        }
        faults.extend(self.transport_faults());
        faults
    }

    /// How long one try may take.
    pub fn send_timeout(&self) -> Duration {
        Duration::from_millis(self.send_timeout_ms)
    }

    /// The pause after that many tries.
    pub(super) fn pause_after(&self, tries: u32) -> Duration {
        let factor = 4_u32.saturating_pow(tries.saturating_sub(1));
        Duration::from_millis(self.retry_ms).saturating_mul(factor).min(LONGEST_PAUSE)
    }

    /// How long a letter may take once its turn has come.
    fn longest(&self) -> Duration {
        let pauses: Duration = (1..self.attempts).map(|tries| self.pause_after(tries)).sum();
        self.send_timeout().saturating_mul(self.attempts).saturating_add(pauses)
    }

    fn transport_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.transport {
            Transport::Smtp => {
                if self.from.is_none() {
                    faults.push("mail.from is needed with mail.transport = \"smtp\"".to_owned());
                }
                match &self.smtp_url {
                    None => {
                        faults.push("mail.smtp_url is needed with mail.transport = \"smtp\"".to_owned());
                    }
                    Some(url) => {
                        let fault = smtp::check(url, self.danger_allow_plaintext).err();
                        faults.extend(fault.map(|fault| format!("mail.smtp_url: {fault}")));
                    }
                }
            }
            Transport::File if self.folder.as_os_str().is_empty() => {
                faults.push("mail.folder must be a path".to_owned());
            }
            Transport::File | Transport::Log | Transport::None => {}
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn the_defaults_are_sound_and_carry_nothing() {
        assert_eq!(Options::default().faults(), Vec::<String>::new());
        assert_eq!(Options::default().transport, Transport::None);
    }

    #[test]
    fn settings_are_read_and_the_url_stays_secret() {
        let options = read(
            "transport = \"smtp\"\nsmtp_url = \"smtps://me:hunter2@mail.example.com\"\nfrom = \"Doorward <a@b.example>\"",
        )
        .unwrap();
        assert_eq!(options.faults(), Vec::<String>::new());
        assert!(!format!("{options:?}").contains("hunter2"));
        assert!(read("transport = \"pigeon\"").is_err());
        assert!(read("transprot = \"log\"").is_err());
    }

    #[test]
    fn every_fault_is_told_at_once_and_no_secret_with_it() {
        let options = Options {
            transport: Transport::Smtp,
            smtp_url: Some("http://me:hunter2@mail.example.com".to_owned().into()),
            from: Some("nobody\r\nBcc: all@example.com".to_owned()),
            send_timeout_ms: 0,
            attempts: 11,
            retry_ms: 0,
            queue: 0,
            ..Options::default()
        };
        let faults = options.faults();
        assert_eq!(faults.len(), 6, "{faults:?}");
        assert!(!faults.concat().contains("hunter2"));
        let nothing_said = Options { transport: Transport::Smtp, ..Options::default() };
        assert_eq!(nothing_said.faults().len(), 2);
    }

    #[test]
    fn a_letter_may_not_take_longer_than_its_link_works() {
        let options = Options { attempts: 10, send_timeout_ms: 60_000, ..Options::default() };
        assert_eq!(options.faults().len(), 1, "{:?}", options.faults());
        assert_eq!(Options::default().longest(), Duration::from_secs(50 + 1 + 4 + 16 + 60));
    }
}
