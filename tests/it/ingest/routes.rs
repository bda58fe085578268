//! Routes: a tenant's telemetry goes where its route says, let in by the route's headers; mirrors change nothing.
use super::{export, ingest_of, post, spans, with_file};
use crate::harness::backend::{Arrival, Backend};
use crate::harness::{Database, World, rest};
use std::time::Duration;

async fn next(backend: &Backend) -> Arrival {
    for _ in 0..1_000 {
        if let Some(arrival) = backend.take().pop() {
            return arrival;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing arrives");
}

/// Waits until this many copies have ended so.
async fn mirrored(world: &World, outcome: &str, count: u32) {
    let line = format!("doorward_otlp_mirrored_total{{outcome=\"{outcome}\"}} {count}\n");
    for _ in 0..1_000 {
        if rest::get(&world.server.ops(), "/metrics").await.unwrap().text().contains(&line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never tells {line}");
}

// R60
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tenants_telemetry_goes_where_its_route_says() {
    let (common, own) = (Backend::grpc().await, Backend::http().await);
    let (file, settings) = with_file(&format!(
        "[otlp]\nbackend = \"{}\"\nbackend_protocol = \"grpc\"\n\
         [[otlp.routes]]\ntenant = \"umbrella\"\nurl = \"{}\"\nprotocol = \"http\"\n\
         headers.authorization = \"env:THEIR_TOKEN\"\nheaders.x-env = \"prod\"\n",
        common.url(),
        own.url(),
    ));
    let settings = settings.set("THEIR_TOKEN", "Bearer of-the-back-end");
    let world = World::with(Database::sqlite(), settings).await;
    let stranger = world.stranger().await;
    let theirs = ingest_of(&world, &stranger).await;
    export(&world, &world.ingest, spans("ours", 1)).await.unwrap();
    export(&world, &theirs, spans("theirs", 1)).await.unwrap();
    let (at_common, at_own) = (common.take(), own.take());
    assert_eq!((at_common.len(), at_own.len()), (1, 1));
    assert!(at_common[0].contains("ours") && at_common[0].header("authorization").is_empty());
    assert!(at_own[0].contains("theirs"));
    assert_eq!(at_own[0].header("authorization"), ["Bearer of-the-back-end"]);
    assert_eq!(at_own[0].header("x-env"), ["prod"]);
    assert_eq!(at_own[0].header("x-tenant-id"), [stranger.tenant_id.as_str()]);
    // The answer is that of the tenant's own back end.
    own.set_down(true);
    assert_eq!(post(&world, &theirs, "/v1/traces", spans("theirs", 1)).await.status, 503);
    assert_eq!(post(&world, &world.ingest, "/v1/traces", spans("ours", 1)).await.status, 200);
    drop(file);
}

// R60: whatever a mirror does, the answer is that of the back end, and comes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_gets_a_copy_and_has_no_say() {
    let (backend, mirror) = (Backend::grpc().await, Backend::grpc().await);
    let (file, settings) = with_file(&format!(
        "[otlp]\nbackend = \"{}\"\nbackend_protocol = \"grpc\"\n\
         [[otlp.routes]]\ntenant = \"*\"\nurl = \"{}\"\nprotocol = \"grpc\"\nmirror = true\n",
        backend.url(),
        mirror.url(),
    ));
    let world = World::with(Database::sqlite(), settings).await;
    export(&world, &world.ingest, spans("both", 1)).await.unwrap();
    let copy = next(&mirror).await;
    assert!(copy.contains("both"));
    assert_eq!(copy.attribute("tenant.id"), backend.take()[0].attribute("tenant.id"));
    assert_eq!(copy.header("x-scope-orgid"), [world.tenant_id.as_str()]);

    mirror.set_down(true);
    export(&world, &world.ingest, spans("one", 1)).await.unwrap();
    // The copy comes after the answer: only its count tells that the mirror has refused it.
    mirrored(&world, "failed", 1).await;
    mirror.set_down(false);
    mirror.set_held(true);
    let answered =
        tokio::time::timeout(Duration::from_secs(5), export(&world, &world.ingest, spans("two", 1)));
    answered.await.expect("it waits for the mirror").unwrap();
    assert_eq!(backend.take().len(), 2);

    // What the back end does not take is not copied.
    mirror.set_held(false);
    mirrored(&world, "sent", 2).await;
    backend.set_down(true);
    export(&world, &world.ingest, spans("lost", 1)).await.unwrap_err();
    backend.set_down(false);
    export(&world, &world.ingest, spans("last", 1)).await.unwrap();
    mirrored(&world, "sent", 3).await;
    let copies = mirror.take();
    assert!(copies.iter().any(|copy| copy.contains("last")));
    assert!(!copies.iter().any(|copy| copy.contains("lost")));
    mirrored(&world, "failed", 1).await;
    drop(file);
}

// R60
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_cannot_be_used_is_told_before_anything_starts() {
    let (_file, settings) = with_file(
        "[otlp]\nbackend = \"sink\"\n[[otlp.routes]]\ntenant = \"acme\"\nurl = \"https://otlp.example.com\"\n\
         ca_file = \"/no/such/authority.pem\"\nheaders.x-tenant-id = \"other\"\n",
    );
    let database = Database::sqlite();
    let mut command = crate::harness::server::doorward();
    command.arg("serve").env("DOORWARD_DATABASE_URL", database.url());
    let started = crate::harness::Server::start(command, &settings).await;
    let log = started.err().expect("it starts");
    assert!(log.contains("/no/such/authority.pem") && log.contains("otlp.routes[0].headers"), "{log}");
}
