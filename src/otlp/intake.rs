//! Reading bodies: bounded for each request, bounded over all of them, bounded in time.

use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;

use super::Signal;
use super::encoding::{Broken, Coding, Contexts};
use super::message::json::{BadJson, transcode};
use super::pool::{Full, Pool};
use crate::domain::{Reason, Refusal, TenantId};

/// What a sender is told to wait when too much is in flight.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Copies of a body that may be in memory at once: as sent, decompressed, in protobuf, and spliced.
pub const COPIES: usize = 4;

/// By how much a body's memory grows when it is full. Four times as much as has come, so that little is copied again;
/// never more than the body will have.
const GROWTH: usize = 4;

/// What may be in memory, of one request and of all.
#[derive(Clone, Debug)]
pub struct Budget {
    pool: Arc<Pool>,
    contexts: Arc<Contexts>,
    max_body: usize,
    read_timeout: Duration,
}

/// The part of the budget that one request has taken; given back when dropped.
#[derive(Debug)]
pub struct Held {
    pool: Arc<Pool>,
    tenant: TenantId,
    taken: usize,
    /// How long the sender says that the body is.
    announced: Option<usize>,
}

/// A body as it came.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The bytes.
    pub bytes: Bytes,
    /// How they are compressed.
    pub coding: Coding,
    /// Whether they are JSON, not protobuf.
    pub json: bool,
}

impl Budget {
    /// A budget of `in_flight` bytes for all requests, `max_body` for each, which must have come in `read_timeout`.
    pub fn new(in_flight: usize, max_body: usize, read_timeout: Duration) -> Self {
        let pool = Pool::new(in_flight, max_body.saturating_mul(COPIES));
        Self { pool: Arc::new(pool), contexts: Arc::default(), max_body, read_timeout }
    }

    /// Bytes that one request may have.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Bytes that are free now.
    pub fn free(&self) -> usize {
        self.pool.free()
    }

    /// Begins a request of a tenant. Nothing is taken by what a sender merely announces; but an announcement that
    /// cannot be met is refused at once.
    ///
    /// # Errors
    /// `announced` bytes are more than a request may have, or more than is free for the tenant.
    pub fn begin(&self, tenant: TenantId, announced: Option<u64>) -> Result<Held, Refusal> {
        let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced.is_some_and(|length| length > self.max_body) {
            return Err(self.too_large());
        }
        self.pool.fits(tenant, announced.unwrap_or(0)).map_err(busy)?;
        Ok(Held { pool: Arc::clone(&self.pool), tenant, taken: 0, announced })
    }

    /// Reads a body to its end. `check` sees what has come so far, and may end it.
    ///
    /// # Errors
    /// The body is too large, too slow or broken off, too much is in flight, or what `check` says.
    pub async fn read<B>(
        &self,
        body: B,
        held: &mut Held,
        mut check: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<Bytes, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        let announced = held.announced;
        self.read_told(body, held, |so_far| check(so_far).map(|()| announced)).await
    }

