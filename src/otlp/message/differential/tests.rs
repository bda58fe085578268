//! The comparison over random exports.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

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
    fn hostile_and_broken_encodings(kind in 4..7_u8, mut bytes in vec(any::<u8>(), 0..1600)) {
        bytes.insert(0, kind);
        protobuf(&bytes);
    }

    #[test]
    fn json_in_disguise(kind in 4..7_u8, mut bytes in vec(any::<u8>(), 0..1600)) {
        bytes.insert(0, kind);
        json(&bytes);
    }

    #[test]
    fn any_text(kind in 0..3_u8, text in r#"(\{|\}|\[|\]|"|:|,|"resourceSpans":\[|"attributes":\[|"key":"tenant.id"|[a-z0-9])*"#) {
        json(&[&[kind], text.as_bytes()].concat());
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        protobuf(&bytes);
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
    let (mut items, mut removed, mut indexed, mut taken) = (0, 0, 0, 0);
    for _ in 0..200 {
        let drawn: Vec<u8> = (0..2_000).map(|_| bytes()).collect();
        let mut source = Source::new(&drawn);
        let mut exports: [Box<dyn Strip>; 3] =
            [Box::new(source.traces()), Box::new(source.metrics()), Box::new(source.logs())];
        for export in &mut exports {
            items += export.items();
            let gone = export.strip();
            removed += gone.denied;
            indexed += gone.indexed;
        }
        let mut source = Source::new(&drawn);
        let broken = mutated(source.traces().encode_to_vec(), &mut source);
        taken += u32::from(no_worse::<ExportTraceServiceRequest>(Signal::Traces, broken));
    }
    assert!(items > 500, "{items}");
    assert!(removed > 500, "{removed}");
    assert!(indexed > 20, "{indexed}");
    assert!((10..190).contains(&taken), "{taken} of 200 broken exports were taken");
}

/// Every input that fuzzing has kept because it goes another way than all others.
#[test]
fn the_corpus_of_the_fuzz_targets() {
    for name in ["protobuf", "json"] {
        let target = if name == "json" { json } else { protobuf };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            let held = catch_unwind(|| target(&input));
            assert!(held.is_ok(), "{}", path.display());
            count += 1;
        }
        assert!(count > 1_000, "{name}: {count}");
    }
}
