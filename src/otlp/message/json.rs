//! OTLP/JSON into protobuf, along the [field table](super::fields), without a tree in between.
//!
//! A JSON body is never forwarded as JSON: back ends accept names in it that the specification does not know, so that
//! what is denied could be written in a way that only they understand. What becomes of it here is what counts, for
//! everybody behind.
//!
//! The form is proto3 JSON with OTLP's own rules: names in lowerCamelCase only, ids in hexadecimal, enumerations as
//! numbers, unknown names ignored, 64-bit integers as text or number, `NaN` and infinities as text. A name that comes
//! twice in one object, and two members of one choice, are refused, as readers differ in which of them counts.
//!
//! # Invariants
//! Objects and arrays are nested to a fixed depth (128, by `serde_json`), also in what is ignored. The output grows
//! only as far as its reader lets it.

mod number;
mod read;
mod write;

use serde::de::DeserializeSeed as _;
use thiserror::Error;

use self::read::Body;
use self::write::Output;
use super::fields::Signal;

/// Why a JSON body is refused. The text says where, never what the client sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadJson {
    /// It is not UTF-8.
    #[error("the JSON is not UTF-8")]
    Text,
    /// It is not JSON, nested too deep, or a value has another type than its field.
    #[error("the JSON cannot be read as an export request, at line {line}, column {column}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// The column, from 0.
        column: usize,
    },
    /// A name that came twice.
    #[error("`{field}` of `{message}` is there twice in one object")]
    Twice {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
    },
    /// Two members of a choice.
    #[error("`{field}` of `{message}` excludes another member that is there too")]
    Choice {
        /// The message's name.
        message: &'static str,
        /// The name of the second field.
        field: &'static str,
    },
    /// A number out of range, an id of the wrong length, text that is no base64.
    #[error("`{field}` has a value that it cannot have")]
    Value {
        /// The field's name.
        field: &'static str,
    },
    /// The output may not grow that far.
    #[error("the request is too large")]
    NoRoom,
}

/// The protobuf encoding of a JSON request of that signal. `room` is asked before the output takes that many bytes
/// more.
///
/// # Errors
/// It is no such request, or `room` says no.
pub fn transcode(
    signal: Signal,
    json: &[u8],
    room: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, BadJson> {
    let mut out = Output::new(room);
    let json = std::str::from_utf8(json).or(Err(BadJson::Text))?;
    let mut reader = serde_json::Deserializer::from_str(json);
    let body = Body { message: signal.request(), out: &mut out };
    let read = body.deserialize(&mut reader).and_then(|()| reader.end());
    out.finish(read)
}

#[cfg(test)]
mod tests;
