//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics` and `/v1/logs`, in protobuf or JSON, which the answer is in too.

mod linger;
mod status;

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap,
    HeaderValue,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use tonic::body::Body;
use tower::Service;

use self::status::Encoding;
use super::Signal;
use super::encoding::Coding;
use super::gateway::{Gateway, Parcel, Sender};
use super::grpc::Answering;
use super::intake::Packed;
use crate::domain::{Failure, Reason, Refusal};
use crate::guard::{Denied, Peer};

/// Serves OTLP/HTTP. The peer's address is taken from the request's extensions ([`Peer`]).
#[derive(Clone)]
pub struct HttpService {
    gateway: Arc<Gateway>,
}

impl HttpService {
    /// A service before this gateway.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

impl<B> Service<Request<B>> for HttpService
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
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

/// Why a request is not taken, and how that is written.
struct No {
    denied: Box<Denied>,
    /// In place of the status that the reason has elsewhere.
    status: Option<StatusCode>,
    /// Whether the rest of the body will not be read. Over HTTP/1.1 the connection is closed then, as the next request
    /// would have to be searched for behind it.
    unread: bool,
}

/// Why a body is not read to its end.
struct Unread {
    failure: Failure,
    /// See [`No::status`].
    status: Option<StatusCode>,
}

impl<F: Into<Failure>> From<F> for Unread {
    fn from(failure: F) -> Self {
        Self { failure: failure.into(), status: None }
    }
}

async fn answer<B>(gateway: &Gateway, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Display + Send,
{
    let (parts, mut body) = request.into_parts();
    let encoding = Encoding::of(&parts.headers);
    match export(gateway, &parts, &mut body, encoding).await {
        Ok(response) => response,
        Err(no) => {
            let response = refused(&no, encoding, parts.version);
            if response.headers().contains_key(CONNECTION) {
                linger::over(body, &parts.headers);
            }
            response
        }
    }
}

async fn export<B>(
    gateway: &Gateway,
    parts: &Parts,
    body: &mut B,
    encoding: Encoding,
) -> Result<Response<Body>, No>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let signal = route(parts).map_err(|(status, refusal)| No {
        denied: Box::new(gateway.deny("other", refusal.into(), &parts.headers)),
        status: Some(status),
        unread: true,
    })?;
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let sender = gateway.admit(signal, &parts.headers, peer).await.map_err(No::unread)?;
    let received = gateway.receive(&sender, receive(gateway, &sender, signal, &parts.headers, body)).await;
    let parcel = received.map_err(|Unread { status, failure }| No {
        status,
        ..No::unread(gateway.deny_sender(signal, failure, &sender))
    })?;
    let taken = gateway.take(&sender, parcel).await;
    let export = taken.map_err(|denied| No { denied, status: None, unread: false })?;
    let message = match encoding {
        Encoding::Protobuf => export.to_bytes(),
        Encoding::Json => export.to_json(signal),
    };
    let mut response = Response::new(Body::new(Full::new(message)));
    response.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    sender.answer.write(response.headers_mut());
    Ok(response)
}

fn route(parts: &Parts) -> Result<Signal, (StatusCode, Refusal)> {
    let path = parts.uri.path();
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.http_path() == path) else {
        let message = "no such path; OTLP is served at /v1/traces, /v1/metrics and /v1/logs";
        return Err((StatusCode::NOT_FOUND, Refusal::new(Reason::NotFound, message)));
    };
    if parts.method != Method::POST {
        let refusal = Refusal::new(Reason::Unimplemented, "telemetry is sent by POST");
        return Err((StatusCode::METHOD_NOT_ALLOWED, refusal));
    }
    Ok(signal)
}

/// Reads the body of a request.
async fn receive<B>(
    gateway: &Gateway,
    sender: &Sender,
    signal: Signal,
    headers: &HeaderMap,
    body: &mut B,
) -> Result<Parcel, Unread>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let unsupported = |message| Unread {
        failure: Refusal::new(Reason::Unimplemented, message).into(),
        status: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    };
    let Some(encoding) = Encoding::said(headers) else {
        return Err(unsupported("the content type must be application/x-protobuf or application/json"));
    };
    let Some(coding) = coding(headers) else {
        return Err(unsupported("the content encoding must be one of zstd, gzip and identity"));
    };
    let budget = gateway.budget();
    let mut held = budget.begin(sender.tenant(), announced(headers))?;
    let check =
        |so_far: &[u8]| if so_far.len() > budget.max_body() { Err(budget.too_large()) } else { Ok(()) };
    let bytes = budget.read(body, &mut held, check).await?;
    let packed = Packed { bytes, coding, json: encoding == Encoding::Json };
    Ok(Parcel { signal, packed, held, deadline: None })
}

impl No {
    fn unread(denied: Box<Denied>) -> Self {
        Self { denied, status: None, unread: true }
    }
}

fn refused(no: &No, encoding: Encoding, version: Version) -> Response<Body> {
    let told = no.denied.refusal.reason.told();
    let usual = StatusCode::from_u16(told.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let status = no.status.unwrap_or(usual);
    let body = status::body(&no.denied, encoding);
    let mut response = Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, encoding.content_type());
    no.denied.write(headers);
    if no.unread && version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Coding::ALL));
    }
    response
}

/// `None` for a coding that is not taken, such as two of them stacked.
fn coding(headers: &HeaderMap) -> Option<Coding> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Some(Coding::Identity),
        (Some(one), None) => Coding::parse(one.as_bytes()),
        (Some(_), Some(_)) => None,
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let Ok(text) = headers.get(CONTENT_LENGTH)?.to_str() else { return None };
    let Ok(length) = text.parse() else { return None };
    Some(length)
}

#[cfg(test)]
mod tests;
