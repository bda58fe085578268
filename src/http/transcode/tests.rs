//! The whole service over a fake gRPC stack.

use crate::domain::clock::{Clock, Entropy, Moment, Timestamp};
use crate::http::{Besides, Options, Transcoder};
use crate::pb::v1;
use crate::secret::{CsrfKey, Pepper};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use prost::Message as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Service as _, service_fn};

/// What the stack saw of one call.
#[derive(Clone)]
struct Saw {
    path: String,
    headers: HeaderMap,
    message: Bytes,
    peer: Option<u16>,
}

/// What the stack saw.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Saw>>>);

impl Seen {
    fn only(&self) -> Saw {
        let all = self.0.lock().unwrap();
        assert_eq!(all.len(), 1);
        all[0].clone()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[derive(Clone)]
enum Outcome {
    Message(Vec<u8>),
    /// As the guard refuses: trailers only.
    Refused(Box<Status>),
    /// As a handler fails after its headers.
    InTrailers(Box<Status>),
    Raw(Vec<u8>),
    Hang,
    Broken,
}

/// The stack's answers carry the headers that the guard sets, and some that must stay inside.
fn guard_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-correlation-id", "from-guard"),
        ("x-tenant-id", "tenant_1"),
        ("x-ratelimit-remaining", "9"),
        ("ratelimit", "\"key\";r=9;t=1"),
        ("x-doorward-key-rotated", "true"),
        ("set-cookie", "inner=secret"),
        ("grpc-accept-encoding", "gzip"),
        ("x-inner", "secret"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn answered(outcome: &Outcome) -> Response<Body> {
    let mut response = match outcome {
        Outcome::Message(message) => with_trailers(framed(message), &Status::new(Code::Ok, "")),
        Outcome::Refused(status) => (**status).clone().into_http(),
        Outcome::InTrailers(status) => with_trailers(Vec::new(), status),
        Outcome::Raw(frame) => with_trailers(frame.clone(), &Status::new(Code::Ok, "")),
        Outcome::Hang => unreachable!(),
        Outcome::Broken => Response::new(Body::new(Full::new(Bytes::from_static(b"x")))),
    };
    guard_headers(response.headers_mut());
    response
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.to_vec()
}

fn with_trailers(frame: Vec<u8>, status: &Status) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let frames = [Ok::<_, Status>(Frame::data(Bytes::from(frame))), Ok(Frame::trailers(trailers))];
    Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))))
}

struct Asked {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

fn options() -> Options {
    Options { max_body_bytes: 1_000, body_timeout_ms: 100, call_timeout_ms: 1, ..Options::default() }
}

/// Both the clock and the randomness.
struct Fixed;

impl Clock for Fixed {
    fn moment(&self) -> Moment {
        Moment { wall: Timestamp::from_micros(0), monotonic: 0 }
    }
}

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0x11);
    }
}

