//! A sender that is refused while it still writes hears why, and not that its connection broke.
use super::spans;
use crate::harness::{Database, Settings, World};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Six times what one request may have.
const LENGTH: usize = 6 << 20;

/// Sends a body as exporters do that read nothing before all is written, and returns what is answered.
fn sent(world: &World, key: &str, length: usize) -> String {
    let host = world.server.otlp_http();
    let mut stream = TcpStream::connect(&host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = vec![0; 64 << 10];
    for _ in 0..length / chunk.len() {
        stream.write_all(&chunk).expect("it is written while the refusal is under way");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is no broken connection");
    answer
}

// R60
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_still_writes_hears_the_refusal() {
    let settings = Settings::default()
        .set("otlp.backend", "sink")
        .set("otlp.max_body_bytes", "1048576")
        .set("otlp.max_in_flight_bytes", "8388608");
    let world = World::with(Database::sqlite(), settings).await;
    for (key, status) in [(world.ingest.as_str(), "413"), ("no-key", "401")] {
        let answer = tokio::task::block_in_place(|| sent(&world, key, LENGTH));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    super::export(&world, &world.ingest, spans("one", 1)).await.unwrap();
}

// Nobody is listened to for long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_sender_that_never_ends_is_let_go() {
    let settings = Settings::default().set("otlp.backend", "sink");
    let world = World::with(Database::sqlite(), settings).await;
    let mut stream = TcpStream::connect(world.server.otlp_http()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let begun = Instant::now();
    let mut answer = String::new();
    tokio::task::block_in_place(|| stream.read_to_string(&mut answer)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(15), "it was held for {:?}", begun.elapsed());
}
