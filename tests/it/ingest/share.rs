//! The bytes in flight are shared: whoever fills its part leaves the rest to others.
use super::{ingest_of, post, spans};
use crate::harness::{Database, Settings, World};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Begins a request, sends `sent` bytes of its body and keeps the last one back.
async fn stall(world: &World, key: &str, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.server.otlp_http()).await.unwrap();
    let length = sent + 1;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Whoever is refused at once may be gone already.
    let _sent = stream.write_all(&vec![0; sent]).await;
    stream
}

/// The status that a stalled request got, if it was refused; else it holds what it sent.
async fn refused(stream: &mut TcpStream) -> Option<String> {
    let mut answer = vec![0; 2_000];
    let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut answer)).await.ok()?;
    Some(String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned())
}

// R60, A56: one tenant stalls as many uploads as it can; another still gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hog_does_not_starve_the_meek() {
    let settings = Settings::default()
        .set("otlp.backend", "sink")
        .set("otlp.max_body_bytes", "100000")
        .set("otlp.max_in_flight_bytes", "500000");
    let world = World::with(Database::sqlite(), settings).await;
    let stranger = world.stranger().await;
    let meek = ingest_of(&world, &stranger).await;
    let mut hogs = Vec::new();
    for size in [90_000; 7].into_iter().chain([9_000; 8]).chain([900; 10]) {
        hogs.push(stall(&world, &world.ingest, size).await);
    }
    let mut answers = Vec::new();
    for hog in &mut hogs {
        answers.extend(refused(hog).await);
    }
    assert!(!answers.is_empty(), "nobody was refused: the test does not fill what it means to fill");
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 429")), "{answers:?}");
    for _ in 0..5 {
        let answer = post(&world, &meek, "/v1/traces", spans(&"x".repeat(1_500), 1)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drop(hogs);
    // What the hog held comes back when its connections are seen to be gone.
    for _ in 0..200 {
        if post(&world, &world.ingest, "/v1/traces", spans("x", 3_000)).await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("what was held does not come back");
}
