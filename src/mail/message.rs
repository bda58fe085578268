//! A letter as mail programs read it (RFC 5322).

use super::BadMail;
use crate::domain::letters::Letter;
use crate::domain::{Entropy, Timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// Says that no person wrote it, so that none of the machines that answer
/// letters answers this one (RFC 3834 §5).
const AUTOMATIC: &str = "Auto-Submitted";

/// A letter that no message can be made of: its address is none.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the address cannot be written to")]
pub struct Unwritable;

/// Reads `mail.from`.
pub fn sender(text: &str) -> Result<Mailbox, BadMail> {
    let one_line = !text.chars().any(char::is_control) && text.len() <= 320;
    match text.parse() {
        Ok(mailbox) if one_line => Ok(mailbox),
        Ok(_) | Err(_) => Err(BadMail::From),
    }
}

/// The message of a letter. Subject and addresses are encoded by the library,
/// which lets no line end through; [`Letter`] has none to begin with.
pub fn message(
    letter: &Letter,
    from: &Mailbox,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Message, Unwritable> {
    let address = letter.to().as_str().parse().or(Err(Unwritable))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, address))
        .subject(letter.subject())
        .date(date(now))
        .message_id(Some(format!("<{}@{}>", random_name(entropy), from.email.domain())))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(AUTOMATIC), "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text().to_owned())
        .or(Err(Unwritable))
}

/// 128 random bits as text.
pub fn random_name(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes.iter().fold(String::with_capacity(32), |mut name, byte| {
        // Writing to a string cannot fail.
        _ = write!(name, "{byte:02x}");
        name
    })
}

/// Times before 1970, or so late that no calendar has them, become 1970.
fn date(now: Timestamp) -> SystemTime {
    let since = Duration::from_micros(u64::try_from(now.micros()).unwrap_or(0));
    let in_a_calendar = since < Duration::from_secs(250_000_000_000);
    SystemTime::UNIX_EPOCH + if in_a_calendar { since } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use crate::domain::letters::{Invited, Letters, LinkBase};
    use crate::domain::users::Email;

    const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    fn written(to: &str, tenant: &str) -> Result<String, Unwritable> {
        let letters = Letters::new(LinkBase::parse("https://id.example.com").unwrap());
        let by: Email = "owner@example.com".parse().unwrap();
        let letter = letters.invitation(Email::from(to.to_owned()), "tok", Invited { tenant, by: &by });
        let from = sender("Doorward <no-reply@example.com>").unwrap();
        let message = message(&letter, &from, NOW, &Counting::default())?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_message_has_what_mail_servers_look_for() {
        let text = written("ada@example.com", "Acme").unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: Doorward <no-reply@example.com>",
            "To: ada@example.com",
            "Subject: You are invited to join a team at id.example.com",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(headers.lines().any(|it| it == line), "{line} in {headers}");
        }
        assert!(headers.contains("@example.com>\r\n") && headers.contains("Message-ID: <"));
        assert!(body.contains("https://id.example.com/accept-invitation#token=tok\r\n"), "{body}");
    }

    // A32
    #[test]
    fn no_value_makes_a_header() {
        let attack = "x\r\nBcc: all@example.com\r\n\r\nbody";
        let text = written("ada@example.com", attack).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        for to in [
            "ada@example.com\r\nBcc: all@example.com",
            "ada@example.com\nBcc: all@example.com",
            "ada@example.com, all@example.com",
            "ada@example.com> RCPT TO:<all@example.com",
            "",
        ] {
            assert!(written(to, "Acme").is_err(), "{to:?}");
        }
        for from in ["a@b.example\r\nBcc: c@d.example", "x\n <a@b.example>", "", "a b"] {
            assert!(sender(from).is_err(), "{from:?}");
        }
    }

    #[test]
    fn the_ends_of_time_are_dates_too() {
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            assert!(date(Timestamp::from_micros(micros)) >= SystemTime::UNIX_EPOCH);
        }
    }
}
