//! An OTLP back end in the test process: keeps what arrives, and can be told to be unavailable.
use super::ports;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, async_trait};

/// One export request as it arrived.
#[derive(Clone)]
pub struct Arrival {
    /// `traces`, `metrics` or `logs`.
    pub signal: &'static str,
    /// The attributes of every resource in it.
    pub resources: Vec<Vec<KeyValue>>,
    pub metadata: MetadataMap,
    /// The whole message, for a search through all of it.
    pub bytes: Vec<u8>,
}

impl Arrival {
    /// Every value of a resource attribute, over all resources.
    pub fn attribute(&self, key: &str) -> Vec<String> {
        let all = self.resources.iter().flatten().filter(|pair| pair.key == key);
        all.map(|pair| text_of(pair).to_owned()).collect()
    }

    /// Every value of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.metadata.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Whether a text occurs anywhere in the message or its headers.
    pub fn contains(&self, text: &str) -> bool {
        let body = self.bytes.windows(text.len()).any(|window| window == text.as_bytes());
        body || format!("{:?}", self.metadata).contains(text)
    }
}

/// A running back end; it ends with the test's runtime.
#[derive(Clone)]
pub struct Backend {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    arrivals: Mutex<Vec<Arrival>>,
    down: AtomicBool,
    held: watch::Sender<bool>,
    refusals: Mutex<HashMap<&'static str, Status>>,
}

impl Backend {
    /// Starts one that speaks OTLP over gRPC.
    pub async fn grpc() -> Self {
        let (backend, listener) = Self::bound().await;
        let routes = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::from_arc(backend.state.clone()))
            .add_service(MetricsServiceServer::from_arc(backend.state.clone()))
            .add_service(LogsServiceServer::from_arc(backend.state.clone()));
        tokio::spawn(routes.serve_with_incoming(TcpListenerStream::new(listener)));
        backend
    }

    /// Starts one that speaks OTLP over HTTP, encoded as protobuf.
    pub async fn http() -> Self {
        let (backend, listener) = Self::bound().await;
        let state = backend.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                let service = hyper::service::service_fn(move |request| answer(state.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        backend
    }

    async fn bound() -> (Self, TcpListener) {
        let listener = TcpListener::bind(("127.0.0.1", ports::free())).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Self { port, state: Arc::default() }, listener)
    }

    /// As `otlp.backend` takes it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether it shall answer `UNAVAILABLE` from now on.
    pub fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// Whether it shall keep its answers back from now on.
    pub fn set_held(&self, held: bool) {
        self.state.held.send_replace(held);
    }

    /// Answers the next request of each signal with this status.
    pub fn refuse_each_once(&self, status: &Status) {
        let refusals = ["traces", "metrics", "logs"].map(|signal| (signal, status.clone()));
        *self.state.refusals.lock().unwrap() = HashMap::from(refusals);
    }

    /// Takes what has arrived since the last time.
    pub fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.state.arrivals.lock().unwrap())
    }
}

impl State {
    async fn receive<M: Message, A: Default>(
        &self,
        signal: &'static str,
        request: &Request<M>,
        resources: impl Iterator<Item = Option<Resource>>,
    ) -> Result<Response<A>, Status> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Status::unavailable("the back end was told to be down"));
        }
        if let Some(status) = self.refusals.lock().unwrap().remove(signal) {
            return Err(status);
        }
        self.arrivals.lock().unwrap().push(Arrival {
            signal,
            resources: resources.map(|resource| resource.unwrap_or_default().attributes).collect(),
            metadata: request.metadata().clone(),
            bytes: request.get_ref().encode_to_vec(),
        });
        // The sender is this back end's own: it is there as long as anybody waits.
        let mut held = self.held.subscribe();
        drop(held.wait_for(|held| !held).await);
        Ok(Response::new(A::default()))
    }
}

/// `POST /v1/traces` and its like, through the same handlers.
async fn answer(
    state: Arc<State>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Status> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| Status::unknown(error.to_string()))?.to_bytes();
    let zipped = head.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let body = if zipped { unzipped(&body)? } else { body };
    let metadata = MetadataMap::from_headers(head.headers);
    let outcome = match head.uri.path() {
        "/v1/traces" => TraceService::export(&*state, decoded(metadata, &body)?).await.map(drop),
        "/v1/metrics" => MetricsService::export(&*state, decoded(metadata, &body)?).await.map(drop),
        "/v1/logs" => LogsService::export(&*state, decoded(metadata, &body)?).await.map(drop),
        path => panic!("{path} is no path of OTLP"),
    };
    let status = if outcome.is_ok() { 200 } else { 503 };
    let answer = hyper::Response::builder().status(status).header("content-type", "application/x-protobuf");
    Ok(answer.body(Full::default()).unwrap())
}

fn unzipped(body: &[u8]) -> Result<Bytes, Status> {
    let mut plain = Vec::new();
    let read = GzDecoder::new(body).read_to_end(&mut plain);
    read.map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(plain.into())
}

fn decoded<M: Message + Default>(metadata: MetadataMap, body: &[u8]) -> Result<Request<M>, Status> {
    let message = M::decode(body).map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(Request::from_parts(metadata, tonic::Extensions::default(), message))
}

#[async_trait]
impl TraceService for State {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.get_ref().resource_spans.clone().into_iter().map(|part| part.resource);
        self.receive("traces", &request, resources).await
    }
}

#[async_trait]
impl MetricsService for State {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.get_ref().resource_metrics.clone().into_iter().map(|part| part.resource);
        self.receive("metrics", &request, resources).await
    }
}

#[async_trait]
impl LogsService for State {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let resources = request.get_ref().resource_logs.clone().into_iter().map(|part| part.resource);
        self.receive("logs", &request, resources).await
    }
}

fn text_of(pair: &KeyValue) -> &str {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{} is {other:?}, not a string", pair.key),
    }
}

/// The harness's own proof: the SDK speaks to the back end with nothing in between.
mod tests {
    use super::super::python::Python;
    use super::Backend;
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_sdk_reaches_the_back_end_and_hears_when_it_is_down() {
        let backend = Backend::grpc().await;
        let mut python = Python::start("export.py").await;
        for signal in ["traces", "metrics", "logs"] {
            let order = json!({
                "protocol": "grpc", "signal": signal, "endpoint": backend.url(), "key": "some",
                "attributes": {"tenant.id": "spoofed"}, "marker": "the-marker",
            });
            let answer = python.ask(&order);
            assert_eq!(answer["acknowledged"], true, "{answer}");
            let arrivals = backend.take();
            assert_eq!(arrivals.len(), 1);
            assert_eq!(arrivals[0].signal, signal);
            assert_eq!(arrivals[0].attribute("tenant.id"), ["spoofed"]);
            assert_eq!(arrivals[0].header("authorization"), ["Bearer some"]);
            assert!(arrivals[0].contains("the-marker") && !arrivals[0].contains("another"));
        }
        backend.set_down(true);
        let order =
            json!({"protocol": "grpc", "signal": "traces", "endpoint": backend.url(), "marker": "lost"});
        let answer = python.ask(&order);
        assert_eq!(answer["acknowledged"], false, "{answer}");
        assert!(backend.take().is_empty());
    }
}
