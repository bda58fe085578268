//! Requests that are wrong in themselves.
use super::{Siege, bearer};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::rest::{self, Answer};
use crate::harness::world::named;
use crate::harness::{Database, on_both};
use bytes::Bytes;
use doorward::pb::v1::CreateApiKeyRequest;
use http::Method;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt;

const CREATE: &str = "/doorward.v1.KeysService/CreateApiKey";
/// What a request of the API may have at most.
const LIMIT: usize = 1 << 20;
/// Far more than that.
const TOO_MUCH: usize = 16 << 20;

impl Siege {
    async fn raw_grpc(&self, path: &str, body: Vec<u8>) -> Result<tonic::Response<Vec<u8>>, tonic::Status> {
        client::raw(&self.world.server.api(), &Metadata::bearer(&self.world.owner), path, body).await
    }

    async fn post(&self, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
        let bearer = bearer(&self.world.owner);
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        let request = rest::request(Method::POST, path, &headers, body.into());
        rest::send(&self.world.server.api(), request).await.unwrap()
    }
}

/// A request whose head alone says that it is too large.
fn declared(key: &str) -> Vec<u8> {
    head(key, &format!("content-length: {TOO_MUCH}"))
}

/// A request that turns out to be too large.
fn chunked(key: &str) -> Vec<u8> {
    let mut bytes = head(key, "transfer-encoding: chunked");
    bytes.extend(format!("{LIMIT:x}\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(LIMIT)).into_bytes());
    bytes
}

fn head(key: &str, length: &str) -> Vec<u8> {
    let lines = ["POST /v1/api-keys HTTP/1.1", "host: localhost", "content-type: application/json", length];
    format!("{}\r\nauthorization: Bearer {key}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// What comes back for these bytes, until the server closes or says no more.
async fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

on_both! {
    // Every field at fault is named, not only the first.
    async fn fields_that_are_wrong(database: Database) {
        let siege = Siege::plain(database).await;
        let request = CreateApiKeyRequest {
            scopes: vec!["keys.read".into(), "keys.nonsense".into()],
            allowed_networks: vec!["192.0.2.0/24".into(), "somewhere".into()],
            expire_time: Some((SystemTime::now() - Duration::from_mins(1)).into()),
            request_id: "not a uuid".into(),
            ..named("")
        };
        let refused = siege.world.keys().create_api_key(request).await;
        let status = refused.as_ref().unwrap_err();
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad.field_violations.iter().map(|violation| violation.field.as_str()).collect();
        for field in ["display_name", "scopes", "allowed_networks", "expire_time", "request_id"] {
            assert!(fields.iter().any(|found| found.starts_with(field)), "{field} is not in {fields:?}");
        }
        assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        for name in ["a\nb".to_owned(), "a\u{1b}[31m".into(), " ".into(), "x".repeat(101)] {
            let refused = siege.world.keys().create_api_key(named(&name)).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        for unknown in [77, -1, i32::MAX] {
            let refused = CreateApiKeyRequest { kind: unknown, ..named("kind") };
            let refused = siege.world.keys().create_api_key(refused).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        for (seconds, nanos) in [(i64::MIN, 0), (i64::MAX, 0), (0, i32::MIN), (0, i32::MAX), (i64::MIN, i32::MIN)] {
            let expire_time = Some(prost_types::Timestamp { seconds, nanos });
            let request = CreateApiKeyRequest { expire_time, ..named("when") };
            let refused = siege.world.keys().create_api_key(request).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        siege.ends().await;
    }

    async fn malformed_protobuf(database: Database) {
        let siege = Siege::plain(database).await;
        for body in [
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            b"\x0a\x7fshort".to_vec(),
            b"\x0a\x02\xff\xfe".to_vec(),
            b"\x0b\x0b\x0b\x0b".to_vec(),
            b"\x08".to_vec(),
        ] {
            let refused = siege.raw_grpc(CREATE, body).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        siege.ends().await;
    }

    async fn malformed_json(database: Database) {
        let siege = Siege::plain(database).await;
        let deep = format!("{{\"scopes\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            "", "{", "[]", "null", "7", "\"text\"", "{\"display_name\": 7}", "{\"nonsense\": 1}",
            "{\"display_name\": \"a\", \"display_name\": \"b\"}", "{\"display_name\": \"a\"} trailing",
            "{\"display_name\": \"a\", \"rate_limit\": -1}", "{\"display_name\": \"a\", \"kind\": \"API_KEY_KIND_NONE\"}",
            "{\"display_name\": \"a\", \"expire_time\": \"tomorrow\"}", "\u{feff}{}", deep.as_str(),
        ] {
            let answer = siege.post("/v1/api-keys", "application/json", body.to_owned()).await;
            answer.assert_refused(400, "INVALID_ARGUMENT");
        }
        let answer = siege.post("/v1/api-keys", "application/json", &b"{\"display_name\": \"\xff\xfe\"}"[..]).await;
        answer.assert_refused(400, "INVALID_ARGUMENT");
        siege.ends().await;
    }

    async fn more_than_a_request_may_have(database: Database) {
        let siege = Siege::plain(database).await;
        let mut body = b"\x0a\x80\x80\x80\x08".to_vec();
        body.resize(TOO_MUCH, b'x');
        let refused = siege.raw_grpc(CREATE, body.clone()).await;
        assert_refused(refused, Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
        for sent in [declared(&siege.world.owner), chunked(&siege.world.owner)] {
            let answer = exchange(&siege.world.server.api(), &sent).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
            assert!(answer.contains("PAYLOAD_TOO_LARGE"), "{answer}");
        }
        siege.ends().await;
    }

    // A15
    async fn a_method_that_does_not_exist(database: Database) {
        let siege = Siege::plain(database).await;
        for path in [
            "/doorward.v1.KeysService/Nonsense",
            "/doorward.v1.KeysService/createApiKey",
            "/doorward.v1.KeysService/CreateApiKey/",
            "/doorward.v1.KeysService//CreateApiKey",
            "//doorward.v1.KeysService/CreateApiKey",
            "/doorward.v1.KeysService/%43reateApiKey",
            "/doorward.v1.KeysService",
            "/nonsense.v1.Service/Method",
            "/",
        ] {
            let refused = siege.raw_grpc(path, b"\x0a\x01a".to_vec()).await.expect_err(path);
            assert_eq!(refused.code(), Code::Unimplemented, "{path}: {refused:?}");
            let nobody = client::raw(&siege.world.server.api(), &Metadata::none(), path, Vec::new()).await;
            let code = nobody.expect_err(path).code();
            assert!(matches!(code, Code::Unimplemented | Code::Unauthenticated), "{path}: {code:?}");
        }
        for (path, status) in [("/v1/nonsense", 404), ("/v1/api-keys/key_x/y", 404), ("/v1/api-keys%2f", 404)] {
            let answer = siege.post(path, "application/json", "{}").await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            assert!(answer.json()["error"]["code"].is_string(), "{}", answer.text());
        }
        let bearer = bearer(&siege.world.owner);
        let request = rest::request(Method::PUT, "/v1/api-keys", &[("authorization", &bearer)], Bytes::new());
        let answer = rest::send(&siege.world.server.api(), request).await.unwrap();
        assert!(matches!(answer.status, 404 | 405), "{answer:?}");
        siege.ends().await;
    }
}

// A parameter that nothing knows is a mistake that its sender should hear of.
#[tokio::test]
async fn an_unknown_query_parameter() {
    let siege = Siege::plain(Database::sqlite()).await;
    for query in ["nonsense=1", "page_size=many", "page_size=1&page_size=2", "page_size=99999999999"] {
        let bearer = bearer(&siege.world.owner);
        let path = format!("/v1/api-keys?{query}");
        let request = rest::request(Method::GET, &path, &[("authorization", &bearer)], Bytes::new());
        let answer = rest::send(&siege.world.server.api(), request).await.unwrap();
        answer.assert_refused(400, "INVALID_ARGUMENT");
    }
    siege.ends().await;
}

// A body of the wrong kind is not guessed at.
#[tokio::test]
async fn a_content_type_that_is_not_json() {
    let siege = Siege::plain(Database::sqlite()).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let answer = siege.post("/v1/api-keys", kind, "{\"display_name\": \"a\"}").await;
        assert!(matches!(answer.status, 400 | 415), "{kind}: {answer:?}");
    }
    siege.ends().await;
}
