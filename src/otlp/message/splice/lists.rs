//! The count of items, at several places at once.
//!
//! Each field tells where the next one begins, so the fields of a list are a chain of reads of which each waits for the
//! one before it. Several chains are followed in turns: those of several lists, and those of one long list from several
//! places where an item seems to begin. That one really does is known when the chain before it arrives exactly there;
//! if it does not, the lists are followed from their beginnings alone.
//!
//! What is counted here is plainly a list of items, as everybody encodes them. For anything else there is no count, and
//! the ordinary walk says what it is.

use crate::otlp::message::fields::{Kind, Message, Role};
use crate::otlp::message::wire::{Span, Wire, delimited_tag, split_payload};

/// Chains that are followed in turns.
const LANES: usize = 8;
/// A list of so many bytes is followed from several places.
const LONG: usize = 16 << 10;
/// How far from a place the beginning of an item is looked for, in bytes.
const REACH: usize = 4 << 10;
/// Items in a row that there must be for the first of them to be taken for one.
const PLAUSIBLE: usize = 3;
/// Lists for which there is room from the start.
const USUAL: usize = 16;
/// Bytes that are tested at once, without a branch in between.
const BLOCK: usize = 64;

/// Lists whose items are to be counted.
#[derive(Debug)]
pub struct Lists(Vec<Span>);

/// How the fields of a list begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The tag of an item.
    item: u8,
    /// The tags of other fields that may stand in the list; that of an item where there are fewer.
    others: [u8; 2],
}

impl Shape {
    /// The shape of a message that holds items and, besides them, at most two other fields with a length; `None` for
    /// any other message.
    pub fn of(message: &'static Message) -> Option<Self> {
        let mut item = None;
        let mut others = [None; 2];
        let mut free = others.iter_mut();
        for field in message.fields {
            let is_walked = matches!(field.kind, Kind::Message(inner) if inner.role == Role::Frame);
            let Ok(tag @ 0..0x80) = u8::try_from(delimited_tag(field.number)) else { return None };
            if is_walked || field.kind.wire() != Wire::Delimited {
                return None;
            }
            let place = if field.item { &mut item } else { free.next()? };
            *place = Some(tag);
        }
        item.map(|item| Self { item, others: others.map(|tag| tag.unwrap_or(item)) })
    }

    /// What follows the first field of `list`, and whether that is an item.
    #[inline]
    fn step(self, list: &[u8]) -> Option<(&[u8], bool)> {
        let [tag, after @ ..] = list else { return None };
        let is_item = *tag == self.item;
        let (_, after) = split_payload(after)?;
        (is_item || self.others.contains(tag)).then_some((after, is_item))
    }

    /// What follows the first field of `list`, if that is an item of 128 to 16383 bytes.
    #[inline]
    fn step_over_item(self, list: &[u8]) -> Option<&[u8]> {
        let head = u32::from_le_bytes(*list.first_chunk()?);
        if head & 0x80_80ff != 0x8000 | u32::from(self.item) {
            return None;
        }
        list.get(3 + (head >> 8 & 0x7f | head >> 9 & 0x3f80) as usize..)
    }
}

impl Lists {
    /// No lists.
    pub fn new() -> Self {
        Self(Vec::with_capacity(USUAL))
    }

    /// Adds the list at `span`.
    pub fn add(&mut self, span: Span) {
        if !span.is_empty() {
            self.0.push(span);
        }
    }

    /// How many items there are in all the lists, which are of that shape. `None` if anything else is in one of them.
    pub fn count(&self, body: &[u8], shape: Shape) -> Option<u64> {
        let whole = self.0.iter().map(|span| span.of(body));
        let total = whole.clone().map(<[u8]>::len).sum();
        let parts = whole.clone().flat_map(|list| split(list, shape, total));
        follow(shape, parts).or_else(|| follow(shape, whole))
    }
}

/// Follows the lists, none of which is empty, in turns and counts items. `None` if one does not end with a field.
fn follow<'a>(shape: Shape, mut lists: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut lanes: [&[u8]; LANES] = [&[]; LANES];
    let mut items = 0;
    loop {
        let mut idle = 0;
        for lane in &mut lanes {
            if !lane.is_empty() {
                items += one(shape, lane)?;
            } else if let Some(next) = lists.next() {
                *lane = next;
            } else {
                idle += 1;
            }
        }
        match idle {
            0 => items += together(shape, &mut lanes),
            LANES => return Some(items),
            _ => {}
        }
    }
}

