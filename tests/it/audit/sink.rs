//! Entries go on to a sink, and a sink that is stuck holds nobody up.
use crate::harness::{Database, Settings, World};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_log_lines_where_that_is_set() {
    let world = World::with(Database::sqlite(), Settings::default().set("audit.sink", "log")).await;
    let (key, _) = world.create_plain().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let line = loop {
        let log = world.server.log();
        if let Some(line) = log.lines().find(|line| line.contains("audit entry") && line.contains(&key.id)) {
            break line.to_owned();
        }
        assert!(Instant::now() < deadline, "there is no such line: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(line.contains("key.created") && !line.contains("127.0.0.1") && !line.contains("plain"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_never_answers_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // It takes connections and says nothing.
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let sink = format!("http://{address}/otlp");
    let world = World::with(Database::sqlite(), Settings::default().set("audit.sink", sink)).await;
    for _ in 0..50 {
        let begun = Instant::now();
        world.create_plain().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "a write waited for the sink");
    }
    assert_eq!(world.events_of("key.created").await.len(), 50);
}
