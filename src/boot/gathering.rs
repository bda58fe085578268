//! A connection whose small frames leave together.
//!
//! h2 copies a frame's payload behind the frames before it if it is small, and
//! else has everything so far written at once. Small means less than 256 bytes
//! where the connection can write several buffers at once, and less than 1,024
//! where it cannot. The answer to a check lies in between: as it is, each
//! would be a system call of its own, and that is half of what a check costs.
//! So this connection says that it cannot.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Writes one buffer at a time.
pub struct Gathering<IO>(pub IO);

impl<IO: Read + Unpin> Read for Gathering<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<IO: Write + Unpin> Write for Gathering<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    /// Also the default of the trait; said because everything depends on it.
    fn is_write_vectored(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;

    #[test]
    fn it_says_that_it_writes_one_buffer_at_a_time() {
        let (one, _other) = tokio::io::duplex(64);
        assert!(TokioIo::new(one).is_write_vectored());
        let (one, _other) = tokio::io::duplex(64);
        assert!(!Gathering(TokioIo::new(one)).is_write_vectored());
    }
}
