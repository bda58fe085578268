//! The output of a splice, as ranges of the body and what goes between them.

use bytes::Bytes;

use super::Malformed;
use crate::otlp::message::wire::{Span, delimited_tag, put_varint, varint_len};

/// Pieces that a plan may have; at 12 bytes each, the bound of its memory.
const MAX_PIECES: usize = 4 << 20;

/// Pieces for which there is room from the start.
const USUAL: usize = 32;

/// Ranges of at least so many bytes are shared rather than copied: for shorter ones to count who shares them, and to
/// send them by themselves, costs more than to copy them.
const WORTH_SHARING: usize = 1_024;

/// What the output consists of, in order.
#[derive(Debug)]
pub struct Plan {
    pieces: Vec<Piece>,
}

/// How much of a field was planned, and whether it differs from what came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planned {
    /// Bytes of output.
    pub len: usize,
    /// Whether anything was left out of it.
    pub changed: bool,
}

/// A place in a plan to return to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pieces: usize,
    last: Option<Piece>,
}

/// A message that was opened and waits for its length.
#[derive(Clone, Copy, Debug)]
pub struct Head(usize);

#[derive(Clone, Copy, Debug)]
enum Piece {
    Copy(Span),
    Head { tag: u32, len: u32 },
    Stamp,
}

impl Piece {
    /// The range of the body that is worth sharing.
    fn shared(self) -> Option<Span> {
        match self {
            Self::Copy(span) if span.len() >= WORTH_SHARING => Some(span),
            Self::Copy(_) | Self::Head { .. } | Self::Stamp => None,
        }
    }

    fn write(self, body: &[u8], stamp: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Copy(span) => out.extend_from_slice(span.of(body)),
            Self::Head { tag, len } => {
                put_varint(out, u64::from(tag));
                put_varint(out, u64::from(len));
            }
            Self::Stamp => out.extend_from_slice(stamp),
        }
    }

    fn len(self, stamp: usize) -> usize {
        match self {
            Self::Copy(span) => span.len(),
            Self::Head { tag, len } => varint_len(u64::from(tag)) + varint_len(u64::from(len)),
            Self::Stamp => stamp,
        }
    }
}

impl Planned {
    /// Whether nothing is left of the field.
    pub fn is_gone(self) -> bool {
        self.len == 0
    }

    /// Counts another field of the same message.
    pub fn add(&mut self, other: Self) {
        self.len += other.len;
        self.changed |= other.changed;
    }
}

