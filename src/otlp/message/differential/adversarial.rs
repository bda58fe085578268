//! Cases 1 to 10 of what a hostile client can do with a message, each wherever attributes may stand.

use super::*;
use crate::otlp::message::splice::Malformed;
use crate::otlp::message::wire::{put_field, put_varint};

/// Where an attribute may stand: the field numbers that lead there.
const LEVELS: [(&str, Signal, &[u32]); 20] = [
    ("resource", Signal::Traces, &[1, 1, 1]),
    ("resource of metrics", Signal::Metrics, &[1, 1, 1]),
    ("resource of logs", Signal::Logs, &[1, 1, 1]),
    ("scope", Signal::Traces, &[1, 2, 1, 3]),
    ("span", Signal::Traces, &[1, 2, 2, 9]),
    ("event", Signal::Traces, &[1, 2, 2, 11, 3]),
    ("link", Signal::Traces, &[1, 2, 2, 13, 4]),
    ("log record", Signal::Logs, &[1, 2, 2, 6]),
    ("body of a log record", Signal::Logs, &[1, 2, 2, 5, 6, 1]),
    ("metadata of a metric", Signal::Metrics, &[1, 2, 2, 12]),
    ("point of a gauge", Signal::Metrics, &[1, 2, 2, 5, 1, 7]),
    ("point of a sum", Signal::Metrics, &[1, 2, 2, 7, 1, 7]),
    ("point of a histogram", Signal::Metrics, &[1, 2, 2, 9, 1, 9]),
    ("point of an exponential histogram", Signal::Metrics, &[1, 2, 2, 10, 1, 1]),
    ("point of a summary", Signal::Metrics, &[1, 2, 2, 11, 1, 7]),
    ("exemplar of a gauge", Signal::Metrics, &[1, 2, 2, 5, 1, 5, 7]),
    ("exemplar of a histogram", Signal::Metrics, &[1, 2, 2, 9, 1, 8, 7]),
    ("exemplar of an exponential histogram", Signal::Metrics, &[1, 2, 2, 10, 1, 11, 7]),
    ("map in an attribute of a resource", Signal::Traces, &[1, 1, 1, 2, 6, 1]),
    ("map in an array in an attribute of a span", Signal::Traces, &[1, 2, 2, 9, 2, 5, 1, 6, 1]),
];

/// Every spelling that back ends fold into a denied key.
const SPELLINGS: [&str; 9] = [
    "tenant.id",
    "tenant_id",
    "tenant-id",
    "Tenant.ID",
    "TENANT/ID",
    "tenant..id",
    "tenant\u{2024}id",
    "X-Scope-OrgID",
    "x_scope_orgid",
];

fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    put_field(&mut out, number, payload);
    out
}

