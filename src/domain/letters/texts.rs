//! What letters say.

use super::{Letter, LinkBase};
use crate::domain::Timestamp;
use crate::domain::users::Email;
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the link of a password reset works.
pub const RESET_FOR: Duration = Duration::from_mins(15);

/// How long the link that verifies an address works.
pub const VERIFICATION_FOR: Duration = Duration::from_hours(24);

/// How long the link of an invitation works.
pub const INVITATION_FOR: Duration = Duration::from_hours(7 * 24);

/// Characters of a name that somebody chose.
const MAX_NAME: usize = 60;

/// Characters of what somebody said.
const MAX_SENTENCE: usize = 200;

/// Writes letters, all links beginning with one base.
#[derive(Debug, Clone)]
pub struct Letters {
    base: LinkBase,
}

/// A sign-in from a device that was not known.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn<'a> {
    /// When.
    pub at: Timestamp,
    /// From which address, if that can be told.
    pub address: Option<IpAddr>,
    /// What the device says it is: anything.
    pub device: &'a str,
}

/// An invitation into a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Invited<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// Who invites.
    pub by: &'a Email,
}

impl Letters {
    /// Letters whose links begin with `base`.
    pub fn new(base: LinkBase) -> Self {
        Self { base }
    }

    /// The link to choose another password, good for [`RESET_FOR`] and for one use.
    pub fn password_reset(&self, to: Email, token: &str) -> Letter {
        let link = self.link("reset-password", token);
        let host = self.base.host();
        let text = format!(
            "Somebody asked to choose a new password for your account at {host}.\n\n\
             If that was you, open this link within 15 minutes:\n\n{link}\n\n\
             If it was not, there is nothing to do: your password stays as it is.\n\
             Do not pass this letter on. Who has the link can choose your password.\n",
            link = *link
        );
        Letter { to, subject: format!("Choose a new password for {host}"), text: text.into() }
    }

    /// The link that shows the address to be the person's own, good for
    /// [`VERIFICATION_FOR`] and for one use.
    pub fn email_verification(&self, to: Email, token: &str) -> Letter {
        let link = self.link("verify-email", token);
        let host = self.base.host();
        let text = format!(
            "This address was given for an account at {host}.\n\n\
             If it is your account, confirm the address within 24 hours:\n\n{link}\n\n\
             If it is not, there is nothing to do.\n",
            link = *link
        );
        Letter { to, subject: format!("Confirm your address for {host}"), text: text.into() }
    }

    /// The link to join a tenant, good for [`INVITATION_FOR`] and for one use.
    pub fn invitation(&self, to: Email, token: &str, invited: Invited<'_>) -> Letter {
        let link = self.link("accept-invitation", token);
        let host = self.base.host();
        let text = format!(
            "{by} invites you to join \"{tenant}\" at {host}.\n\n\
             To accept, open this link within 7 days:\n\n{link}\n\n\
             If you do not know the sender, there is nothing to do.\n",
            by = one_line(invited.by.as_str()),
            tenant = name(invited.tenant),
            link = *link
        );
        Letter { to, subject: format!("You are invited to join a team at {host}"), text: text.into() }
    }

    /// The password is another one.
    pub fn password_changed(&self, to: Email, at: Timestamp) -> Letter {
        let what =
            format!("The password of your account was changed at {at}. All other sessions have ended.");
        self.notice(to, "Your password was changed", &what)
    }

    /// A second factor was added, replaced or taken away.
    pub fn factor_changed(&self, to: Email, at: Timestamp) -> Letter {
        let what = format!("The second factor of your account was changed at {at}.");
        self.notice(to, "Your second factor was changed", &what)
    }

    /// Somebody signed in from a device that was not known.
    pub fn new_device(&self, to: Email, signed_in: SignedIn<'_>) -> Letter {
        let from = signed_in.address.map_or_else(|| "an unknown address".to_owned(), |it| it.to_string());
        let what = format!(
            "Somebody signed in to your account from a new device.\n\n\
             When:   {at}\nFrom:   {from}\nDevice: {device}",
            at = signed_in.at,
            device = name(signed_in.device)
        );
        self.notice(to, "New sign-in to your account", &what)
    }

    /// A refresh token was used twice, so a copy of it may be in other hands.
    pub fn refresh_reused(&self, to: Email, at: Timestamp) -> Letter {
        let what = format!(
            "A session of your account was ended at {at}, because its token was used a second time:\n\
             somebody may have a copy of it. Sign in again to go on."
        );
        self.notice(to, "A session of yours was ended for safety", &what)
    }

    /// Somebody who runs the service went into the tenant with the emergency key.
    pub fn break_glass_opened(&self, to: Email, at: Timestamp, until: Timestamp, reason: &str) -> Letter {
        let host = self.base.host();
        let text = format!(
            "Somebody who runs {host} has opened your tenant with the emergency key.\n\n\
             When:   {at}\nUntil:  {until}\nReason: {reason}\n\n\
             Everything that is done so is in your audit log. If you do not want it, close the access:\n\
             run `doorward break-glass close`, or ask an administrator of your tenant to.\n",
            reason = sentence(reason)
        );
        let subject = format!("Emergency access to your tenant ({host})");
        Letter { to, subject, text: text.into() }
    }