impl Plan {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { pieces: Vec::with_capacity(USUAL) }
    }

    /// Plans a range of the body, joined to the range before it where they touch.
    #[inline]
    pub fn copy(&mut self, span: Span) -> Result<Planned, Malformed> {
        let planned = Planned { len: span.len(), changed: false };
        if span.is_empty() {
            return Ok(planned);
        }
        if let Some(Piece::Copy(last)) = self.pieces.last_mut()
            && last.end == span.start
        {
            last.end = span.end;
            return Ok(planned);
        }
        self.push(Piece::Copy(span))?;
        Ok(planned)
    }

    /// Plans the tenant's stamp.
    pub fn stamp(&mut self) -> Result<(), Malformed> {
        self.push(Piece::Stamp)
    }

    /// Begins a message field of that number.
    pub fn open(&mut self, number: u32) -> Result<Head, Malformed> {
        let head = Head(self.pieces.len());
        self.push(Piece::Head { tag: delimited_tag(number), len: 0 })?;
        Ok(head)
    }

    /// Ends a message field of `len` bytes and returns its length with tag and length prefix.
    pub fn close(&mut self, head: Head, len: usize) -> Result<usize, Malformed> {
        let inner = u32::try_from(len).or(Err(Malformed::TooLarge))?;
        let Some(Piece::Head { tag, len: place }) = self.pieces.get_mut(head.0) else { return Ok(len) };
        *place = inner;
        Ok(varint_len(u64::from(*tag)) + varint_len(u64::from(inner)) + len)
    }

    /// Where the plan stands now.
    pub fn mark(&self) -> Mark {
        Mark { pieces: self.pieces.len(), last: self.pieces.last().copied() }
    }

    /// Forgets what was planned since `mark`.
    pub fn back_to(&mut self, mark: Mark) {
        self.pieces.truncate(mark.pieces);
        if let (Some(last), Some(was)) = (self.pieces.last_mut(), mark.last) {
            *last = was;
        }
    }

    /// Writes the output as one piece of memory.
    pub fn write(&self, body: &[u8], stamp: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.pieces.iter().map(|piece| piece.len(stamp.len())).sum());
        for piece in &self.pieces {
            piece.write(body, stamp, &mut out);
        }
        out.into()
    }

    /// The output as pieces of memory. Long ranges are shared with the body, the others written.
    pub fn scatter(&self, body: &Bytes, stamp: &[u8]) -> Vec<Bytes> {
        let written = || self.pieces.iter().filter(|piece| piece.shared().is_none());
        let mut glue = Vec::with_capacity(written().map(|piece| piece.len(stamp.len())).sum());
        for piece in written() {
            piece.write(body, stamp, &mut glue);
        }
        let glue = Bytes::from(glue);
        let mut out = Vec::with_capacity(2 * (self.pieces.len() - written().count()) + 1);
        let (mut start, mut end) = (0, 0);
        for piece in &self.pieces {
            let Some(span) = piece.shared() else {
                end += piece.len(stamp.len());
                continue;
            };
            if start < end {
                out.push(glue.slice(start..end));
                start = end;
            }
            out.extend(span.shared(body));
        }
        if start < end {
            out.push(glue.slice(start..));
        }
        out
    }

    fn push(&mut self, piece: Piece) -> Result<(), Malformed> {
        if self.pieces.len() >= MAX_PIECES {
            return Err(Malformed::Fragments);
        }
        self.pieces.push(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"abcdefgh";

    fn span(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    #[test]
    fn ranges_that_touch_are_one_piece() {
        let mut plan = Plan::new();
        plan.copy(span(0, 2)).unwrap();
        plan.copy(span(2, 4)).unwrap();
        plan.copy(span(6, 8)).unwrap();
        assert_eq!(plan.pieces.len(), 2);
        assert_eq!(plan.write(BODY, b""), "abcdgh");
    }

    #[test]
    fn a_message_is_written_with_its_length() {
        let mut plan = Plan::new();
        let head = plan.open(1).unwrap();
        plan.copy(span(1, 3)).unwrap();
        plan.stamp().unwrap();
        assert_eq!(plan.close(head, 5).unwrap(), 7);
        plan.copy(span(6, 8)).unwrap();
        assert_eq!(plan.write(BODY, b"xyz"), b"\x0a\x05bcxyzgh"[..]);
    }

    #[test]
    fn long_ranges_are_shared_and_short_ones_written() {
        let body = Bytes::from((0..=u8::MAX).cycle().take(5_000).collect::<Vec<u8>>());
        let mut plan = Plan::new();
        let head = plan.open(1).unwrap();
        plan.copy(span(1, 3)).unwrap();
        plan.copy(span(4, 1_400)).unwrap();
        plan.copy(span(1_500, 1_600)).unwrap();
        plan.stamp().unwrap();
        plan.close(head, 1_501).unwrap();
        plan.copy(span(1_700, 3_000)).unwrap();
        plan.copy(span(3_500, 5_000)).unwrap();
        plan.stamp().unwrap();
        let pieces = plan.scatter(&body, b"xyz");
        assert_eq!(pieces.concat(), plan.write(&body, b"xyz"));
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [5, 1_396, 103, 1_300, 1_500, 3]);
        let is_shared = |piece: &Bytes| body.as_ptr_range().contains(&piece.as_ptr());
        assert_eq!(pieces.iter().map(is_shared).collect::<Vec<_>>(), [false, true, false, true, true, false]);
        assert!(Plan::new().scatter(&body, b"").is_empty());
    }

    #[test]
    fn going_back_undoes_joins_as_well() {
        let mut plan = Plan::new();
        plan.copy(span(0, 2)).unwrap();
        let mark = plan.mark();
        plan.copy(span(2, 5)).unwrap();
        plan.open(1).unwrap();
        plan.back_to(mark);
        assert_eq!(plan.write(BODY, b""), "ab");
    }

    #[test]
    fn a_piece_is_twelve_bytes() {
        assert_eq!(size_of::<Piece>(), 12);
    }
}
