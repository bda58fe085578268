//! gRPC's message framing: a flag, a length of four bytes, the message.

use bytes::{BufMut, Bytes, BytesMut};

use crate::domain::{Reason, Refusal};
use crate::otlp::intake::Budget;

/// Length of what stands before a message.
const PREFIX: usize = 5;

/// What stands before the one message of a unary request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    compressed: bool,
    length: usize,
}

impl Frame {
    /// Reads the prefix as soon as it is there, and checks what follows it so far.
    ///
    /// # Errors
    /// The message is larger than the budget allows, there is something after it, or the flag is neither 0 nor 1.
    pub fn read(so_far: &[u8], budget: &Budget) -> Result<Option<Self>, Refusal> {
        let Some(([flag, length @ ..], rest)) = so_far.split_first_chunk::<PREFIX>() else { return Ok(None) };
        if *flag > 1 {
            return Err(Refusal::new(Reason::InvalidArgument, "the request is not framed as a gRPC message"));
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > budget.max_body() {
            return Err(budget.too_large());
        }
        if rest.len() > length {
            return Err(Refusal::new(Reason::InvalidArgument, "the request holds more than one message"));
        }
        Ok(Some(Self { compressed: *flag == 1, length }))
    }

    /// Bytes that it has with its prefix.
    pub fn total(self) -> usize {
        PREFIX.saturating_add(self.length)
    }

    /// The message and whether it is compressed, once all of it is there.
    pub fn whole(self, body: &Bytes) -> Option<(bool, Bytes)> {
        (body.len() == self.total()).then(|| (self.compressed, body.slice(PREFIX..)))
    }
}

/// A message with its prefix, not compressed.
pub fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(so_far: &[u8]) -> Result<Option<(bool, usize)>, Reason> {
        let budget = Budget::new(1_000, 100, Duration::from_secs(1));
        let frame = Frame::read(so_far, &budget).map_err(|refusal| refusal.reason)?;
        Ok(frame.map(|frame| (frame.compressed, frame.length)))
    }

    #[test]
    fn prefixes_are_read_as_soon_as_they_are_there() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[0, 0, 0, 0]), Ok(None));
        assert_eq!(read(&[0, 0, 0, 0, 0]), Ok(Some((false, 0))));
        assert_eq!(read(&[1, 0, 0, 0, 100]), Ok(Some((true, 100))));
        assert_eq!(read(&[0, 0, 0, 0, 101]), Err(Reason::PayloadTooLarge));
        assert_eq!(read(&[0, 255, 255, 255, 255]), Err(Reason::PayloadTooLarge));
        assert_eq!(read(&[2, 0, 0, 0, 1]), Err(Reason::InvalidArgument));
        assert_eq!(read(&[0, 0, 0, 0, 1, 7, 0]), Err(Reason::InvalidArgument));
    }

    #[test]
    fn a_message_is_whole_or_not_there() {
        let frame = Frame { compressed: false, length: 2 };
        assert_eq!(frame.whole(&framed(b"ab")), Some((false, Bytes::from_static(b"ab"))));
        assert_eq!(frame.whole(&framed(b"a")), None);
    }
}
