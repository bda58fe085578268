//! Protobuf as it is written: lengths are put in once they are known.

use bytes::BufMut;

use super::BadJson;
use crate::otlp::message::wire::{Wire, put_varint, varint_len};

/// Bytes that are asked for at once.
const STEP: usize = 64 << 10;

/// A request that is being encoded.
pub struct Output<'a> {
    bytes: Vec<u8>,
    /// How far it may grow without asking.
    granted: usize,
    room: &'a mut dyn FnMut(usize) -> bool,
    fault: Option<BadJson>,
}

/// A field that was begun and waits for its length.
pub struct Open {
    /// Where its tag begins.
    tag: usize,
    /// Where its payload begins, one byte being left for the length.
    payload: usize,
}

/// The reading must end; why is noted in the output.
pub struct Stop;

impl<'a> Output<'a> {
    /// An empty output that asks `room` before it grows.
    pub fn new(room: &'a mut dyn FnMut(usize) -> bool) -> Self {
        Self { bytes: Vec::new(), granted: 0, room, fault: None }
    }

    /// Notes why the reading ends.
    pub fn fail<T>(&mut self, fault: BadJson) -> Result<T, Stop> {
        self.fault.get_or_insert(fault);
        Err(Stop)
    }

    /// What was written, unless the reading failed.
    pub fn finish(self, read: Result<(), serde_json::Error>) -> Result<Vec<u8>, BadJson> {
        match (self.fault, read) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(BadJson::Form { line: error.line(), column: error.column() }),
            (None, Ok(())) => Ok(self.bytes),
        }
    }

    /// Writes the tag of a field.
    pub fn tag(&mut self, number: u32, wire: Wire) -> Result<(), Stop> {
        let low = match wire {
            Wire::Varint => 0,
            Wire::Fixed64 => 1,
            Wire::Delimited => 2,
            Wire::Fixed32 => 5,
        };
        self.varint(u64::from(number << 3 | low))
    }

    /// Writes a varint.
    pub fn varint(&mut self, value: u64) -> Result<(), Stop> {
        self.reserve(10)?;
        put_varint(&mut self.bytes, value);
        Ok(())
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.reserve(bytes.len())?;
        self.bytes.put_slice(bytes);
        Ok(())
    }

    /// Begins a field that has a length.
    pub fn open(&mut self, number: u32) -> Result<Open, Stop> {
        let tag = self.bytes.len();
        self.tag(number, Wire::Delimited)?;
        self.raw(&[0])?;
        Ok(Open { tag, payload: self.bytes.len() })
    }

    /// Ends it.
    pub fn close(&mut self, open: &Open) -> Result<(), Stop> {
        let end = self.bytes.len();
        let length = (end - open.payload) as u64;
        let more = varint_len(length) - 1;
        if more > 0 {
            self.reserve(more)?;
            self.bytes.resize(end + more, 0);
            self.bytes.copy_within(open.payload..end, open.payload + more);
        }
        let mut place = self.bytes.get_mut(open.payload - 1..open.payload + more).unwrap_or_default();
        put_varint(&mut place, length);
        Ok(())
    }

    /// Ends it, or takes it back if nothing is in it.
    pub fn close_list(&mut self, open: &Open) -> Result<(), Stop> {
        if self.bytes.len() == open.payload {
            self.bytes.truncate(open.tag);
            return Ok(());
        }
        self.close(open)
    }

    fn reserve(&mut self, count: usize) -> Result<(), Stop> {
        while self.granted < self.bytes.len() + count {
            if !(self.room)(STEP) {
                return self.fail(BadJson::NoRoom);
            }
            self.granted += STEP;
        }
        Ok(())
    }
}
