//! The guard as a tower layer around a gRPC stack.

use super::{Answer, Denied, Guard, METHODS, Need, Peer, Policy, status};
use crate::domain::reading::Reading;
use crate::domain::{Reason, Refusal};
use crate::telemetry::Metrics;
use http::{HeaderMap, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use prometheus::IntCounter;
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

/// A service behind the guard: it hears only of calls that were admitted, each
/// with its [`crate::app::Caller`] in the request's extensions.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let counted = self.guard.calls.of(request.uri().path());
        match self.guard.pass(&mut request) {
            Ok(answer) => {
                Answering { counted, state: State::Running { call: self.inner.call(request), answer } }
            }
            Err(denied) => Answering { counted, state: State::Denied { denied: Some(*denied) } },
        }
    }
}

impl Guard {
    /// Admits a gRPC request and notes its caller in its extensions.
    fn pass<B>(&self, request: &mut Request<B>) -> Result<Answer, Box<Denied>> {
        let Some(policy) = Policy::of(request.uri().path()) else {
            let refusal = Refusal::new(Reason::Unimplemented, "no such method");
            return Err(Box::new(self.deny(refusal.into(), self.correlation(request.headers()))));
        };
        if policy.need == Need::Nothing {
            let correlation = self.correlation(request.headers());
            return Ok(Answer::about(correlation, &Refusal::new(Reason::Internal, "")));
        }
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let admitted = self.admit(request.headers(), peer, policy).map_err(Box::new)?;
        request.extensions_mut().insert(admitted.caller);
        Ok(admitted.answer)
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
        Denied { denied: Option<Denied> },
    }
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

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

    fn of(&self, path: &str) -> Codes {
        let known = METHODS.iter().zip(&self.methods).find(|(policy, _)| policy.method == path);
        known.map_or(&self.unknown, |(_, codes)| codes).clone()
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
