//! The splicer against others' readings of the same bytes: what it makes of any encoding of an export decodes to what
//! removing attributes from the decoded export gives, and no reader finds a denied key in it.
//!
//! The tests draw exports at random; the fuzz target calls [`protobuf`] and [`json`] with whatever it thinks up.

#[cfg(test)]
mod adversarial;
mod chaos;
mod json;
mod reader;
mod sample;
mod strip;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;

use self::chaos::chaotic;
use self::sample::Source;
use self::strip::{Strip, TENANT};
use super::fields::Signal;
use super::policy::Policy;
use super::splice::{Spliced, scatter, splice, splice_thoroughly};

/// Takes bytes as a protobuf export: the first names the signal, and whether the others are the export or what one is
/// drawn from.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method of a type with a lifetime does not take every lifetime"
)]
pub fn protobuf(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let raw = first & 4 == 0;
    match first & 3 {
        0 => one::<ExportTraceServiceRequest>(Signal::Traces, raw, rest, |source| source.traces()),
        1 => one::<ExportMetricsServiceRequest>(Signal::Metrics, raw, rest, |source| source.metrics()),
        _ => one::<ExportLogsServiceRequest>(Signal::Logs, raw, rest, |source| source.logs()),
    }
}

/// Takes bytes as a JSON export, in the same way.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method of a type with a lifetime does not take every lifetime"
)]
pub fn json(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let raw = first & 4 == 0;
    match first & 3 {
        0 => one_json::<ExportTraceServiceRequest>(Signal::Traces, raw, rest, |source| source.traces()),
        1 => one_json::<ExportMetricsServiceRequest>(Signal::Metrics, raw, rest, |source| source.metrics()),
        _ => one_json::<ExportLogsServiceRequest>(Signal::Logs, raw, rest, |source| source.logs()),
    }
}

fn one_json<M>(signal: Signal, raw: bool, data: &[u8], draw: impl Fn(&mut Source<'_>) -> M)
where
    M: Message + Default + PartialEq + Strip + Debug + Serialize,
{
    if raw {
        json::no_worse::<M>(signal, data);
        return;
    }
    let (drawn, noise) = data.split_at(data.len() / 2);
    let sent = draw(&mut Source::new(drawn));
    json::agree(signal, &sent, &mut Source::new(noise));
    let broken = mutated(serde_json::to_vec(&sent).unwrap(), &mut Source::new(noise));
    json::no_worse::<M>(signal, &broken);
}

fn one<M: Message + Default + PartialEq + Strip + Debug>(
    signal: Signal,
    raw: bool,
    data: &[u8],
    draw: impl Fn(&mut Source<'_>) -> M,
) {
    if raw {
        no_worse::<M>(signal, data.to_vec());
        return;
    }
    let (drawn, noise) = data.split_at(data.len() / 2);
    let sent = draw(&mut Source::new(drawn));
    let encoded = chaotic(signal, &sent.encode_to_vec(), &mut Source::new(noise));
    agree(signal, &sent, encoded.clone());
    no_worse::<M>(signal, mutated(encoded, &mut Source::new(noise)));
}

fn policy() -> Policy {
    Policy::new("tenant.id", ["x-scope-orgid"])
}

/// One export, both ways.
struct Both<M> {
    spliced: Spliced,
    got: M,
    expected: M,
    /// Attributes that had to go.
    removed: u64,
    /// Attributes that may have gone or not, and were not among those.
    unsure: u64,
}

/// Both ways for one encoding, or `None` when one of them refuses it.
fn both<M: Message + Default + Strip + Debug>(signal: Signal, encoded: &Bytes) -> Option<Both<M>> {
    let spliced = splice(signal, encoded, &policy(), TENANT);
    assert_eq!(spliced, splice_thoroughly(signal, encoded, &policy(), TENANT));
    let scattered = scatter(signal, encoded, &policy(), TENANT);
    assert_eq!(
        spliced.as_ref().map(|spliced| spliced.body.to_vec()),
        scattered.as_ref().map(|scattered| scattered.pieces.concat())
    );
    let Ok(spliced) = spliced else { return None };
    let found = reader::denied(signal, &spliced.body);
    assert!(found.is_empty(), "left {found:?} in {:x?}", spliced.body);
    let Ok(mut expected) = M::decode(encoded.clone()) else { return None };
    let removed = expected.strip();
    let mut got = M::decode(spliced.body.clone()).unwrap();
    assert!(got.is_stamped(), "not stamped: {got:?}");
    let left = got.strip();
    assert_eq!(left.denied, got.resources(), "more than the stamps was left to remove");
    assert!(left.indexed <= removed.indexed);
    Some(Both { spliced, got, expected, removed: removed.denied, unsure: removed.indexed - left.indexed })
}

/// An encoding of `sent`: both ways must give the same.
fn agree<M: Message + Default + PartialEq + Strip + Debug>(signal: Signal, sent: &M, encoded: Vec<u8>) {
    assert!(M::decode(encoded.as_slice()).unwrap() == *sent, "the encoding is not of the export");
    let Both { spliced, got, expected, removed, unsure } = both::<M>(signal, &encoded.into()).unwrap();
    assert!(got == expected, "got {got:#?}\nexpected {expected:#?}");
    assert_eq!(spliced.stripped, removed + unsure);
    assert_eq!(spliced.items, expected.items());
    let again = both::<M>(signal, &spliced.body).unwrap();
    assert!(again.got == expected, "splicing twice differs from splicing once");
}

/// Bytes of any origin: where both ways take them, nothing denied is left, and only what readers differ in may make the
/// splicer's outcome another.
fn no_worse<M: Message + Default + PartialEq + Strip + Debug>(signal: Signal, encoded: Vec<u8>) -> bool {
    let encoded = Bytes::from(encoded);
    let Some(Both { spliced, got, expected, removed, unsure }) = both::<M>(signal, &encoded) else {
        return false;
    };
    assert!(spliced.items >= expected.items());
    if !reader::is_ambiguous(signal, &encoded) {
        assert!(same(&got, &expected), "got {got:#?}\nexpected {expected:#?}");
        assert_eq!(spliced.stripped, removed + unsure);
        assert_eq!(spliced.items, expected.items());
    }
    true
}

/// Whether two exports are the same. Numbers that are none are not equal to themselves, but their bytes are.
fn same<M: Message + PartialEq>(one: &M, other: &M) -> bool {
    one == other || one.encode_to_vec() == other.encode_to_vec()
}

/// Flips, inserts and removes bytes of `encoded` at places taken from `source`.
fn mutated(mut encoded: Vec<u8>, source: &mut Source<'_>) -> Vec<u8> {
    for _ in 0..=source.below(3) {
        if encoded.is_empty() {
            break;
        }
        let at = source.wide() % encoded.len();
        match source.below(3) {
            0 => encoded[at] ^= 1 << source.below(8),
            1 => encoded.insert(at, source.byte()),
            _ => drop(encoded.remove(at)),
        }
    }
    encoded
}