/// Goes on while the next field of each lane is an item of usual length, and counts those.
fn together(shape: Shape, lanes: &mut [&[u8]; LANES]) -> u64 {
    let mut here = *lanes;
    let mut items = 0;
    'turns: loop {
        for lane in &mut here {
            let Some(rest) = shape.step_over_item(lane) else { break 'turns };
            *lane = rest;
            items += 1;
        }
    }
    *lanes = here;
    items
}

#[inline]
fn one(shape: Shape, lane: &mut &[u8]) -> Option<u64> {
    let (rest, is_item) = match shape.step_over_item(lane) {
        Some(rest) => (rest, true),
        None => shape.step(lane)?,
    };
    *lane = rest;
    Some(u64::from(is_item))
}

/// The parts of a list, each up to the likely beginning of an item. All lists, which are `total` bytes, are to give
/// enough parts for all lanes.
fn split(list: &[u8], shape: Shape, total: usize) -> impl Iterator<Item = &[u8]> {
    let parts = list.len().saturating_mul(LANES).checked_div(total).unwrap_or(1);
    let model = if total < LONG || parts < 2 { None } else { Model::of(list, shape) };
    let cuts = model.into_iter().flat_map(move |model| {
        let middles = (1..parts).map(move |part| list.len() / parts * part);
        middles.filter_map(move |middle| model.find(list, middle))
    });
    let mut at = 0;
    // Two searches may have found the same item.
    cuts.chain([list.len()]).filter_map(move |end| {
        let part = list.get(at..end).filter(|part| !part.is_empty())?;
        at = end;
        Some(part)
    })
}

/// What items of a list look like, judged by its first one.
#[derive(Clone, Copy, Debug)]
struct Model {
    shape: Shape,
    /// Where in an item its first field begins.
    place: usize,
    /// How that begins.
    first: u8,
}

impl Model {
    fn of(mut list: &[u8], shape: Shape) -> Option<Self> {
        while let (rest, false) = shape.step(list)? {
            list = rest;
        }
        let lengths = list.iter().skip(1).take_while(|byte| **byte >= 0x80);
        let place = 2 + lengths.count();
        Some(Self { shape, place, first: *list.get(place)? })
    }

    /// Where an item seems to begin, from `from` on.
    fn find(self, list: &[u8], from: usize) -> Option<usize> {
        let tags = list.get(from..)?;
        let firsts = tags.get(self.place..)?;
        let blocks = tags.chunks_exact(BLOCK).zip(firsts.chunks_exact(BLOCK)).zip(0..REACH / BLOCK);
        for ((tags, firsts), block) in blocks {
            let both = tags.iter().zip(firsts);
            let alike =
                |(tag, first): (&u8, &u8)| u8::from(*tag == self.shape.item) & u8::from(*first == self.first);
            if both.clone().fold(0, |found, both| found | alike(both)) == 0 {
                continue;
            }
            let mut places = both.zip(from + block * BLOCK..).filter(|(both, _)| alike(*both) != 0);
            if let Some((_, place)) = places.find(|(_, place)| self.is_plausible(list, *place)) {
                return Some(place);
            }
        }
        None
    }

