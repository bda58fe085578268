//! JSON as it was sent: members in order, duplicates and all.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::cell::Cell;
use std::fmt;

/// A JSON value. Unlike `serde_json::Value` it keeps a member that came twice, so that it can be
/// refused: two readers of one body must not see two different values (RFC 8259 §4).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// Why a text is not taken. The parser's own messages are not kept: they may hold pieces of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// It stops being JSON.
    #[error("is not JSON (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// It holds more values than are allowed.
    #[error("holds too many values")]
    TooMany,
}

impl Json {
    /// Reads a whole text of at most `max_values` values, nested ones included. Nesting itself is
    /// bounded by `serde_json` (128 levels).
    pub fn parse(text: &[u8], max_values: usize) -> Result<Self, JsonError> {
        let left = Cell::new(Some(max_values));
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let read =
            AnyJson(&left).deserialize(&mut deserializer).and_then(|json| deserializer.end().map(|()| json));
        read.map_err(|error| match left.get() {
            Some(_) => JsonError::Malformed { line: error.line(), column: error.column() },
            None => JsonError::TooMany,
        })
    }

    /// The same as a `serde_json` value; of a member that came twice, the last.
    pub fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => Value::Number(value),
            Self::Text(value) => Value::String(value),
            Self::List(list) => list.into_iter().map(Self::into_value).collect(),
            Self::Object(members) => {
                members.into_iter().map(|(name, value)| (name, value.into_value())).collect()
            }
        }
    }
}

/// Reads any JSON value; holds how many more may be read, `None` once there were too many.
#[derive(Clone, Copy)]
struct AnyJson<'c>(&'c Cell<Option<usize>>);

impl<'de> DeserializeSeed<'de> for AnyJson<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.0.set(self.0.get().and_then(|left| left.checked_sub(1)));
        if self.0.get().is_none() {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyJson<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = object.next_key()? {
            members.push((name, object.next_value_seed(self)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_that_came_twice_are_kept() {
        let Json::Object(members) = Json::parse(br#"{"a":1,"b":[true,null],"a":"x"}"#, 9).unwrap() else {
            panic!()
        };
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "a"]);
    }

    #[test]
    fn the_error_tells_the_place_and_nothing_else() {
        let error = Json::parse(b"{\"credential\":\n secret}", 9).unwrap_err();
        assert_eq!(error.to_string(), "is not JSON (line 2, column 2)");
        assert!(Json::parse(b"1 2", 9).is_err());
        assert!(Json::parse(b"", 9).is_err());
    }

    #[test]
    fn values_are_counted() {
        assert!(Json::parse(b"[1,{\"a\":2}]", 4).is_ok());
        assert_eq!(Json::parse(b"[1,{\"a\":2}]", 3), Err(JsonError::TooMany));
        assert_eq!(Json::parse(b"[[],[],[]]", 2), Err(JsonError::TooMany));
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let deep = "[".repeat(1_000_000);
        assert!(Json::parse(deep.as_bytes(), usize::MAX).is_err());
        let balanced = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(Json::parse(balanced.as_bytes(), usize::MAX).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back(value in any_json()) {
            let read = Json::parse(value.to_string().as_bytes(), usize::MAX).map(Json::into_value);
            prop_assert_eq!(read, Ok(value));
        }

        #[test]
        fn texts_are_taken_as_serde_json_takes_them(text in "[\\[\\]{}:,\"a1e.\\- \\\\u]{0,24}") {
            let theirs = serde_json::from_str::<Value>(&text);
            prop_assert_eq!(Json::parse(text.as_bytes(), usize::MAX).is_ok(), theirs.is_ok());
        }
    }
}
