//! The one form of an entry, version 1.
//!
//! An entry is a line of JSON without spaces, its members in the order of
//! [`Entry`]; those bytes are the leaf of the tree. What may be personal is in
//! it as a commitment only: `SHA-256("dw-audit-field\0" ‖ salt ‖ value)`.

use super::merkle::Hash;
use super::{Actor, Event};
use crate::domain::TenantId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The version of entries that is written here.
pub const VERSION: u32 = 1;

/// Bytes that a value may have which can be erased; what is longer is cut.
pub const MAX_VALUE: usize = 1024;

/// Bytes that a fact may have; what is longer is cut.
pub const MAX_FACT: usize = 16 * 1024;

/// Facts and fields that an entry may have of each; those that come last are left out.
pub const MAX_FIELDS: usize = 32;

/// What ends a value that was cut.
const CUT: &str = "…";

/// An entry, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The version of this form.
    pub v: u32,
    /// The tenant whose log it is in.
    pub tenant: String,
    /// Its place in the log, from 0 on and without gaps.
    pub idx: u64,
    /// When it happened (µs since 1970).
    pub time: i64,
    /// Who did it: a user's or a key's id, or `system`.
    pub actor: String,
    /// The credential that they presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Their own tenant, where they acted for another (R6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// What was done.
    pub action: String,
    /// To what.
    pub target: String,
    /// The request that did it.
    pub correlation: String,
    /// `done` or `refused`.
    pub outcome: String,
    /// What stays readable for ever.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// What can be erased, as commitments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commitments: BTreeMap<String, Hash>,
}

/// A text that is no entry.
#[derive(Debug, thiserror::Error)]
pub enum BadEntry {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a version that is not known here.
    #[error("it is of version {0}, which this program does not know")]
    Version(u32),
    /// It says the same in another form than the one.
    #[error("it is not in the form that entries have")]
    Form,
}

impl Entry {
    /// Reads an entry in its one form.
    pub fn parse(text: &str) -> Result<Self, BadEntry> {
        let entry: Self = serde_json::from_str(text)?;
        if entry.v != VERSION {
            return Err(BadEntry::Version(entry.v));
        }
        if entry.to_text()? == text { Ok(entry) } else { Err(BadEntry::Form) }
    }

    /// The bytes of its leaf.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// A value with the salt that its commitment was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Random bytes, so that the value cannot be guessed from its commitment.
    pub salt: [u8; 16],
    /// The value.
    pub value: String,
}

impl Field {
    /// The commitment to a value.
    pub fn commitment(salt: &[u8; 16], value: &str) -> Hash {
        let hash = Sha256::new_with_prefix(b"dw-audit-field\0").chain_update(salt).chain_update(value);
        Hash::from_bytes(hash.finalize().into())
    }
}

/// An entry that is about to be written: its place is known only once the
/// head of its log is held, so its text comes in two parts.
#[derive(Debug)]
pub struct Draft {
    /// What comes before its place.
    pub before: String,
    /// What comes after it.
    pub after: String,
    /// What its commitments are to.
    pub fields: Vec<Field>,
}

/// Everything after the place, in the order of [`Entry`].
#[derive(Serialize)]
struct Rest<'a> {
    time: i64,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<String>,
    action: &'a str,
    target: &'a str,
    correlation: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    commitments: BTreeMap<&'a str, Hash>,
}

impl Draft {
    /// The entry of an event.
    pub fn new(actor: &Actor, event: &Event) -> Result<Self, serde_json::Error> {
        let fields = fields(actor, event);
        let commitments =
            fields.iter().map(|field| (field.name.as_str(), Field::commitment(&field.salt, &field.value)));
        let facts = event.facts.iter().take(MAX_FIELDS).map(|(name, value)| (*name, cut(value, MAX_FACT)));
        let rest = serde_json::to_string(&Rest {
            time: event.time.micros(),
            actor: &actor.id,
            credential: actor.credential.map(|credential| credential.id.to_string()),
            home: actor.home.map(|home| home.to_string()),
            action: event.action.name(),
            target: &event.target,
            correlation: &actor.correlation,
            outcome: event.action.outcome().name(),
            facts: facts.collect(),
            commitments: commitments.collect(),
        })?;
        Ok(Self { before: before(event.tenant), after: rest.replacen('{', ",", 1), fields })
    }

    /// The whole text at that place.
    pub fn at(&self, idx: u64) -> String {
        format!("{}{idx}{}", self.before, self.after)
    }
}

fn before(tenant: TenantId) -> String {
    format!(r#"{{"v":{VERSION},"tenant":"{tenant}","idx":"#)
}

/// What is committed to, each name once: what was said last holds.
fn fields(actor: &Actor, event: &Event) -> Vec<Field> {
    let mut values: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in event.detail.iter().take(MAX_FIELDS) {
        values.insert(name, cut(value, MAX_VALUE));
    }
    if let Some(address) = actor.address {
        values.insert("address", Cow::Owned(address.to_string()));
    }
    values
        .into_iter()
        .map(|(name, value)| Field { name: name.into(), salt: salt(event, name), value: value.into_owned() })
        .collect()
}

/// A salt that nobody can find again who does not have it: the seed is kept nowhere.
fn salt(event: &Event, name: &str) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::new_with_prefix(b"dw-audit-salt\0")
        .chain_update(event.seed.0)
        .chain_update(name)
        .finalize()
        .into();
    let mut salt = [0; 16];
    salt.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
    salt
}

