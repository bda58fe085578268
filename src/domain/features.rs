//! Features that a tenant has licensed, by name.

use super::reading::Reading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The name of a feature: 1 to 64 lower-case letters, digits, dots, hyphens and
/// underscores, beginning with a letter. What it means is the services' affair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Feature(String);

/// A text that is no name of a feature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 lower-case letters, digits, dots, hyphens and underscores, beginning with a letter")]
pub struct BadFeature;

impl Feature {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Feature {
    type Err = BadFeature;
    fn from_str(text: &str) -> Result<Self, BadFeature> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let sound = (1..=64).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(plain);
        if sound { Ok(Self(text.to_owned())) } else { Err(BadFeature) }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tenant has licensed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(BTreeSet<Feature>);

impl Features {
    /// Most that a tenant can have.
    pub const MOST: usize = 100;

    /// Whether it has the one of that name.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|feature| feature.as_str() == name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As stored: names, separated by spaces.
    pub fn to_names(&self) -> String {
        self.iter().map(Feature::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Reads names separated by spaces; `None` if one of them is none.
    pub fn from_names(names: &str) -> Option<Self> {
        names.split_ascii_whitespace().map(|name| name.parse().readable()).collect()
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_go_round() {
        let features = Features::from_names("sso audit.export ai_chat").unwrap();
        assert_eq!(Features::from_names(&features.to_names()), Some(features.clone()));
        assert!(features.has("sso") && !features.has("SSO") && !features.has("ss"));
        for bad in ["", "Sso", "1st", "a b", "a,b", &"a".repeat(65)] {
            assert_eq!(bad.parse::<Feature>(), Err(BadFeature), "{bad}");
        }
    }
}