    /// The same, where what has come so far may tell how long the whole is: `check` says it.
    ///
    /// # Errors
    /// As [`Budget::read`].
    pub async fn read_told<B>(
        &self,
        body: B,
        held: &mut Held,
        check: impl FnMut(&[u8]) -> Result<Option<usize>, Refusal>,
    ) -> Result<Bytes, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        let slow = Refusal::new(Reason::DeadlineExceeded, "the request's body did not come in time");
        let read = read_all(body, held, self.max_body, check);
        tokio::time::timeout(self.read_timeout, read).await.unwrap_or(Err(slow))
    }

    /// The bytes of a body, decompressed and in protobuf.
    ///
    /// # Errors
    /// They are no such stream, no JSON request, are too large, or too much is in flight.
    pub fn unpack(&self, signal: Signal, packed: Packed, held: &mut Held) -> Result<Bytes, Refusal> {
        let Packed { bytes, coding, json } = packed;
        let plain = match coding {
            Coding::Identity => bytes,
            Coding::Gzip | Coding::Zstd => self.decompress(coding, &bytes, held)?,
        };
        if json { self.transcode(signal, &plain, held) } else { Ok(plain) }
    }

    /// The refusal of a request that is too large.
    pub fn too_large(&self) -> Refusal {
        let message = format!("the request is larger than {} bytes", self.max_body);
        Refusal::new(Reason::PayloadTooLarge, message).with("max_bytes", self.max_body)
    }

    fn decompress(&self, coding: Coding, packed: &[u8], held: &mut Held) -> Result<Bytes, Refusal> {
        let unpacked = coding.unpack(packed, self.max_body, &self.contexts, self.growth(held));
        unpacked.map(Bytes::from).map_err(|broken| match broken {
            Broken::Bound(refusal) => refusal,
            Broken::Memory => busy(Full::ForAll),
            Broken::Stream => {
                let message = format!("the body is not a sound {} stream", coding.name());
                Refusal::new(Reason::InvalidArgument, message)
            }
        })
    }

    fn transcode(&self, signal: Signal, json: &[u8], held: &mut Held) -> Result<Bytes, Refusal> {
        let mut grow = self.growth(held);
        let mut no_room = None;
        let transcoded = transcode(signal, json, &mut |more| match grow(more, more) {
            Ok(()) => true,
            Err(refusal) => {
                no_room = Some(refusal);
                false
            }
        });
        transcoded.map(Bytes::from).map_err(|bad| match (bad, no_room) {
            (BadJson::NoRoom, Some(refusal)) => refusal,
            (bad, _) => Refusal::invalid("body", bad.to_string()),
        })
    }

    /// Sees a body grow up to what one request may have, and takes the memory that it needs.
    fn growth<'a>(&'a self, held: &'a mut Held) -> impl FnMut(usize, usize) -> Result<(), Refusal> {
        let mut size = 0;
        move |more, memory| {
            size += more;
            if size > self.max_body {
                return Err(self.too_large());
            }
            held.take(memory)
        }
    }
}

impl Held {
    /// Whether `count` bytes more could be taken now.
    ///
    /// # Errors
    /// That much is not free, or not for this tenant.
    pub fn fits(&self, count: usize) -> Result<(), Refusal> {
        self.pool.fits(self.tenant, count).map_err(busy)
    }

    /// Takes `count` bytes more.
    ///
    /// # Errors
    /// That much is not free, or not for this tenant.
    pub fn take(&mut self, count: usize) -> Result<(), Refusal> {
        self.pool.take(self.tenant, count).map_err(busy)?;
        self.taken = self.taken.saturating_add(count);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.pool.give_back(self.tenant, self.taken);
    }
}

