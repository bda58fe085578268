//! The checks as a tower layer before a gRPC service.

use super::mirror::Mirror;
use super::reasked::{Question, Reasked, ReaskedAnswer};
use super::{Demand, Embedded, Failure, Fault, Permission, Source, Verified};
use crate::domain::correlation::Correlations;
use crate::domain::{Correlation, Permissions};
use crate::protocol::gated::{Gated, GatedAnswer, Tie};
use crate::protocol::leash::{Leash, Warden};
use crate::protocol::{Side, credential, explain, status};
use crate::view::Terms;
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};
use zeroize::Zeroizing;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Puts an [`Embedded`] before a service: a call gets through with a good
/// credential, its handler finds the [`Verified`] in the request's extensions,
/// and a stream ends when the credential does.
///
/// The credential is found as Doorward itself finds it: `authorization: Bearer`
/// or `x-api-key`, and never two that differ.
#[derive(Clone)]
pub struct EmbeddedLayer(Arc<Rules>);

struct Rules {
    embedded: Embedded,
    methods: HashMap<String, Rule>,
    otherwise: Rule,
    peer: fn(&Extensions) -> Option<IpAddr>,
    correlations: Correlations,
}

/// What a method asks for.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Nothing.
    Open,
    /// A good credential, perhaps with a permission.
    Guarded(Option<Permission>),
}

impl EmbeddedLayer {
    /// A layer that asks for a good credential at every method.
    pub fn new(embedded: Embedded) -> Self {
        Self(Arc::new(Rules {
            embedded,
            methods: HashMap::new(),
            otherwise: Rule::Guarded(None),
            peer: |_| None,
            correlations: Correlations::new(fresh_seed()),
        }))
    }

    /// Asks for nothing at this method, `/package.Service/Method`.
    #[must_use]
    pub fn open(self, method: &str) -> Self {
        self.with(|rules| rules.set(method, Rule::Open))
    }

    /// Asks for this permission at that method.
    #[must_use]
    pub fn require(self, method: &str, permission: Permission) -> Self {
        self.with(|rules| rules.set(method, Rule::Guarded(Some(permission))))
    }

    /// Asks for this permission at every method that nothing else is said of.
    #[must_use]
    pub fn require_everywhere(self, permission: Permission) -> Self {
        self.with(|rules| rules.otherwise = Rule::Guarded(Some(permission)))
    }

    /// How to find the address that a request came from. Without it, keys that
    /// may only be used from some addresses are refused.
    #[must_use]
    pub fn peer(self, find: fn(&Extensions) -> Option<IpAddr>) -> Self {
        self.with(|rules| rules.peer = find)
    }

    fn with(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Rules::clone_of(&self.0);
        change(&mut rules);
        Self(Arc::new(rules))
    }
}

impl<S> Layer<S> for EmbeddedLayer {
    type Service = EmbeddedService<S>;
    fn layer(&self, inner: S) -> EmbeddedService<S> {
        EmbeddedService { inner, rules: Arc::clone(&self.0) }
    }
}

/// A service behind an [`EmbeddedLayer`].
#[derive(Clone)]
pub struct EmbeddedService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for EmbeddedService<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Boxed<Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let rules = Arc::clone(&self.rules);
        let rule = rules.methods.get(request.uri().path()).copied().unwrap_or(rules.otherwise);
        match rule {
            Rule::Open => Box::pin(open(inner, request)),
            Rule::Guarded(permission) => Box::pin(guarded(inner, request, rules, permission)),
        }
    }
}

async fn open<S, B, R>(mut inner: S, request: Request<B>) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    Ok(inner.call(request.map(Body::new)).await?.map(Body::new))
}

