//! The protobuf wire format, as far as rewriting needs it: fields as ranges of the body, never as values.
//!
//! Over-long varints are legal and decoded; groups, unknown wire types, field number 0 and lengths that leave their
//! message are refused. Nothing here recurses.

use bytes::{BufMut, Bytes};

use super::splice::Malformed;

/// A range of the body, in bytes. Bodies are kept below 4 GiB so that a plan of many ranges stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
}

impl Span {
    /// The whole of `body`.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] when positions in `body` do not fit 32 bits.
    pub fn whole(body: &[u8]) -> Result<Self, Malformed> {
        Ok(Self { start: 0, end: narrow(body.len())? })
    }

    /// Its length in bytes.
    pub fn len(self) -> usize {
        wide(self.end.saturating_sub(self.start))
    }

    /// Whether it holds nothing.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its bytes in `body`; empty when it does not lie within.
    pub fn of(self, body: &[u8]) -> &[u8] {
        body.get(wide(self.start)..wide(self.end)).unwrap_or_default()
    }

    /// Its bytes, shared with `body`; nothing when it does not lie within.
    pub fn shared(self, body: &Bytes) -> Option<Bytes> {
        let (start, end) = (wide(self.start), wide(self.end));
        (start <= end && end <= body.len()).then(|| body.slice(start..end))
    }
}

/// How a field's payload is laid out (the low three bits of its tag).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A varint.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// A length and that many bytes.
    Delimited,
    /// Four bytes.
    Fixed32,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct RawField {
    /// The field number; never 0.
    pub number: u32,
    /// Its wire type.
    pub wire: Wire,
    /// The field with its tag (and length, if it has one).
    pub whole: Span,
    /// What follows the tag and the length.
    pub payload: Span,
}

/// Reads the fields of one message of a body, one after the other.
#[derive(Debug)]
pub struct Fields<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of the message at `span` of `body`.
    pub fn new(body: &'a [u8], span: Span) -> Self {
        Self { body: body.get(..wide(span.end)).unwrap_or_default(), at: wide(span.start) }
    }

    /// What was not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Passes over so many bytes of the rest, which must be whole fields, and tells where that ends.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<u32, Malformed> {
        self.at = self.at.saturating_add(count).min(self.body.len());
        narrow(self.at)
    }

    /// The next field; `None` at the end of the message.
    ///
    /// # Errors
    /// The message is not well-formed at this place.
    #[inline]
    pub fn read(&mut self) -> Result<Option<RawField>, Malformed> {
        match self.rest() {
            [] => Ok(None),
            // Nearly all fields: text, bytes or a message, with a number below 16.
            [tag @ 8..0x80, rest @ ..]
                if tag & 7 == 2
                    && let Some((length, taken)) = short_length(rest)
                    && length + taken <= rest.len() =>
            {
                self.delimited(*tag, 1 + taken, length)
            }
            _ => self.read_any(),
        }
    }

    #[inline]
    fn delimited(&mut self, tag: u8, head: usize, length: usize) -> Result<Option<RawField>, Malformed> {
        let start = self.at;
        self.at = start + head + length;
        let end = narrow(self.at)?;
        Ok(Some(RawField {
            number: u32::from(tag >> 3),
            wire: Wire::Delimited,
            whole: Span { start: narrow(start)?, end },
            payload: Span { start: narrow(start + head)?, end },
        }))
    }

    fn read_any(&mut self) -> Result<Option<RawField>, Malformed> {
        let start = self.at;
        let tag = self.varint()?;
        let tag = u32::try_from(tag).or(Err(Malformed::Tag))?;
        let wire = wire_type(tag)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed::Tag);
        }
        let payload = self.payload(wire)?;
        let whole = Span { start: narrow(start)?, end: payload.end };
        Ok(Some(RawField { number, wire, whole, payload }))
    }

    fn payload(&mut self, wire: Wire) -> Result<Span, Malformed> {
        let mut start = self.at;
        match wire {
            Wire::Varint => {
                self.varint()?;
            }
            Wire::Fixed64 => self.advance(8)?,
            Wire::Fixed32 => self.advance(4)?,
            Wire::Delimited => {
                let length = self.varint()?;
                start = self.at;
                self.advance(length)?;
            }
        }
        Ok(Span { start: narrow(start)?, end: narrow(self.at)? })
    }

    fn advance(&mut self, length: u64) -> Result<(), Malformed> {
        let left = self.body.len().saturating_sub(self.at);
        let length = usize::try_from(length).or(Err(Malformed::Truncated))?;
        if length > left {
            return Err(Malformed::Truncated);
        }
        self.at += length;
        Ok(())
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let first = *self.body.get(self.at).ok_or(Malformed::Truncated)?;
        if first < 0x80 {
            self.at += 1;
            return Ok(u64::from(first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.body.get(self.at).ok_or(Malformed::Truncated)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return Err(Malformed::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint)
    }
}

/// A length of at most three bytes, and how many bytes it takes; `None` for any other.
#[inline]
pub fn short_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let joined = |low: u8, high: u8| usize::from(low & 0x7f) | usize::from(high & 0x7f) << 7;
    match *bytes {
        [length @ 0..0x80, ..] => Some((usize::from(length), 1)),
        [low, high @ 0..0x80, ..] => Some((joined(low, high), 2)),
        [low, middle, high @ 0..0x80, ..] => Some((joined(low, middle) | usize::from(high) << 14, 3)),
        _ => None,
    }
}

/// The payload that begins `bytes` with its length, and what follows it; `None` if the length is a
/// [short](short_length) one of what is not there, or no short one.
#[inline]
pub fn split_payload(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, taken) = short_length(bytes)?;
    bytes.get(taken..)?.split_at_checked(length)
}

