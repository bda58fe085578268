use super::*;
use crate::domain::audit::checkpoint::Checkpoint;
use crate::domain::audit::entry::Draft;
use crate::domain::audit::export::{End, Ending, VERSION, line};
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::clock::fixed::Counting;
use crate::domain::{TenantId, Timestamp};

/// Signs by a hash that everybody can make: here it is about the rest.
struct Stamps;

fn stamp(name: &str, text: &str) -> String {
    format!("{}\n{text}", Hash::of_leaf(format!("{name}\n{text}").as_bytes()))
}

impl Notes for Stamps {
    fn trusts(&self, key: &str) -> bool {
        key == "key"
    }

    fn open(&self, _key: &str, name: &str, note: &str) -> Option<String> {
        let (_, text) = note.split_once('\n')?;
        (stamp(name, text) == note).then(|| text.to_owned())
    }
}

/// An export of these entries of a log of `size`.
fn file(size: u64, from: u64, to: u64) -> String {
    let (tenant, entropy) = (TenantId::from_bytes([7; 16]), Counting::default());
    let actor = Actor { address: Some([192, 0, 2, 7].into()), ..Actor::system("c-1") };
    let event = |at: u64| {
        let time = Timestamp::from_micros(1_000_000 + i64::try_from(at).unwrap());
        let mut event = Event::new(tenant, Action::KeyCreated, format!("key_{at}"), time, &entropy);
        event.detail.push(("name".into(), format!("Zoë {at}")));
        Draft::new(&actor, &event).unwrap()
    };
    let drafts: Vec<Draft> = (0..size).map(event).collect();
    let entries: Vec<String> = drafts.iter().zip(0..).map(|(draft, at)| draft.at(at)).collect();
    let leaves: Vec<Hash> = entries.iter().map(|entry| Hash::of_leaf(entry.as_bytes())).collect();
    let place = |at: u64| usize::try_from(at).unwrap();
    let root = |to: u64| merkle::root_of(leaves[..place(to)].iter().copied());
    let origin = format!("doorward/1/{tenant}");
    let note = |size: u64| {
        let text = Checkpoint { origin: origin.clone(), size, root: root(size) }.text();
        stamp(&origin, &text)
    };
    let around = merkle::around(size, &(from..to));
    let whole =
        |span: &merkle::Span| merkle::root_of(leaves[place(span.start)..place(span.end)].iter().copied());
    let header = Header {
        dwaudit: VERSION,
        origin: origin.clone(),
        vkey: "key".into(),
        tenant: tenant.to_string(),
        time: 5,
        from,
        to,
        size,
        before: around.iter().filter(|span| span.end <= from).map(whole).collect(),
        after: around.iter().filter(|span| span.start >= to).map(whole).collect(),
        checkpoints: vec![note(from + 1)],
        since: None,
    };
    let mut text = serde_json::to_string(&header).unwrap() + "\n";
    for at in place(from)..place(to) {
        text += &line(&entries[at], &drafts[at].fields).unwrap();
        text += "\n";
    }
    let digest = Hash::from_bytes(Sha256::digest(&text).into());
    let seal = stamp(&origin, &export_text(&origin, to - from, &digest));
    let end = End { end: Ending { entries: to - from, checkpoint: note(size), seal } };
    text + &serde_json::to_string(&end).unwrap() + "\n"
}

fn judge(text: &str, since: Option<&str>) -> Result<Verdict, Broken> {
    let mut reading = Reading::new(&Stamps, since);
    for line in text.split_inclusive('\n') {
        reading.line(line.strip_suffix('\n').unwrap_or(line))?;
    }
    reading.finish()
}

#[test]
fn every_part_of_a_log_is_found_true() {
    for size in 1..12 {
        for from in 0..size {
            for to in from + 1..=size {
                let verdict = judge(&file(size, from, to), None).unwrap();
                assert_eq!((verdict.header.size, verdict.erased, verdict.checkpoints), (size, 0, 1));
            }
        }
    }
}

// R45: not one byte can be another.
#[test]
fn whatever_byte_is_changed_the_file_is_found_false() {
    let text = file(6, 1, 4);
    for at in 0..text.len() {
        for other in [b'0', b'"', b' ', b'z'] {
            let mut bytes = text.clone().into_bytes();
            if bytes[at] == other || bytes[at] == b'\n' {
                continue;
            }
            bytes[at] = other;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(judge(&changed, None).is_err(), "byte {at} as {}: {changed}", char::from(other));
        }
    }
}

#[test]
fn whatever_line_is_moved_left_out_or_put_in_the_file_is_found_false() {
    let text = file(6, 1, 4);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for one in 0..lines.len() {
        let without: Vec<&str> = [&lines[..one], &lines[one + 1..]].concat();
        assert!(judge(&without.concat(), None).is_err(), "without line {one}");
        for other in 0..lines.len() {
            let mut more = lines.clone();
            more.insert(other, lines[one]);
            assert!(judge(&more.concat(), None).is_err(), "line {one} again at {other}");
            let mut swapped = lines.clone();
            swapped.swap(one, other);
            assert_eq!(judge(&swapped.concat(), None).is_err(), one != other, "lines {one} and {other}");
        }
    }
}
