//! What goes to a back end: an encoded export, in one piece of memory or in several that follow each other.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// An encoded export. Clones share its memory.
#[derive(Clone, Debug)]
pub struct Payload {
    pieces: Arc<[Bytes]>,
    len: usize,
    held: usize,
}

impl Payload {
    /// An export in pieces of memory, none of which is empty, that share `held` bytes with what they were cut from.
    pub fn new(pieces: Vec<Bytes>, held: usize) -> Self {
        let len = pieces.iter().map(Bytes::len).sum();
        Self { pieces: pieces.into(), len, held: held.max(len) }
    }

    /// Its length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of memory that it keeps.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// It as the body of an HTTP request, one frame a piece.
    pub fn into_body(self) -> Sending {
        Sending { left: self.len as u64, next: 0, pieces: self.pieces }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let held = bytes.len();
        Self::new(if bytes.is_empty() { Vec::new() } else { vec![bytes] }, held)
    }
}

/// A payload on its way.
#[derive(Debug)]
pub struct Sending {
    pieces: Arc<[Bytes]>,
    next: usize,
    left: u64,
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.get(self.next).cloned() else { return Poll::Ready(None) };
        self.next += 1;
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    /// Exact, so that the length is told in a header as for a body of one piece.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_is_all_pieces_and_tells_its_length() {
        let pieces = [&b"one"[..], b"two", b"three"].map(Bytes::from_static);
        let payload = Payload::new(pieces.to_vec(), 5);
        assert_eq!((payload.len(), payload.held(), payload.is_empty()), (11, 11, false));
        assert_eq!(Payload::new(pieces.to_vec(), 50).held(), 50);
        let mut body = payload.into_body();
        for left in [11, 8, 5] {
            assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(left), false));
            body.frame().await.unwrap().unwrap();
        }
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
        assert!(body.frame().await.is_none());
        let body = Payload::new(pieces.to_vec(), 0).into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "onetwothree");
    }

    #[test]
    fn nothing_is_no_piece() {
        let nothing = Payload::from(Bytes::new());
        assert!(nothing.is_empty() && nothing.pieces().is_empty());
        assert!(nothing.into_body().is_end_stream());
        assert_eq!(Payload::from(Bytes::from_static(b"x")).pieces(), ["x"]);
    }
}