/// An empty key set, and some key of CSRF tokens.
pub(super) fn besides() -> Besides {
    let pepper = Pepper::new(zeroize::Zeroizing::new(vec![1; 32])).unwrap();
    Besides { keys: Box::new(|| r#"{"keys":[]}"#.to_owned()), csrf: CsrfKey::of(&pepper).unwrap() }
}

/// The correlation id that those bytes make.
const MADE_HERE: &str = "11111111111111110000000000000000";

async fn ask(outcome: Outcome, request: Request<Body>) -> (Asked, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let stack = service_fn(move |request: Request<Body>| {
        let (log, outcome) = (log.clone(), outcome.clone());
        async move {
            let (parts, body) = request.into_parts();
            let message = body.collect().await.unwrap().to_bytes();
            assert_eq!(message[0], 0);
            assert_eq!(u32::from_be_bytes(message[1..5].try_into().unwrap()) as usize, message.len() - 5);
            let peer = parts.extensions.get::<u16>().copied();
            let saw = Saw {
                path: parts.uri.path().to_owned(),
                headers: parts.headers,
                message: message.slice(5..),
                peer,
            };
            log.0.lock().unwrap().push(saw);
            if matches!(outcome, Outcome::Hang) {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(answered(&outcome))
        }
    });
    let mut transcoder = Transcoder::new(stack, options(), Arc::new(Fixed), &Fixed, besides()).unwrap();
    let response = transcoder.call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Asked { status: parts.status.as_u16(), headers: parts.headers, body }, seen)
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Body::new(Full::new(Bytes::copy_from_slice(body.as_bytes())))).unwrap()
}

fn get(target: &str) -> Request<Body> {
    request("GET", target, &[], "")
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn refused(code: Code, reason: &str) -> Outcome {
    let details = ErrorDetails::with_error_info(reason, "doorward.dev", HashMap::new());
    Outcome::Refused(Box::new(Status::with_error_details(code, "told", details)))
}

fn who() -> Outcome {
    let principal = v1::Principal {
        id: "user_1".to_owned(),
        tenant_id: "tenant_1".to_owned(),
        ..v1::Principal::default()
    };
    Outcome::Message(v1::WhoAmIResponse { principal: Some(principal) }.encode_to_vec())
}

fn empty() -> Outcome {
    Outcome::Message(Vec::new())
}

#[tokio::test]
async fn a_request_becomes_one_grpc_call() {
    let mut sent = request(
        "POST",
        "/v1/api-keys/key_1:rotate",
        &[
            JSON,
            ("authorization", "Bearer a"),
            ("x-doorward-tenant-id", "forged"),
            ("x-forwarded-for", "::1"),
            ("accept", "*/*"),
        ],
        r#"{"overlap":"60s"}"#,
    );
    sent.headers_mut().append("authorization", HeaderValue::from_static("Bearer b"));
    sent.extensions_mut().insert(4711_u16);
    let (asked, seen) = ask(empty(), sent).await;
    assert_eq!(asked.status, 200, "{:?}", asked.body);
    let Saw { path, headers, message, peer } = seen.only();
    assert_eq!(path, "/doorward.v1.KeysService/RotateApiKey");
    assert_eq!(peer, Some(4711));
    let message = v1::RotateApiKeyRequest::decode(message).unwrap();
    assert_eq!((message.id.as_str(), message.overlap.unwrap().seconds), ("key_1", 60));
    let both: Vec<&HeaderValue> = headers.get_all("authorization").iter().collect();
    assert_eq!(both, ["Bearer a", "Bearer b"], "the guard has to see that it came twice");
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["authorization", "content-type", "grpc-timeout", "te", "x-forwarded-for"]);
    assert_eq!(headers["content-type"], "application/grpc");
}

#[tokio::test]
async fn the_answer_is_json_with_the_guards_headers() {
    let (asked, _) = ask(who(), get("/v1/auth/me")).await;
    assert_eq!(asked.json()["principal"]["id"], "user_1");
    assert_eq!(asked.headers["x-correlation-id"], "from-guard");
    assert_eq!(asked.headers["x-doorward-key-rotated"], "true");
    let mut names: Vec<&str> = asked.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "cache-control",
            "content-length",
            "content-type",
            "ratelimit",
            "x-content-type-options",
            "x-correlation-id",
            "x-doorward-key-rotated",
            "x-ratelimit-remaining",
            "x-tenant-id"
        ]
    );
}

#[tokio::test]
async fn every_path_is_also_under_api() {
    for (target, status) in [
        ("/api/v1/auth/me", 200),
        ("/api/v1/health", 200),
        ("/api/api/v1/auth/me", 404),
        ("/apiv1/auth/me", 404),
        ("/api", 404),
    ] {
        assert_eq!(ask(who(), get(target)).await.0.status, status, "{target}");
    }
}

#[tokio::test]
async fn head_is_get_without_content() {
    let (head, seen) = ask(who(), request("HEAD", "/v1/auth/me", &[], "")).await;
    let (full, _) = ask(who(), get("/v1/auth/me")).await;
    assert_eq!((head.status, head.body.len(), seen.count()), (200, 0, 1));
    assert_eq!(head.headers["content-length"], full.body.len().to_string());
}