    fn is_plausible(self, list: &[u8], place: usize) -> bool {
        let mut rest = list.get(place..).unwrap_or_default();
        (0..PLAUSIBLE).all(|_| {
            rest.is_empty()
                || self.shape.step(rest).is_some_and(|(after, is_item)| {
                    rest = after;
                    is_item
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::otlp::message::fields::Signal;
    use crate::otlp::message::wire::{Fields, put_field};

    /// The list of a signal's items: `ScopeSpans` and its like.
    fn message(signal: Signal) -> &'static Message {
        let inner = |message: &'static Message, number| {
            let Kind::Message(inner) = message.field(number).unwrap().kind else { panic!("no message") };
            inner
        };
        inner(inner(signal.request(), 1), 2)
    }

    fn shape() -> Shape {
        Shape::of(message(Signal::Traces)).unwrap()
    }

    fn count(lists: &[Vec<u8>]) -> Option<u64> {
        let body = lists.concat();
        let mut all = Lists::new();
        let mut start = 0;
        for list in lists {
            let end = start + u32::try_from(list.len()).unwrap();
            all.add(Span { start, end });
            start = end;
        }
        all.count(&body, shape())
    }

    /// How many items the ordinary reader finds; `None` where it finds anything else or nothing that can be read.
    fn read(list: &[u8]) -> Option<u64> {
        let mut fields = Fields::new(list, Span::whole(list).unwrap());
        let mut items = 0;
        loop {
            match fields.read() {
                Ok(None) => return Some(items),
                Ok(Some(field)) if field.wire == Wire::Delimited && (1..=3).contains(&field.number) => {
                    items += u64::from(field.number == 2);
                }
                Ok(Some(_)) | Err(_) => return None,
            }
        }
    }

    fn items(lengths: &[usize], fill: &[u8]) -> Vec<u8> {
        let mut list = vec![];
        put_field(&mut list, 1, b"scope");
        for length in lengths {
            put_field(&mut list, 2, &fill.iter().copied().cycle().take(*length).collect::<Vec<_>>());
        }
        put_field(&mut list, 3, b"schema");
        list
    }

    #[test]
    fn lists_of_spans_and_logs_have_a_shape() {
        let shape = Shape { item: 0x12, others: [0x0a, 0x1a] };
        assert_eq!(Shape::of(message(Signal::Traces)), Some(shape));
        assert_eq!(Shape::of(message(Signal::Logs)), Some(shape));
        assert_eq!(Shape::of(message(Signal::Metrics)), None);
        assert_eq!(Shape::of(Signal::Traces.request()), None);
    }

    #[test]
    fn all_lengths_are_counted() {
        assert_eq!(count(&[]), Some(0));
        assert_eq!(count(&[vec![], vec![], items(&[9], b"x"), vec![]]), Some(1));
        for lists in 0..50 {
            assert_eq!(count(&vec![items(&[300; 3], b"x"); lists]), Some(3 * lists as u64));
        }
        let lengths = [0, 1, 127, 128, 129, 16_383, 16_384, 70_000];
        assert_eq!(count(&[items(&lengths, b"x")]), Some(8));
        // A length of four bytes is left to the ordinary walk.
        assert_eq!(count(&[items(&[1 << 21], b"x")]), None);
    }

    /// Items full of what looks like items, so that parts begin where none does.
    #[test]
    fn seeming_items_are_not_counted() {
        let mut seeming = vec![];
        for _ in 0..40 {
            put_field(&mut seeming, 2, &[0x12; 130]);
        }
        let list = items(&[seeming.len() - 7; 30], &seeming);
        assert!(list.len() > LONG);
        assert_eq!(count(std::slice::from_ref(&list)), Some(30));
        assert_eq!(read(&list), Some(30));
        let parts: Vec<&[u8]> = split(&list, shape(), list.len()).collect();
        assert!(follow(shape(), parts.iter().copied()).is_none(), "no part began wrongly");
    }

    #[test]
    fn long_lists_are_followed_from_several_places() {
        let lengths: Vec<usize> = (0..500).map(|item| 200 + item * 37 % 300).collect();
        let list =
            items(&lengths, b"\x0a\x10trace and span and name\x4a\x12\x0a\x03key\x12\x07\x0a\x05value");
        let parts: Vec<&[u8]> = split(&list, shape(), list.len()).collect();
        assert_eq!(parts.len(), LANES);
        assert_eq!(parts.concat(), list);
        assert_eq!(follow(shape(), parts.into_iter()), Some(500));
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_is_read(
            lists in vec(vec((0..600_usize, 0..4_usize), 0..20), 0..40),
            fill in vec(prop::sample::select(b"\x12\x0a\x1a\x02\x80\x01\x00".to_vec()), 1..60),
        ) {
            let lists: Vec<Vec<u8>> = lists
                .iter()
                .map(|runs| {
                    let lengths = runs.iter().flat_map(|(length, times)| std::iter::repeat_n(*length, *times));
                    items(&lengths.collect::<Vec<_>>(), &fill)
                })
                .collect();
            let expected: u64 = lists.iter().map(|list| read(list).unwrap()).sum();
            prop_assert_eq!(count(&lists), Some(expected));
        }

        #[test]
        fn what_is_broken_is_never_counted_wrongly(
            lengths in vec(0..900_usize, 1..120),
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            end in any::<prop::sample::Index>(),
            cut in any::<bool>(),
        ) {
            let mut list = items(&lengths, b"\x12\x02\x0a\x80\x01");
            for (at, byte) in changes {
                let at = at.index(list.len());
                list[at] = byte;
            }
            if cut {
                list.truncate(end.index(list.len()));
            }
            let counted = count(std::slice::from_ref(&list));
            prop_assert!(counted.is_none() || counted == read(&list), "{:?} {:?}", counted, read(&list));
        }
    }
}
