//! Bodies on a leash: nothing passes, in or out, once the credential that
//! opened the stream has ended.

use super::leash::{Alarm, Leash};
use super::{explain, status, trailers};
use crate::domain::{Correlation, Failure};
use crate::view::Side;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// A request's body. On a leash, each message is delivered by itself after
    /// it has passed; the body of a stream that ends breaks off with the status.
    pub struct Gated<B> {
        #[pin]
        body: B,
        delivery: Option<Delivery>,
    }
}

struct Delivery {
    tie: Tie,
    framing: Framing,
    /// What came and has not been delivered.
    rest: Bytes,
    ended: bool,
}

/// A response's body on a leash. A stream that ends is told so in its trailers,
/// at once.
pub struct GatedAnswer<B> {
    /// `None` once it has been ended; what the handler held is gone then.
    body: Option<Pin<Box<B>>>,
    tie: Tie,
}

/// A leash, and the call that it is of.
pub struct Tie {
    leash: Arc<Leash>,
    correlation: Correlation,
    alarm: Alarm,
}

impl Tie {
    /// A side's own end of a leash.
    pub fn new(leash: Arc<Leash>, correlation: Correlation) -> Self {
        Self { leash, correlation, alarm: Alarm::default() }
    }

    fn poll_end(&mut self, side: Side, cx: &mut Context<'_>) -> Poll<tonic::Status> {
        self.leash.poll_end(side, &mut self.alarm, cx).map(|failure| self.told(failure))
    }

    fn pass(&self) -> Result<(), tonic::Status> {
        self.leash.pass().map_err(|failure| self.told(failure))
    }

    fn told(&self, failure: Failure) -> tonic::Status {
        status(&explain(failure, &self.correlation))
    }
}

impl<B> Gated<B> {
    /// A body that nothing holds.
    pub fn free(body: B) -> Self {
        Self { body, delivery: None }
    }

    /// The body of a stream.
    pub fn tied(body: B, tie: Tie) -> Self {
        let delivery = Delivery { tie, framing: Framing::default(), rest: Bytes::new(), ended: false };
        Self { body, delivery: Some(delivery) }
    }
}

impl<B> Body for Gated<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        match this.delivery {
            None => this.body.poll_frame(cx).map_err(Into::into),
            Some(delivery) => delivery.poll(this.body, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.delivery {
            None => self.body.is_end_stream(),
            Some(delivery) => delivery.ended || delivery.rest.is_empty() && self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if self.delivery.is_none() { self.body.size_hint() } else { SizeHint::default() }
    }
}

impl Delivery {
    fn poll<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        while !self.ended {
            if !self.rest.is_empty() {
                let length = self.framing.next(&self.rest);
                let message = self.rest.split_to(length);
                return Poll::Ready(Some(self.tie.pass().map(|()| Frame::data(message)).map_err(|told| {
                    self.ended = true;
                    told.into()
                })));
            }
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(other) => return Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
                Poll::Pending => {
                    let told = ready!(self.tie.poll_end(Side::Request, cx));
                    self.ended = true;
                    return Poll::Ready(Some(Err(told.into())));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl<B> GatedAnswer<B> {
    /// The body of a stream.
    pub fn tied(body: B, tie: Tie) -> Self {
        Self { body: Some(Box::pin(body)), tie }
    }
}

impl<B: Body<Data = Bytes>> Body for GatedAnswer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let told = match body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match this.tie.pass() {
                Ok(()) => return Poll::Ready(Some(Ok(frame))),
                Err(told) => told,
            },
            Poll::Ready(other) => return Poll::Ready(other),
            Poll::Pending => ready!(this.tie.poll_end(Side::Answer, cx)),
        };
        this.body = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&told)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }
}

/// Finds where each message of a body ends, whatever pieces the body comes in.
#[derive(Default)]
struct Framing {
    /// Of the five bytes before each message: how many came, and the length so far.
    prefix: u8,
    left: u64,
}

impl Framing {
    const PREFIX: u8 = 5;

    /// How much of `data` belongs to the message under way; all if it does not end here.
    fn next(&mut self, data: &[u8]) -> usize {
        let mut taken = 0;
        for byte in data.iter().take(usize::from(Self::PREFIX - self.prefix)) {
            // The first is a flag, the rest the length.
            self.left = if self.prefix == 0 { 0 } else { self.left << 8 | u64::from(*byte) };
            self.prefix += 1;
            taken += 1;
        }
        if self.prefix < Self::PREFIX {
            return taken;
        }
        let here = (data.len() - taken).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= here as u64;
        if self.left == 0 {
            self.prefix = 0;
        }
        taken + here
    }
}

#[cfg(test)]
#[path = "gated_tests.rs"]
mod tests;