#[tokio::test]
async fn what_is_no_call_is_refused_here_with_a_correlation_id() {
    for (sent, status, code) in [
        (get("/v1/nothing"), 404, "NOT_FOUND"),
        (get("/v1/api-keys/a/b/c"), 404, "NOT_FOUND"),
        (request("PUT", "/v1/api-keys", &[], ""), 405, "UNIMPLEMENTED"),
        (request("POST", "/v1/api-keys", &[], "{}"), 415, "INVALID_ARGUMENT"),
        (request("POST", "/v1/api-keys", &[("content-type", "text/plain")], "{}"), 415, "INVALID_ARGUMENT"),
        (request("POST", "/v1/api-keys", &[JSON], "{"), 400, "INVALID_ARGUMENT"),
        (request("POST", "/v1/api-keys", &[JSON], &"x".repeat(1_001)), 413, "PAYLOAD_TOO_LARGE"),
        (get("/v1/api-keys?nope=1"), 400, "INVALID_ARGUMENT"),
    ] {
        let target = sent.uri().clone();
        let (asked, seen) = ask(empty(), sent).await;
        assert_eq!((asked.status, asked.code().as_str()), (status, code), "{target}");
        assert_eq!(asked.json()["error"]["correlation_id"], MADE_HERE);
        assert_eq!(asked.headers["x-correlation-id"], MADE_HERE);
        assert_eq!(asked.headers["content-type"], "application/json");
        assert_eq!(seen.count(), 0, "nothing reached the stack");
    }
    let (asked, _) = ask(empty(), request("PUT", "/v1/api-keys", &[("x-request-id", "mine")], "")).await;
    assert_eq!(asked.headers["allow"], "GET, HEAD, POST");
    assert_eq!(asked.headers["x-correlation-id"], "mine");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_too() {
    let chunks = (0..100).map(|_| Ok::<_, Status>(Frame::data(Bytes::from_static(&[b' '; 100]))));
    let mut sent = request("POST", "/v1/api-keys", &[JSON], "");
    *sent.body_mut() = Body::new(StreamBody::new(tokio_stream::iter(chunks.collect::<Vec<_>>())));
    assert_eq!(ask(empty(), sent).await.0.status, 413);
}

#[tokio::test]
async fn a_refused_body_is_read_on_within_bounds() {
    for (method, chunks, read) in [("POST", 40, 40..=40), ("PUT", 40, 40..=40), ("POST", 10_000, 80..=100)] {
        let sent = Arc::new(Mutex::new(0_usize));
        let count = Arc::clone(&sent);
        let body = (0..chunks).map(move |_| {
            *count.lock().unwrap() += 1;
            Ok::<_, Status>(Frame::data(Bytes::from_static(&[b' '; 100])))
        });
        let mut request = request(method, "/v1/api-keys", &[JSON], "");
        *request.body_mut() = Body::new(StreamBody::new(tokio_stream::iter(body)));
        assert!(ask(empty(), request).await.0.status >= 405);
        let sent = *sent.lock().unwrap();
        assert!(read.contains(&sent), "{method}: {sent} of {chunks}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let mut sent = request("POST", "/v1/api-keys", &[JSON], "");
    *sent.body_mut() = Body::new(StreamBody::new(tokio_stream::pending::<Result<Frame<Bytes>, Status>>()));
    let asked = tokio::time::timeout(Duration::from_secs(5), ask(empty(), sent)).await.unwrap().0;
    assert_eq!((asked.status, asked.code().as_str()), (408, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn refusals_of_the_stack_keep_reason_and_headers() {
    for (outcome, status, code) in [
        (refused(Code::Unauthenticated, "INVALID_API_KEY"), 401, "INVALID_API_KEY"),
        (refused(Code::Unavailable, "BACKEND_UNAVAILABLE"), 503, "BACKEND_UNAVAILABLE"),
        (Outcome::Refused(Box::new(Status::unimplemented(""))), 501, "UNIMPLEMENTED"),
        (Outcome::InTrailers(Box::new(Status::new(Code::Aborted, "inner"))), 409, "ETAG_MISMATCH"),
    ] {
        let (asked, _) = ask(outcome, get("/v1/auth/me")).await;
        assert_eq!((asked.status, asked.code().as_str()), (status, code));
        assert_eq!(asked.json()["error"]["correlation_id"], "from-guard");
        assert_eq!(asked.headers["x-tenant-id"], "tenant_1");
        assert_eq!(asked.headers.contains_key("www-authenticate"), status == 401);
        assert!(asked.headers.keys().all(|name| !name.as_str().starts_with("grpc-")));
    }
}

#[tokio::test]
async fn rfc9457_when_asked_for() {
    let sent = request("GET", "/v1/auth/me", &[("accept", "application/problem+json")], "");
    let (asked, _) = ask(refused(Code::PermissionDenied, "TENANT_SUSPENDED"), sent).await;
    assert_eq!(asked.headers["content-type"], "application/problem+json");
    assert_eq!(asked.json()["status"], 403);
    assert_eq!(asked.json()["code"], "TENANT_SUSPENDED");
}

#[tokio::test]
async fn faults_of_the_stack_are_500_and_tell_nothing() {
    for outcome in [
        Outcome::Broken,
        Outcome::Raw(Vec::new()),
        Outcome::Raw(vec![0, 0, 0, 0, 9, 1]),
        Outcome::Raw(vec![1, 0, 0, 0, 0]),
        Outcome::Raw([framed(b""), framed(b"")].concat()),
        Outcome::Message(vec![0xff]),
        Outcome::Message(vec![0; 32 << 20]),
        Outcome::InTrailers(Box::new(Status::internal("at file.rs:1"))),
    ] {
        let (asked, _) = ask(outcome, get("/v1/auth/me")).await;
        assert_eq!((asked.status, asked.code().as_str()), (500, "INTERNAL"));
        assert!(!asked.json().to_string().contains("file.rs"));
    }
}

#[tokio::test]
async fn a_call_that_hangs_is_504() {
    let (asked, seen) = ask(Outcome::Hang, get("/v1/auth/me")).await;
    assert_eq!((asked.status, asked.code().as_str()), (504, "DEADLINE_EXCEEDED"));
    assert_eq!(seen.only().headers["grpc-timeout"], "1m");
}

#[tokio::test]
async fn a_credential_is_in_no_answer() {
    let secret = "dw_live_0123456789abcdefghijABCDEFGHIJ01234567";
    let bearer = format!("Bearer {secret}");
    for sent in [
        request("GET", &format!("/v1/{secret}"), &[("authorization", &bearer)], ""),
        request("GET", &format!("/v1/api-keys?{secret}={secret}"), &[("x-api-key", secret)], ""),
        request("POST", "/v1/auth/verify", &[JSON], &format!("{{\"credential\":[\"{secret}\"]}}")),
        request("POST", "/v1/auth/verify", &[JSON], secret),
        request("POST", "/v1/auth/verify", &[("content-type", secret)], "{}"),
        request("PATCH", "/v1/auth/verify", &[("accept", secret)], ""),
    ] {
        let (asked, _) = ask(refused(Code::Unauthenticated, "INVALID_API_KEY"), sent).await;
        let everything = format!("{:?} {:?}", asked.headers, asked.body);
        assert!(asked.status >= 400 && !everything.contains("dw_live"), "{everything}");
    }
}

#[tokio::test]
async fn health_without_a_credential_asks_nobody() {
    let (asked, seen) = ask(who(), request("GET", "/v1/health", &[("x-tenant-id", "t")], "")).await;
    assert_eq!((asked.status, seen.count()), (200, 0));
    assert_eq!(
        asked.json(),
        json!({"status": "healthy", "service": "doorward", "version": env!("CARGO_PKG_VERSION"), "timestamp": "1970-01-01T00:00:00Z"})
    );
    assert_eq!(asked.headers["x-correlation-id"], MADE_HERE);
    assert_eq!(ask(who(), request("POST", "/v1/health", &[], "")).await.0.status, 405);
}

#[tokio::test]
async fn health_with_a_credential_says_who_asks_or_refuses() {
    for header in ["authorization", "x-api-key", "x-master-key"] {
        let (asked, seen) = ask(who(), request("GET", "/v1/health", &[(header, "x")], "")).await;
        assert_eq!(seen.only().path, "/doorward.v1.AuthnService/WhoAmI");
        assert_eq!(
            (&asked.json()["tenant_id"], &asked.json()["principal"]),
            (&json!("tenant_1"), &json!("user_1"))
        );
        assert_eq!(asked.headers["x-tenant-id"], "tenant_1");
        let (asked, _) = ask(
            refused(Code::Unauthenticated, "INVALID_API_KEY"),
            request("GET", "/v1/health", &[(header, "x")], ""),
        )
        .await;
        assert_eq!((asked.status, asked.code().as_str()), (401, "INVALID_API_KEY"));
    }
    let missing = || refused(Code::Unauthenticated, "CREDENTIALS_MISSING");
    let (asked, seen) = ask(missing(), request("GET", "/v1/health", &[("cookie", "theme=dark")], "")).await;
    assert_eq!((asked.status, &asked.json()["status"], seen.count()), (200, &json!("healthy"), 0));
    let (asked, _) = ask(missing(), request("GET", "/v1/health", &[("authorization", "")], "")).await;
    assert_eq!(asked.status, 401);
    let ours = [("cookie", "__Host-doorward_access=x")];
    let (asked, _) = ask(who(), request("GET", "/v1/health", &ours, "")).await;
    assert_eq!((asked.status, asked.code().as_str()), (401, "INVALID_TOKEN"));
}

#[path = "browser_tests.rs"]
mod browser;
