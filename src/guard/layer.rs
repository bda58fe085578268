//! The guard as a tower layer around a gRPC stack.

use super::tether::Tether;
use super::{Answer, Denied, Guard, METHODS, Need, Peer, Policy, status};
use crate::app::Caller;
use crate::app::people::Visitor;
use crate::domain::changes::Revision;
use crate::domain::reading::Reading;
use crate::domain::{Failure, Fault, GrantId, Reason, Refusal};
use crate::protocol::gated::{Gated, GatedAnswer, Tie};
use crate::protocol::leash::Alarm;
use crate::telemetry::Metrics;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
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

/// A service that hears who makes each call. What it reads of a stream, and
/// what it writes, passes for only as long as the caller's credential is good.
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
    S: Admits<Gated<B>> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        let found = Policy::find(request.uri().path());
        let number = found.map(|(number, _)| number);
        let policy = found.map(|(_, policy)| policy);
        if guard.breaks_glass(request.headers(), policy) {
            let state = enter(&guard, &self.inner, request, policy);
            return Answering { guard, number, state };
        }
        let state = match guard.pass(&request, policy, None) {
            Ok(passed) => begin(&mut self.inner, request, passed),
            Err(failure) if guard.may_be_new(&failure, request.headers()) => {
                let asking = Asking { service: self.inner.clone(), request, policy };
                let catching = guard.catch_up().map(|caught| caught.map(|()| None).map_err(Failure::from));
                State::Asking { asking: Some(Box::new(asking)), catching: catching.boxed() }
            }
            Err(failure) => denied(&guard, failure, &request),
        };
        Answering { guard, number, state }
    }
}

/// A call with the master key, while the audit log hears of it.
fn enter<S, B>(
    guard: &Arc<Guard>,
    service: &S,
    mut request: Request<B>,
    policy: Option<&'static Policy>,
) -> State<S, B>
where
    S: Admits<Gated<B>> + Clone,
{
    // One id from here on: the audit log hears of the call before its handler does.
    let correlation = guard.correlation(request.headers());
    if let Ok(id) = HeaderValue::from_maybe_shared(correlation.to_bytes()) {
        request.headers_mut().insert("x-correlation-id", id);
    }
    let entering = match policy {
        Some(policy) => guard.break_glass(&request, policy),
        None => Err(Refusal::new(Reason::Unimplemented, "no such method").into()),
    };
    match entering {
        Ok(entering) => {
            let asking = Asking { service: service.clone(), request, policy };
            State::Asking { asking: Some(Box::new(asking)), catching: entering.map_ok(Some).boxed() }
        }
        Err(failure) => denied(guard, failure, &request),
    }
}

/// Hands a call on that was let pass.
fn begin<S, B>(service: &mut S, request: Request<B>, passed: Passed) -> State<S, B>
where
    S: Admits<Gated<B>>,
{
    let Passed { caller, visitor, answer, tether } = passed;
    let mut request = request.map(|body| match tether.leash() {
        None => Gated::free(body),
        Some(leash) => Gated::tied(body, Tie::new(leash, answer.correlation().clone())),
    });
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    State::Running { call: service.call(request, caller), answer, tether }
}

fn denied<S, B>(guard: &Guard, failure: Failure, request: &Request<B>) -> State<S, B>
where
    S: Admits<Gated<B>>,
{
    let denied = guard.deny(failure, guard.correlation(request.headers()));
    State::Denied { denied: Some(Box::new(denied)) }
}

/// A call that waits before it is judged: with a key that is not known here,
/// while it is made sure that it does not exist; with the master key, while the
/// audit log hears of it.
struct Asking<S, B> {
    service: S,
    request: Request<B>,
    policy: Option<&'static Policy>,
}

/// A call that may be answered.
struct Passed {
    caller: Option<Caller>,
    /// Who asks, where that may be anybody.
    visitor: Option<Visitor>,
    answer: Answer,
    tether: Tether,
}

