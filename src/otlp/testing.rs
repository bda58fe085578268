//! What the tests of both surfaces share: a gate that knows two keys, a back end, a server on loopback.

use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};

use ::http::header::{AUTHORIZATION, HeaderMap};
use ::http::{Request, Response, Version};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tower::Service;

use super::Signal;
use super::gateway::{Gate, Gateway};
use super::grpc::Answering;
use super::options::Options;
use super::sink::Lines;
use super::splice::splice;
use crate::app::{Caller, Terms, Verified};
use crate::domain::keys::{Environment, KeyKind};
use crate::domain::members::Role;
use crate::domain::principal::{Home, Principal, Standing, Title};
use crate::domain::tenants::TenantState;
use crate::domain::{
    Correlation, Digest, Failure, Fault, KeyId, Permission, Permissions, Refusal, TenantId, Timestamp,
};
use crate::guard::{Admitted, Answer, Denied, Policy as Method};
use crate::protocol::leash::Leash;
use crate::telemetry::Metrics;

/// A key that is let in.
pub const GOOD: &str = "Bearer good";
/// A key that cannot be judged now.
pub const UNKNOWN: &str = "Bearer unknown";

/// Lets [`GOOD`] in.
pub struct TestGate;

impl Gate for TestGate {
    fn catch_up(&self, _: &Denied, _: &HeaderMap) -> Option<BoxFuture<'static, Result<(), Fault>>> {
        None
    }

    fn admit(
        &self,
        headers: &HeaderMap,
        _peer: Option<SocketAddr>,
        method: &Method,
    ) -> Result<Admitted, Denied> {
        assert_eq!(method.need.permission(), Some(Permission::INGEST_WRITE));
        let failure: Failure = match headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap()) {
            Some(GOOD) => {
                let caller = caller(self.correlation(headers));
                let answer = Answer::to(&caller);
                return Ok(Admitted { caller, answer });
            }
            Some(UNKNOWN) => Fault::new("the lease has lapsed").into(),
            Some(_) => Refusal::invalid_api_key().into(),
            None => Refusal::credentials_missing().into(),
        };
        Err(self.deny(failure, self.correlation(headers)))
    }

    fn still_good(&self, _terms: &Terms) -> Result<(), Failure> {
        Ok(())
    }

    fn tie(self: Arc<Self>, _terms: Terms) -> Result<Option<Leash>, Failure> {
        Ok(None)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000)
    }

    fn correlation(&self, headers: &HeaderMap) -> Correlation {
        let sent = headers.get("x-correlation-id").and_then(|sent| Correlation::parse(sent.as_bytes()));
        sent.unwrap_or_else(|| Correlation::parse(b"made").unwrap())
    }

    fn deny(&self, failure: Failure, correlation: Correlation) -> Denied {
        let refusal = crate::guard::explain(failure, &correlation);
        Denied { answer: Answer::about(correlation, &refusal), refusal }
    }
}

/// The tenant of [`GOOD`].
pub fn tenant() -> TenantId {
    TenantId::from_bytes([7; 16])
}

fn caller(correlation: Correlation) -> Caller {
    let permissions = Permissions::of(&[Permission::INGEST_WRITE]);
    let state = TenantState::new(tenant(), "acme".parse().unwrap());
    let principal = Principal {
        home: Arc::new(Home::new(tenant(), Some(state))),
        kind: KeyKind::Ingest,
        standing: Standing::Good,
        user: None,
        email: None,
        title: Title::Member(Role::Member),
        permissions,
        written: OnceLock::new(),
    };
    let verified = Verified {
        digest: Digest::from_words([0; 4]),
        principal: Arc::new(principal),
        credential: crate::domain::CredentialId::Key(KeyId::from_bytes([1; 16])),
        login: None,
        environment: Environment::Live,
        scopes: permissions,
        permissions,
        expire: Timestamp::NEVER,
        previous: false,
        rate: None,
    };
    Caller { verified, home: None, correlation, address: None, deadline: None }
}

/// The lines that a sink wrote.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<String>>>);

impl Kept {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Lines for Kept {
    fn line(&self, line: &str) -> std::io::Result<()> {
        self.0.lock().unwrap().push(line.to_owned());
        Ok(())
    }
}

/// Options of a gateway to `backend` that takes requests of 100 kB.
pub fn options(backend: &str) -> Options {
    Options {
        backend: backend.to_owned(),
        max_body_bytes: 100_000,
        max_in_flight_bytes: 400_000,
        forward_timeout_ms: 2_000,
        read_timeout_ms: 2_000,
        ..Options::default()
    }
}

/// A gateway of these options, and what its sink wrote.
pub fn gateway(options: &Options) -> (Arc<Gateway>, Kept) {
    let kept = Kept::default();
    let metrics = Arc::new(Metrics::new().unwrap());
    let gateway =
        Gateway::new(options, Arc::new(TestGate), metrics, Arc::new(kept.clone()), Arc::default()).unwrap();
    (Arc::new(gateway), kept)
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}

/// Two spans of a sender that claims another tenant.
pub fn spoofed() -> Bytes {
    let attributes = vec![text("service.name", "shop"), text("tenant.id", "evil")];
    let spans =
        vec![Span { name: "work".into(), attributes: vec![text("Tenant_ID", "evil")], ..Span::default() }; 2];
    let group = ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec().into()
}

/// So many spans that they are handed over in pieces.
pub fn large() -> Bytes {
    let spans = (0..600).map(|index| Span { name: "work".repeat(index % 40), ..Span::default() }).collect();
    let group = ResourceSpans {
        resource: Some(Resource { attributes: vec![text("tenant.id", "evil")], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![group; 2] }.encode_to_vec().into()
}

/// What [`large`] must have become at the back end, to the byte.
pub fn spliced() -> Bytes {
    let policy = Options::default().policy();
    splice(Signal::Traces, &large(), &policy, &tenant().to_string()).unwrap().body
}

/// What [`spoofed`] must have become at the back end.
pub fn is_cleaned(body: &[u8]) -> bool {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let group = &request.resource_spans[0];
    let expected = [text("service.name", "shop"), text("tenant.id", &tenant().to_string())];
    let spans = &group.scope_spans[0].spans;
    group.resource.as_ref().unwrap().attributes == expected
        && spans.iter().all(|span| span.attributes.is_empty())
}

/// A request as a fake back end saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer as a client saw it.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

/// A back end that notes what it sees and gives one answer to all.
#[derive(Clone)]
pub struct Fake {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<dyn Fn() -> Response<Body> + Send + Sync>,
}

impl Fake {
    pub fn new(answer: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), answer: Arc::new(answer) }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Service<Request<Incoming>> for Fake {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        let fake = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let path = head.uri.path().to_owned();
            fake.seen.lock().unwrap().push(Seen { path, headers: head.headers, body });
            Ok((fake.answer)())
        })
    }
}

/// Serves on a port of loopback for the rest of the test.
pub async fn serve<S>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // The client decides when a connection ends, and may do so in the middle.
                let _end = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Sends one request over a connection of its own.
pub async fn send(request: Request<Full<Bytes>>) -> Got {
    let http2 = request.version() == Version::HTTP_2;
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let response = client.request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Got { status: head.status.as_u16(), headers: head.headers, body: collected.to_bytes(), trailers }
}

/// `plain` as a gzip stream.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}
