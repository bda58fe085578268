//! Which attribute keys a client may not send.
//!
//! Back ends fold attribute names before they store them: `.`, `-` and every other punctuation becomes `_` (several of
//! them one `_`), letter case is lost, nested maps become dotted names. A key is therefore compared after the same
//! folding, and an entry of a map also under the names that it gets together with the keys of the maps around it.

use super::fields::{KEY_VALUE, Message, Step as Pass};
use super::folding::{Starts, fold, folded};
use super::needles::Needles;
use super::splice::Malformed;
use super::wire::{Fields, Span, Wire, put_field, put_head, split_payload, varint_len};

/// The attribute keys that are removed, and the one that is stamped.
#[derive(Debug)]
pub struct Policy {
    tenant_attribute: Box<str>,
    denied: Vec<Box<[u8]>>,
    starts: Starts,
    needles: Needles,
}

/// What becomes of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Keep,
    /// Its key may stay; the rest has to be looked at.
    Open(Path),
    /// It goes.
    Strip,
}

/// How far the keys around a place have come toward denied keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// The beginning of a denied key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Which denied key.
    denied: usize,
    /// How much of it.
    at: usize,
    /// The last byte that was compared, folded; 0 at the beginning.
    last: u8,
}

impl Path {
    /// Each beginning once, so that a path stays as short as the denied keys are, whatever is sent.
    fn add(&mut self, step: Step) {
        if !self.0.contains(&step) {
            self.0.push(step);
        }
    }
}

impl Policy {
    /// A policy that stamps `tenant_attribute` and removes it and `denied` from what clients send.
    pub fn new<K: AsRef<str>>(tenant_attribute: &str, denied: impl IntoIterator<Item = K>) -> Self {
        let mut keys = vec![folded(tenant_attribute.as_bytes())];
        keys.extend(denied.into_iter().map(|key| folded(key.as_ref().as_bytes())));
        keys.retain(|key| !key.is_empty());
        keys.sort();
        keys.dedup();
        let starts = Starts::of(&keys);
        let needles = Needles::new(keys.iter().map(AsRef::as_ref));
        Self { tenant_attribute: tenant_attribute.into(), denied: keys, starts, needles }
    }

    /// Whether an attribute of that name is removed whatever its value.
    pub fn denies(&self, key: &[u8]) -> bool {
        self.follow(&Path::default(), key, &mut Path::default())
    }

    /// The first place in `body`, from `start` on, where a denied key may be in any spelling; the end if there is none.
    #[inline]
    pub fn suspicion(&self, body: &[u8], start: usize) -> usize {
        self.needles.find(body, start)
    }

    /// Judges the `KeyValue` at `span`, which stands below `path`.
    ///
    /// It goes when any of its `key` fields is denied (readers differ in which one counts), by itself or together with
    /// the keys above it, or when it names its key by `key_strindex` (an index that only profiles resolve).
    ///
    /// # Errors
    /// It is not a well-formed `KeyValue`.
    #[inline]
    pub fn judge(&self, body: &[u8], span: Span, path: &Path) -> Result<Verdict, Malformed> {
        if path.0.is_empty() && self.is_harmless(span.of(body)) {
            return Ok(Verdict::Keep);
        }
        let pair = Pair::read(body, span)?;
        if pair.indexed {
            return Ok(Verdict::Strip);
        }
        let mut ahead = Path::default();
        let denied = if pair.keys > 1 {
            self.any_key_denied(body, span, path, &mut ahead)?
        } else {
            self.follow(path, pair.key.of(body), &mut ahead)
        };
        Ok(match (denied, pair.plain) {
            (true, _) => Verdict::Strip,
            (false, true) => Verdict::Keep,
            (false, false) => Verdict::Open(ahead),
        })
    }

    /// Whether the encoded `KeyValue` is a short key that is not denied and a short value without pairs: nearly all
    /// are. It may stay wherever no denied key was begun above it.
    #[inline]
    pub fn is_harmless(&self, pair: &[u8]) -> bool {
        let [0x0a, length @ 1..0x80, rest @ ..] = pair else { return false };
        let Some((key, [0x12, length @ 0..0x80, value @ ..])) = rest.split_at_checked(usize::from(*length))
        else {
            return false;
        };
        usize::from(*length) == value.len()
            && is_plain_value(value)
            && (!self.starts.may_start(key) || !self.is_spelling(key))
    }

    /// Whether `key` is a spelling of a denied key by itself.
    fn is_spelling(&self, key: &[u8]) -> bool {
        let last = key.last().copied().map(fold);
        self.denied.iter().enumerate().any(|(denied, folded)| {
            let is_alike = folded.len() <= key.len() && folded.last().copied() == last;
            let fresh = Step { denied, at: 0, last: 0 };
            is_alike && self.take(fresh, key).is_some_and(|step| step.at == folded.len())
        })
    }

    /// Whether all of `fields`, which are of that message, may stay as they are.
    pub fn is_settled(&self, message: &Message, fields: &[u8]) -> bool {
        self.settled(message, fields) == fields.len()
    }

    /// How many bytes at the beginning of `fields`, which are of that message, are fields that may stay: attributes
    /// are harmless, and nothing else holds a message.
    #[inline]
    pub fn settled(&self, message: &Message, fields: &[u8]) -> usize {
        let mut rest = fields;
        while let [tag, payload @ ..] = rest {
            let next = match message.step(*tag) {
                Pass::Stop => None,
                Pass::Varint => varint(payload),
                Pass::Four => payload.split_at_checked(4),
                Pass::Eight => payload.split_at_checked(8),
                Pass::Bytes => split_payload(payload),
                Pass::Attribute => split_payload(payload).filter(|(pair, _)| self.is_harmless(pair)),
                Pass::Value => split_payload(payload).filter(|(value, _)| is_plain_value(value)),
            };
            let Some((_, after)) = next else { break };
            rest = after;
        }
        fields.len() - rest.len()
    }

