//! The JSON transcoder against another writer of OTLP/JSON, and against a reading as a tree.

use std::cmp::Ordering;
use std::fmt::Debug;

use base64::alphabet;
use base64::engine::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use prost::Message;
use serde::Serialize;
use serde_json::{Map, Value};

use super::sample::Source;
use super::strip::Strip;
use super::{Both, both};
use crate::otlp::message::fields::Signal;
use crate::otlp::message::json::{BadJson, transcode};

/// The transcoder's answer.
fn ours(signal: Signal, json: &[u8]) -> Result<Vec<u8>, BadJson> {
    let mut left = 64 << 20;
    transcode(signal, json, &mut |more| {
        left -= more;
        left > 0
    })
}

/// An export as JSON with whatever a reader must not mind.
pub fn agree<M>(signal: Signal, sent: &M, noise: &mut Source<'_>)
where
    M: Message + Default + PartialEq + Strip + Debug + Serialize,
{
    let json = disguised(serde_json::to_value(sent).unwrap(), noise);
    let encoded = ours(signal, &serde_json::to_vec(&json).unwrap());
    let encoded = encoded.unwrap_or_else(|refusal| panic!("{refusal}: {json}"));
    let decoded = M::decode(encoded.as_slice()).unwrap();
    assert!(decoded == *sent, "{json}\ngave {decoded:#?}\nsent {sent:#?}");
    let Both { spliced, got, expected, removed, unsure } = both::<M>(signal, &encoded.into()).unwrap();
    assert!(got == expected && spliced.stripped == removed + unsure);
}

/// Text of any origin: what is taken is an export without denied keys, and says what a reading of the text as a tree
/// says.
pub fn no_worse<M>(signal: Signal, json: &[u8]) -> bool
where
    M: Message + Default + PartialEq + Strip + Debug + Serialize,
{
    let Ok(encoded) = ours(signal, json) else { return false };
    let decoded = M::decode(encoded.as_slice()).unwrap();
    // A value may be nested deeper than the splicer takes it.
    let _both = both::<M>(signal, &encoded.into());
    // Numbers that a tree cannot hold are no numbers of an export either.
    let tree: Value = serde_json::from_slice(json).unwrap();
    let written = serde_json::to_value(&decoded).unwrap();
    assert!(says(&written, &tree), "{written}\nwas read from {tree}");
    true
}

/// Members of which an object has one at most, and which are left out of what is written when they are absent.
const CHOICES: [&str; 14] = [
    "stringValue",
    "boolValue",
    "intValue",
    "doubleValue",
    "arrayValue",
    "kvlistValue",
    "bytesValue",
    "stringValueStrindex",
    "gauge",
    "histogram",
    "exponentialHistogram",
    "summary",
    "asDouble",
    "asInt",
];

/// Whether `written`, in which each member of a message is, says the same as `read`, in which any may be absent.
fn says(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            let told = |name: &str| read.get(name).filter(|value| !value.is_null());
            let same = |(name, value): (&String, &Value)| match told(name) {
                Some(read) => says(value, read),
                None => is_nothing(value),
            };
            let choices = CHOICES.iter().filter(|name| told(name).is_some());
            written.iter().all(same) && choices.into_iter().all(|name| written.contains_key(*name))
        }
        (Value::Array(written), Value::Array(read)) => {
            written.len() == read.len() && written.iter().zip(read).all(|(one, other)| says(one, other))
        }
        (Value::Null, read) => {
            read.as_str().is_some_and(|text| ["NaN", "Infinity", "-Infinity"].contains(&text))
        }
        (written, read) => {
            let (written, read) = (plain(written), plain(read));
            written.eq_ignore_ascii_case(&read)
                || matches!((written.parse::<f64>(), read.parse::<f64>()), (Ok(one), Ok(other)) if one.partial_cmp(&other) == Some(Ordering::Equal))
                || matches!((base64(&written), base64(&read)), (Some(one), Some(other)) if one == other)
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "0",
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The letters and digits of base64, in one alphabet and without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let engine = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));
    let Ok(bytes) = engine.decode(text) else { return None };
    Some(bytes)
}

/// The same with unknown members, nothings, and integers written otherwise.
fn disguised(value: Value, noise: &mut Source<'_>) -> Value {
    match value {
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, value) in members {
                if noise.below(5) == 0 {
                    let (unknown, what) = unknown(noise);
                    out.insert(unknown.to_owned(), what);
                }
                let integer = name.ends_with("UnixNano") || name == "intValue" || name == "asInt";
                let value =
                    if integer && noise.below(2) == 0 { turned(value) } else { disguised(value, noise) };
                out.insert(name, value);
            }
            Value::Object(out)
        }
        Value::Array(values) => values.into_iter().map(|value| disguised(value, noise)).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// Members that no message has, however they look.
fn unknown(noise: &mut Source<'_>) -> (&'static str, Value) {
    let evil = serde_json::json!([{"key": "tenant.id", "value": {"stringValue": "evil"}}]);
    match noise.below(5) {
        0 => ("resource_spans", evil),
        1 => ("Attributes", evil),
        2 => ("droppedAttributes_count", 1.into()),
        3 => ("", Value::Null),
        _ => ("attributes\u{0}", evil),
    }
}

/// A number as text, text as a number.
fn turned(value: Value) -> Value {
    match &value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => serde_json::from_str(text).unwrap_or(value),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => value,
    }
}
