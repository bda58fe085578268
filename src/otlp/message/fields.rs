//! The shape of an OTLP export as data (opentelemetry-proto 1.11): which fields are messages, which are attributes,
//! which are counted, and how each is written in JSON. It drives the splicer, the item counter, the scan for denied
//! attributes and the JSON transcoder alike, so that they cannot disagree about where an attribute may stand.

mod logs;
mod metrics;
mod shared;
mod traces;

use super::wire::Wire;

use shared::ANY_VALUE;
pub use shared::{ENTITY_REF, KEY_VALUE, RESOURCE};

/// What is being exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// Every signal that is taken.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name in logs, metrics and the last part of its HTTP path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The path of its OTLP/HTTP request.
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The path of its gRPC method.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// What counts its rejected items in the JSON form of a partial success.
    pub const fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
            Self::Logs => "rejectedLogRecords",
        }
    }

    /// The message that a request of this signal carries.
    pub const fn request(self) -> &'static Message {
        match self {
            Self::Traces => &traces::REQUEST,
            Self::Metrics => &metrics::REQUEST,
            Self::Logs => &logs::REQUEST,
        }
    }
}

/// A message and its fields.
#[derive(Debug)]
pub struct Message {
    /// Its name in the protos.
    pub name: &'static str,
    /// What it means for rewriting.
    pub role: Role,
    /// Its fields; a number that is not listed is dropped when the message is walked.
    pub fields: &'static [Field],
    /// For each field number, one more than the field's place in `fields`; 0 for none.
    places: [u8; Self::NUMBERS],
    /// What to do at a field that begins with this byte.
    steps: [Step; 0x80],
}

/// How a field is passed by that may stay as it is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It has to be looked at, or is not known.
    Stop,
    /// A varint.
    Varint,
    /// Four bytes.
    Four,
    /// Eight bytes.
    Eight,
    /// A length and that many bytes.
    Bytes,
    /// The same, and the bytes are an attribute that is harmless.
    Attribute,
    /// The same, and the bytes are a value in which there are no attributes.
    Value,
}

/// What a message means for rewriting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Items are in it somewhere, so it is always walked.
    Frame,
    /// The resource: its occurrences are merged into one, which is stamped.
    Resource,
    /// An `EntityRef` of a resource.
    EntityRef,
    /// Walked only when a denied key may be in it.
    Leaf,
    /// A `KeyValue`, removed when its key is denied.
    Pair,
    /// An `AnyValue`, which may hold pairs.
    Value,
}

impl Message {
    /// Field numbers that can be listed are below this.
    const NUMBERS: usize = 24;

    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, which refuses a number out of range"
    )]
    #[expect(clippy::cast_possible_truncation, reason = "no message has 255 fields")]
    const fn new(name: &'static str, role: Role, fields: &'static [Field]) -> Self {
        let mut places = [0; Self::NUMBERS];
        let mut steps = [Step::Stop; 0x80];
        let mut at = 0;
        while at < fields.len() {
            let field = &fields[at];
            places[field.number as usize] = at as u8 + 1;
            if field.number < 16 {
                let tag = (field.number << 3) as usize;
                if field.repeated {
                    steps[tag | 2] = Step::Bytes;
                }
                let (wire, step) = field.step();
                steps[tag | wire] = step;
            }
            at += 1;
        }
        Self { name, role, fields, places, steps }
    }

    const fn frame(name: &'static str, fields: &'static [Field]) -> Self {
        Self::new(name, Role::Frame, fields)
    }

    const fn leaf(name: &'static str, fields: &'static [Field]) -> Self {
        Self::new(name, Role::Leaf, fields)
    }

    /// The field of that number, if the message has one.
    #[inline]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let place = *self.places.get(number as usize)?;
        self.fields.get(usize::from(place).checked_sub(1)?)
    }

    /// What to do at a field that begins with that byte.
    #[inline]
    pub fn step(&self, tag: u8) -> Step {
        self.steps.get(usize::from(tag)).copied().unwrap_or(Step::Stop)
    }

    /// The field of that name in JSON, and its place among the fields. The search begins at place `from`: senders
    /// write fields in the same order every time.
    pub fn named(&self, json: &str, from: usize) -> Option<(usize, &'static Field)> {
        let (before, after) = self.fields.split_at_checked(from).unwrap_or((self.fields, &[]));
        let later = after.iter().zip(from..);
        let mut all = later.chain(before.iter().zip(0..));
        all.find(|(field, _)| field.is_named(json)).map(|(field, place)| (place, field))
    }
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its name in the protos. Its name in JSON is the same in lowerCamelCase.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be there several times.
    pub repeated: bool,
    /// Whether it excludes the other fields of its message that say the same.
    pub choice: bool,
    /// Whether each occurrence is one item of the export: a span, a log record or a data point.
    pub item: bool,
    /// How it is passed by although it is a message.
    passed: Step,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A message.
    Message(&'static Message),
    /// Text.
    String,
    /// Bytes, base64 in JSON.
    Bytes,
    /// Bytes of this length, or none; hexadecimal in JSON.
    Id(usize),
    /// A varint of 0 or 1.
    Bool,
    /// A varint of 32 bits with a sign, also of an enumeration.
    Int32,
    /// A zigzag varint of 32 bits.
    Sint32,
    /// A varint of 32 bits.
    Uint32,
    /// A varint of 64 bits with a sign.
    Int64,
    /// A varint of 64 bits.
    Uint64,
    /// Four bytes.
    Fixed32,
    /// Eight bytes.
    Fixed64,
    /// Eight bytes with a sign.
    Sfixed64,
    /// Eight bytes of floating point.
    Double,
}