async fn read_all<B>(
    body: B,
    held: &mut Held,
    max_body: usize,
    mut check: impl FnMut(&[u8]) -> Result<Option<usize>, Refusal>,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let (mut first, mut rest, mut whole) = (Bytes::new(), Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_off(&error))?.into_data() else { continue };
        if first.is_empty() && rest.is_empty() {
            held.take(chunk.len())?;
            // A body that comes in one piece is never copied.
            first = chunk;
            whole = check(&first)?;
            // What has no room as a whole is not begun.
            held.fits(whole.unwrap_or(0).saturating_sub(first.len()))?;
            continue;
        }
        let needed = first.len() + rest.len() + chunk.len();
        let has = first.len().max(rest.capacity());
        if needed > has {
            let capacity = needed.saturating_mul(GROWTH).min(whole.unwrap_or(max_body)).max(needed);
            held.take(capacity - has)?;
            rest.reserve_exact(capacity - rest.len());
        }
        // Taken, so that what the connection has read ahead into the same memory can go.
        rest.extend_from_slice(&std::mem::take(&mut first));
        rest.extend_from_slice(&chunk);
        whole = check(&rest)?;
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

fn broken_off(error: &dyn Display) -> Refusal {
    tracing::debug!(%error, "a body broke off");
    Refusal::new(Reason::InvalidArgument, "the request's body broke off")
}

/// More is in flight than the service may hold, or than it may hold of one tenant.
pub fn busy(full: Full) -> Refusal {
    let refusal = match full {
        Full::ForAll => {
            let message = "more telemetry is in flight than the service may hold; try again shortly";
            Refusal::new(Reason::BackendUnavailable, message)
        }
        Full::ForTenant => {
            let message = "the tenant has its share of what may be in flight; try again shortly";
            Refusal::new(Reason::RateLimitExceeded, message)
        }
    };
    Refusal { retry_after: Some(BUSY_RETRY), ..refusal }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([7; 16]);

    fn budget() -> Budget {
        Budget::new(1_000_000, 200_000, Duration::from_millis(100))
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(bytes: impl Into<Bytes>, coding: Coding, json: bool) -> Result<Bytes, Reason> {
        let mut held = budget().begin(TENANT, None).unwrap();
        budget()
            .unpack(Signal::Traces, Packed { bytes: bytes.into(), coding, json }, &mut held)
            .map_err(|refusal| refusal.reason)
    }

    async fn read(body: impl Body<Data = Bytes, Error = Infallible>) -> Result<Bytes, Reason> {
        let budget = budget();
        let mut held = budget.begin(TENANT, None).unwrap();
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
    async fn a_body_takes_the_memory_that_it_has_and_no_more_than_it_will_need() {
        const CHUNK: &[u8] = &[7; 1_000];
        for (told, taken) in [(Some(30_000), 30_000), (None, 36_000)] {
            let budget = budget();
            let mut held = budget.begin(TENANT, None).unwrap();
            let body = budget.read_told(chunks(&[CHUNK; 30]), &mut held, |_| Ok(told)).await.unwrap();
            assert_eq!(body.len(), 30_000);
            assert_eq!(1_000_000 - budget.free(), taken, "{told:?}");
        }
        let small = Budget::new(40_000, 40_000, Duration::from_secs(1));
        let mut other = small.begin(TenantId::from_bytes([8; 16]), None).unwrap();
        other.take(15_000).unwrap();
        let mut held = small.begin(TENANT, None).unwrap();
        let one = |so_far: &[u8]| {
            assert_eq!(so_far.len(), 1_000, "it is read on");
            Ok(Some(30_000))
        };
        let refusal = small.read_told(chunks(&[CHUNK; 30]), &mut held, one).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::BackendUnavailable);
        let full = Budget::new(20_000, 20_000, Duration::from_secs(1));
        let mut held = full.begin(TENANT, None).unwrap();
        let refusal = full.read_told(chunks(&[CHUNK; 30]), &mut held, |_| Ok(None)).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::RateLimitExceeded, "the last eighth is for who holds little");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = StreamBody::new(tokio_stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>());
        assert_eq!(read(never).await, Err(Reason::DeadlineExceeded));
    }

    // A56
    #[test]
    fn a_bomb_is_stopped_at_the_bound() {
        let gzipped = |count| unpack(gzip(&vec![0; count]), Coding::Gzip, false).map(|plain| plain.len());
        assert_eq!(gzipped(50_000_000), Err(Reason::PayloadTooLarge));
        assert_eq!(gzipped(200_000), Ok(200_000));
        assert_eq!(gzipped(200_001), Err(Reason::PayloadTooLarge));
        let zstd = zstd::encode_all(&*vec![0; 50_000_000], 1).unwrap();
        assert_eq!(unpack(zstd, Coding::Zstd, false), Err(Reason::PayloadTooLarge));
        let json = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, "{},".repeat(110_000));
        assert_eq!(unpack(json, Coding::Identity, true), Err(Reason::PayloadTooLarge));
    }

    #[test]
    fn what_cannot_be_unpacked_is_the_senders_fault() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            assert_eq!(unpack("not that", coding, false), Err(Reason::InvalidArgument), "{coding:?}");
        }
        assert_eq!(unpack("{]", Coding::Identity, true), Err(Reason::InvalidArgument));
        let json = r#"{"resourceSpans":[{}]}"#;
        assert_eq!(unpack(gzip(json.as_bytes()), Coding::Gzip, true).unwrap(), &[0x0a, 0][..]);
    }

    #[test]
    fn what_is_held_comes_back() {
        let budget = Budget::new(1_000, 900, Duration::from_secs(1));
        let mut one = budget.begin(TENANT, Some(700)).unwrap();
        assert_eq!(budget.free(), 1_000, "an announcement takes nothing");
        one.take(600).unwrap();
        let mut other = budget.begin(TENANT, None).unwrap();
        let refusal = other.take(500).unwrap_err();
        assert_eq!(refusal.reason, Reason::BackendUnavailable);
        assert!(refusal.retry_after.is_some());
        assert_eq!(budget.begin(TENANT, Some(500)).unwrap_err().reason, Reason::BackendUnavailable);
        assert_eq!(budget.begin(TENANT, Some(901)).unwrap_err().reason, Reason::PayloadTooLarge);
        drop(one);
        assert_eq!(budget.free(), 1_000);
        other.take(500).unwrap();
    }
}