/// Appends `value` as a varint.
pub fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.put_u8(low_byte(value));
}

/// Appends a length-delimited field.
pub fn put_field(out: &mut Vec<u8>, number: u32, payload: &[u8]) {
    put_head(out, number, payload.len());
    out.extend_from_slice(payload);
}

/// Appends the tag and the length of a length-delimited field.
pub fn put_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(delimited_tag(number)));
    put_varint(out, length as u64);
}

/// The tag of a length-delimited field.
pub const fn delimited_tag(number: u32) -> u32 {
    number << 3 | 2
}

/// How many bytes `value` takes as a varint.
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn wire_type(tag: u32) -> Result<Wire, Malformed> {
    match tag & 7 {
        0 => Ok(Wire::Varint),
        1 => Ok(Wire::Fixed64),
        2 => Ok(Wire::Delimited),
        5 => Ok(Wire::Fixed32),
        _ => Err(Malformed::Group),
    }
}

const fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

fn narrow(position: usize) -> Result<u32, Malformed> {
    u32::try_from(position).or(Err(Malformed::TooLarge))
}

const fn wide(position: u32) -> usize {
    position as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &[u8]) -> Result<Vec<(u32, Wire, Vec<u8>)>, Malformed> {
        let mut reader = Fields::new(body, Span::whole(body)?);
        let mut found = Vec::new();
        while let Some(field) = reader.read()? {
            found.push((field.number, field.wire, field.payload.of(body).to_vec()));
        }
        Ok(found)
    }

    #[test]
    fn reads_every_wire_type() {
        let body = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x1a, 2, b'h', b'i'],
            &[0x25, 1, 2, 3, 4],
        ]
        .concat();
        let found = fields(&body).unwrap();
        let numbers: Vec<(u32, Wire)> = found.iter().map(|field| (field.0, field.1)).collect();
        assert_eq!(
            numbers,
            [(1, Wire::Varint), (2, Wire::Fixed64), (3, Wire::Delimited), (4, Wire::Fixed32)]
        );
        assert_eq!(found[2].2, b"hi");
    }

    #[test]
    fn decodes_over_long_tags_and_lengths() {
        let found = fields(&[0x8a, 0x80, 0x00, 0x82, 0x80, 0x00, b'h', b'i']).unwrap();
        assert_eq!(found, [(1, Wire::Delimited, b"hi".to_vec())]);
    }

    #[test]
    fn refuses_what_is_not_protobuf() {
        let cases: [(&[u8], Malformed); 13] = [
            (&[0x0a], Malformed::Truncated),
            (&[0x0a, 2, 1], Malformed::Truncated),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Malformed::Truncated),
            (&[0x80], Malformed::Truncated),
            (&[0x11, 1, 2, 3], Malformed::Truncated),
            (&[0x0d, 1, 2, 3], Malformed::Truncated),
            (&[0x02, 0], Malformed::Tag),
            (&[0x0b], Malformed::Group),
            (&[0x0c], Malformed::Group),
            (&[0x0e], Malformed::Group),
            (&[0x0f], Malformed::Group),
            (&[0xfa, 0xff, 0xff, 0xff, 0x7f, 0], Malformed::Tag),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], Malformed::Varint),
        ];
        for (body, expected) in cases {
            assert_eq!(fields(body), Err(expected), "{body:x?}");
        }
    }

    #[test]
    fn a_field_cannot_reach_past_its_message() {
        let body = [0x0a, 3, 0x0a, 5, b'x', b'x', b'x', b'x', b'x'];
        let mut inner = Fields::new(&body, Span { start: 2, end: 5 });
        assert_eq!(inner.read().unwrap_err(), Malformed::Truncated);
    }

    #[test]
    fn written_varints_read_back_and_have_the_promised_length() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = vec![0x08];
            put_varint(&mut out, value);
            assert_eq!(out.len() - 1, varint_len(value), "{value}");
            let mut reader = Fields { body: &out, at: 1 };
            assert_eq!(reader.varint().unwrap(), value);
            assert_eq!(reader.at, out.len());
        }
    }
}