impl Guard {
    /// Admits a gRPC request: who makes it, what the answer's headers are, and
    /// what it goes on by.
    fn pass<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        policy: Option<&'static Policy>,
        entered: Option<GrantId>,
    ) -> Result<Passed, Failure> {
        let headers = request.headers();
        let Some(policy) = policy else {
            return Err(Refusal::new(Reason::Unimplemented, "no such method").into());
        };
        let correlation = self.correlation(headers);
        if policy.need == Need::Nothing {
            let answer = Answer::anonymous(correlation);
            return Ok(Passed { caller: None, visitor: None, answer, tether: Tether::Off });
        }
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        if entered.is_none() && self.is_visit(policy, headers) {
            let visitor = self.visitor(headers, peer, &correlation);
            let answer = Answer::anonymous(correlation);
            return Ok(Passed { caller: None, visitor: Some(visitor), answer, tether: Tether::Off });
        }
        // Read before the judgement: a change in between is looked at once more.
        let seen = self.verifier.revision();
        let caller = self.judge(headers, peer, policy, &correlation, entered)?;
        self.metrics.accepted.inc();
        let tether = self.tether(&caller, policy, seen)?;
        let visitor = (policy.need == Need::Either).then(|| self.visitor(headers, peer, &caller.correlation));
        Ok(Passed { answer: Answer::to(&caller), caller: Some(caller), visitor, tether })
    }

    /// How a call that was admitted is watched.
    fn tether(self: &Arc<Self>, caller: &Caller, policy: &Policy, seen: Revision) -> Result<Tether, Failure> {
        if !policy.is_cut() {
            return Ok(Tether::Off);
        }
        let mut terms = caller.terms(policy.stands_on(caller.verified.permissions));
        terms.one_factor &= !policy.enrols;
        if !policy.streams {
            return Ok(Tether::Quick { terms, seen });
        }
        match self.tie(terms)? {
            Some(leash) => Ok(Tether::Stream(Arc::new(leash), Alarm::default())),
            None => Err(Fault::new("too many streams are open").into()),
        }
    }
}

/// What is waited for; the grant that was entered, if one was.
type Catching = BoxFuture<'static, Result<Option<GrantId>, Failure>>;

pin_project! {
    /// An answer under way.
    pub struct Answering<S, B>
    where
        S: Admits<Gated<B>>,
    {
        guard: Arc<Guard>,
        // The method's place among all; none for an unknown one.
        number: Option<usize>,
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Admits<Gated<B>>,
    {
        Running { #[pin] call: S::Future, answer: Answer, tether: Tether },
        Asking { asking: Option<Box<Asking<S, B>>>, catching: Catching },
        Denied { denied: Option<Box<Denied>> },
    }
}

impl<S, B> Future for Answering<S, B>
where
    S: Admits<Gated<B>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let response = match this.state.as_mut().project() {
                StateProjection::Running { call, answer, tether } => {
                    let ended = match call.poll(cx)? {
                        Poll::Ready(response) => tether.release(this.guard).map(|()| response),
                        Poll::Pending => Err(ready!(tether.poll_end(this.guard, cx))),
                    };
                    match ended {
                        Ok(response) => finish(response, answer, tether),
                        Err(failure) => {
                            let denied = this.guard.deny(failure, answer.correlation().clone());
                            refused(&Denied { answer: answer.clone(), ..denied })
                        }
                    }
                }
                StateProjection::Asking { asking, catching } => {
                    let caught = ready!(catching.as_mut().poll(cx));
                    let Some(mut it) = asking.take() else { return Poll::Pending };
                    let passed = match caught {
                        Ok(entered) => this.guard.pass(&it.request, it.policy, entered),
                        Err(failure) => Err(failure),
                    };
                    let next = match passed {
                        Ok(passed) => begin(&mut it.service, it.request, passed),
                        Err(failure) => denied(this.guard, failure, &it.request),
                    };
                    this.state.set(next);
                    continue;
                }
                StateProjection::Denied { denied } => match denied.take() {
                    Some(denied) => refused(&denied),
                    None => return Poll::Pending,
                },
            };
            this.guard.calls.of(*this.number).count(response.headers());
            return Poll::Ready(Ok(response));
        }
    }
}

/// The answer as it leaves.
fn finish(mut response: Response<Body>, answer: &Answer, tether: &Tether) -> Response<Body> {
    if let Some(refusal) = made_by_the_transport(response.headers()) {
        response = super::status(&refusal).into_http();
    }
    answer.write(response.headers_mut());
    match tether.leash() {
        None => response,
        Some(leash) => {
            let tie = Tie::new(leash, answer.correlation().clone());
            response.map(|body| Body::new(GatedAnswer::tied(body, tie)))
        }
    }
}

fn refused(denied: &Denied) -> Response<Body> {
    let mut response = denied.status().into_http();
    denied.write(response.headers_mut());
    response
}

/// Counters of every method's answers, made once, so that counting takes no lock.
pub struct Calls {
    methods: Vec<Codes>,
    unknown: Codes,
}

/// Counters of one method's answers, by gRPC status.
struct Codes(Box<[IntCounter]>);

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

    fn of(&self, number: Option<usize>) -> &Codes {
        number.and_then(|number| self.methods.get(number)).unwrap_or(&self.unknown)
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