/// A value of bounded length. NUL is not a character that databases keep.
fn cut(value: &str, most: usize) -> Cow<'_, str> {
    let is_whole = value.len() <= most;
    if is_whole && !value.contains('\0') {
        return Cow::Borrowed(value);
    }
    let kept = value.floor_char_boundary(most);
    let mut short = value.get(..kept).unwrap_or_default().replace('\0', "\u{fffd}");
    if !is_whole {
        short.push_str(CUT);
    }
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{Action, Presented};
    use crate::domain::clock::fixed::Counting;
    use crate::domain::{CredentialId, KeyId, Timestamp};

    fn draft(detail: &[(&'static str, &str)]) -> Draft {
        let tenant = TenantId::from_bytes([7; 16]);
        let time = Timestamp::from_micros(1_767_225_600_000_001);
        let mut event = Event::new(tenant, Action::KeyRevoked, "key_1", time, &Counting::default());
        event.facts.push(("kind", "user \"quoted\"".into()));
        event.detail.extend(detail.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let actor = Actor {
            credential: Some(Presented { id: CredentialId::Key(KeyId::from_bytes([3; 16])), tenant }),
            home: Some(TenantId::from_bytes([9; 16])),
            address: Some([192, 0, 2, 7].into()),
            ..Actor::system("c-1")
        };
        Draft::new(&actor, &event).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let draft = draft(&[("display_name", "Zoë's \u{1}key")]);
        let entry = Entry::parse(&draft.at(41)).unwrap();
        assert_eq!(
            (entry.v, entry.idx, entry.action.as_str(), entry.outcome.as_str()),
            (1, 41, "key.revoked", "done")
        );
        assert_eq!(entry.home, Some(TenantId::from_bytes([9; 16]).to_string()));
        assert_eq!(entry.facts["kind"], "user \"quoted\"");
        let names: Vec<&str> = entry.commitments.keys().map(String::as_str).collect();
        assert_eq!(names, ["address", "display_name"]);
        for field in &draft.fields {
            assert_eq!(entry.commitments[&field.name], Field::commitment(&field.salt, &field.value));
        }
        assert!(!draft.at(41).contains("192.0.2.7") && !draft.at(41).contains("Zoë"), "it is in the clear");
    }

    #[test]
    fn salts_differ_by_field_and_by_event() {
        let (one, other) = (draft(&[("a", "x"), ("b", "x")]), draft(&[("a", "x"), ("b", "x")]));
        let [a, b] = [1, 2].map(|at| one.fields[at].salt);
        assert_ne!(a, b);
        assert_eq!(one.fields[1].salt, other.fields[1].salt, "the same entropy was given");
        let mut event = Event::new(
            TenantId::from_bytes([7; 16]),
            Action::KeyRevoked,
            "k",
            Timestamp::from_micros(1),
            &Counting::default(),
        );
        event.seed.0[0] ^= 1;
        event.detail.push(("a".into(), "x".into()));
        assert_ne!(Draft::new(&Actor::system("c"), &event).unwrap().fields[0].salt, a);
    }

    #[test]
    fn there_is_one_form_only() {
        let text = draft(&[]).at(3);
        assert!(Entry::parse(&text).is_ok());
        for other in [
            text.replacen(',', ", ", 1),
            text.replacen("\"v\":1", "\"v\":1,\"v\":1", 1),
            text.replacen("\"idx\":3", "\"idx\":03", 1),
            text.replacen("key_1", "\\u006bey_1", 1),
            text.replacen("\"actor\"", "\"more\":1,\"actor\"", 1),
            text.replacen("\"facts\":{", "\"facts\":{\"kind\":\"x\",", 1),
            format!("{text} "),
        ] {
            assert!(Entry::parse(&other).is_err(), "{other}");
        }
        assert!(matches!(Entry::parse(&text.replacen("\"v\":1", "\"v\":2", 1)), Err(BadEntry::Version(2))));
    }

    #[test]
    fn what_is_long_is_cut_and_what_is_much_is_left_out() {
        let long = "ü".repeat(MAX_VALUE);
        let draft = draft(&[("long", &long), ("nul", "a\0b")]);
        let value = &draft.fields.iter().find(|field| field.name == "long").unwrap().value;
        assert!(value.ends_with(CUT) && value.len() <= MAX_VALUE + CUT.len());
        assert_eq!(draft.fields.iter().find(|field| field.name == "nul").unwrap().value, "a\u{fffd}b");
        let mut event = Event::new(
            TenantId::from_bytes([7; 16]),
            Action::KeyRevoked,
            "k",
            Timestamp::from_micros(1),
            &Counting::default(),
        );
        event.detail = (0..100).map(|at| (format!("f{at}").into(), "x".into())).collect();
        assert_eq!(Draft::new(&Actor::system("c"), &event).unwrap().fields.len(), MAX_FIELDS);
    }
}
