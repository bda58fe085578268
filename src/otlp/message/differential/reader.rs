//! A reader of exports that takes every field at its worst: all occurrences of a key count, all of a value, and a map
//! in a map has every name that some flattening gives it. What it does not find, no back end finds.

use super::strip::{TENANT, is_denied_name};

/// What a field of interest holds.
#[derive(Clone, Copy)]
enum Holds {
    Message(&'static [(u32, Holds)]),
    Resource,
    Pair,
    Value,
}

use crate::otlp::message::fields::Signal;
use Holds::{Message, Pair, Resource, Value};

/// Paths to a map that are followed; more readings of one input than this are not tried.
const MAX_PATHS: usize = 64;

const SCOPE: Holds = Message(&[(3, Pair)]);
const EXEMPLAR: Holds = Message(&[(7, Pair)]);
const NUMBERS: Holds = Message(&[(1, Message(&[(7, Pair), (5, EXEMPLAR)]))]);
const HISTOGRAM: Holds = Message(&[(1, Message(&[(9, Pair), (8, EXEMPLAR)]))]);
const EXPONENTIAL: Holds = Message(&[(1, Message(&[(1, Pair), (11, EXEMPLAR)]))]);
const SUMMARY: Holds = Message(&[(1, Message(&[(7, Pair)]))]);
const METRIC: Holds =
    Message(&[(5, NUMBERS), (7, NUMBERS), (9, HISTOGRAM), (10, EXPONENTIAL), (11, SUMMARY), (12, Pair)]);
const SPAN: Holds = Message(&[(9, Pair), (11, Message(&[(3, Pair)])), (13, Message(&[(4, Pair)]))]);
const RECORD: Holds = Message(&[(5, Value), (6, Pair)]);

// Field 1000 is what field 2 was in an older layout.
const TRACES: Holds = Message(&[(1, Message(&[(1, Resource), (2, SPANS), (1000, SPANS)]))]);
const SPANS: Holds = Message(&[(1, SCOPE), (2, SPAN)]);
const LOGS: Holds = Message(&[(1, Message(&[(1, Resource), (2, RECORDS), (1000, RECORDS)]))]);
const RECORDS: Holds = Message(&[(1, SCOPE), (2, RECORD)]);
const METRICS: Holds = Message(&[(1, Message(&[(1, Resource), (2, POINTS), (1000, POINTS)]))]);
const POINTS: Holds = Message(&[(1, SCOPE), (2, METRIC)]);

/// The names under which some reader finds a denied key in an export, the stamps left out.
pub fn denied(signal: Signal, body: &[u8]) -> Vec<String> {
    let whole = match signal {
        Signal::Traces => TRACES,
        Signal::Metrics => METRICS,
        Signal::Logs => LOGS,
    };
    let mut found = Vec::new();
    look(whole, body, &mut found);
    found
}

/// Whether readers may differ in what an export says: a pair with several keys or values, a value or a metric that is
/// several things at once.
pub fn is_ambiguous(signal: Signal, body: &[u8]) -> bool {
    let whole = match signal {
        Signal::Traces => TRACES,
        Signal::Metrics => METRICS,
        Signal::Logs => LOGS,
    };
    several(whole, body)
}

fn several(holds: Holds, bytes: &[u8]) -> bool {
    let all = fields(bytes);
    let count = |numbers: std::ops::RangeInclusive<u32>| {
        all.iter().filter(|(number, _)| numbers.contains(number)).count()
    };
    let inner: &[(u32, Holds)] = match holds {
        Message(inner) => inner,
        Resource => &[(1, Pair)],
        Pair => &[(2, Value)],
        Value => &[(5, Message(&[(1, Value)])), (6, Message(&[(1, Pair)]))],
    };
    let here = match holds {
        Pair => count(1..=1) > 1 || count(2..=2) > 1,
        Value => all.len() > 1,
        // A metric, or a log record, which has a body at the number of a gauge.
        Message([(5, _), ..]) => count(5..=5) + if inner.len() > 2 { count(7..=11) } else { 0 } > 1,
        Message(_) | Resource => false,
    };
    here || all.iter().any(|(number, payload)| {
        inner.iter().any(|(other, holds)| other == number && several(*holds, payload))
    })
}

fn look(holds: Holds, bytes: &[u8], found: &mut Vec<String>) {
    match holds {
        Message(inner) => {
            for (number, payload) in fields(bytes) {
                if let Some((_, holds)) = inner.iter().find(|(other, _)| *other == number) {
                    look(*holds, payload, found);
                }
            }
        }
        Resource => resource(bytes, found),
        Pair => pair(bytes, &[], found, 0),
        Value => value(bytes, &[], found, 0),
    }
}

/// The stamp is the last attribute, and the only one that may have a denied name.
fn resource(bytes: &[u8], found: &mut Vec<String>) {
    let all = fields(bytes);
    let attributes: Vec<&[u8]> =
        all.iter().filter(|(number, _)| *number == 1).map(|(_, pair)| *pair).collect();
    let Some((last, others)) = attributes.split_last() else { return found.push("no stamp".into()) };
    let stamp = [&[10, 9][..], b"tenant.id", &[18, 10, 10, 8], TENANT.as_bytes()].concat();
    if **last != *stamp {
        found.push("another stamp".into());
    }
    for attribute in others {
        pair(attribute, &[], found, 0);
    }
    for (_, entity) in all.iter().filter(|(number, _)| *number == 3) {
        let names = fields(entity);
        let names = names.iter().filter(|(number, _)| matches!(number, 3 | 4));
        let names = names.map(|(_, name)| String::from_utf8_lossy(name).into_owned());
        found.extend(names.filter(|name| is_denied_name(name)));
    }
}

fn pair(bytes: &[u8], above: &[String], found: &mut Vec<String>, depth: usize) {
    let all = fields(bytes);
    let mut keys: Vec<String> = all
        .iter()
        .filter(|(number, _)| *number == 1)
        .map(|(_, key)| String::from_utf8_lossy(key).into_owned())
        .collect();
    if keys.is_empty() {
        keys.push(String::new());
    }
    let mut paths = keys.clone();
    for path in above {
        paths.extend(keys.iter().map(|key| format!("{path}.{key}")));
    }
    found.extend(paths.iter().filter(|path| is_denied_name(path)).cloned());
    paths.truncate(MAX_PATHS);
    for (_, inner) in all.iter().filter(|(number, _)| *number == 2) {
        value(inner, &paths, found, depth + 1);
    }
}

fn value(bytes: &[u8], above: &[String], found: &mut Vec<String>, depth: usize) {
    if depth > 40 {
        return;
    }
    for (number, list) in fields(bytes) {
        for (_, entry) in fields(list).into_iter().filter(|(inner, _)| *inner == 1) {
            match number {
                5 => value(entry, above, found, depth + 1),
                6 => pair(entry, above, found, depth + 1),
                _ => {}
            }
        }
    }
}

/// The fields of a message, as far as it can be read; of numbers only that they are there.
fn fields(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let mut found = Vec::new();
    while let Some(tag) = varint(&mut bytes) {
        let skipped = match tag & 7 {
            0 => varint(&mut bytes).map(|_| 0),
            1 => Some(8),
            5 => Some(4),
            2 => varint(&mut bytes),
            _ => None,
        };
        let Some(payload) = skipped.and_then(|length| bytes.split_off(..usize::try_from(length).unwrap()))
        else {
            break;
        };
        let payload = if tag & 7 == 2 { payload } else { &[] };
        found.push((u32::try_from(tag >> 3).unwrap_or(0), payload));
    }
    found
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
