//! Which attribute keys a client may not send.
//!
//! Back ends fold attribute names before they store them: `.`, `-` and every other punctuation becomes `_` (several of
//! them one `_`), letter case is lost, nested maps become dotted names. A key is therefore compared after the same
//! folding, and a map is judged by the names that its entries would get.

use super::splice::Malformed;
use super::wire::{Fields, RawField, Span, Wire, put_field};

/// How deep a map is followed below a key that a denied key begins with; what lies deeper is denied unseen.
const MAX_NESTING: usize = 16;

/// The attribute keys that are removed, and the one that is stamped.
#[derive(Debug)]
pub struct Policy {
    tenant_attribute: Box<str>,
    denied: Vec<Box<[u8]>>,
    /// Whether some denied key begins with that byte, after folding.
    first: [bool; 256],
}

/// What becomes of one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It stays without the fields that `KeyValue` does not have.
    Tidy,
    /// It goes.
    Strip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// Unrelated to any denied key.
    No,
    /// A denied key continues after it.
    Prefix,
    /// A denied key.
    Denied,
}

impl Policy {
    /// A policy that stamps `tenant_attribute` and removes it and `denied` from what clients send.
    pub fn new<K: AsRef<str>>(tenant_attribute: &str, denied: impl IntoIterator<Item = K>) -> Self {
        let mut keys = vec![folded(tenant_attribute.as_bytes())];
        keys.extend(denied.into_iter().map(|key| folded(key.as_ref().as_bytes())));
        keys.retain(|key| !key.is_empty());
        keys.sort();
        keys.dedup();
        let starts: Vec<u8> = keys.iter().filter_map(|key| key.first().copied()).collect();
        let first =
            std::array::from_fn(|byte| u8::try_from(byte).is_ok_and(|byte| starts.contains(&fold(byte))));
        Self { tenant_attribute: tenant_attribute.into(), denied: keys, first }
    }

    /// Whether an attribute of that name is removed whatever its value.
    pub fn denies(&self, key: &[u8]) -> bool {
        self.test(key) == Match::Denied
    }

    /// Judges the `KeyValue` at `span`.
    ///
    /// It goes when any of its `key` fields is denied (readers differ in which one counts), when it names its key by
    /// `key_strindex` (an index that only profiles resolve), or when its value is a map that would be stored under a
    /// denied name.
    ///
    /// # Errors
    /// It is not a well-formed `KeyValue`.
    #[inline]
    pub fn judge(&self, body: &[u8], span: Span) -> Result<Verdict, Malformed> {
        let pair = Pair::read(body, span)?;
        let mut worst = Match::No;
        if pair.indexed {
            return Ok(Verdict::Strip);
        }
        if pair.keys > 1 {
            pair.each(body, 1, |key| worst = worst.max_of(self.test(key.of(body))))?;
        } else {
            worst = self.test(pair.key.of(body));
        }
        match worst {
            Match::Denied => Ok(Verdict::Strip),
            Match::Prefix if pair.keys > 1 => Ok(Verdict::Strip),
            Match::Prefix if self.map_hides(body, &pair, pair.key.of(body))? => Ok(Verdict::Strip),
            Match::Prefix | Match::No if pair.foreign => Ok(Verdict::Tidy),
            Match::Prefix | Match::No => Ok(Verdict::Keep),
        }
    }

    /// The encoded `attributes` field of a resource that names `tenant`.
    pub fn stamp(&self, tenant: &str) -> Vec<u8> {
        let mut value = Vec::with_capacity(tenant.len() + 4);
        put_field(&mut value, 1, tenant.as_bytes());
        let mut pair = Vec::with_capacity(value.len() + self.tenant_attribute.len() + 8);
        put_field(&mut pair, 1, self.tenant_attribute.as_bytes());
        put_field(&mut pair, 2, &value);
        let mut stamp = Vec::with_capacity(pair.len() + 4);
        put_field(&mut stamp, 1, &pair);
        stamp
    }

    #[inline]
    fn test(&self, key: &[u8]) -> Match {
        match key.first() {
            // A map under an empty key is stored under its entries' own names by some back ends.
            None => Match::Prefix,
            Some(&byte) if self.first.get(usize::from(byte)) != Some(&true) => Match::No,
            Some(_) => self.compare(key),
        }
    }

    fn compare(&self, key: &[u8]) -> Match {
        let mut worst = Match::No;
        for denied in &self.denied {
            worst = worst.max_of(compare(denied, key));
        }
        worst
    }

    /// Whether a map in the value of `pair` has an entry that is stored under a denied name.
    #[cold]
    fn map_hides(&self, body: &[u8], pair: &Pair, key: &[u8]) -> Result<bool, Malformed> {
        let mut path = folded(key).into_vec();
        let mut hides = false;
        pair.each(body, 2, |value| {
            hides = hides || self.value_hides(body, value, &mut path, 0);
        })?;
        Ok(hides)
    }

