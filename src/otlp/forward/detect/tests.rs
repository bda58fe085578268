//! Back ends on loopback that are asked how they speak.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::{Request, Status};

use super::*;
use crate::otlp::Signal;
use crate::otlp::testing::Fake;

const PATIENCE: Duration = Duration::from_secs(20);

/// Takes everything.
struct Taking;

#[tonic::async_trait]
impl TraceService for Taking {
    async fn export(
        &self,
        _request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A gRPC server, and nothing but that.
fn serve_grpc(listener: TcpListener) {
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Taking));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
}

/// A server of HTTP/1.1, and nothing but that. To a question it first says `words`. Counts questions.
fn serve_http(listener: TcpListener, words: &'static [u8]) -> (Arc<AtomicUsize>, Fake) {
    let fake = Fake::new(|| Response::new(Body::empty()));
    let questions = Arc::new(AtomicUsize::new(0));
    let (count, service) = (questions.clone(), fake.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (count, service) = (count.clone(), TowerToHyperService::new(service.clone()));
            tokio::spawn(async move {
                let mut start = [0; 2];
                stream.peek(&mut start).await.unwrap();
                if &start == b"PR" {
                    count.fetch_add(1, Ordering::SeqCst);
                    stream.write_all(words).await.unwrap();
                }
                let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (questions, fake)
}

/// Closes the next connection without a word.
async fn close_next(listener: &TcpListener) {
    drop(listener.accept().await.unwrap());
}

fn unknown(address: SocketAddr) -> UnknownBackend {
    UnknownBackend::new(&format!("http://{address}").parse().unwrap(), &Access::default()).unwrap()
}

async fn export(backend: &UnknownBackend) -> Result<Export, Failure> {
    let batch = Batch {
        signal: Signal::Traces,
        tenant: "t".into(),
        slug: None,
        correlation: "c".into(),
        body: Bytes::new().into(),
        items: 0,
        stripped: 0,
        trace: HeaderMap::new(),
    };
    timeout(PATIENCE, backend.export(batch, PATIENCE)).await.unwrap()
}

fn is_outage(answer: &Result<Export, Failure>) -> bool {
    matches!(answer, Err(Failure::Fault(_)))
}

#[tokio::test]
async fn a_grpc_server_is_found() {
    let listener = listener().await;
    let backend = unknown(listener.local_addr().unwrap());
    serve_grpc(listener);
    export(&backend).await.unwrap();
    assert_eq!(backend.known.get(), Some(&Protocol::Grpc));
    export(&backend).await.unwrap();
    assert_eq!(backend.rounds.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_http_server_is_found_whether_it_says_so_or_closes() {
    for words in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = listener().await;
        let backend = unknown(listener.local_addr().unwrap());
        let (questions, fake) = serve_http(listener, words);
        export(&backend).await.unwrap();
        assert_eq!(backend.known.get(), Some(&Protocol::Http));
        export(&backend).await.unwrap();
        assert_eq!(questions.load(Ordering::SeqCst), 1);
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn exports_at_once_share_one_question() {
    let listener = listener().await;
    let backend = unknown(listener.local_addr().unwrap());
    let (questions, fake) = serve_http(listener, b"");
    let answers = futures_util::future::join_all((0..20).map(|_| export(&backend))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(questions.load(Ordering::SeqCst), 1);
    assert_eq!(fake.seen().len(), 20);
}

#[tokio::test]
async fn a_back_end_that_is_not_there_is_an_outage_until_it_is_there() {
    let gone = listener().await;
    let address = gone.local_addr().unwrap();
    drop(gone);
    let backend = unknown(address);
    let answers = futures_util::future::join_all((0..5).map(|_| export(&backend))).await;
    assert!(answers.iter().all(is_outage), "{answers:?}");
    assert_eq!(backend.rounds.load(Ordering::SeqCst), 1);
    assert_eq!(backend.known.get(), None);
    serve_grpc(TcpListener::bind(address).await.unwrap());
    export(&backend).await.unwrap();
    assert_eq!(backend.known.get(), Some(&Protocol::Grpc));
}

#[tokio::test]
async fn a_proxy_before_a_server_that_is_not_up_yet_tells_nothing() {
    let listener = listener().await;
    let backend = unknown(listener.local_addr().unwrap());
    // The question, and the batch over HTTP.
    let closed = async {
        close_next(&listener).await;
        close_next(&listener).await;
    };
    let (answer, ()) = tokio::join!(export(&backend), closed);
    assert!(is_outage(&answer), "{answer:?}");
    assert_eq!(backend.known.get(), None);
    serve_grpc(listener);
    export(&backend).await.unwrap();
    assert_eq!(backend.known.get(), Some(&Protocol::Grpc));
}

#[tokio::test]
async fn whoever_gives_up_while_asking_leaves_it_to_the_next() {
    let listener = listener().await;
    let backend = unknown(listener.local_addr().unwrap());
    let given_up = timeout(Duration::from_millis(50), export(&backend)).await;
    assert!(given_up.is_err());
    assert_eq!(backend.rounds.load(Ordering::SeqCst), 0);
    serve_grpc(listener);
    export(&backend).await.unwrap();
    assert_eq!(backend.known.get(), Some(&Protocol::Grpc));
}

/// What is understood of `answer`; without one, of silence.
async fn understood(answer: Option<&[u8]>) -> Option<Protocol> {
    let (near, mut far) = tokio::io::duplex(1024);
    if let Some(answer) = answer {
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
    }
    match ask(near).await {
        Heard::Protocol(protocol) => Some(protocol),
        Heard::Nothing => None,
        Heard::Away(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn only_answers_that_are_certain_tell() {
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 128];
    assert_eq!(understood(Some(&settings)).await, Some(Protocol::Grpc));
    assert_eq!(understood(Some(b"HTTP/1.1 505 ")).await, Some(Protocol::Http));
    let goaway = [0, 0, 8, 7, 0];
    for answer in [&b""[..], b"HTT", &settings[..3], &goaway, b"\x15\x03\x01\0\x02", b"SSH-2.0"] {
        assert_eq!(understood(Some(answer)).await, None, "{answer:?}");
    }
    assert_eq!(understood(None).await, None);
}
