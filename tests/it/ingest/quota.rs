//! Quotas: who is over them is told so before the body is read, in a way that exporters understand.
use super::{export, ingest_of, post, spans, with_file};
use crate::harness::backend::Backend;
use crate::harness::client::assert_refused;
use crate::harness::{Database, World};
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt;

async fn world(quota: &str) -> World {
    // The file is read at the start and not again.
    let (_file, settings) = with_file(quota);
    World::with(Database::sqlite(), settings.set("otlp.backend", "sink")).await
}

// R60: the day is over for one tenant, and waiting does not help; another is none of its business.
#[tokio::test]
async fn a_used_up_day_is_told_without_a_wait() {
    let world = world("[otlp.quota.tenant]\nitems_per_day = 100\n").await;
    let stranger = world.stranger().await;
    let theirs = ingest_of(&world, &stranger).await;
    // More than is left is let in whole, and counted whole.
    export(&world, &world.ingest, spans("many", 250)).await.unwrap();
    let refused = export(&world, &world.ingest, spans("one", 1)).await;
    let status = refused.clone().unwrap_err();
    assert!(status.get_details_retry_info().is_none(), "{status:?}");
    let told = assert_refused(refused, Code::ResourceExhausted, "QUOTA_EXCEEDED");
    assert_eq!(told["quota"], "tenant.items_per_day");
    let answer = post(&world, &world.ingest, "/v1/logs", vec![0xff; 50]).await;
    assert_eq!(answer.status, 429, "the body is not looked at: {answer:?}");
    assert!(!answer.headers.contains_key("retry-after"), "{answer:?}");
    assert_eq!(answer.header("connection"), "close");
    export(&world, &theirs, spans("one", 1)).await.unwrap();
}

// R60: a rate is paid off; the wait is one that exporters without a queue sit out.
#[tokio::test]
async fn a_rate_is_told_with_a_wait_in_every_place() {
    let world = world("[otlp.quota]\nkey.bytes_per_second = 50\ntraces.requests_per_second = 1000\n").await;
    let (_, other) = world.create_ingest().await;
    export(&world, &world.ingest, spans("many", 100)).await.unwrap();
    let refused = export(&world, &world.ingest, spans("one", 1)).await;
    let status = refused.clone().unwrap_err();
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((Duration::from_secs(1)..=Duration::from_secs(3)).contains(&wait), "{wait:?}");
    assert!(status.metadata().contains_key("google.rpc.retryinfo-bin"));
    let told = assert_refused(refused, Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
    assert_eq!(told["quota"], "key.bytes_per_second");
    let answer = post(&world, &world.ingest, "/v1/metrics", Vec::new()).await;
    assert_eq!(answer.status, 429);
    assert!((1..=3).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    export(&world, &other, spans("one", 1)).await.unwrap();
}

// R60: of the exports under way, those that wait for the back end count too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_under_way_than_are_allowed() {
    let backend = Backend::grpc().await;
    let (_file, settings) = with_file("[otlp.quota.traces]\nconcurrent = 1\n");
    let settings = settings.set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
    let world = World::with(Database::sqlite(), settings).await;
    backend.set_held(true);
    let first = export(&world, &world.ingest, spans("first", 1));
    let meanwhile = async {
        while backend.take().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let refused = export(&world, &world.ingest, spans("second", 1)).await;
        let told = assert_refused(refused, Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
        assert_eq!(told["quota"], "traces.concurrent");
        backend.set_held(false);
    };
    let (first, ()) = tokio::join!(first, meanwhile);
    first.unwrap();
    export(&world, &world.ingest, spans("third", 1)).await.unwrap();
    assert_eq!(backend.take().len(), 1);
}
