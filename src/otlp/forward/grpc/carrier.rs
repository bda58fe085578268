//! Sends an export as a gRPC message without copying it: tonic would write all of it into one buffer first.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame};
use tonic::body::Body;
use tonic::transport::{Channel, Error};
use tower::Service;

use crate::otlp::forward::Payload;
use crate::otlp::forward::payload::Sending;

/// What stands before a message that is not compressed: the flag, and the length in four bytes.
fn prefix(length: usize) -> Bytes {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    Bytes::copy_from_slice(&[0, a, b, c, d])
}

/// A channel for one call, whose message is in pieces of memory. What the call itself would send is put aside.
#[derive(Debug)]
pub struct Carrier {
    channel: Channel,
    payload: Payload,
}

impl Carrier {
    /// Will send `payload` over `channel`.
    pub const fn new(channel: Channel, payload: Payload) -> Self {
        Self { channel, payload }
    }
}

impl Service<Request<Body>> for Carrier {
    type Response = Response<Body>;
    type Error = Error;
    type Future = <Channel as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::poll_ready(&mut self.channel, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let message = Message::of(self.payload.clone());
        self.channel.call(request.map(|_placeholder| Body::new(message)))
    }
}

/// A message on its way. Its length is told by the prefix and not by the body's size, as in any gRPC call.
#[derive(Debug)]
struct Message {
    prefix: Option<Bytes>,
    rest: Sending,
}

impl Message {
    fn of(payload: Payload) -> Self {
        Self { prefix: Some(prefix(payload.len())), rest: payload.into_body() }
    }
}

impl HttpBody for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.prefix.take() {
            Some(prefix) => Poll::Ready(Some(Ok(Frame::data(prefix)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_message_is_its_prefix_and_all_pieces() {
        let pieces = [&b"one"[..], b"two"].map(Bytes::from_static);
        let message = Message::of(Payload::new(pieces.to_vec(), 0));
        assert_eq!((message.size_hint().exact(), message.is_end_stream()), (None, false));
        assert_eq!(message.collect().await.unwrap().to_bytes(), &b"\0\0\0\0\x06onetwo"[..]);
        let nothing = Message::of(Payload::from(Bytes::new()));
        assert!(!nothing.is_end_stream(), "a message without bytes is one");
        assert_eq!(nothing.collect().await.unwrap().to_bytes(), &[0; 5][..]);
    }
}
