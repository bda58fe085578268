//! Bodies of a call that the server let through, because this process could
//! not tell: without a lease, or for a key that only the server can look up.
//! The first message each way belongs to the call that was checked; each later
//! one is asked about before it passes, and so is a stream that stays silent.

use super::Shared;
use crate::domain::{Correlation, Failure, Permission};
use crate::protocol::{explain, status, trailers};
use crate::view::Demand;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use zeroize::Zeroizing;

/// How often a silent stream is asked about.
const LOOK: Duration = Duration::from_secs(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Asking = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// What is asked, again and again.
pub struct Question {
    shared: Arc<Shared>,
    presented: Zeroizing<String>,
    peer: Option<IpAddr>,
    permission: Option<Permission>,
    correlation: Correlation,
}

impl Question {
    /// Whether this credential still is good for that.
    pub fn new(
        shared: Arc<Shared>,
        presented: Zeroizing<String>,
        peer: Option<IpAddr>,
        permission: Option<Permission>,
        correlation: Correlation,
    ) -> Self {
        Self { shared, presented, peer, permission, correlation }
    }

    async fn ask(self: Arc<Self>) -> Result<(), Failure> {
        let demand = Demand { peer: self.peer, permission: self.permission, ..Demand::default() };
        self.shared.ask(&self.presented, &demand).await.map(drop)
    }

    fn told(&self, failure: Failure) -> tonic::Status {
        status(&explain(failure, &self.correlation))
    }
}

/// A body whose later messages wait for the server's word.
struct Reasking<B> {
    /// `None` once it has been ended.
    body: Option<Pin<Box<B>>>,
    question: Arc<Question>,
    asking: Option<Asking>,
    /// What came and waits for the word.
    waiting: Option<Frame<Bytes>>,
    look: Pin<Box<Sleep>>,
    is_first: bool,
}

/// What a body gives next.
enum Next<E> {
    Frame(Frame<Bytes>),
    Broken(E),
    Refused(tonic::Status),
    End,
}

impl<B: Body<Data = Bytes>> Reasking<B> {
    fn new(body: B, question: Arc<Question>) -> Self {
        let look = Box::pin(sleep(LOOK));
        Self { body: Some(Box::pin(body)), question, asking: None, waiting: None, look, is_first: true }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<B::Error>> {
        loop {
            if let Some(asking) = &mut self.asking {
                let word = ready!(asking.as_mut().poll(cx));
                self.asking = None;
                self.look.as_mut().reset(tokio::time::Instant::now() + LOOK);
                if let Err(failure) = word {
                    self.body = None;
                    return Poll::Ready(Next::Refused(self.question.told(failure)));
                }
            }
            if let Some(frame) = self.waiting.take() {
                return Poll::Ready(Next::Frame(frame));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(Next::End) };
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if self.is_first || frame.is_trailers() => {
                    self.is_first = false;
                    return Poll::Ready(Next::Frame(frame));
                }
                Poll::Ready(Some(Ok(frame))) => self.waiting = Some(frame),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Next::Broken(error)),
                Poll::Ready(None) => return Poll::Ready(Next::End),
                Poll::Pending => ready!(self.look.as_mut().poll(cx)),
            }
            self.asking = Some(Box::pin(Arc::clone(&self.question).ask()));
        }
    }
}

/// The body of a request.
pub struct Reasked<B>(Reasking<B>);

impl<B: Body<Data = Bytes>> Reasked<B> {
    /// A request's body under this question.
    pub fn new(body: B, question: Arc<Question>) -> Self {
        Self(Reasking::new(body, question))
    }
}

impl<B> Body for Reasked<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match ready!(self.0.poll_next(cx)) {
            Next::Frame(frame) => Some(Ok(frame)),
            Next::Broken(error) => Some(Err(error.into())),
            Next::Refused(told) => Some(Err(told.into())),
            Next::End => None,
        })
    }
}

/// The body of an answer; a refusal ends it in its trailers.
pub struct ReaskedAnswer<B>(Reasking<B>);

impl<B: Body<Data = Bytes>> ReaskedAnswer<B> {
    /// An answer's body under this question.
    pub fn new(body: B, question: Arc<Question>) -> Self {
        Self(Reasking::new(body, question))
    }
}

impl<B: Body<Data = Bytes>> Body for ReaskedAnswer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Poll::Ready(match ready!(self.0.poll_next(cx)) {
            Next::Frame(frame) => Some(Ok(frame)),
            Next::Broken(error) => Some(Err(error)),
            Next::Refused(told) => Some(Ok(Frame::trailers(trailers(&told)))),
            Next::End => None,
        })
    }
}