fn pair(key: &str, value: &str) -> Vec<u8> {
    [field(1, key.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()
}

/// These payloads in fields of the last number, the others around them.
fn wrapped(path: &[u32], payloads: &[Vec<u8>]) -> Vec<u8> {
    let (last, around) = path.split_last().unwrap();
    let inner: Vec<u8> = payloads.iter().flat_map(|payload| field(*last, payload)).collect();
    around.iter().rev().fold(inner, |inner, number| field(*number, &inner))
}

fn cut(signal: Signal, body: &[u8]) -> Result<Spliced, Malformed> {
    splice(signal, &Bytes::copy_from_slice(body), &policy(), TENANT)
}

/// What is left of a body in which nothing evil may be left, whoever reads it.
fn cleaned(what: &str, signal: Signal, body: &[u8]) -> String {
    let spliced = cut(signal, body).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
    let found = reader::denied(signal, &spliced.body);
    assert!(found.is_empty(), "{what}: {found:?}");
    let text = String::from_utf8_lossy(&spliced.body).into_owned();
    assert!(!text.contains("evil"), "{what}: {text:?}");
    assert_eq!(text.matches(TENANT).count(), text.matches("tenant.id").count(), "{what}: {text:?}");
    text
}

#[test]
fn case_01_messages_that_come_twice_are_merged_by_readers() {
    for (level, signal, path) in LEVELS {
        for at in 0..path.len() - 1 {
            let inner = wrapped(&path[at + 1..], &[pair("tenant.id", "evil"), pair("a", "kept")]);
            let text = cleaned(level, signal, &wrapped(&path[..=at], &[inner.clone(), inner]));
            assert_eq!(text.matches("kept").count(), 2, "{level}: {text:?}");
        }
    }
}

#[test]
fn case_02_a_key_given_twice_is_denied_by_either() {
    for (level, signal, path) in LEVELS {
        for keys in [["tenant.id", "fine"], ["fine", "tenant.id"]] {
            let value = field(2, &field(1, b"evil"));
            let twice = [field(1, keys[0].as_bytes()), field(1, keys[1].as_bytes()), value].concat();
            cleaned(level, signal, &wrapped(path, &[twice]));
        }
    }
}

/// There is no table in these signals that an index could point into. In a resource such a pair goes all the same;
/// elsewhere it is looked at only if there is a word of a denied key in it.
#[test]
fn case_03_a_key_by_index_is_no_key() {
    for (level, signal, path) in LEVELS {
        let by_index = [field(2, &field(1, b"evil")), vec![0x18, 3]].concat();
        let with_word = [field(1, b"tenant"), field(2, &field(1, b"evil")), vec![0x18, 3]].concat();
        cleaned(level, signal, &wrapped(path, &[with_word]));
        let alone = cut(signal, &wrapped(path, &[by_index])).unwrap();
        assert_eq!(reader::denied(signal, &alone.body), Vec::<String>::new(), "{level}");
        if path == [1, 1, 1] {
            assert_eq!(alone.stripped, 1, "{level}");
        }
    }
}

#[test]
fn case_04_over_long_varints_hide_nothing() {
    let padded = |number: u32, payload: &[u8]| {
        let mut out = vec![];
        for value in [u64::from(number << 3 | 2), payload.len() as u64] {
            put_varint(&mut out, value);
            *out.last_mut().unwrap() |= 0x80;
            out.extend([0x80, 0x00]);
        }
        out.extend_from_slice(payload);
        out
    };
    let hidden = [padded(1, b"tenant.id"), padded(2, &padded(1, b"evil"))].concat();
    for (level, signal, path) in LEVELS {
        let body = path.iter().rev().fold(hidden.clone(), |inner, number| padded(*number, &inner));
        cleaned(level, signal, &body);
    }
}

#[test]
fn case_05_unknown_fields_are_dropped_and_wrong_wire_types_refused() {
    for (level, signal, path) in LEVELS {
        let scope = wrapped(&path[1..], &[pair("a", "evil")]);
        for number in [999, 1000, 1001] {
            let old = wrapped(&[1, number], std::slice::from_ref(&scope));
            cleaned(level, signal, &old);
            let next_to_a_word = [field(number, b"evil"), pair("tenant", "x")].concat();
            cleaned(level, signal, &wrapped(path, &[next_to_a_word]));
        }
        let (last, around) = path.split_last().unwrap();
        let suspect = field(*last, &pair("tenant", "x"));
        for (wrong, refusal) in
            [(0, None), (1, None), (5, None), (3, Some(Malformed::Group)), (7, Some(Malformed::Group))]
        {
            let mut odd = suspect.clone();
            put_varint(&mut odd, u64::from(last << 3 | wrong));
            odd.extend([1; 8]);
            let body = around.iter().rev().fold(odd, |inner, number| field(*number, &inner));
            let refused = cut(signal, &body).unwrap_err();
            match refusal {
                Some(refusal) => assert_eq!(refused, refusal, "{level}"),
                None => assert!(!matches!(refused, Malformed::Group), "{level}: {refused:?}"),
            }
        }
    }
}

#[test]
fn case_06_what_is_cut_short_or_claims_too_much_is_refused() {
    for (level, signal, path) in LEVELS {
        let whole = wrapped(path, &[pair("tenant.id", "evil")]);
        for end in 1..whole.len() {
            assert_eq!(cut(signal, &whole[..end]), Err(Malformed::Truncated), "{level} {end}");
        }
        let (last, around) = path.split_last().unwrap();
        for claimed in [1_u64 << 31, 1 << 32, u64::MAX] {
            let mut inner = field(*last, &pair("tenant", "x"));
            put_varint(&mut inner, u64::from(last << 3 | 2));
            put_varint(&mut inner, claimed);
            let body = around.iter().rev().fold(inner, |inner, number| field(*number, &inner));
            assert_eq!(cut(signal, &body), Err(Malformed::Truncated), "{level}");
        }
    }
}

#[test]
fn case_07_all_of_several_same_keys_go() {
    for (level, signal, path) in LEVELS {
        let evil = || pair("tenant.id", "evil");
        let text = cleaned(level, signal, &wrapped(path, &[evil(), pair("a", "kept"), evil(), evil()]));
        assert!(text.contains("kept"), "{level}");
    }
}

#[test]
fn case_08_every_spelling_that_folds_to_a_denied_key_goes() {
    for (level, signal, path) in LEVELS {
        for key in SPELLINGS {
            let what = format!("{level}, {key}");
            cleaned(&what, signal, &wrapped(path, &[pair(key, "evil")]));
        }
        let inner = field(2, &field(6, &field(1, &pair("ID", "evil"))));
        let map = [field(1, b"Tenant"), inner].concat();
        cleaned(level, signal, &wrapped(path, &[map]));
        let near = ["tenantid", "my.tenant.id", "tenant.id.x", "tenant", "id", "x.scope.org.id"];
        let pairs: Vec<Vec<u8>> = near.iter().map(|key| pair(key, "kept")).collect();
        let kept = cut(signal, &wrapped(path, &pairs)).unwrap();
        assert_eq!(kept.stripped, 0, "{level}");
    }
}

#[test]
fn case_09_entity_references_do_not_name_what_is_gone() {
    for signal in Signal::ALL {
        for key in SPELLINGS {
            for number in [3, 4] {
                let entity =
                    [field(2, b"service"), field(3, b"kept"), field(number, key.as_bytes())].concat();
                let entities = [field(1, &pair(key, "evil")), field(3, &entity)].concat();
                let text = cleaned(key, signal, &wrapped(&[1, 1], &[entities]));
                assert!(text.contains("kept") && text.contains("service"), "{key}: {text:?}");
                let only = field(3, &field(3, key.as_bytes()));
                let text =
                    cleaned(key, signal, &wrapped(&[1, 1], &[[only, field(1, &pair(key, "evil"))].concat()]));
                assert_eq!(
                    text.len(),
                    wrapped(&[1, 1, 1], &[pair("tenant.id", TENANT)]).len(),
                    "{key}: {text:?}"
                );
            }
        }
    }
}

#[test]
fn case_10_a_denied_key_goes_wherever_it_stands_and_nothing_else_does() {
    for (level, signal, path) in LEVELS {
        let kept = [pair("service.name", "shop"), pair("tenant.name", "kept"), pair("a", "b")];
        let with = [kept[0].clone(), pair("tenant.id", "evil"), kept[1].clone(), kept[2].clone()];
        let dirty = cut(signal, &wrapped(path, &with)).unwrap();
        let clean = cut(signal, &wrapped(path, &kept)).unwrap();
        assert_eq!(dirty.body, clean.body, "{level}");
        assert_eq!((dirty.stripped, clean.stripped), (1, 0), "{level}");
        assert_eq!(dirty.items, clean.items, "{level}");
    }
}
