//! Unary calls without the generated machinery: one message in, one encoded
//! message out. For the methods that are called most.

use super::MAX_REQUEST;
use crate::domain::{Reason, Refusal};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::Status;
use tonic::body::Body;

/// Flag and length before each message.
const PREFIX: usize = 5;
/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The one message of a request's body.
///
/// # Errors
/// It is none, more than one, compressed, or too large.
pub async fn read<B>(body: B) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    // What is here already, as it mostly is, needs no timer.
    let arrived = match body.frame().now_or_never() {
        Some(arrived) => arrived,
        None => in_time(body.frame()).await?,
    };
    let mut first = match arrived {
        Some(Ok(frame)) => frame.into_data().unwrap_or(Bytes::new()),
        Some(Err(_)) => return Err(unreadable()),
        None => Bytes::new(),
    };
    if let Some(length) = announced(&first)?
        && first.len() == PREFIX + length
        && body.is_end_stream()
    {
        return Ok(first.split_off(PREFIX));
    }
    in_time(read_on(body, BytesMut::from(first))).await?
}

/// What `work` gives, if it does so while a body may still come.
async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, Refusal> {
    let late = |_: tokio::time::error::Elapsed| {
        Refusal::new(Reason::DeadlineExceeded, "the request's body did not come in time")
    };
    tokio::time::timeout(PATIENCE, work).await.map_err(late)
}

/// A message that comes in parts.
async fn read_on<B>(mut body: Pin<&mut B>, mut whole: BytesMut) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes>,
{
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(unreadable()) };
        let Ok(data) = frame.into_data() else { continue };
        whole.extend_from_slice(&data);
        if whole.len() > PREFIX + announced(&whole)?.unwrap_or(MAX_REQUEST) {
            return Err(Refusal::invalid("request", "must be one message"));
        }
    }
    match announced(&whole)? {
        Some(length) if whole.len() == PREFIX + length => Ok(whole.split_off(PREFIX).freeze()),
        _ => Err(unreadable()),
    }
}

/// The length that a body announces, once its prefix is there.
fn announced(body: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(([flag, length @ ..], _)) = body.split_first_chunk::<PREFIX>() else { return Ok(None) };
    if *flag != 0 {
        return Err(Refusal::new(Reason::Unimplemented, "compressed requests are not taken by this method"));
    }
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_REQUEST {
        let message = format!("a request may have {MAX_REQUEST} bytes");
        return Err(Refusal::new(Reason::PayloadTooLarge, message));
    }
    Ok(Some(length))
}

fn unreadable() -> Refusal {
    Refusal::invalid("request", "is not a message of this method")
}

/// A buffer for an answer, with room for the prefix that [`respond`] fills in.
pub fn buffer(room: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(PREFIX + room);
    out.put_bytes(0, PREFIX);
    out
}

/// The response that carries an answer or a status.
pub fn respond(answer: Result<BytesMut, Status>) -> Response<Body> {
    let mut framed = match answer {
        Ok(framed) => framed,
        Err(status) => return status.into_http(),
    };
    let length = u32::try_from(framed.len().saturating_sub(PREFIX)).unwrap_or(u32::MAX);
    if let Some(place) = framed.get_mut(1..PREFIX) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    let mut response = Response::new(Body::new(Answer { message: Some(framed.freeze()), ended: false }));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// One message, then the trailers of success.
struct Answer {
    message: Option<Bytes>,
    ended: bool,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.ended = true;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;

    async fn read_parts(parts: &[&[u8]]) -> Result<Bytes, Reason> {
        let frames = parts.iter().map(|part| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(part))));
        let body = StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>()));
        read(body).await.map_err(|refusal| refusal.reason)
    }

    #[tokio::test]
    async fn a_message_is_read_however_it_is_cut() {
        let framed = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        assert_eq!(read_parts(&[&framed]).await.unwrap(), "abc");
        for at in 0..framed.len() {
            assert_eq!(read_parts(&[&framed[..at], &framed[at..]]).await.unwrap(), "abc", "{at}");
        }
        assert_eq!(read_parts(&[&[0; 5]]).await.unwrap(), "");
    }

    #[tokio::test]
    async fn what_is_no_single_message_is_refused() {
        let cases: [(&[u8], Reason); 6] = [
            (&[], Reason::InvalidArgument),
            (&[0, 0, 0], Reason::InvalidArgument),
            (&[0, 0, 0, 0, 2, 1], Reason::InvalidArgument),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Reason::InvalidArgument),
            (&[1, 0, 0, 0, 0], Reason::Unimplemented),
            (&[0, 0xff, 0xff, 0xff, 0xff], Reason::PayloadTooLarge),
        ];
        for (body, reason) in cases {
            assert_eq!(read_parts(&[body]).await, Err(reason), "{body:?}");
            assert_eq!(read_parts(&[body, &[]]).await, Err(reason), "{body:?} in two");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_not_waited_for_for_ever() {
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Status>>());
        assert_eq!(read(never).await.unwrap_err().reason, Reason::DeadlineExceeded);
        let half = Ok::<_, Status>(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 3, b'a'])));
        let half = futures_util::StreamExt::chain(
            futures_util::stream::iter([half]),
            futures_util::stream::pending(),
        );
        assert_eq!(read(StreamBody::new(half)).await.unwrap_err().reason, Reason::DeadlineExceeded);
    }

    #[tokio::test]
    async fn an_answer_has_its_prefix_and_its_trailers() {
        let mut out = buffer(8);
        out.put_slice(b"abc");
        let collected = respond(Ok(out)).into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes(), [0_u8, 0, 0, 0, 3, b'a', b'b', b'c'].as_slice());
        let refused = respond(Err(Status::unavailable("later")));
        assert_eq!(refused.headers()["grpc-status"], "14");
    }
}
