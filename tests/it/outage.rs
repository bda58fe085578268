//! Without its database the server fails closed: it says that it cannot know, never that a credential is bad, and it
//! comes back by itself.
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::postgres::Postgres;
use crate::harness::proxy::{Mode, Proxy};
use crate::harness::world::named;
use crate::harness::{Database, Settings, World, rest};
use doorward::pb::v1::{ListApiKeysRequest, VerifyCredentialRequest, WhoAmIRequest};
use http::Method;
use serde_json::Value;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// The lease of these tests, and what a busy machine may add.
const LEASE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(1);
/// How long the server may take to serve again once the database is back.
const RECOVERY: Duration = Duration::from_secs(20);

async fn who_am_i(world: &World) -> Result<(), Status> {
    world.authn().who_am_i(WhoAmIRequest {}).await.map(drop)
}

/// Calls until the answer is `UNAVAILABLE`; before that it may only be a success.
async fn becomes_unavailable(world: &World) {
    let start = Instant::now();
    loop {
        let answer = who_am_i(world).await;
        if answer.is_err() {
            assert_refused(answer, Code::Unavailable, "BACKEND_UNAVAILABLE");
            return;
        }
        assert!(start.elapsed() < LEASE + SLACK, "still answered from memory after {:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every kind of call during an outage: nothing is accepted, nothing blames the credential.
async fn fails_closed(world: &World, other_key: &str) {
    for _ in 0..20 {
        assert_refused(who_am_i(world).await, Code::Unavailable, "BACKEND_UNAVAILABLE");
        let unknown = crate::harness::mint::unknown_key("dw_live_");
        for key in [other_key, unknown.as_str()] {
            let refused = world.authn_as(key).who_am_i(WhoAmIRequest {}).await;
            assert_refused(refused, Code::Unavailable, "BACKEND_UNAVAILABLE");
        }
        let question = VerifyCredentialRequest { credential: other_key.to_owned(), ..Default::default() };
        let refused = world.authn().verify_credential(question).await;
        assert_refused(refused, Code::Unavailable, "BACKEND_UNAVAILABLE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = world.keys().create_api_key(named("lost")).await;
    assert_refused(refused, Code::Unavailable, "BACKEND_UNAVAILABLE");
    let answer =
        rest::call(&world.server.api(), &world.owner, Method::GET, "/v1/api-keys", &Value::Null).await;
    answer.assert_refused(503, "BACKEND_UNAVAILABLE");
    assert!((1..=3).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let metadata = Metadata::bearer(&world.ingest);
    let refused = client::raw(&world.server.otlp_grpc(), &metadata, path, Vec::new()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    // What has not the form of a key is known to be none, database or not.
    let refused = world.authn_as("garbage-that-is-no-key").who_am_i(WhoAmIRequest {}).await.unwrap_err();
    assert!(matches!(refused.code(), Code::Unauthenticated | Code::Unavailable), "{refused:?}");
    assert_eq!(rest::get(&world.server.ops(), "/ready").await.unwrap().status, 503);
    assert_eq!(rest::get(&world.server.ops(), "/health").await.unwrap().status, 200);
}

async fn recovers(world: &World, other_key: &str) {
    let start = Instant::now();
    while let Err(status) = who_am_i(world).await {
        assert_refused::<()>(Err(status), Code::Unavailable, "BACKEND_UNAVAILABLE");
        assert!(start.elapsed() < RECOVERY, "no recovery:\n{}", world.server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.authn_as(other_key).who_am_i(WhoAmIRequest {}).await.unwrap();
    let (_, fresh) = world.create_plain().await;
    world.authn_as(&fresh).who_am_i(WhoAmIRequest {}).await.unwrap();
    let names: Vec<_> = world.listing().await.into_iter().map(|key| key.display_name).collect();
    assert!(!names.contains(&"lost".to_owned()), "a write was made that was answered as not made");
    assert_eq!(rest::get(&world.server.ops(), "/ready").await.unwrap().status, 200);
}

fn settings() -> Settings {
    Settings::default().set("otlp.backend", "sink").set("coherence.lease_ms", "2000")
}

// R3, P4: the server of the database is gone, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_stops_answers_within_the_lease() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let database = Database::at_port(postgres.port(), &postgres.fresh_database().await);
    let world = World::with(database, settings()).await;
    let (_, key) = world.create_plain().await;
    tokio::task::block_in_place(|| postgres.stop());
    becomes_unavailable(&world).await;
    fails_closed(&world, &key).await;
    tokio::task::block_in_place(|| postgres.start_again());
    recovers(&world, &key).await;
}

// R3, P4: the network takes everything and gives nothing back, the worst way to lose a database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_stops_answers_within_the_lease() {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    let proxy = Proxy::start(postgres.port()).await;
    let database = Database::at_port(proxy.port(), &postgres.fresh_database().await);
    let world = World::with(database, settings()).await;
    let (_, key) = world.create_plain().await;
    proxy.set(Mode::Hole);
    becomes_unavailable(&world).await;
    fails_closed(&world, &key).await;
    proxy.set(Mode::Pass);
    recovers(&world, &key).await;
}

// A link that is cut and back at once is nobody's business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_for_a_moment_is_not_noticed_by_checks() {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    let proxy = Proxy::start(postgres.port()).await;
    let database = Database::at_port(proxy.port(), &postgres.fresh_database().await);
    let world = World::with(database, settings()).await;
    for _ in 0..3 {
        proxy.set(Mode::Cut);
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.set(Mode::Pass);
        let end = Instant::now() + LEASE + SLACK;
        while Instant::now() < end {
            who_am_i(&world).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        world.keys().list_api_keys(ListApiKeysRequest::default()).await.unwrap();
    }
}
