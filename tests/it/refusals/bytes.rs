//! What is no request at all, or far too much of one.
use super::Siege;
use crate::harness::client::{self, Metadata};
use crate::harness::{Database, rest};
use bytes::Bytes;
use doorward::pb::v1::ListApiKeysRequest;
use http::Method;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HUGE: usize = 1 << 20;

impl Siege {
    /// Every port that takes bytes from anybody.
    fn doors(&self) -> [String; 4] {
        let server = &self.world.server;
        [server.api(), server.otlp_grpc(), server.otlp_http(), server.ops()]
    }
}

// A header of 1 MiB, by HTTP/2 and HTTP/1.1, at every door.
#[tokio::test]
async fn a_huge_header() {
    let siege = Siege::plain(Database::sqlite()).await;
    let huge = "x".repeat(HUGE);
    for name in ["authorization", "x-api-key", "x-correlation-id", "x-anything"] {
        let metadata = Metadata::none().and(name, &huge);
        for (address, path) in [
            (siege.world.server.api(), "/doorward.v1.KeysService/ListApiKeys"),
            (siege.world.server.otlp_grpc(), super::EXPORT),
        ] {
            assert!(client::raw(&address, &metadata, path, Vec::new()).await.is_err(), "{name}");
        }
        for address in siege.doors() {
            let request = rest::request(Method::GET, "/v1/auth/me", &[(name, &huge)], Bytes::new());
            match rest::send(&address, request).await {
                Ok(answer) => assert!((400..500).contains(&answer.status), "{name}: {answer:?}"),
                Err(closed) => assert!(!closed.to_string().contains("elapsed"), "{name}: no answer in time"),
            }
        }
    }
    siege.ends().await;
}

// Bytes that are no HTTP, and connections that say nothing or end half-way.
#[tokio::test]
async fn bytes_that_are_no_request() {
    let siege = Siege::plain(Database::sqlite()).await;
    let mut silent = Vec::new();
    for address in siege.doors() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"\x00\x00\x00\x00\x00\x00\x00\x00",
            b"GET",
            b"GET / HTTP/9.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"POST /v1/api-keys HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST /v1/api-keys HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n",
            b"GET /\x00\x01 HTTP/1.1\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut answer)).await;
            assert!(!answer.starts_with(b"HTTP/1.1 2"), "{:?}", String::from_utf8_lossy(&answer));
        }
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    siege.world.keys().list_api_keys(ListApiKeysRequest::default()).await.unwrap();
    siege.ends().await;
}

// Many at once, each with another wrong key: nobody else waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_keys() {
    let siege = Siege::plain(Database::sqlite()).await;
    let address = siege.world.server.api();
    let flood = (0..8).map(|_| {
        let address = address.clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                let key = crate::harness::mint::unknown_key("dw_live_");
                let refused = client::keys(&address, Metadata::bearer(&key))
                    .list_api_keys(ListApiKeysRequest::default())
                    .await;
                assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
            }
        })
    });
    let flood: Vec<_> = flood.collect();
    for _ in 0..20 {
        let mut keys = siege.world.keys();
        let call = keys.list_api_keys(ListApiKeysRequest::default());
        tokio::time::timeout(Duration::from_secs(5), call).await.expect("an honest call waits").unwrap();
    }
    for part in flood {
        part.await.unwrap();
    }
    siege.ends().await;
}
