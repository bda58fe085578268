//! The guard as a tower layer around a gRPC stack.

use super::{Answer, Denied, Guard, METHODS, Need, Peer, Policy, status};
use crate::app::Caller;
use crate::domain::reading::Reading;
use crate::domain::{Reason, Refusal};
use crate::telemetry::Metrics;
use http::{HeaderMap, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use prometheus::IntCounter;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tower::{Layer, Service};

/// Puts a [`Guard`] before a service.
#[derive(Clone)]
pub struct GuardLayer(Arc<Guard>);

impl GuardLayer {
    /// A layer of this guard.
    pub fn new(guard: Arc<Guard>) -> Self {
        Self(guard)
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;
    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: Arc::clone(&self.0) }
    }
}

/// A service behind the guard: it hears only of calls that were admitted.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Arc<Guard>,
}

/// A service that hears who makes each call.
pub trait Admits<B> {
    /// An answer under way.
    type Future: Future<Output = Result<Response<Body>, Infallible>>;

    /// See [`Service::poll_ready`].
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>>;

    /// Answers a call that was admitted. Methods that ask for no credential
    /// have no caller; all others have one.
    fn call(&mut self, request: Request<B>, caller: Option<Caller>) -> Self::Future;
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Admits<B>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let found = Policy::find(request.uri().path());
        let counted = self.guard.calls.of(found.map(|(number, _)| number));
        match self.guard.pass(&request, found.map(|(_, policy)| policy)) {
            Ok((caller, answer)) => Answering {
                counted,
                state: State::Running { call: self.inner.call(request, caller), answer },
            },
            Err(denied) => Answering { counted, state: State::Denied { denied: Some(denied) } },
        }
    }
}

impl Guard {
    /// Admits a gRPC request: who makes it, and what the answer's headers are.
    fn pass<B>(
        &self,
        request: &Request<B>,
        policy: Option<&'static Policy>,
    ) -> Result<(Option<Caller>, Answer), Box<Denied>> {
        let Some(policy) = policy else {
            let refusal = Refusal::new(Reason::Unimplemented, "no such method");
            return Err(Box::new(self.deny(refusal.into(), self.correlation(request.headers()))));
        };
        if policy.need == Need::Nothing {
            return Ok((None, Answer::anonymous(self.correlation(request.headers()))));
        }
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        match self.admit(request.headers(), peer, policy) {
            Ok(admitted) => Ok((Some(admitted.caller), admitted.answer)),
            Err(denied) => Err(Box::new(denied)),
        }
    }
}

pin_project! {
    /// An answer under way.
    pub struct Answering<F> {
        counted: Codes,
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Running { #[pin] call: F, answer: Answer },
        Denied { denied: Option<Box<Denied>> },
    }
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProjection::Running { call, answer } => {
                let mut response = ready!(call.poll(cx))?;
                if let Some(refusal) = made_by_the_transport(response.headers()) {
                    response = status::status(&refusal).into_http();
                }
                answer.write(response.headers_mut());
                this.counted.count(response.headers());
                Poll::Ready(Ok(response))
            }
            StateProjection::Denied { denied } => match denied.take() {
                Some(denied) => {
                    let mut response = denied.status().into_http();
                    denied.write(response.headers_mut());
                    this.counted.count(response.headers());
                    Poll::Ready(Ok(response))
                }
                None => Poll::Pending,
            },
        }
    }
}

/// Counters of every method's answers, made once, so that counting takes no lock.
pub struct Calls {
    methods: Vec<Codes>,
    unknown: Codes,
}

/// Counters of one method's answers, by gRPC status.
#[derive(Clone)]
struct Codes(Arc<[IntCounter]>);

impl Calls {
    /// Counters of every method that has a policy.
    pub fn new(metrics: &Metrics) -> Self {
        let codes = |method: &str| {
            let name = |code: i32| code.to_string();
            Codes((0..=16).map(|code| metrics.calls.with_label_values(&[method, &name(code)])).collect())
        };
        Self {
            methods: METHODS.iter().map(|policy| codes(policy.method)).collect(),
            unknown: codes("unknown"),
        }
    }

    fn of(&self, number: Option<usize>) -> Codes {
        number.and_then(|number| self.methods.get(number)).unwrap_or(&self.unknown).clone()
    }
}

impl Codes {
    /// Counts an answer by what its headers say. A stream that fails later has
    /// been counted as begun well.
    fn count(&self, headers: &HeaderMap) {
        let code = headers
            .get("grpc-status")
            .map_or(tonic::Code::Ok, |code| tonic::Code::from_bytes(code.as_bytes()));
        if let Some(counter) = self.0.get(code as usize) {
            counter.inc();
        }
    }
}

/// A failed answer without our details was made by the transport: a message
/// that cannot be decoded, one that is too large, a deadline.
fn made_by_the_transport(headers: &HeaderMap) -> Option<Refusal> {
    let code = headers.get("grpc-status")?;
    if code == HeaderValue::from_static("0") || headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let message =
        headers.get("grpc-message").and_then(|message| message.to_str().readable()).unwrap_or_default();
    Some(status::translate(tonic::Code::from_bytes(code.as_bytes()), message))
}