    /// The same for the `AnyValue` at `value`, `path` being the folded name so far. Values that are not well-formed
    /// count as hiding something.
    fn value_hides(&self, body: &[u8], value: Span, path: &mut Vec<u8>, depth: usize) -> bool {
        let any_map =
            |field: RawField| (field.number == 6 && field.wire == Wire::Delimited).then_some(field.payload);
        some_field(body, value, any_map, |map| {
            depth >= MAX_NESTING
                || some_field(body, map, entry, |entry| self.entry_hides(body, entry, path, depth))
        })
    }

    fn entry_hides(&self, body: &[u8], entry: Span, path: &mut Vec<u8>, depth: usize) -> bool {
        let Ok(pair) = Pair::read(body, entry) else { return true };
        let length = path.len();
        if length > 0 {
            fold_onto(path, b".");
        }
        fold_onto(path, pair.key.of(body));
        let found = if path.is_empty() { Match::Prefix } else { self.compare(path) };
        let hides = match found {
            _ if pair.indexed || pair.keys > 1 => true,
            Match::Denied => true,
            Match::No => false,
            Match::Prefix => {
                some_field(body, entry, value, |value| self.value_hides(body, value, path, depth + 1))
            }
        };
        path.truncate(length);
        hides
    }
}

impl Match {
    fn max_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::Denied, _) | (_, Self::Denied) => Self::Denied,
            (Self::Prefix, _) | (_, Self::Prefix) => Self::Prefix,
            (Self::No, Self::No) => Self::No,
        }
    }
}

/// What a `KeyValue` says of its key.
struct Pair {
    span: Span,
    /// The last `key` field; empty if there is none, as protobuf leaves empty strings out.
    key: Span,
    /// How many `key` fields there are.
    keys: usize,
    /// Whether there is a `key_strindex`.
    indexed: bool,
    /// Whether there are fields that `KeyValue` does not have.
    foreign: bool,
}

impl Pair {
    #[inline]
    fn read(body: &[u8], span: Span) -> Result<Self, Malformed> {
        let mut pair = Self { span, key: Span { start: 0, end: 0 }, keys: 0, indexed: false, foreign: false };
        let mut fields = Fields::new(body, span);
        while let Some(field) = fields.read()? {
            match (field.number, field.wire) {
                (1, Wire::Delimited) => {
                    pair.key = field.payload;
                    pair.keys += 1;
                }
                (2, Wire::Delimited) => {}
                (3, Wire::Varint) => pair.indexed = true,
                (1..=3, _) => {
                    return Err(Malformed::WireType { message: "KeyValue", field: name_of(field.number) });
                }
                _ => pair.foreign = true,
            }
        }
        Ok(pair)
    }

    /// Calls `look` with the payload of every field of that number.
    fn each(&self, body: &[u8], number: u32, mut look: impl FnMut(Span)) -> Result<(), Malformed> {
        let mut fields = Fields::new(body, self.span);
        while let Some(field) = fields.read()? {
            if field.number == number {
                look(field.payload);
            }
        }
        Ok(())
    }
}

/// Whether `look` says yes to one of the fields of a message that `pick` picks; an ill-formed message is a yes.
fn some_field(
    body: &[u8],
    span: Span,
    pick: impl Fn(RawField) -> Option<Span>,
    mut look: impl FnMut(Span) -> bool,
) -> bool {
    let mut fields = Fields::new(body, span);
    loop {
        match fields.read() {
            Ok(None) => return false,
            Ok(Some(field)) => {
                if pick(field).is_some_and(&mut look) {
                    return true;
                }
            }
            Err(_) => return true,
        }
    }
}

fn entry(field: RawField) -> Option<Span> {
    (field.number == 1 && field.wire == Wire::Delimited).then_some(field.payload)
}

fn value(field: RawField) -> Option<Span> {
    (field.number == 2 && field.wire == Wire::Delimited).then_some(field.payload)
}

fn name_of(number: u32) -> &'static str {
    super::fields::KEY_VALUE.field(number).map_or("", |field| field.name)
}

/// Compares a folded denied key with a key that is folded on the way.
fn compare(denied: &[u8], key: &[u8]) -> Match {
    let mut at = 0;
    let mut last = 0;
    for &byte in key {
        let byte = fold(byte);
        if byte == b'_' && last == b'_' {
            continue;
        }
        if denied.get(at) != Some(&byte) {
            return Match::No;
        }
        last = byte;
        at += 1;
    }
    match denied.get(at) {
        None => Match::Denied,
        Some(b'_') => Match::Prefix,
        Some(_) if last == b'_' => Match::Prefix,
        Some(_) => Match::No,
    }
}

fn folded(key: &[u8]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(key.len());
    fold_onto(&mut out, key);
    out.into()
}

