//! Telemetry from the real SDK: under the key's tenant, under no other, and only while the key is good.
use crate::harness::backend::Backend;
use crate::harness::client::{self, Metadata};
use crate::harness::python::Python;
use crate::harness::{Database, Settings, World, on_both, rest};
use bytes::Bytes;
use doorward::pb::v1::RevokeApiKeyRequest;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;
use tonic::Code;

/// Every tenant that a client claims is called this; nothing of the kind may arrive.
const SPOOFED: &str = "spoofed-by-the-client";
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A world that forwards to a back end of the test's own.
async fn world(database: Database) -> (World, Backend) {
    let backend = Backend::grpc().await;
    let settings =
        Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
    (World::with(database, settings).await, backend)
}

fn order(world: &World, protocol: &str, signal: &str, key: &str) -> Value {
    let server = &world.server;
    let address = if protocol == "grpc" { server.otlp_grpc() } else { server.otlp_http() };
    json!({
        "protocol": protocol, "signal": signal, "endpoint": format!("http://{address}"), "key": key,
        "marker": format!("marker-{protocol}-{signal}"),
        "headers": {"x-tenant-id": SPOOFED, "x-scope-orgid": SPOOFED},
        "attributes": {"service.name": "checkout", "tenant.id": SPOOFED, "tenant_id": SPOOFED, "Tenant.Id": SPOOFED},
    })
}

fn every_way() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["grpc", "http"]
        .into_iter()
        .flat_map(|protocol| ["traces", "metrics", "logs"].map(|signal| (protocol, signal)))
}