    /// A notice has no link: who gets many learns to click on none.
    fn notice(&self, to: Email, subject: &str, what: &str) -> Letter {
        let host = self.base.host();
        let text = format!(
            "{what}\n\nIf that was you, there is nothing to do. If it was not, choose a new password at\n\
             {host} at once and end all sessions there.\n"
        );
        Letter { to, subject: format!("{subject} ({host})"), text: text.into() }
    }

    fn link(&self, page: &str, token: &str) -> Zeroizing<String> {
        Zeroizing::new(self.base.link(page, token))
    }
}

/// Without what could end the line or hide what it says.
fn one_line(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(Email::MAX).collect()
}

/// What somebody said, as [`name`] shows it but at more length.
fn sentence(text: &str) -> String {
    plain(text, MAX_SENTENCE)
}

/// A name that somebody chose, as text that no mail program makes a link of:
/// letters, digits and a few signs, a dot only where no address goes on.
fn name(text: &str) -> String {
    plain(text, MAX_NAME)
}

fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    let mut letters = text.chars().take(most).peekable();
    while let Some(letter) = letters.next() {
        let goes_on = letters.peek().is_some_and(|next| next.is_alphabetic());
        let kept = letter.is_alphanumeric() || "-_&'(),;+".contains(letter) || (letter == '.' && !goes_on);
        plain.push(if kept { letter } else { ' ' });
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    fn letters() -> Letters {
        Letters::new(LinkBase::parse("https://id.example.com").unwrap())
    }

    fn ada() -> Email {
        "ada@example.com".parse().unwrap()
    }

    fn all(token: &str, text: &str, by: &Email) -> Vec<Letter> {
        let letters = letters();
        vec![
            letters.password_reset(ada(), token),
            letters.email_verification(ada(), token),
            letters.invitation(ada(), token, Invited { tenant: text, by }),
            letters.password_changed(ada(), AT),
            letters.factor_changed(ada(), AT),
            letters.new_device(ada(), SignedIn { at: AT, address: None, device: text }),
            letters.refresh_reused(ada(), AT),
            letters.break_glass_opened(ada(), AT, AT, text),
        ]
    }

    // A32
    #[test]
    fn what_asks_for_an_action_has_one_link_and_notices_have_none() {
        for (at, letter) in all("abc123", "Acme Inc.", &ada()).iter().enumerate() {
            let links: Vec<_> = letter.text().lines().filter(|line| line.contains("://")).collect();
            if at < 3 {
                assert_eq!(links.len(), 1, "{}", letter.subject());
                assert!(links[0].starts_with("https://id.example.com/"), "{}", links[0]);
                assert!(links[0].ends_with("#token=abc123"), "{}", links[0]);
            } else {
                assert!(links.is_empty(), "{}", letter.text());
            }
            assert!(letter.text().contains("id.example.com"));
            assert_eq!(letter.to().as_str(), "ada@example.com");
        }
    }

    #[test]
    fn what_letters_promise_is_how_long_links_work() {
        let all = all("t", "Acme", &ada());
        for (letter, (words, during)) in all.iter().zip([
            ("15 minutes", RESET_FOR),
            ("24 hours", VERIFICATION_FOR),
            ("7 days", INVITATION_FOR),
        ]) {
            assert!(letter.text().contains(words), "{}", letter.text());
            let (number, unit) = words.split_once(' ').unwrap();
            let unit =
                ["minutes", "hours", "days"].iter().zip([60, 3600, 86_400]).find(|(name, _)| **name == unit);
            assert_eq!(during.as_secs(), number.parse::<u64>().unwrap() * unit.unwrap().1);
        }
    }

    #[test]
    fn names_cannot_become_links() {
        for (given, shown) in [
            ("Acme Inc.", "Acme Inc."),
            ("Müller & Söhne", "Müller & Söhne"),
            ("win at https://evil.example/x", "win at https   evil example x"),
            ("evil.example", "evil example"),
            ("a@evil.example", "a evil example"),
            ("one\r\n\r\ntwo", "one    two"),
            ("a\u{202e}b\u{200b}c\u{2028}d", "a b c d"),
            ("Mozilla/5.0 (X11; Linux)", "Mozilla 5.0 (X11; Linux)"),
        ] {
            assert_eq!(name(given), shown);
        }
        assert_eq!(name(&"x".repeat(1000)).len(), MAX_NAME);
    }

    #[test]
    fn a_letter_cannot_be_printed() {
        let letter = letters().password_reset(ada(), "hunter2");
        assert_eq!(format!("{letter:?}"), "Letter([redacted])");
    }

    proptest! {
        // A32: whatever is put into a letter, its lines are those it always has.
        #[test]
        fn no_value_makes_another_line(token in any::<String>(), text in any::<String>(), by in any::<String>()) {
            let lines = |letters: &[Letter]| -> Vec<usize> {
                letters.iter().map(|letter| letter.text().chars().filter(|it| it.is_control()).count()).collect()
            };
            let plain = all("abc", "Acme", &ada());
            let odd = all(&token, &text, &Email::from(by));
            prop_assert_eq!(lines(&plain), lines(&odd));
            for letter in &odd {
                prop_assert!(!letter.subject().chars().any(char::is_control));
                let line_ends = ['\r', '\u{2028}', '\u{2029}', '\u{85}'];
                prop_assert!(!letter.text().contains(line_ends));
            }
        }
    }
}
