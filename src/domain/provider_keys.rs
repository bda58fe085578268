//! Keys that a tenant has with other providers, such as of language models.

use super::{ProviderKeyId, TenantId, Timestamp};
use std::fmt;
use std::str::FromStr;

/// Provider keys that a tenant may have.
pub const MAX_PROVIDER_KEYS: i64 = 100;

/// Characters of a provider's name, and of a label.
const MAX_NAME: usize = 40;

/// Who a key is for, such as `openai` or `azure_openai`: 1 to 40 lower-case
/// letters, digits, hyphens and underscores, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Provider(String);

/// Tells a tenant's keys of one provider apart: empty, or formed like the name
/// of a provider but that it may begin with a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Label(String);

/// A text that names no provider, or is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProviderKey {
    /// Of a provider.
    #[error("must be 1 to 40 lower-case letters, digits, hyphens and underscores, beginning with a letter")]
    Provider,
    /// Of a label.
    #[error("must be at most 40 lower-case letters, digits, hyphens and underscores, beginning with no sign")]
    Label,
}

impl FromStr for Provider {
    type Err = BadProviderKey;
    fn from_str(text: &str) -> Result<Self, BadProviderKey> {
        let sound = is_plain(text) && text.starts_with(|first: char| first.is_ascii_lowercase());
        if sound { Ok(Self(text.to_owned())) } else { Err(BadProviderKey::Provider) }
    }
}

impl FromStr for Label {
    type Err = BadProviderKey;
    fn from_str(text: &str) -> Result<Self, BadProviderKey> {
        let sound = is_plain(text) && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if text.is_empty() || sound { Ok(Self(text.to_owned())) } else { Err(BadProviderKey::Label) }
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text.len() <= MAX_NAME && text.bytes().all(plain)
}

/// Which of a tenant's provider keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProviderKeyName {
    /// The provider.
    pub provider: Provider,
    /// Which of its keys.
    pub label: Label,
}

impl ProviderKeyName {
    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.provider.0
    }

    /// The label; empty for the key without one.
    pub fn label(&self) -> &str {
        &self.label.0
    }
}

/// `openai`, or with a label `openai/team-a`.
impl fmt::Display for ProviderKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.provider())?;
        if self.label().is_empty() { Ok(()) } else { write!(f, "/{}", self.label()) }
    }
}

/// A provider key as people see it: all but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// The tenant.
    pub tenant: TenantId,
    /// Which one.
    pub name: ProviderKeyName,
    /// Tells one secret from another and nothing of either.
    pub fingerprint: String,
    /// Who set the secret: a user's or a key's id.
    pub set_by: String,
    /// When it was set.
    pub set_time: Timestamp,
    /// When a service last fetched it.
    pub fetch_time: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_two_never_read_alike() {
        for good in ["openai", "azure_openai", "x", "a-1", &"a".repeat(40)] {
            assert!(good.parse::<Provider>().is_ok(), "{good}");
        }
        for bad in ["", "OpenAI", "1a", "-a", "_a", "a b", "a/b", "a.b", "ä", &"a".repeat(41)] {
            assert_eq!(bad.parse::<Provider>(), Err(BadProviderKey::Provider), "{bad}");
        }
        for good in ["", "team-a", "2nd", &"a".repeat(40)] {
            assert!(good.parse::<Label>().is_ok(), "{good}");
        }
        for bad in ["Team", "-a", "a/b", "a b", &"a".repeat(41)] {
            assert_eq!(bad.parse::<Label>(), Err(BadProviderKey::Label), "{bad}");
        }
        let name = |provider: &str, label: &str| ProviderKeyName {
            provider: provider.parse().unwrap(),
            label: label.parse().unwrap(),
        };
        assert_eq!(name("openai", "").to_string(), "openai");
        assert_eq!(name("openai", "team-a").to_string(), "openai/team-a");
    }
}
