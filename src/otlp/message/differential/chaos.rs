//! Other encodings of the same message: over-long varints, split resources, unknown fields in between.

use super::sample::Source;
use crate::otlp::message::fields::{Kind, Message, RESOURCE, Role, Signal};
use crate::otlp::message::wire::{Fields, RawField, Span, Wire, put_field, put_varint};

/// Encodes a request anew, in a way that decodes to the same message.
pub fn chaotic(signal: Signal, encoded: &[u8], noise: &mut Source<'_>) -> Vec<u8> {
    message(signal.request(), encoded, Span::whole(encoded).unwrap(), noise)
}

fn message(table: &'static Message, body: &[u8], span: Span, noise: &mut Source<'_>) -> Vec<u8> {
    let mut out = vec![];
    let mut fields = Fields::new(body, span);
    while let Some(raw) = fields.read().unwrap() {
        if noise.below(6) == 0 {
            unknown(&mut out, noise);
        }
        match table.field(raw.number).map(|field| field.kind) {
            Some(Kind::Message(inner)) if inner.role == Role::Resource => {
                resource(&mut out, body, raw, noise);
            }
            Some(Kind::Message(inner)) => {
                delimited(&mut out, raw.number, &message(inner, body, raw.payload, noise), noise);
            }
            _ if raw.wire == Wire::Delimited => delimited(&mut out, raw.number, raw.payload.of(body), noise),
            _ => out.extend_from_slice(raw.whole.of(body)),
        }
    }
    out
}

/// One resource as two, cut between any two of its fields.
fn resource(out: &mut Vec<u8>, body: &[u8], raw: RawField, noise: &mut Source<'_>) {
    let parts = Fields::new(body, raw.payload);
    let mut cut = raw.payload.start;
    let mut fields = parts;
    while let Some(field) = fields.read().unwrap() {
        if noise.below(2) == 0 {
            cut = field.whole.end;
        }
    }
    for part in [Span { start: raw.payload.start, end: cut }, Span { start: cut, end: raw.payload.end }] {
        delimited(out, raw.number, &message(&RESOURCE, body, part, noise), noise);
        if noise.below(3) == 0 {
            unknown(out, noise);
        }
    }
}

fn unknown(out: &mut Vec<u8>, noise: &mut Source<'_>) {
    let hidden = b"\x0a\x09tenant.id\x12\x06\x0a\x04evil";
    match noise.below(3) {
        0 => put_field(out, 1000, hidden),
        1 => put_field(out, 100, hidden),
        _ => out.extend([0x98, 0x06, 0x01]),
    }
}

fn delimited(out: &mut Vec<u8>, number: u32, payload: &[u8], noise: &mut Source<'_>) {
    padded(out, u64::from(number << 3 | 2), noise.below(4));
    padded(out, payload.len() as u64, noise.below(4));
    out.extend_from_slice(payload);
}

/// A varint with up to three bytes that add nothing.
fn padded(out: &mut Vec<u8>, value: u64, padding: usize) {
    put_varint(out, value);
    if padding > 0 {
        *out.last_mut().unwrap() |= 0x80;
        out.extend(std::iter::repeat_n(0x80, padding - 1));
        out.push(0);
    }
}
