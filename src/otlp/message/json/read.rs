//! JSON as it is read: each value goes straight to the output.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::BadJson;
use super::number::{Number, base64, double, id};
use super::write::{Output, Stop};
use crate::otlp::message::fields::{Field, Kind, Message};
use crate::otlp::message::wire::Wire;

/// A message without tag and length.
pub struct Body<'o, 'r> {
    /// Which.
    pub message: &'static Message,
    /// Where it goes.
    pub out: &'o mut Output<'r>,
}

/// The value of a field, or an element of it. What is returned is whether there was one: `null` stands for none.
struct Value<'o, 'r> {
    field: &'static Field,
    place: Place,
    out: &'o mut Output<'r>,
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// After its name.
    Member,
    /// In a list.
    Element,
    /// In a list that is written without tags.
    Packed,
}

/// A name, looked up from that place of the message's fields on.
struct Name {
    message: &'static Message,
    from: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<(usize, &'static Field)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<(usize, &'static Field)>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.message.named(name, self.from))
    }
}

impl<'de> DeserializeSeed<'de> for Body<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_, '_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { message, out } = self;
        let (mut seen, mut chosen, mut from) = (0_u32, false, 0);
        while let Some(name) = members.next_key_seed(Name { message, from })? {
            let Some((place, field)) = name else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & 1 << place != 0 {
                return stop(out.fail(BadJson::Twice { message: message.name, field: field.name }));
            }
            seen |= 1 << place;
            from = place + 1;
            let present = members.next_value_seed(Value { field, place: Place::Member, out: &mut *out })?;
            if present && field.choice && std::mem::replace(&mut chosen, true) {
                return stop(out.fail(BadJson::Choice { message: message.name, field: field.name }));
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = bool;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        if self.place == Place::Member { Ok(false) } else { self.bad() }
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<bool, E> {
        if matches!(self.field.kind, Kind::Bool) { self.put_varint(u64::from(value)) } else { self.bad() }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.number(Number::Whole(i128::from(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.number(Number::Whole(i128::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.number(Number::of(value))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<bool, E> {
        match self.field.kind {
            Kind::String => self.put_bytes(text.as_bytes()),
            Kind::Bytes => self.put_some(base64(text)),
            Kind::Id(length) => self.put_some(id(text, length)),
            Kind::Double => match double(text) {
                Some(value) => self.put_fixed(&value.to_le_bytes()),
                None => self.bad(),
            },
            Kind::Message(_) | Kind::Bool => self.bad(),
            Kind::Int32
            | Kind::Sint32
            | Kind::Uint32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Fixed32
            | Kind::Fixed64
            | Kind::Sfixed64 => match Number::parse(text) {
                Some(number) => self.number(number),
                None => self.bad(),
            },
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<bool, A::Error> {
        let Kind::Message(message) = self.field.kind else { return self.bad() };
        if !self.is_one() {
            return self.bad();
        }
        let open = stop(self.out.open(self.field.number))?;
        Body { message, out: &mut *self.out }.visit_map(members)?;
        stop(self.out.close(&open))?;
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<bool, A::Error> {
        let Self { field, place, out } = self;
        if place != Place::Member || !field.repeated {
            return Self { field, place, out }.bad();
        }
        if field.kind.wire() == Wire::Delimited {
            while elements
                .next_element_seed(Value { field, place: Place::Element, out: &mut *out })?
                .is_some()
            {}
            return Ok(true);
        }
        let open = stop(out.open(field.number))?;
        while elements.next_element_seed(Value { field, place: Place::Packed, out: &mut *out })?.is_some() {}
        stop(out.close_list(&open))?;
        Ok(true)
    }
}

impl Value<'_, '_> {
    fn number<E: Error>(mut self, number: Number) -> Result<bool, E> {
        match self.field.kind {
            Kind::Int32 => self.put_integer::<i32, E>(number, |value| i64::from(value).cast_unsigned()),
            Kind::Int64 => self.put_integer::<i64, E>(number, i64::cast_unsigned),
            Kind::Uint32 => self.put_integer::<u32, E>(number, u64::from),
            Kind::Uint64 => self.put_integer::<u64, E>(number, |value| value),
            Kind::Sint32 => self.put_integer::<i32, E>(number, zigzag),
            Kind::Fixed32 => match number.integer::<u32>() {
                Some(value) => self.put_fixed(&value.to_le_bytes()),
                None => self.bad(),
            },
            Kind::Fixed64 => match number.integer::<u64>() {
                Some(value) => self.put_fixed(&value.to_le_bytes()),
                None => self.bad(),
            },
            Kind::Sfixed64 => match number.integer::<i64>() {
                Some(value) => self.put_fixed(&value.to_le_bytes()),
                None => self.bad(),
            },
            Kind::Double => self.put_fixed(&number.double().to_le_bytes()),
            Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id(_) | Kind::Bool => self.bad(),
        }
    }

    fn put_integer<T: TryFrom<i128>, E: Error>(
        mut self,
        number: Number,
        encode: impl FnOnce(T) -> u64,
    ) -> Result<bool, E> {
        match number.integer() {
            Some(value) => self.put_varint(encode(value)),
            None => self.bad(),
        }
    }

    /// A varint; a zero that is only a field's default is left out.
    fn put_varint<E: Error>(&mut self, value: u64) -> Result<bool, E> {
        if value != 0 || self.field.choice || self.place == Place::Packed {
            self.put_tag(Wire::Varint)?;
            stop(self.out.varint(value))?;
        }
        Ok(true)
    }

    fn put_fixed<E: Error>(&mut self, bytes: &[u8]) -> Result<bool, E> {
        self.put_tag(self.field.kind.wire())?;
        stop(self.out.raw(bytes))?;
        Ok(true)
    }

    fn put_some<E: Error>(mut self, bytes: Option<Vec<u8>>) -> Result<bool, E> {
        match bytes {
            Some(bytes) => self.put_bytes(&bytes),
            None => self.bad(),
        }
    }

    fn put_bytes<E: Error>(&mut self, bytes: &[u8]) -> Result<bool, E> {
        self.put_tag(Wire::Delimited)?;
        stop(self.out.varint(bytes.len() as u64))?;
        stop(self.out.raw(bytes))?;
        Ok(true)
    }

    fn put_tag<E: Error>(&mut self, wire: Wire) -> Result<(), E> {
        if !self.is_one() {
            let fault = BadJson::Value { field: self.field.name };
            return stop(self.out.fail(fault));
        }
        if self.place == Place::Packed {
            return Ok(());
        }
        stop(self.out.tag(self.field.number, wire))
    }

    /// Whether one value may stand here, and not a list.
    fn is_one(&self) -> bool {
        !self.field.repeated || self.place != Place::Member
    }

    fn bad<E: Error>(self) -> Result<bool, E> {
        stop(self.out.fail(BadJson::Value { field: self.field.name }))
    }
}

const fn zigzag(value: i32) -> u64 {
    ((value << 1) ^ (value >> 31)).cast_unsigned() as u64
}

/// Ends the reading; the output knows why.
fn stop<T, E: Error>(result: Result<T, Stop>) -> Result<T, E> {
    result.map_err(|Stop| E::custom("stopped"))
}