fn fold_onto(out: &mut Vec<u8>, key: &[u8]) {
    for &byte in key {
        let byte = fold(byte);
        if byte != b'_' || out.last() != Some(&b'_') {
            out.push(byte);
        }
    }
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
    use prost::Message;

    use super::*;

    fn policy() -> Policy {
        Policy::new("tenant.id", ["X-Scope-OrgID"])
    }

    fn text(text: &str) -> AnyValue {
        AnyValue { value: Some(Value::StringValue(text.into())) }
    }

    fn pair(key: &str, value: AnyValue) -> KeyValue {
        KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
    }

    fn map(values: Vec<KeyValue>) -> AnyValue {
        AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
    }

    fn verdict(encoded: &[u8]) -> Result<Verdict, Malformed> {
        policy().judge(encoded, Span::whole(encoded)?)
    }

    fn verdict_of(pair: &KeyValue) -> Verdict {
        verdict(&pair.encode_to_vec()).unwrap()
    }

    #[test]
    fn keys_are_compared_as_back_ends_store_them() {
        let denied = [
            "tenant.id",
            "tenant_id",
            "tenant-id",
            "Tenant.ID",
            "TENANT/ID",
            "tenant..id",
            "tenant\u{2024}id",
            "x_scope_orgid",
        ];
        for key in denied {
            assert!(policy().denies(key.as_bytes()), "{key}");
            assert_eq!(verdict_of(&pair(key, text("evil"))), Verdict::Strip, "{key}");
        }
        let kept = [
            "tenantid",
            "tenant",
            "tenant.",
            "tenant.id.x",
            "my.tenant.id",
            "tenant.idx",
            "x.scope.org.id",
            "",
            "service.name",
        ];
        for key in kept {
            assert!(!policy().denies(key.as_bytes()), "{key}");
            assert_eq!(verdict_of(&pair(key, text("fine"))), Verdict::Keep, "{key}");
        }
    }

    #[test]
    fn a_map_is_judged_by_the_names_its_entries_get() {
        let nested = |outer: &str, inner: &str| {
            pair(outer, map(vec![pair("other", text("a")), pair(inner, text("evil"))]))
        };
        for (outer, inner) in
            [("tenant", "id"), ("Tenant", "ID"), ("tenant.", "id"), ("", "tenant.id"), ("x", "scope-orgid")]
        {
            assert_eq!(verdict_of(&nested(outer, inner)), Verdict::Strip, "{outer} {inner}");
        }
        for (outer, inner) in [("tenant", "name"), ("tenan", "t.id"), ("service", "id"), ("", "id")] {
            assert_eq!(verdict_of(&nested(outer, inner)), Verdict::Keep, "{outer} {inner}");
        }
        let deep = pair("x", map(vec![pair("scope", map(vec![pair("OrgID", text("evil"))]))]));
        assert_eq!(verdict_of(&deep), Verdict::Strip);
    }

    #[test]
    fn nesting_without_end_is_denied_and_does_not_overflow_the_stack() {
        let mut value = vec![];
        for _ in 0..20_000 {
            let mut entry = vec![];
            put_field(&mut entry, 1, b"");
            put_field(&mut entry, 2, &value);
            let mut list = vec![];
            put_field(&mut list, 1, &entry);
            value.clear();
            put_field(&mut value, 6, &list);
        }
        let mut encoded = vec![];
        put_field(&mut encoded, 1, b"tenant");
        put_field(&mut encoded, 2, &value);
        assert_eq!(verdict(&encoded), Ok(Verdict::Strip));
    }

    #[test]
    fn any_of_several_keys_denies() {
        for keys in [["tenant.id", "ok"], ["ok", "tenant.id"], ["tenant", "ok"]] {
            let mut encoded = vec![];
            for key in keys {
                put_field(&mut encoded, 1, key.as_bytes());
            }
            put_field(&mut encoded, 2, &map(vec![pair("id", text("evil"))]).encode_to_vec());
            assert_eq!(verdict(&encoded), Ok(Verdict::Strip), "{keys:?}");
        }
    }

    #[test]
    fn a_key_by_index_is_denied() {
        assert_eq!(verdict_of(&KeyValue { key_strindex: 4, ..pair("", text("evil")) }), Verdict::Strip);
        assert_eq!(verdict_of(&KeyValue { key_strindex: 4, ..pair("ok", text("evil")) }), Verdict::Strip);
    }

    #[test]
    fn foreign_fields_are_told_and_wrong_wire_types_refused() {
        let mut encoded = pair("ok", text("fine")).encode_to_vec();
        put_field(&mut encoded, 9, b"tenant.id");
        assert_eq!(verdict(&encoded), Ok(Verdict::Tidy));
        for wrong in [&[0x08, 1][..], &[0x10, 1], &[0x1a, 0]] {
            assert!(
                matches!(verdict(wrong), Err(Malformed::WireType { message: "KeyValue", .. })),
                "{wrong:x?}"
            );
        }
    }

    #[test]
    fn the_stamp_is_an_attribute_of_a_resource() {
        let stamp = policy().stamp("tenant_1");
        let resource = opentelemetry_proto::tonic::resource::v1::Resource::decode(stamp.as_slice()).unwrap();
        assert_eq!(resource.attributes, [pair("tenant.id", text("tenant_1"))]);
    }
}
