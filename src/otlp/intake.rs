//! Reading bodies: bounded for each request, bounded over all of them, bounded in time.

use std::fmt::Display;
use std::io::Read;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{Reason, Refusal};

/// What a sender is told to wait when too much is in flight.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Bytes that are decompressed between two looks at the bounds.
const STEP: usize = 64 << 10;

/// What may be in memory, of one request and of all.
#[derive(Clone, Debug)]
pub struct Budget {
    bytes: Arc<Semaphore>,
    max_body: usize,
    read_timeout: Duration,
}

/// The part of the budget that one request has taken; given back when dropped.
#[derive(Debug)]
pub struct Held {
    bytes: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

/// A body as it came.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they are gzip-compressed.
    pub gzip: bool,
}

impl Budget {
    /// A budget of `in_flight` bytes for all requests, `max_body` for each, which must have come in `read_timeout`.
    pub fn new(in_flight: usize, max_body: usize, read_timeout: Duration) -> Self {
        let in_flight = in_flight.min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(in_flight)), max_body, read_timeout }
    }

    /// Bytes that one request may have.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Bytes that are free now.
    pub fn free(&self) -> usize {
        self.bytes.available_permits()
    }

    /// Begins a request. Nothing is taken by what a sender merely announces; but an announcement that cannot be met is
    /// refused at once.
    ///
    /// # Errors
    /// `announced` bytes are more than a request may have, or more than is free.
    pub fn begin(&self, announced: Option<u64>) -> Result<Held, Refusal> {
        let announced = announced.map_or(Ok(0), usize::try_from).unwrap_or(usize::MAX);
        if announced > self.max_body {
            return Err(self.too_large());
        }
        if announced > self.free() {
            return Err(busy());
        }
        Ok(Held { bytes: Arc::clone(&self.bytes), permit: None })
    }

    /// Reads a body to its end. `check` sees what has come so far, and may end it.
    ///
    /// # Errors
    /// The body is too large, too slow or broken off, too much is in flight, or what `check` says.
    pub async fn read<B>(
        &self,
        body: B,
        held: &mut Held,
        check: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<Bytes, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        let slow = Refusal::new(Reason::DeadlineExceeded, "the request's body did not come in time");
        let read = read_all(body, held, check);
        tokio::time::timeout(self.read_timeout, read).await.unwrap_or(Err(slow))
    }

    /// The bytes of a body, decompressed.
    ///
    /// # Errors
    /// They are no gzip stream, are too large, or too much is in flight.
    pub fn unpack(&self, packed: Packed, held: &mut Held) -> Result<Bytes, Refusal> {
        if packed.gzip { self.gunzip(&packed.bytes, held).map(Bytes::from) } else { Ok(packed.bytes) }
    }

    /// The refusal of a request that is too large.
    pub fn too_large(&self) -> Refusal {
        let message = format!("the request is larger than {} bytes", self.max_body);
        Refusal::new(Reason::PayloadTooLarge, message).with("max_bytes", self.max_body)
    }

    fn gunzip(&self, packed: &[u8], held: &mut Held) -> Result<Vec<u8>, Refusal> {
        let broken =
            |_: std::io::Error| Refusal::new(Reason::InvalidArgument, "the body is not a sound gzip stream");
        let mut stream = MultiGzDecoder::new(packed);
        let mut out = Vec::new();
        loop {
            let before = out.len();
            let read = stream.by_ref().take(STEP as u64).read_to_end(&mut out).map_err(broken)?;
            if read == 0 {
                return Ok(out);
            }
            if out.len() > self.max_body {
                return Err(self.too_large());
            }
            held.take(out.len() - before)?;
        }
    }
}