async fn guarded<S, B, R>(
    inner: S,
    request: Request<B>,
    rules: Arc<Rules>,
    permission: Option<Permission>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let correlation = rules.correlation(request.headers());
    let peer = (rules.peer)(request.extensions());
    let shared = &rules.embedded.shared;
    let mirror = shared.current.load_full();
    let kind_of = |text: &str| mirror.as_ref().and_then(|mirror| mirror.kind(text));
    let presented = match credential::find(request.headers(), kind_of) {
        Ok(presented) => Zeroizing::new(presented.to_owned()),
        Err(refusal) => return Ok(refused(refusal.into(), &correlation)),
    };
    let (verified, source) = {
        let demand = Demand { peer, permission, cost: Some(1), ..Demand::default() };
        match shared.find(&presented, &demand).await {
            Ok(found) => found,
            Err(failure) => return Ok(refused(failure, &correlation)),
        }
    };
    match source {
        Source::Memory(mirror) => {
            let required = permission.map_or(Permissions::NONE, |one| Permissions::of(&[one]));
            match tied(&mirror, Terms::of(&verified, peer, required)) {
                Ok(leash) => leashed(inner, request, verified, leash, correlation).await,
                Err(failure) => Ok(refused(failure, &correlation)),
            }
        }
        Source::Server => {
            let question = Question::new(Arc::clone(shared), presented, peer, permission, correlation);
            reasked(inner, request, verified, Arc::new(question)).await
        }
    }
}

fn tied(mirror: &Arc<Mirror>, terms: Terms) -> Result<Leash, Failure> {
    let held = mirror.view.register(terms).ok_or_else(|| Fault::new("too many calls are open"))?;
    Leash::new(Arc::clone(mirror) as Arc<dyn Warden>, held)
}

/// A call under a lease of this process: it ends with the credential.
async fn leashed<S, B, R>(
    mut inner: S,
    request: Request<B>,
    verified: Verified,
    leash: Leash,
    correlation: Correlation,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let leash = Arc::new(leash);
    let tie = || Tie::new(Arc::clone(&leash), correlation.clone());
    let mut request = request.map(|body| Body::new(Gated::tied(body, tie())));
    request.extensions_mut().insert(verified);
    let response = tokio::select! {
        biased;
        response = inner.call(request) => response?,
        failure = leash.end_of(Side::Answer) => return Ok(refused(failure, &correlation)),
    };
    // What was answered meanwhile is not released to a credential that ended.
    match leash.pass() {
        Ok(()) => Ok(response.map(|body| Body::new(GatedAnswer::tied(body, tie())))),
        Err(failure) => Ok(refused(failure, &correlation)),
    }
}

/// A call that the server let through: each later message is asked about anew.
async fn reasked<S, B, R>(
    mut inner: S,
    request: Request<B>,
    verified: Verified,
    question: Arc<Question>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let mut request = request.map(|body| Body::new(Reasked::new(body, Arc::clone(&question))));
    request.extensions_mut().insert(verified);
    let response = inner.call(request).await?;
    Ok(response.map(|body| Body::new(ReaskedAnswer::new(body, question))))
}

/// A refusal as the server itself would tell it.
fn refused(failure: Failure, correlation: &Correlation) -> Response<Body> {
    let mut response = status(&explain(failure, correlation)).into_http();
    if let Ok(id) = HeaderValue::from_maybe_shared(correlation.to_bytes()) {
        response.headers_mut().insert("x-correlation-id", id);
    }
    response
}

impl Rules {
    fn clone_of(rules: &Self) -> Self {
        Self {
            embedded: rules.embedded.clone(),
            methods: rules.methods.clone(),
            otherwise: rules.otherwise,
            peer: rules.peer,
            correlations: Correlations::new(fresh_seed()),
        }
    }

    fn set(&mut self, method: &str, rule: Rule) {
        self.methods.insert(method.to_owned(), rule);
    }

    /// The call's correlation id: the caller's if it is well-formed, else a new one.
    fn correlation(&self, headers: &HeaderMap) -> Correlation {
        let sent = headers.get("x-correlation-id").or_else(|| headers.get("x-request-id"));
        sent.and_then(|sent| Correlation::parse(sent.as_bytes())).unwrap_or_else(|| self.correlations.next())
    }
}

/// Sets the ids of one process apart from another's; nothing else hangs on it.
fn fresh_seed() -> u64 {
    getrandom::u64().unwrap_or(0)
}
