//! Identifiers: a UUID of version 7 behind a type of its own, written as a `TypeID` such as
//! `key_01h455vb4pex5vsknk084sn02q`.

use super::clock::{Entropy, Timestamp};
use super::reading::Reading;
use std::fmt::{self, Write};
use std::str::FromStr;

/// Letters of Crockford's base32, in the order of their values.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters that 128 bits take in base32.
const ENCODED: usize = 26;

/// A text that is no identifier of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier that begins with `{prefix}_`")]
pub struct BadId {
    /// The kind that was wanted.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What its text begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier: time in its first 48 bits, the rest random (RFC 9562 §5.7).
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(uuid_v7(now, entropy))
            }

            /// The identifier of these sixteen bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its text, as [`fmt::Display`] writes it.
            pub fn to_text(&self) -> [u8; $prefix.len() + 1 + ENCODED] {
                let mut text = [b'_'; $prefix.len() + 1 + ENCODED];
                let (prefix, rest) = text.split_at_mut($prefix.len());
                prefix.copy_from_slice($prefix.as_bytes());
                rest.iter_mut().skip(1).zip(encode(self.0)).for_each(|(place, letter)| *place = letter);
                text
            }

            /// The sixteen bytes as two numbers, for tables that hold them so.
            pub fn halves(&self) -> [u64; 2] {
                let mut halves = [0; 2];
                for (half, bytes) in halves.iter_mut().zip(self.0.as_chunks::<8>().0) {
                    *half = u64::from_be_bytes(*bytes);
                }
                halves
            }

            /// The identifier of two such numbers.
            pub fn from_halves([high, low]: [u64; 2]) -> Self {
                Self(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
            }

            /// The sixteen bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                encode(self.0).iter().try_for_each(|letter| f.write_char(char::from(*letter)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|rest| decode(rest.as_bytes()))
                    .map(Self)
                    .ok_or(BadId { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A tenant.
    TenantId,
    "tenant"
);
id!(
    /// A person.
    UserId,
    "user"
);
id!(
    /// A role that a tenant made for itself.
    RoleId,
    "role"
);
id!(
    /// An invitation.
    InvitationId,
    "invitation"
);
id!(
    /// An API key; public, unlike the key's secret.
    KeyId,
    "key"
);
id!(
    /// A person's session; public, unlike its tokens.
    SessionId,
    "session"
);
id!(
    /// A passkey; public, unlike the credential's private key.
    PasskeyId,
    "passkey"
);
id!(
    /// A key with another provider; public, unlike its secret.
    ProviderKeyId,
    "provider_key"
);
id!(
    /// A break-glass grant; public, unlike the key that opened it.
    GrantId,
    "grant"
);
id!(
    /// An entry of the audit log.
    AuditId,
    "event"
);

fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> [u8; 16] {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
    let [.., a, b, c, d, e, f] = millis.to_be_bytes();
    let [t0, t1, t2, t3, t4, t5, version, _, variant, ..] = &mut bytes;
    (*t0, *t1, *t2, *t3, *t4, *t5) = (a, b, c, d, e, f);
    *version = (*version & 0x0f) | 0x70;
    *variant = (*variant & 0x3f) | 0x80;
    bytes
}

fn encode(bytes: [u8; 16]) -> [u8; ENCODED] {
    let mut rest = u128::from_be_bytes(bytes);
    let mut text = [0; ENCODED];
    for letter in text.iter_mut().rev() {
        *letter = ALPHABET.get((rest & 31) as usize).copied().unwrap_or(b'0');
        rest >>= 5;
    }
    text
}

/// Strict: lower case only, exactly 26 letters, no value above 128 bits.
fn decode(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != ENCODED || text.first().is_none_or(|first| *first > b'7') {
        return None;
    }
    let mut value: u128 = 0;
    for letter in text {
        let digit = ALPHABET.iter().position(|known| known == letter)?;
        value = (value << 5) | u128::try_from(digit).readable()?;
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;

    #[test]
    fn a_known_uuid_has_the_text_that_the_typeid_specification_gives() {
        let id = UserId::from_bytes(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881_u128.to_be_bytes());
        assert_eq!(id.to_string(), "user_01h2xcejqtf2nbrexx3vqjhp41");
        assert_eq!("user_01h2xcejqtf2nbrexx3vqjhp41".parse(), Ok(id));
    }

    #[test]
    fn only_the_one_text_of_an_identifier_is_taken() {
        for bad in [
            "",
            "user",
            "user_",
            "key_01h2xcejqtf2nbrexx3vqjhp41",
            "user_01H2XCEJQTF2NBREXX3VQJHP41",
            "user_81h2xcejqtf2nbrexx3vqjhp41",
            "user_01h2xcejqtf2nbrexx3vqjhp4",
            "user_01h2xcejqtf2nbrexx3vqjhp411",
            "user_01h2xcejqtf2nbrexx3vqjhpu1",
            " user_01h2xcejqtf2nbrexx3vqjhp41",
        ] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn later_identifiers_sort_later() {
        let entropy = Counting::default();
        let early = KeyId::new(Timestamp::from_micros(1_000_000), &entropy);
        let late = KeyId::new(Timestamp::from_micros(2_000_000), &entropy);
        assert!(early < late);
        assert!(early.to_string() < late.to_string());
    }
}