impl Held {
    /// Takes `count` bytes more.
    ///
    /// # Errors
    /// That much is not free.
    pub fn take(&mut self, count: usize) -> Result<(), Refusal> {
        let count = u32::try_from(count).or(Err(busy()))?;
        let more = Arc::clone(&self.bytes).try_acquire_many_owned(count).or(Err(busy()))?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

async fn read_all<B>(
    body: B,
    held: &mut Held,
    mut check: impl FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_off(&error))?.into_data() else { continue };
        held.take(chunk.len())?;
        if first.is_empty() {
            // A body that comes in one piece is never copied.
            first = chunk;
            check(&first)?;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&chunk);
        check(&rest)?;
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn broken_off(error: &dyn Display) -> Refusal {
    tracing::debug!(%error, "a body broke off");
    Refusal::new(Reason::InvalidArgument, "the request's body broke off")
}

/// More is in flight than the service may hold.
fn busy() -> Refusal {
    let message = "more telemetry is in flight than the service may hold; try again shortly";
    Refusal { retry_after: Some(BUSY_RETRY), ..Refusal::new(Reason::BackendUnavailable, message) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn budget() -> Budget {
        Budget::new(1_000_000, 200_000, Duration::from_millis(100))
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(bytes: Vec<u8>) -> Result<Bytes, Reason> {
        let mut held = budget().begin(None).unwrap();
        budget()
            .unpack(Packed { bytes: bytes.into(), gzip: true }, &mut held)
            .map_err(|refusal| refusal.reason)
    }

    async fn read(body: impl Body<Data = Bytes, Error = Infallible>) -> Result<Bytes, Reason> {
        let budget = budget();
        let mut held = budget.begin(None).unwrap();
        let check = |so_far: &[u8]| if so_far.len() > 10 { Err(budget.too_large()) } else { Ok(()) };
        budget.read(body, &mut held, check).await.map_err(|refusal| refusal.reason)
    }

    fn chunks(chunks: &'static [&'static [u8]]) -> impl Body<Data = Bytes, Error = Infallible> {
        let frames = chunks.iter().map(|chunk| Ok(http_body::Frame::data(Bytes::from_static(chunk))));
        StreamBody::new(tokio_stream::iter(frames))
    }

    #[tokio::test]
    async fn bodies_are_read_to_their_bound() {
        assert_eq!(read(chunks(&[b"ab", b"", b"cd", b"e"])).await.unwrap(), "abcde");
        assert_eq!(read(Full::from("abc")).await.unwrap(), "abc");
        assert_eq!(read(chunks(&[])).await.unwrap(), "");
        assert_eq!(read(chunks(&[b"12345", b"678901"])).await, Err(Reason::PayloadTooLarge));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = StreamBody::new(tokio_stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>());
        assert_eq!(read(never).await, Err(Reason::DeadlineExceeded));
    }

    #[test]
    fn gzip_may_have_several_members_and_nothing_else() {
        assert_eq!(unpack(gzip(b"abc")).unwrap(), "abc");
        assert_eq!(unpack([gzip(b"abc"), gzip(b"def")].concat()).unwrap(), "abcdef");
        for broken in [
            vec![],
            b"abc".to_vec(),
            [gzip(b"abc"), b"x".to_vec()].concat(),
            [gzip(b"abc"), b"garbage that is long enough to be a header".to_vec()].concat(),
            gzip(b"abc")[..15].to_vec(),
            {
                let mut wrong = gzip(b"abc");
                let at = wrong.len() - 6;
                wrong[at] ^= 1;
                wrong
            },
        ] {
            assert_eq!(unpack(broken.clone()), Err(Reason::InvalidArgument), "{broken:x?}");
        }
    }

    // A56
    #[test]
    fn a_bomb_is_stopped_at_the_bound() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(bomb), Err(Reason::PayloadTooLarge));
        assert_eq!(unpack(gzip(&vec![0; 200_000])).unwrap().len(), 200_000);
        assert_eq!(unpack(gzip(&vec![0; 200_001])), Err(Reason::PayloadTooLarge));
    }

    #[test]
    fn what_is_held_comes_back() {
        let budget = Budget::new(1_000, 900, Duration::from_secs(1));
        let mut one = budget.begin(Some(900)).unwrap();
        assert_eq!(budget.free(), 1_000, "an announcement takes nothing");
        one.take(600).unwrap();
        let mut other = budget.begin(None).unwrap();
        let refusal = other.take(500).unwrap_err();
        assert_eq!(refusal.reason, Reason::BackendUnavailable);
        assert!(refusal.retry_after.is_some());
        assert_eq!(budget.begin(Some(500)).unwrap_err().reason, Reason::BackendUnavailable);
        assert_eq!(budget.begin(Some(901)).unwrap_err().reason, Reason::PayloadTooLarge);
        drop(one);
        assert_eq!(budget.free(), 1_000);
        other.take(500).unwrap();
    }
}
