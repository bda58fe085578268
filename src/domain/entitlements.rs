//! What a tenant is entitled to besides what its people and keys may do.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A set of entitlements.
///
/// One that this version does not know is left out when it is read: a set that
/// lacks one entitles to less, never to more.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Entitlements(u8);

/// Name of each entitlement, by its bit.
const NAMES: &[&str] = &["ai.unlimited"];

impl Entitlements {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// Requests to language models are not capped: the tenant pays for its own.
    pub const AI_UNLIMITED: Self = Self(1);

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether all of these are in the set.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The names, such as `ai.unlimited`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }

    /// The set of these names.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(Self::NONE, |set, name| {
            let bit = NAMES.iter().position(|known| *known == name);
            Self(bit.map_or(set.0, |bit| set.0 | 1 << bit))
        })
    }
}

impl fmt::Debug for Entitlements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for Entitlements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Entitlements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(Self::named(names.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round_and_an_unknown_one_is_left_out() {
        let text = serde_json::to_string(&Entitlements::AI_UNLIMITED).unwrap();
        assert_eq!(text, r#"["ai.unlimited"]"#);
        assert_eq!(serde_json::from_str::<Entitlements>(&text).unwrap(), Entitlements::AI_UNLIMITED);
        let newer = serde_json::from_str::<Entitlements>(r#"["moon.unlimited"]"#).unwrap();
        assert!(newer.is_empty() && !newer.has(Entitlements::AI_UNLIMITED));
        assert!(Entitlements::AI_UNLIMITED.has(Entitlements::NONE));
    }
}
