//! People.

use super::UserId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// An e-mail address in the one form that it is stored and compared in: no
/// surrounding space, ASCII lower case, exactly one `@`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Email(Arc<str>);

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0.as_ref().to_owned()
    }
}

/// As it was written down before: read without a second look.
impl From<String> for Email {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Email {
    /// Bytes that an address may have (RFC 5321 §4.5.3.1.3, less the brackets).
    pub const MAX: usize = 254;

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as ada@example.com")]
pub struct BadEmail;

impl FromStr for Email {
    type Err = BadEmail;
    fn from_str(text: &str) -> Result<Self, BadEmail> {
        let (local, domain) = text.split_once('@').ok_or(BadEmail)?;
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        let sound = printable
            && text.len() <= Self::MAX
            && !local.is_empty()
            && local.len() <= 64
            && !domain.contains('@')
            && domain
                .split('.')
                .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
            && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
        if sound { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(BadEmail) }
    }
}

impl fmt::Debug for Email {
    /// Addresses are personal and stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

/// What a check knows of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    /// The person.
    pub id: UserId,
    /// The address.
    pub email: Email,
    /// Whether they run this platform.
    pub operator: bool,
    /// Whether everything of theirs is refused.
    pub disabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        let email: Email = "Ada@Example.COM".parse().unwrap();
        assert_eq!(email.as_str(), "ada@example.com");
        for bad in ["", "a", "a@", "@b", "a@b@c", "a b@c", "a@-b", "a@b..c", "ä@b", "a@b\n"] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
