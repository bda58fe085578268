//! OTLP over gRPC: the three `Export` methods, unary, with framing of its own.
//!
//! tonic's codec is not used here. It answers a message that is too large with `OUT_OF_RANGE`, which exporters repeat
//! for ever (the specification wants `RESOURCE_EXHAUSTED` without `RetryInfo`); it reserves memory for whatever length
//! a sender claims; and it would decode and encode what is only passed on.

mod frame;

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tower::Service;

use self::frame::Frame;
use super::Signal;
use super::encoding::Coding;
use super::gateway::{Gateway, Parcel, Sender};
use super::intake::Packed;
use crate::domain::{Failure, Reason, Refusal};
use crate::guard::{Denied, Peer};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODINGS: HeaderValue = HeaderValue::from_static(Coding::ALL);
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Serves the `Export` methods. The peer's address is taken from the request's extensions ([`Peer`]).
#[derive(Clone)]
pub struct GrpcService {
    gateway: Arc<Gateway>,
}

/// An answer under way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl GrpcService {
    /// A service before this gateway.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

impl<B> Service<Request<B>> for GrpcService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Display + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        let gateway = Arc::clone(&self.gateway);
        Box::pin(async move { Ok(answer(&gateway, request).await) })
    }
}

async fn answer<B>(gateway: &Gateway, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Display,
{
    if !is_grpc(request.headers()) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    let path = request.uri().path();
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path) else {
        let refusal =
            Refusal::new(Reason::Unimplemented, "no such method; OTLP is served here and nothing else");
        return refused(&gateway.deny("other", refusal.into(), request.headers()));
    };
    match export(gateway, signal, request).await {
        Ok(response) => response,
        Err(denied) => refused(&denied),
    }
}

async fn export<B>(
    gateway: &Gateway,
    signal: Signal,
    request: Request<B>,
) -> Result<Response<Body>, Box<Denied>>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Display,
{
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let sender = gateway.admit(signal, request.headers(), peer).await?;
    let received = gateway.receive(&sender, receive(gateway, &sender, signal, request)).await;
    let parcel = received.map_err(|failure| gateway.deny_sender(signal, failure, &sender))?;
    let export = gateway.take(&sender, parcel).await?;
    Ok(accepted(&export.to_bytes(), &sender))
}

/// Reads the one message of a request.
async fn receive<B>(
    gateway: &Gateway,
    sender: &Sender,
    signal: Signal,
    request: Request<B>,
) -> Result<Parcel, Failure>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Display,
{
    let (parts, body) = request.into_parts();
    let coding = coding(&parts.headers)?;
    let deadline = deadline(&parts.headers)?;
    let budget = gateway.budget();
    let mut held = budget.begin(sender.tenant(), None)?;
    let check = |so_far: &[u8]| Ok(Frame::read(so_far, budget)?.map(Frame::total));
    let bytes = budget.read_told(body, &mut held, check).await?;
    let frame = Frame::read(&bytes, budget)?.and_then(|frame| frame.whole(&bytes));
    let Some((compressed, message)) = frame else {
        let message = "the request holds no whole message";
        return Err(Refusal::new(Reason::InvalidArgument, message).into());
    };
    if compressed && coding == Coding::Identity {
        let message = "a message is compressed, but grpc-encoding does not say how";
        return Err(Refusal::new(Reason::Internal, message).into());
    }
    let coding = if compressed { coding } else { Coding::Identity };
    Ok(Parcel { signal, packed: Packed { bytes: message, coding, json: false }, held, deadline })
}

fn accepted(message: &[u8], sender: &Sender) -> Response<Body> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame::framed(message)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response.headers_mut().insert(ACCEPT_ENCODING, ENCODINGS);
    sender.answer.write(response.headers_mut());
    response
}

/// A refusal as one block of headers, before anything of the body.
fn refused(denied: &Denied) -> Response<Body> {
    let mut response = denied.status().into_http();
    denied.write(response.headers_mut());
    response.headers_mut().insert(ACCEPT_ENCODING, ENCODINGS);
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    matches!(content_type, b"application/grpc" | b"application/grpc+proto")
}

fn coding(headers: &HeaderMap) -> Result<Coding, Refusal> {
    let mut codings = headers.get_all("grpc-encoding").iter();
    let coding = match (codings.next(), codings.next()) {
        (None, _) => Some(Coding::Identity),
        (Some(one), None) => Coding::parse(one.as_bytes()),
        (Some(_), Some(_)) => None,
    };
    let message = "grpc-encoding must be one of zstd, gzip and identity";
    coding.ok_or_else(|| Refusal::new(Reason::Unimplemented, message))
}

/// `grpc-timeout`: at most eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let bad = || Refusal::invalid("grpc-timeout", "must be at most eight digits and one of H, M, S, m, u, n");
    let text = value.to_str().or(Err(bad()))?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(bad());
    }
    let amount: u64 = digits.parse().or(Err(bad()))?;
    match unit {
        "H" => Ok(Some(Duration::from_secs(amount * 3600))),
        "M" => Ok(Some(Duration::from_secs(amount * 60))),
        "S" => Ok(Some(Duration::from_secs(amount))),
        "m" => Ok(Some(Duration::from_millis(amount))),
        "u" => Ok(Some(Duration::from_micros(amount))),
        "n" => Ok(Some(Duration::from_nanos(amount))),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests;
