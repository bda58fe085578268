//! The lines of an export (`.dwaudit`): a header, the entries with their opened
//! fields, an end. Each is a JSON object in one form only, so that a changed
//! byte is a changed line.

use super::entry::{Entry, Field};
use super::merkle::Hash;
use crate::domain::reading::Reading;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the file's form that is written here.
pub const VERSION: u32 = 1;

/// Bytes that a line may have.
pub const MAX_LINE: usize = 2 * 1024 * 1024;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the file's form.
    pub dwaudit: u32,
    /// The log, as its checkpoints name it.
    pub origin: String,
    /// The public key of its checkpoints.
    pub vkey: String,
    /// The tenant whose log it is.
    pub tenant: String,
    /// When it was made (µs since 1970).
    pub time: i64,
    /// The first entry that is in the file.
    pub from: u64,
    /// The entry after the last.
    pub to: u64,
    /// Entries of the log.
    pub size: u64,
    /// The subtrees before the first entry, from left to right.
    pub before: Vec<Hash>,
    /// The subtrees after the last.
    pub after: Vec<Hash>,
    /// Earlier checkpoints, by size.
    pub checkpoints: Vec<String>,
    /// Proves that the log goes on from where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}

/// Proves that a log goes on from one of that size (RFC 9162 §2.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Entries that the log had.
    pub size: u64,
    /// The proof.
    pub path: Vec<Hash>,
}

/// A line with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its leaf.
    pub leaf: Hash,
    /// The entry.
    pub entry: Entry,
    /// Salt (in hex) and value of what was not erased, by name.
    pub fields: BTreeMap<String, (String, String)>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// What it says.
    pub end: Ending,
}

/// What the last line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Entries in the file.
    pub entries: u64,
    /// The checkpoint of the log, as it was when the file was made.
    pub checkpoint: String,
    /// The note over all lines before this one.
    pub seal: String,
}

/// Reads a line in its one form.
///
/// # Errors
/// What is wrong with it.
pub fn read<T: Serialize + DeserializeOwned>(line: &str) -> Result<T, String> {
    let read: T = serde_json::from_str(line).map_err(|error| format!("cannot be read: {error}"))?;
    let again = serde_json::to_string(&read).map_err(|error| error.to_string())?;
    if again == line { Ok(read) } else { Err("is not in the form that exports have".into()) }
}

/// The line of an entry as it is stored, with those of its fields that are left.
pub fn line(entry: &str, fields: &[Field]) -> Result<String, serde_json::Error> {
    let opened: BTreeMap<&str, (String, &str)> = fields
        .iter()
        .map(|field| (field.name.as_str(), (to_hex(field.salt), field.value.as_str())))
        .collect();
    let opened = serde_json::to_string(&opened)?;
    Ok(format!(r#"{{"leaf":"{}","entry":{entry},"fields":{opened}}}"#, Hash::of_leaf(entry.as_bytes())))
}

impl Line {
    /// The first field that is not what the entry committed to.
    pub fn wrong_field(&self) -> Option<&str> {
        let is_right = |name: &str, salt: &str, value: &str| {
            let commitment = self.entry.commitments.get(name);
            commitment.is_some_and(|told| {
                from_hex(salt).is_some_and(|salt| Field::commitment(&salt, value) == *told)
            })
        };
        let wrong = self.fields.iter().find(|(name, (salt, value))| !is_right(name, salt, value));
        wrong.map(|(name, _)| name.as_str())
    }
}

fn to_hex(salt: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(salt))
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let number = u128::from_str_radix(text, 16).readable().filter(|_| is_hex)?;
    Some(number.to_be_bytes())
}
