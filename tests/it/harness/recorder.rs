//! A proxy for HTTP/1.1 and HTTP/2 that passes everything and notes each request and its answer.
use super::ports;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::combinators::MapFrame;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tonic::metadata::MetadataMap;
use tonic_types::pb::RetryInfo;

type Problem = Box<dyn std::error::Error + Send + Sync>;
type Noting = Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>;

/// One request as it came, and what it was answered.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub path: String,
    /// `content-encoding` or `grpc-encoding`; empty without.
    pub coding: String,
    pub arrived: Instant,
    pub answer: Option<Answer>,
}

/// The part of an answer that decides what a client does next.
#[derive(Clone, Debug)]
pub struct Answer {
    pub came: Instant,
    pub http: u16,
    /// `grpc-status`, wherever it stood.
    pub grpc: Option<i32>,
    /// How long the client is asked to wait.
    pub told: Option<Duration>,
}

/// A running recorder; it ends with the test's runtime.
pub struct Recorder {
    port: u16,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    taken: AtomicUsize,
}

impl Recorder {
    /// Starts one before `host:port`.
    pub async fn before(target: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", ports::free())).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let attempts = Arc::<Mutex<Vec<Attempt>>>::default();
        let notes = attempts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (target, notes) = (target.clone(), notes.clone());
                let service =
                    hyper::service::service_fn(move |request| pass(target.clone(), notes.clone(), request));
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is no news.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, attempts, taken: AtomicUsize::new(0) }
    }

    /// Where clients are to be pointed.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many requests have been answered so far.
    pub fn answered(&self) -> usize {
        self.attempts.lock().unwrap().iter().filter(|attempt| attempt.answer.is_some()).count()
    }

    /// Takes what has passed since the last time.
    pub fn take(&self) -> Vec<Attempt> {
        let attempts = self.attempts.lock().unwrap();
        let from = self.taken.swap(attempts.len(), Ordering::Relaxed);
        attempts[from..].to_vec()
    }
}

/// Passes a request on, on a connection of its own in the version in which it came.
async fn pass(
    target: String,
    notes: Arc<Mutex<Vec<Attempt>>>,
    request: Request<Incoming>,
) -> Result<Response<MapFrame<Incoming, Noting>>, Problem> {
    let number = {
        let mut notes = notes.lock().unwrap();
        let path = request.uri().path().to_owned();
        let coding = ["content-encoding", "grpc-encoding"].map(|name| request.headers().get(name));
        let coding = coding.into_iter().flatten().next().map(|value| value.to_str().unwrap().to_owned());
        let coding = coding.unwrap_or_default();
        notes.push(Attempt { path, coding, arrived: Instant::now(), answer: None });
        notes.len() - 1
    };
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut response = Err("not sent".into());
    // Whoever is refused before the whole body is read may see the connection end first: hyper's client then has no
    // answer.
    for _ in 0..5 {
        response = send(&target, Request::from_parts(head.clone(), Full::new(body.clone()))).await;
        if response.is_ok() {
            break;
        }
    }
    let response = response?;
    let (head, body) = response.into_parts();
    let http = head.status.as_u16();
    note(&notes, number, http, &head.headers);
    let noting: Noting = Box::new(move |frame| {
        if let Some(trailers) = frame.trailers_ref() {
            note(&notes, number, http, trailers);
        }
        frame
    });
    Ok(Response::from_parts(head, body.map_frame(noting)))
}

async fn send(target: &str, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Problem> {
    let stream = TokioIo::new(TcpStream::connect(target).await?);
    if request.version() == Version::HTTP_2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        return Ok(sender.send_request(request).await?);
    }
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Notes an answer's headers, or the trailers that end it.
fn note(notes: &Mutex<Vec<Attempt>>, number: usize, http: u16, headers: &HeaderMap) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let grpc = text("grpc-status").and_then(|status| status.parse().ok());
    let told = match grpc {
        Some(_) => retry_info(headers),
        None => text("retry-after").and_then(|wait| wait.parse().ok()).map(Duration::from_secs),
    };
    notes.lock().unwrap()[number].answer = Some(Answer { came: Instant::now(), http, grpc, told });
}

fn retry_info(headers: &HeaderMap) -> Option<Duration> {
    let metadata = MetadataMap::from_headers(headers.clone());
    let bytes = metadata.get_bin("google.rpc.retryinfo-bin")?.to_bytes().unwrap();
    let wait = RetryInfo::decode(bytes).unwrap().retry_delay?;
    Some(wait.try_into().unwrap())
}