    /// The encoded `attributes` field of a resource that names `tenant`.
    pub fn stamp(&self, tenant: &str) -> Vec<u8> {
        let field = |length: usize| 1 + varint_len(length as u64) + length;
        let (key, text) = (self.tenant_attribute.as_bytes(), tenant.as_bytes());
        let value = field(text.len());
        let pair = field(key.len()) + field(value);
        let mut stamp = Vec::with_capacity(field(pair));
        put_head(&mut stamp, 1, pair);
        put_field(&mut stamp, 1, key);
        put_head(&mut stamp, 2, value);
        put_field(&mut stamp, 1, text);
        stamp
    }

    #[cold]
    fn any_key_denied(
        &self,
        body: &[u8],
        pair: Span,
        path: &Path,
        ahead: &mut Path,
    ) -> Result<bool, Malformed> {
        let mut denied = false;
        let mut fields = Fields::new(body, pair);
        while let Some(field) = fields.read()? {
            denied |= field.number == 1 && self.follow(path, field.payload.of(body), ahead);
        }
        Ok(denied)
    }

    /// Whether `key` below `path` is denied; if not, adds to `ahead` what it begins.
    #[inline]
    fn follow(&self, path: &Path, key: &[u8], ahead: &mut Path) -> bool {
        (self.starts.may_start(key) || !path.0.is_empty()) && self.follow_all(path, key, ahead)
    }

    fn follow_all(&self, path: &Path, key: &[u8], ahead: &mut Path) -> bool {
        let fresh = (0..self.denied.len()).map(|denied| Step { denied, at: 0, last: 0 });
        let begun = path.0.iter().filter_map(|step| self.take(*step, b"."));
        for step in fresh.chain(begun).filter_map(|step| self.take(step, key)) {
            let denied = self.denied.get(step.denied).map(AsRef::as_ref).unwrap_or_default();
            match denied.get(step.at) {
                None => return true,
                Some(byte) if step.at > 0 && (*byte == b'_' || step.last == b'_') => ahead.add(step),
                Some(_) => {}
            }
        }
        false
    }

    /// Compares on with `text`, folded; `None` if that is not how the denied key goes on.
    fn take(&self, step: Step, text: &[u8]) -> Option<Step> {
        let denied = self.denied.get(step.denied)?;
        let Step { mut at, mut last, .. } = step;
        for &byte in text {
            let byte = fold(byte);
            if byte == b'_' && last == b'_' {
                continue;
            }
            if denied.get(at) != Some(&byte) {
                return None;
            }
            last = byte;
            at += 1;
        }
        Some(Step { at, last, ..step })
    }
}

/// What a `KeyValue` says of itself.
struct Pair {
    /// The last `key` field; empty if there is none, as protobuf leaves empty strings out.
    key: Span,
    /// How many `key` fields there are.
    keys: usize,
    /// Whether there is a `key_strindex`.
    indexed: bool,
    /// Whether its value holds no other pairs, and it has no fields that `KeyValue` does not have.
    plain: bool,
}

impl Pair {
    #[inline]
    fn read(body: &[u8], span: Span) -> Result<Self, Malformed> {
        let mut pair = Self { key: Span { start: 0, end: 0 }, keys: 0, indexed: false, plain: true };
        let mut fields = Fields::new(body, span);
        while let Some(field) = fields.read()? {
            match (field.number, field.wire) {
                (1, Wire::Delimited) => {
                    pair.key = field.payload;
                    pair.keys += 1;
                }
                (2, Wire::Delimited) => pair.plain &= is_plain_value(field.payload.of(body)),
                (3, Wire::Varint) => pair.indexed = true,
                (1..=3, _) => {
                    let field = KEY_VALUE.field(field.number).map_or("", |field| field.name);
                    return Err(Malformed::WireType { message: KEY_VALUE.name, field });
                }
                _ => pair.plain = false,
            }
        }
        Ok(pair)
    }
}

/// Whether an `AnyValue` is nothing, or one text, bytes or number and nothing else.
#[inline]
fn is_plain_value(value: &[u8]) -> bool {
    is_short_text(value) || is_other_plain_value(value)
}

/// Nearly all values are.
#[inline]
fn is_short_text(value: &[u8]) -> bool {
    matches!(value, [0x0a, length @ 0..0x80, text @ ..] if usize::from(*length) == text.len())
}

fn is_other_plain_value(value: &[u8]) -> bool {
    match value {
        [] | [0x10 | 0x18, 0..0x80] => true,
        [0x3a, length @ 0..0x80, rest @ ..] => usize::from(*length) == rest.len(),
        [0x21, rest @ ..] => rest.len() == 8,
        [0x0a | 0x18 | 0x3a, ..] => is_one_field(value),
        _ => false,
    }
}

/// A varint of at most two bytes and what follows it.
#[inline]
fn varint(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [0..0x80, ..] => bytes.split_at_checked(1),
        [_, 0..0x80, ..] => bytes.split_at_checked(2),
        _ => None,
    }
}

fn is_one_field(value: &[u8]) -> bool {
    let Ok(whole) = Span::whole(value) else { return false };
    let mut fields = Fields::new(value, whole);
    fields.read().is_ok_and(|field| field.is_some_and(|field| field.whole == whole))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