fn pair(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

/// One span named `marker`, its resource having these attributes.
fn span(marker: &str, attributes: Vec<KeyValue>) -> Vec<u8> {
    let span = Span { name: marker.to_owned(), attributes: attributes.clone(), ..Default::default() };
    let resource = Some(Resource { attributes, ..Default::default() });
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

async fn post(
    world: &World,
    key: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> rest::Answer {
    let bearer = format!("Bearer {key}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    rest::send(&world.server.otlp_http(), rest::request(Method::POST, path, &all, body.into())).await.unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

on_both! {
    // R6, R60: through the SDK, by both protocols, every signal.
    async fn telemetry_arrives_under_the_tenant_of_its_key_and_no_other(database: Database) {
        let (world, backend) = world(database).await;
        let mut python = Python::start("export.py").await;
        for (protocol, signal) in every_way() {
            let answer = python.ask(&order(&world, protocol, signal, &world.ingest));
            assert_eq!(answer["acknowledged"], true, "{protocol} {signal}: {answer}");
            let arrivals = backend.take();
            assert_eq!(arrivals.len(), 1, "{protocol} {signal}");
            let arrival = &arrivals[0];
            assert_eq!(arrival.signal, signal);
            assert_eq!(arrival.attribute("tenant.id"), [world.tenant_id.as_str()]);
            assert_eq!(arrival.attribute("service.name"), ["checkout"]);
            assert_eq!(arrival.header("x-tenant-id"), [world.tenant_id.as_str()]);
            assert_eq!(arrival.header("x-scope-orgid"), [world.tenant_id.as_str()]);
            assert!(arrival.contains(&format!("marker-{protocol}-{signal}")));
            assert!(!arrival.contains(SPOOFED), "{protocol} {signal}: {:?}", arrival.resources);
            assert!(!arrival.contains(&world.ingest), "the key went on to the back end");
        }
    }

    // R15, R60
    async fn after_a_revocation_the_very_next_export_is_refused(database: Database) {
        let (world, backend) = world(database).await;
        let mut python = Python::start("export.py").await;
        for (protocol, signal) in every_way() {
            let (key, secret) = world.create_ingest().await;
            let order = order(&world, protocol, signal, &secret);
            let before = python.ask(&order);
            assert_eq!((&before["acknowledged"], backend.take().len()), (&json!(true), 1), "{before}");
            world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id }).await.unwrap();
            let after = python.ask(&order);
            assert_eq!((&after["acknowledged"], backend.take().len()), (&json!(false), 0), "{after}");
        }
        let log = world.server.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    // R60: of two tenants at once, each has its own.
    async fn two_tenants_never_mix(database: Database) {
        let (world, backend) = world(database).await;
        let stranger = world.stranger().await;
        let metadata = Metadata::bearer(&world.owner).and("x-tenant-id", &stranger.tenant_id);
        let request = doorward::pb::v1::CreateApiKeyRequest {
            kind: doorward::pb::v1::ApiKeyKind::Ingest.into(),
            ..crate::harness::world::named("theirs")
        };
        let made = client::keys(&world.server.api(), metadata).create_api_key(request).await.unwrap();
        let theirs = made.into_inner().secret;
        let sends = (0..20).map(|number| {
            let (key, owner) = if number % 2 == 0 { (&world.ingest, "acme") } else { (&theirs, "umbrella") };
            let body = span(&format!("of-{owner}"), vec![pair("tenant.id", SPOOFED)]);
            let (address, metadata) = (world.server.otlp_grpc(), Metadata::bearer(key));
            async move { client::raw(&address, &metadata, EXPORT, body).await }
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.unwrap();
        }
        let arrivals = backend.take();
        assert!(!arrivals.is_empty());
        for arrival in arrivals {
            let ours = arrival.contains("of-acme");
            assert_ne!(ours, arrival.contains("of-umbrella"), "two tenants in one request");
            let tenant = if ours { &world.tenant_id } else { &stranger.tenant_id };
            assert!(arrival.attribute("tenant.id").iter().all(|found| found == tenant));
            assert_eq!(arrival.header("x-tenant-id"), [tenant.as_str()]);
            assert!(!arrival.contains(SPOOFED));
        }
    }
}

// R60: acknowledged only when the back end has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_back_end_is_down_nothing_is_acknowledged() {
    let (world, backend) = world(Database::sqlite()).await;
    let mut python = Python::start("export.py").await;
    backend.set_down(true);
    for (protocol, signal) in [("grpc", "traces"), ("http", "logs")] {
        let answer = python.ask(&order(&world, protocol, signal, &world.ingest));
        assert_eq!(answer["acknowledged"], false, "{answer}");
    }
    let metadata = Metadata::bearer(&world.ingest);
    let refused = client::raw(&world.server.otlp_grpc(), &metadata, EXPORT, span("lost", vec![])).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    let headers = [("content-type", "application/x-protobuf")];
    let answer = post(&world, &world.ingest, "/v1/traces", &headers, span("lost", vec![])).await;
    assert_eq!(answer.status, 503);
    assert!((1..=3).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
    backend.set_down(false);
    assert!(backend.take().is_empty());
    let answer = python.ask(&order(&world, "grpc", "traces", &world.ingest));
    assert_eq!((&answer["acknowledged"], backend.take().len()), (&json!(true), 1), "{answer}");
}

// R60: no back end at all, nothing listens there.
#[tokio::test]
async fn a_back_end_that_is_not_there_is_an_outage_and_not_a_bad_key() {
    let nobody = format!("http://127.0.0.1:{}", crate::harness::ports::free());
    let settings = Settings::default().set("otlp.backend", nobody);
    let world = World::with(Database::sqlite(), settings).await;
    let metadata = Metadata::bearer(&world.ingest);
    let refused = client::raw(&world.server.otlp_grpc(), &metadata, EXPORT, span("lost", vec![])).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
}

// R60: a back end that speaks OTLP over HTTP gets the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_over_http_gets_the_same() {
    let backend = Backend::http().await;
    let settings =
        Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "http");
    let world = World::with(Database::sqlite(), settings).await;
    let mut python = Python::start("export.py").await;
    for (protocol, signal) in every_way() {
        let answer = python.ask(&order(&world, protocol, signal, &world.ingest));
        assert_eq!(answer["acknowledged"], true, "{protocol} {signal}: {answer}");
        let arrivals = backend.take();
        assert_eq!((arrivals.len(), arrivals[0].signal), (1, signal));
        assert_eq!(arrivals[0].attribute("tenant.id"), [world.tenant_id.as_str()]);
        assert_eq!(arrivals[0].header("x-tenant-id"), [world.tenant_id.as_str()]);
        assert!(!arrivals[0].contains(SPOOFED) && !arrivals[0].contains(&world.ingest));
    }
    backend.set_down(true);
    let answer = python.ask(&order(&world, "grpc", "traces", &world.ingest));
    assert_eq!(answer["acknowledged"], false, "{answer}");
}

// R60: a tenant's name hidden in other places than the resource, and in a resource that comes in two parts.
#[tokio::test]
async fn a_tenant_in_disguise_is_stripped_too() {
    let (world, backend) = world(Database::sqlite()).await;
    let twice = vec![pair("tenant.id", SPOOFED), pair("kept", "kept-value"), pair("tenant.id", SPOOFED)];
    // Two resources in one ResourceSpans merge when they are decoded.
    let second = Resource { attributes: vec![pair("tenant.id", SPOOFED)], ..Default::default() };
    let second = ResourceSpans { resource: Some(second), ..Default::default() }.encode_to_vec();
    let request = ExportTraceServiceRequest::decode(&*span("disguised", twice)).unwrap();
    let mut inner = request.resource_spans[0].encode_to_vec();
    inner.extend(second);
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(inner.len() as u64, &mut body);
    body.extend(inner);
    let metadata = Metadata::bearer(&world.ingest);
    client::raw(&world.server.otlp_grpc(), &metadata, EXPORT, body).await.unwrap();
    let arrivals = backend.take();
    assert_eq!(arrivals[0].attribute("tenant.id"), [world.tenant_id.as_str()]);
    assert_eq!(arrivals[0].attribute("kept"), ["kept-value"]);
    assert!(arrivals[0].contains("disguised"));
    assert!(!arrivals[0].contains(SPOOFED), "{:?}", arrivals[0].resources);
}

// R60: what cannot be taken is refused in the protocol's own way, and forwards nothing.
#[tokio::test]
async fn ingest_refuses_what_it_cannot_read() {
    let (world, backend) = world(Database::sqlite()).await;
    let key = world.ingest.clone();
    let protobuf = ("content-type", "application/x-protobuf");
    let zipped = [protobuf, ("content-encoding", "gzip")];
    let bomb = gzip(&vec![0; 128 << 20]);
    for (what, path, headers, body, status) in [
        ("garbage", "/v1/traces", &[protobuf][..], b"\xff\xff\xff\xff".to_vec(), 400),
        ("truncated", "/v1/traces", &[protobuf], span("x", vec![])[..8].to_vec(), 400),
        ("no gzip", "/v1/logs", &zipped, b"plain".to_vec(), 400),
        ("a bomb", "/v1/traces", &zipped, bomb, 413),
        ("unknown encoding", "/v1/traces", &[protobuf, ("content-encoding", "br")], span("x", vec![]), 415),
        ("unknown type", "/v1/traces", &[("content-type", "text/plain")], span("x", vec![]), 415),
        ("unknown signal", "/v1/nonsense", &[protobuf], span("x", vec![]), 404),
    ] {
        let answer = post(&world, &key, path, headers, body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
    let get = rest::request(Method::GET, "/v1/traces", &[("x-api-key", &key)], Bytes::new());
    assert_eq!(rest::send(&world.server.otlp_http(), get).await.unwrap().status, 405);
    let metadata = Metadata::bearer(&key);
    let refused =
        client::raw(&world.server.otlp_grpc(), &metadata, EXPORT, b"\xff\xff\xff\xff".to_vec()).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let unknown =
        client::raw(&world.server.otlp_grpc(), &metadata, "/nonsense.Service/Method", Vec::new()).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
    assert!(backend.take().is_empty());
    let answer = post(&world, &key, "/v1/traces", &zipped, gzip(&span("whole", vec![]))).await;
    assert_eq!((answer.status, backend.take().len()), (200, 1), "{answer:?}");
}

// The sink of `dev` says who sent what.
#[tokio::test]
async fn the_sink_prints_a_line_for_each_batch() {
    let world = World::start(Database::sqlite()).await;
    let metadata = Metadata::bearer(&world.ingest);
    client::raw(&world.server.otlp_grpc(), &metadata, EXPORT, span("one", vec![])).await.unwrap();
    let line = line_with(&world, "traces").await;
    assert!(line.contains("acme") || line.contains(&world.tenant_id), "{line}");
    assert!(line.contains('1'), "{line}");
}

/// The first line that the server prints with this word; it may still be on its way.
async fn line_with(world: &World, word: &str) -> String {
    for _ in 0..200 {
        if let Some(line) = world.server.log().lines().find(|line| line.contains(word)) {
            return line.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no line with {word}:\n{}", world.server.log());
}