impl Kind {
    /// How one such value is encoded.
    #[inline]
    pub const fn wire(self) -> Wire {
        match self {
            Self::Message(_) | Self::String | Self::Bytes | Self::Id(_) => Wire::Delimited,
            Self::Bool | Self::Int32 | Self::Sint32 | Self::Uint32 | Self::Int64 | Self::Uint64 => {
                Wire::Varint
            }
            Self::Fixed32 => Wire::Fixed32,
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Wire::Fixed64,
        }
    }
}

impl Field {
    /// Whether it may be encoded that way. Numbers that may repeat may also be packed.
    #[inline]
    pub fn takes(&self, wire: Wire) -> bool {
        wire == self.kind.wire() || (self.repeated && wire == Wire::Delimited)
    }

    /// The wire type that it has by itself, and how it is passed by.
    const fn step(&self) -> (usize, Step) {
        match self.kind.wire() {
            Wire::Varint => (0, Step::Varint),
            Wire::Fixed64 => (1, Step::Eight),
            Wire::Fixed32 => (5, Step::Four),
            Wire::Delimited if matches!(self.kind, Kind::Message(_)) => (2, self.passed),
            Wire::Delimited => (2, Step::Bytes),
        }
    }

    /// Whether `json` is its name in JSON.
    fn is_named(&self, json: &str) -> bool {
        let mut name = self.name.bytes();
        let mut spelt = json.bytes();
        loop {
            let expected = match name.next() {
                Some(b'_') => name.next().map(|letter| letter.to_ascii_uppercase()),
                letter => letter,
            };
            match (expected, spelt.next()) {
                (None, None) => return true,
                (expected, found) if expected != found => return false,
                _ => {}
            }
        }
    }
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, repeated: false, choice: false, item: false, passed: Step::Stop }
}

const fn choice(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { choice: true, ..field(number, name, kind) }
}

const fn list(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { repeated: true, ..field(number, name, kind) }
}

const fn message(number: u32, name: &'static str, of: &'static Message) -> Field {
    field(number, name, Kind::Message(of))
}

const fn messages(number: u32, name: &'static str, of: &'static Message) -> Field {
    list(number, name, Kind::Message(of))
}

const fn items(number: u32, name: &'static str, of: &'static Message) -> Field {
    Field { item: true, ..messages(number, name, of) }
}

const fn attributes(number: u32, name: &'static str) -> Field {
    Field { passed: Step::Attribute, ..messages(number, name, &KEY_VALUE) }
}

const fn value(number: u32, name: &'static str) -> Field {
    Field { passed: Step::Value, ..message(number, name, &ANY_VALUE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(message: &'static Message) -> impl Iterator<Item = (&'static Field, &'static Message)> {
        let inner = |field: &'static Field| match field {
            Field { kind: Kind::Message(inner), .. } => Some((field, *inner)),
            Field { .. } => None,
        };
        message.fields.iter().filter_map(inner)
    }

    fn each(message: &'static Message, depth: usize, look: &mut impl FnMut(&'static Message, usize)) {
        look(message, depth);
        if message.role != Role::Value {
            for (_, inner) in below(message) {
                each(inner, depth + 1, look);
            }
        }
    }

    fn counts(message: &'static Message) -> bool {
        message.role != Role::Value && below(message).any(|(field, inner)| field.item || counts(inner))
    }

    #[test]
    fn lookups_find_each_field_under_its_number_and_its_name() {
        for signal in Signal::ALL {
            each(signal.request(), 0, &mut |message, _| {
                for (place, field) in message.fields.iter().enumerate() {
                    assert_eq!(message.field(field.number).unwrap().name, field.name);
                    let camel: Vec<String> = field.name.split('_').map(str::to_owned).collect();
                    let mut json = camel[0].clone();
                    for word in &camel[1..] {
                        json.push_str(&word[..1].to_uppercase());
                        json.push_str(&word[1..]);
                    }
                    for from in [0, place, place + 1, 99] {
                        assert_eq!(message.named(&json, from).unwrap().0, place, "{json}");
                    }
                    assert!(!field.name.contains('_') || message.named(field.name, 0).is_none());
                }
                assert!(message.field(0).is_none() && message.field(1000).is_none());
                assert!(message.field(u32::MAX).is_none());
                assert!(message.named("", 0).is_none() && message.named("resourceSpan", 0).is_none());
            });
        }
    }

    #[test]
    fn frames_are_what_items_are_in() {
        for signal in Signal::ALL {
            each(signal.request(), 0, &mut |message, _| {
                assert_eq!(message.role == Role::Frame, counts(message), "{}", message.name);
            });
        }
    }

    /// The splicer recurses as deep as the table, and below it as deep as it lets values be nested.
    #[test]
    fn nesting_is_bounded() {
        for signal in Signal::ALL {
            each(signal.request(), 1, &mut |message, depth| assert!(depth <= 9, "{}", message.name));
        }
    }
}
