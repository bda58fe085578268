use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::message::fields::RESOURCE;

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
    policy().judge(encoded, Span::whole(encoded)?, &Path::default())
}

fn verdict_of(pair: &KeyValue) -> Verdict {
    verdict(&pair.encode_to_vec()).unwrap()
}

/// Whether the last of these keys, each below the one before it, is denied while those before it are not.
fn last_is_denied(keys: &[&str]) -> bool {
    let policy = policy();
    let mut path = Path::default();
    for (at, key) in keys.iter().enumerate() {
        let mut ahead = Path::default();
        if policy.follow(&path, key.as_bytes(), &mut ahead) {
            return at + 1 == keys.len();
        }
        path = ahead;
    }
    false
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
        assert_eq!(policy().suspicion(key.as_bytes(), key.len()), key.len());
        assert!(policy().suspicion(key.as_bytes(), 0) < key.len(), "{key}");
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
fn an_entry_is_judged_by_every_name_it_gets() {
    let denied: [&[&str]; 9] = [
        &["tenant", "id"],
        &["Tenant", "ID"],
        &["tenant.", "id"],
        &["tenant", "", "id"],
        &["", "tenant.id"],
        &["a", "tenant.id"],
        &["a", "b", "tenant", "id"],
        &["x", "scope-orgid"],
        &["x", "scope", "OrgID"],
    ];
    for keys in denied {
        assert!(last_is_denied(keys), "{keys:?}");
    }
    let kept: [&[&str]; 6] = [
        &["tenant", "name"],
        &["tenan", "t.id"],
        &["service", "id"],
        &["", "id"],
        &["tenant", "x", "id"],
        &["tenant.i", "d"],
    ];
    for keys in kept {
        assert!(!last_is_denied(keys), "{keys:?}");
    }
}

#[test]
fn any_of_several_keys_denies_or_leads_on() {
    let two = |keys: [&str; 2]| {
        let mut encoded = vec![];
        for key in keys {
            put_field(&mut encoded, 1, key.as_bytes());
        }
        put_field(&mut encoded, 2, &map(vec![pair("id", text("evil"))]).encode_to_vec());
        verdict(&encoded).unwrap()
    };
    assert_eq!(two(["tenant.id", "ok"]), Verdict::Strip);
    assert_eq!(two(["ok", "tenant.id"]), Verdict::Strip);
    for keys in [["tenant", "ok"], ["ok", "tenant"]] {
        let Verdict::Open(path) = two(keys) else { panic!("{keys:?}") };
        assert!(policy().follow(&path, b"id", &mut Path::default()), "{keys:?}");
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
    assert_eq!(verdict(&encoded), Ok(Verdict::Open(Path::default())));
    for wrong in [&[0x08, 1][..], &[0x10, 1], &[0x1a, 0]] {
        assert!(matches!(verdict(wrong), Err(Malformed::WireType { message: "KeyValue", .. })), "{wrong:x?}");
    }
}

#[test]
fn only_values_without_pairs_are_plain() {
    let long = "x".repeat(300);
    let plain = [
        AnyValue { value: None },
        text(""),
        text("short"),
        text(&long),
        AnyValue { value: Some(Value::BoolValue(true)) },
        AnyValue { value: Some(Value::IntValue(-1)) },
        AnyValue { value: Some(Value::IntValue(5)) },
        AnyValue { value: Some(Value::DoubleValue(0.5)) },
        AnyValue { value: Some(Value::BytesValue(vec![1; 200])) },
    ];
    for value in plain {
        let encoded = value.encode_to_vec();
        assert!(is_plain_value(&encoded), "{value:?}");
        let more = [encoded, map(vec![pair("tenant.id", text("evil"))]).encode_to_vec()].concat();
        assert!(!is_plain_value(&more), "{value:?}");
    }
}

#[test]
fn the_stamp_is_an_attribute_of_a_resource() {
    let stamp = policy().stamp("tenant_1");
    let resource = opentelemetry_proto::tonic::resource::v1::Resource::decode(stamp.as_slice()).unwrap();
    assert_eq!(resource.attributes, [pair("tenant.id", text("tenant_1"))]);
}

#[test]
fn fields_are_passed_by_up_to_the_first_that_may_not_stay() {
    let policy = policy();
    let attribute = |pair: &KeyValue| {
        let mut field = vec![];
        put_field(&mut field, 1, &pair.encode_to_vec());
        field
    };
    let (fine, denied) = (attribute(&pair("a", text("b"))), attribute(&pair("tenant.id", text("evil"))));
    let nested = attribute(&pair("a", map(vec![])));
    let unknown = [0x28, 1].to_vec();
    let count = [0x10, 0x80, 1].to_vec();
    let settled = |fields: &[&[u8]]| policy.settled(&RESOURCE, &fields.concat());
    assert_eq!(settled(&[&fine, &count, &fine]), 2 * fine.len() + count.len());
    for odd in
        [&denied, &nested, &unknown, &fine[..3].to_vec(), &vec![0x0a, 0x80, 0x80, 0x80, 1], &vec![0x8a, 0, 0]]
    {
        assert_eq!(settled(&[&fine, &count, odd, &fine]), fine.len() + count.len(), "{odd:x?}");
    }
    assert_eq!(settled(&[]), 0);
}

proptest! {
    /// The short way to a verdict and the long way to it.
    #[test]
    fn what_is_harmless_is_kept(key in vec(prop::sample::select(b"tenaTENA.-_ idIDxscope".to_vec()), 1..20)) {
        let mut encoded = vec![];
        put_field(&mut encoded, 1, &key);
        put_field(&mut encoded, 2, &text("x").encode_to_vec());
        let is_denied = [&b"tenant_id"[..], b"x_scope_orgid"].contains(&&*folded(&key));
        prop_assert_eq!(policy().is_harmless(&encoded), !is_denied);
        prop_assert_eq!(policy().denies(&key), is_denied);
        prop_assert_eq!(verdict(&encoded), Ok(if is_denied { Verdict::Strip } else { Verdict::Keep }));
    }

    #[test]
    fn spellings_are_not_harmless(noise in vec(0..4_u8, 10), between in "[._ -]{1,3}") {
        let letters = format!("tenant{between}id");
        let cased = letters.bytes().zip(noise.iter().cycle());
        let key: Vec<u8> = cased.map(|(byte, noise)| if *noise == 0 { byte.to_ascii_uppercase() } else { byte }).collect();
        let mut encoded = vec![];
        put_field(&mut encoded, 1, &key);
        put_field(&mut encoded, 2, &text("x").encode_to_vec());
        prop_assert!(!policy().is_harmless(&encoded));
        prop_assert_eq!(verdict(&encoded), Ok(Verdict::Strip));
    }
}
