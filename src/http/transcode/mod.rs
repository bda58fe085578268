//! REST over the gRPC stack.

mod body;
mod faults;
mod json;
mod request;
mod response;
mod routes;
mod template;
mod values;

pub use routes::RouteError;

use crate::domain::correlation::Correlations;
use crate::domain::{Clock, Correlation, Entropy};
use crate::http::browser::{Asked, Browsers};
use crate::http::call::{self, BoxError, Call};
use crate::http::options::Options;
use crate::http::problem::Problem;
use crate::http::reply::{Answer, Media, Reply};
use crate::http::{health, jwks};
use crate::secret::CsrfKey;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use routes::Routes;
use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;

/// Every path is also served under this prefix.
const PREFIX: &str = "/api";

/// Serves the annotated unary RPCs as REST, `GET /v1/health` and the key set.
///
/// `S` is the whole in-process gRPC stack, guard included. Each request becomes one framed gRPC
/// request with the headers that the guard reads and the extensions of the HTTP request, so the guard
/// sees the peer as it would over gRPC. It never fails: every fault becomes an answer.
#[derive(Clone)]
pub struct Transcoder<S> {
    stack: S,
    shared: Arc<Shared>,
}

struct Shared {
    routes: Routes,
    options: Options,
    clock: Arc<dyn Clock>,
    correlations: Correlations,
    browsers: Browsers,
    keys: Box<jwks::KeySet>,
}

/// What REST has besides the RPCs.
pub struct Besides {
    /// Gives the key set that verifies access tokens.
    pub keys: Box<jwks::KeySet>,
    /// Makes the CSRF tokens of browsers' sessions.
    pub csrf: CsrfKey,
}

impl fmt::Debug for Besides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Besides").field("csrf", &self.csrf).finish_non_exhaustive()
    }
}

impl<S> Transcoder<S> {
    /// Reads the routes from the embedded descriptors. The clock gives the time of health answers, the
    /// randomness a beginning to the correlation ids of requests that never reach the guard.
    ///
    /// # Errors
    /// If an annotation in the protos is at fault, which is a fault of the build.
    pub fn new(
        stack: S,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        besides: Besides,
    ) -> Result<Self, RouteError> {
        let routes = Routes::read(crate::pb::DESCRIPTORS)?;
        let mut process = [0; 8];
        entropy.fill(&mut process);
        let correlations = Correlations::new(u64::from_be_bytes(process));
        let Besides { keys, csrf } = besides;
        let browsers = Browsers::new(csrf);
        let shared = Shared { routes, options, clock, correlations, browsers, keys };
        Ok(Self { stack, shared: Arc::new(shared) })
    }
}

impl<S> fmt::Debug for Transcoder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcoder").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for Transcoder<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Each request takes a clone of the stack and waits there until it is ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (stack, shared) = (self.stack.clone(), Arc::clone(&self.shared));
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let reply = Reply::to(&parts, &shared.correlations);
            let answer = match answer(stack, &shared, parts, body, reply.correlation()).await {
                Ok(answer) => answer,
                Err(problem) => problem.into(),
            };
            Ok(reply.write(answer, &shared.options))
        })
    }
}

async fn answer<S, B>(
    stack: S,
    shared: &Shared,
    mut parts: Parts,
    body: B,
    correlation: &Correlation,
) -> Result<Answer, Problem>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let options = &shared.options;
    let path = without_prefix(parts.uri.path());
    if path == health::PATH {
        return Ok(health::answer(stack, parts, &shared.browsers, options, &*shared.clock, correlation).await);
    }
    if jwks::PATHS.contains(&path) {
        return Ok(jwks::answer(&parts.method, &*shared.keys));
    }
    let mut body = pin!(body);
    let read = match shared.routes.find(&parts.method, path) {
        Ok(found) => body::read(&parts.headers, body.as_mut(), options).await.map(|bytes| (found, bytes)),
        Err(problem) => Err(problem),
    };
    let ((route, variables), bytes) = match read {
        Ok(read) => read,
        Err(problem) => {
            body::discard(body, options).await;
            return Err(problem);
        }
    };
    let message = request::encode(route, &variables, parts.uri.query(), &bytes, options)?;
    let asked = Asked { method: &parts.method, rpc: route.rpc.path(), gives_tokens: route.gives_tokens };
    let entered = shared.browsers.enter(asked, &mut parts.headers, message)?;
    let (message, ticket) = (entered.message, entered.ticket);
    let call =
        Call { path: route.rpc.clone(), headers: parts.headers, extensions: parts.extensions, message };
    let mut called = call::unary(stack, call, options, correlation).await;
    let body = called.outcome.and_then(|message| {
        response::json(&route.output, message).map_err(|cause| {
            tracing::error!(
                error = &cause as &dyn std::error::Error,
                correlation.id = %correlation,
                "unwritable answer"
            );
            Problem::internal()
        })
    });
    let left = shared.browsers.leave(ticket, &mut called.headers, body);
    Ok(Answer { headers: called.headers, cookies: left.cookies, body: left.body, media: Media::Json })
}

/// The path as the annotations have it. What is left of a path that only begins like the prefix has no
/// slash in front, and so is no path of ours.
fn without_prefix(path: &str) -> &str {
    path.strip_prefix(PREFIX).unwrap_or(path)
}

/// Paths of all RPCs that a method stands for.
#[cfg(test)]
pub(crate) fn rpcs_of(method: &http::Method) -> Vec<String> {
    routes::Routes::read(crate::pb::DESCRIPTORS).unwrap().rpcs_of(method)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod real_stack_tests;
