//! The splicer against prost: what it makes of any encoding of an export decodes to what removing attributes from the
//! decoded export gives.

mod chaos;
mod sample;
mod strip;

use std::fmt::Debug;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use self::chaos::chaotic;
use self::sample::Source;
use self::strip::{Strip, TENANT};
use super::*;

fn policy() -> Policy {
    Policy::new("tenant.id", ["x-scope-orgid"])
}

/// One export, both ways.
struct Both<M> {
    spliced: Spliced,
    got: M,
    expected: M,
    removed: u64,
}

/// Both ways for one encoding, or `None` when one of them refuses it.
fn both<M: Message + Default + Strip>(signal: Signal, encoded: &Bytes) -> Option<Both<M>> {
    let (Ok(spliced), Ok(mut expected)) =
        (splice(signal, encoded, &policy(), TENANT), M::decode(encoded.clone()))
    else {
        return None;
    };
    let removed = expected.strip();
    let got = M::decode(spliced.body.clone()).unwrap();
    Some(Both { spliced, got, expected, removed })
}

/// An encoding of `sent`: both ways must give the same.
fn agree<M: Message + Default + PartialEq + Strip + Debug>(signal: Signal, sent: &M, encoded: Vec<u8>) {
    assert!(M::decode(encoded.as_slice()).unwrap() == *sent, "the encoding is not of the export");
    let Both { spliced, got, expected, removed } = both::<M>(signal, &encoded.into()).unwrap();
    assert!(got == expected, "got {got:#?}\nexpected {expected:#?}");
    assert_eq!(spliced.stripped, removed);
    assert_eq!(spliced.items, expected.items());
    let again = splice(signal, &spliced.body, &policy(), TENANT).unwrap();
    assert!(M::decode(again.body).unwrap() == expected, "splicing twice differs from splicing once");
}

/// Bytes of any origin: where both ways take them, nothing denied is left, and only a key that is given twice may make
/// the splicer remove more than the decoded export shows.
fn no_worse<M: Message + Default + PartialEq + Strip + Debug>(signal: Signal, encoded: Vec<u8>) -> bool {
    let Some(Both { spliced, mut got, expected, removed }) = both::<M>(signal, &encoded.into()) else {
        return false;
    };
    assert!(spliced.stripped >= removed, "{} < {removed}", spliced.stripped);
    assert!(spliced.items >= expected.items());
    if spliced.stripped == removed {
        assert!(got == expected, "got {got:#?}\nexpected {expected:#?}");
    }
    let stamps = got.resources();
    assert_eq!(got.strip(), stamps, "more than the stamps was left to remove: {got:#?}");
    true
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

proptest! {
    #[test]
    fn plain_encodings(bytes in vec(any::<u8>(), 0..800)) {
        let mut source = Source::new(&bytes);
        let (traces, metrics, logs) = (source.traces(), source.metrics(), source.logs());
        agree(Signal::Traces, &traces, traces.encode_to_vec());
        agree(Signal::Metrics, &metrics, metrics.encode_to_vec());
        agree(Signal::Logs, &logs, logs.encode_to_vec());
    }

    #[test]
    fn hostile_encodings(bytes in vec(any::<u8>(), 0..800), noise in vec(any::<u8>(), 0..800)) {
        let mut source = Source::new(&bytes);
        let mut noise = Source::new(&noise);
        let (traces, metrics, logs) = (source.traces(), source.metrics(), source.logs());
        agree(Signal::Traces, &traces, chaotic(Signal::Traces, &traces.encode_to_vec(), &mut noise));
        agree(Signal::Metrics, &metrics, chaotic(Signal::Metrics, &metrics.encode_to_vec(), &mut noise));
        agree(Signal::Logs, &logs, chaotic(Signal::Logs, &logs.encode_to_vec(), &mut noise));
    }

    #[test]
    fn broken_encodings(bytes in vec(any::<u8>(), 0..800), noise in vec(any::<u8>(), 0..60)) {
        let mut source = Source::new(&bytes);
        let mut noise = Source::new(&noise);
        no_worse::<ExportTraceServiceRequest>(Signal::Traces, mutated(source.traces().encode_to_vec(), &mut noise));
        no_worse::<ExportMetricsServiceRequest>(Signal::Metrics, mutated(source.metrics().encode_to_vec(), &mut noise));
        no_worse::<ExportLogsServiceRequest>(Signal::Logs, mutated(source.logs().encode_to_vec(), &mut noise));
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        for signal in Signal::ALL {
            // Only that it returns: most of these are refused.
            let _answer = splice(signal, &Bytes::copy_from_slice(&bytes), &policy(), TENANT);
        }
    }
}

/// What the random exports really contain, so that the properties above cannot hold for want of cases.
#[test]
fn the_exports_are_worth_comparing() {
    let mut state = 1_u32;
    let mut bytes = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    let (mut items, mut removed, mut taken) = (0, 0, 0);
    for _ in 0..200 {
        let drawn: Vec<u8> = (0..2_000).map(|_| bytes()).collect();
        let mut source = Source::new(&drawn);
        let mut exports: [Box<dyn Strip>; 3] =
            [Box::new(source.traces()), Box::new(source.metrics()), Box::new(source.logs())];
        for export in &mut exports {
            items += export.items();
            removed += export.strip();
        }
        let mut source = Source::new(&drawn);
        let broken = mutated(source.traces().encode_to_vec(), &mut source);
        taken += u32::from(no_worse::<ExportTraceServiceRequest>(Signal::Traces, broken));
    }
    assert!(items > 500, "{items}");
    assert!(removed > 500, "{removed}");
    assert!((10..190).contains(&taken), "{taken} of 200 broken exports were taken");
}
