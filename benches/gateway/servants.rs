//! Servers that do less or more than Doorward to an export, on Doorward's own accept loop.

use crate::options::Child;
use crate::payload::pair;
use crate::raw::Raw;
use crate::{child, options::Options};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use doorward::boot::{Limits, Port};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prometheus::IntGauge;
use prost::Message as _;
use std::convert::Infallible;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// The path of exports of spans.
pub const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Where a server tells over HTTP how many exports it has taken, and how many bytes they had.
pub const COUNT: &str = "/count";

/// Serves as `kind` until the parent goes away.
pub async fn serve(kind: Child, options: &Options) -> Result<()> {
    let work = match kind {
        Child::Prost => Work::Prost,
        Child::Pass => Work::Pass(channel(options.upstream.as_deref().context("pass on to where?")?)?),
        Child::Receive | Child::Doorward => Work::Nothing,
    };
    let limits =
        Limits { connections: 10_000, streams: 256, header_bytes: 16_384, drain: Duration::from_secs(1) };
    let open = IntGauge::new("open", "Connections.")?;
    let port = Port::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None, limits, open).await?;
    child::announce(&[port.listener.local_addr()?])?;
    tokio::spawn(port.serve(Servant { work, taken: Arc::default() }, CancellationToken::new()));
    child::parent_gone().await;
    Ok(())
}

/// A server without a guard.
#[derive(Clone)]
struct Servant {
    work: Work,
    taken: Arc<(AtomicU64, AtomicU64)>,
}

/// What is done to an export before it is answered.
#[derive(Clone)]
enum Work {
    Nothing,
    /// What the splice replaces.
    Prost,
    Pass(Channel),
}

type Answering<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<http::Request<Incoming>> for Servant {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let mut servant = self.clone();
        Box::pin(async move {
            if request.uri().path() == EXPORT {
                let grpc = Grpc::new(Raw).apply_max_message_size_config(Some(usize::MAX), None);
                return Ok({ grpc }.unary(servant, request).await);
            }
            Ok(servant.plain(request).await)
        })
    }
}

impl Servant {
    /// Answers over plain HTTP.
    async fn plain(&mut self, request: http::Request<Incoming>) -> http::Response<Body> {
        if request.uri().path() == COUNT {
            let (requests, bytes) = &*self.taken;
            let text = format!("{} {}", requests.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed));
            return http::Response::new(Body::new(Full::from(text)));
        }
        let mut response = http::Response::new(Body::new(Full::<Bytes>::default()));
        let taken = match request.into_body().collect().await {
            Ok(body) => UnaryService::call(self, Request::new(body.to_bytes())).await.is_ok(),
            Err(_) => false,
        };
        if !taken {
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
        }
        let protobuf = http::HeaderValue::from_static("application/x-protobuf");
        response.headers_mut().insert(CONTENT_TYPE, protobuf);
        response
    }
}

impl UnaryService<Bytes> for Servant {
    type Response = Bytes;
    type Future = Answering<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let Self { work, taken } = self.clone();
        Box::pin(async move {
            let export = request.into_inner();
            taken.0.fetch_add(1, Ordering::Relaxed);
            taken.1.fetch_add(export.len() as u64, Ordering::Relaxed);
            match work {
                Work::Nothing => drop(export),
                Work::Prost => drop(black_box(edited(export)?)),
                Work::Pass(channel) => return pass(channel, export).await,
            }
            Ok(Response::new(Bytes::new()))
        })
    }
}

/// Decodes, stamps the tenant and encodes again. Only resources are looked at, which is less than Doorward does.
fn edited(export: Bytes) -> Result<Vec<u8>, Status> {
    let mut request = ExportTraceServiceRequest::decode(export)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    for group in &mut request.resource_spans {
        let resource = group.resource.get_or_insert_default();
        resource.attributes.retain(|pair| !pair.key.eq_ignore_ascii_case("tenant.id"));
        resource.attributes.push(pair("tenant.id", "tenant_01hzxk7q2v9m4c8d".to_owned()));
    }
    Ok(request.encode_to_vec())
}

async fn pass(channel: Channel, export: Bytes) -> Result<Response<Bytes>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    client.unary(Request::new(export), http::uri::PathAndQuery::from_static(EXPORT), Raw).await
}

/// A channel with the settings that Doorward's own has.
fn channel(upstream: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(upstream.to_owned())?
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_adaptive_window(true)
        .connect_lazy())
}
