//! Lab mode: for trying out what stands behind, without keys; loud, on this machine alone, and never beside keys.
use crate::harness::backend::{Arrival, Backend};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::server::{Ports, Server, doorward, run};
use crate::harness::{Database, Settings, World, rest};
use http::Method;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::json;
use tonic::Code;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A lab before this back end.
async fn lab(backend: &Backend, arguments: &[&str]) -> Server {
    let settings =
        Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
    for _ in 0..3 {
        let mut command = doorward();
        command.arg("lab").args(arguments);
        let mut server = Server::spawn(command, &settings, Ports::free());
        if server.says_ready().await {
            return server;
        }
        assert!(server.log().to_lowercase().contains("in use"), "{}", server.log());
    }
    panic!("no port was free in three tries");
}

/// What a lab prints that must not start with this setting.
async fn refusal_to_start(name: &str, value: &str) -> String {
    let mut command = doorward();
    command.arg("lab").env("DOORWARD_API__DANGER_ALLOW_PLAINTEXT", "true").env(name, value);
    let printed = run(command).await;
    assert_ne!(printed.code, Some(0));
    printed.err
}

/// One span of this name under a resource that names this tenant.
fn group(tenant: Option<&str>, name: &str) -> ResourceSpans {
    let pair = |tenant: &str| {
        let value = Some(AnyValue { value: Some(Any::StringValue(tenant.into())) });
        KeyValue { key: "tenant.id".into(), value, ..Default::default() }
    };
    let resource =
        Some(Resource { attributes: tenant.map(pair).into_iter().collect(), ..Default::default() });
    let spans = vec![Span { name: name.into(), ..Default::default() }];
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ResourceSpans { resource, scope_spans, ..Default::default() }
}

fn request(groups: Vec<ResourceSpans>) -> Vec<u8> {
    ExportTraceServiceRequest { resource_spans: groups }.encode_to_vec()
}

/// Under which tenant it arrived, by every way that back ends look at.
fn tenant_of(arrival: &Arrival) -> String {
    let by_header = arrival.header("x-scope-orgid");
    assert_eq!(by_header, arrival.header("x-tenant-id"));
    assert!(arrival.attribute("tenant.id").iter().all(|tenant| tenant == by_header[0]), "{by_header:?}");
    assert!(!arrival.attribute("tenant.id").is_empty());
    by_header[0].to_owned()
}

// R61
#[tokio::test]
async fn each_resource_is_whose_it_says_and_every_answer_says_so() {
    let backend = Backend::grpc().await;
    let lab = lab(&backend, &["--default-tenant", "nobody"]).await;
    let body = request(vec![group(Some("acme"), "one"), group(None, "two"), group(Some("acme"), "three")]);
    let answer = client::raw(&lab.otlp_grpc(), &Metadata::none(), EXPORT, body).await.unwrap();
    let told = ExportTraceServiceResponse::decode(answer.into_inner().as_slice()).unwrap();
    let told = told.partial_success.unwrap();
    assert!(told.rejected_spans == 0 && told.error_message.contains("LAB MODE"), "{told:?}");

    let mut arrived = backend.take();
    arrived.sort_by_key(tenant_of);
    assert_eq!(arrived.iter().map(tenant_of).collect::<Vec<_>>(), ["acme", "nobody"]);
    assert!(arrived[0].contains("one") && arrived[0].contains("three") && !arrived[0].contains("two"));
    assert!(arrived[1].contains("two"));

    let body = json!({"resourceSpans": [{"resource": {"attributes": [
        {"key": "tenant.id", "value": {"stringValue": "umbrella"}}
    ]}, "scopeSpans": [{"spans": [{"name": "json"}]}]}]});
    let headers = [("content-type", "application/json"), ("x-tenant-id", "by-header")];
    let post = rest::request(Method::POST, "/v1/traces", &headers, body.to_string().into());
    let answer = rest::send(&lab.otlp_http(), post).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.json()["partialSuccess"]["errorMessage"].as_str().unwrap().contains("LAB MODE"));
    assert_eq!(tenant_of(&backend.take()[0]), "umbrella");

    let metrics = rest::get(&lab.ops(), "/metrics").await.unwrap().text();
    assert!(metrics.contains("doorward_otlp_lab 1\n"), "{metrics}");
    assert!(
        metrics.contains("doorward_otlp_requests_total{outcome=\"lab\",signal=\"traces\"} 2\n"),
        "{metrics}"
    );
    let log = lab.stop().await;
    assert!(log.contains("LAB MODE: no keys are asked for"), "{log}");
}

// R61: a name that a back end would take for something else changes nothing.
#[tokio::test]
async fn what_is_no_tenants_name_is_refused() {
    let backend = Backend::grpc().await;
    let lab = lab(&backend, &[]).await;
    for name in ["", "a b", "../other", "a\r\nx-scope-orgid: b"] {
        let body = request(vec![group(None, "good"), group(Some(name), "bad")]);
        let answer = client::raw(&lab.otlp_grpc(), &Metadata::none(), EXPORT, body).await;
        assert_refused(answer, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    assert!(backend.take().is_empty());
}

// R61: nobody takes it for a server that looks at keys, and nobody from elsewhere gets in.
#[tokio::test]
async fn keys_and_proxies_are_refused() {
    let backend = Backend::grpc().await;
    let lab = lab(&backend, &[]).await;
    let cases = [
        ("authorization", "Bearer dw_live_whatever", 400),
        ("authorization", "Basic dXNlcjprZXk=", 400),
        ("x-api-key", "whatever", 400),
        ("x-honeycomb-team", "whatever", 400),
        ("x-master-key", "whatever", 400),
        ("x-forwarded-for", "127.0.0.1", 403),
        ("forwarded", "for=127.0.0.1", 403),
        ("via", "1.1 proxy", 403),
    ];
    for (name, value, status) in cases {
        let headers = [("content-type", "application/x-protobuf"), (name, value)];
        let body = request(vec![group(Some("acme"), "one")]);
        let post = rest::request(Method::POST, "/v1/traces", &headers, body.clone().into());
        let answer = rest::send(&lab.otlp_http(), post).await.unwrap();
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert!(answer.text().contains("lab") && !answer.text().contains("whatever"), "{}", answer.text());
        let over_grpc = client::raw(&lab.otlp_grpc(), &Metadata::none().and(name, value), EXPORT, body).await;
        let code = if status == 400 { Code::InvalidArgument } else { Code::PermissionDenied };
        assert_eq!(over_grpc.unwrap_err().code(), code, "{name}");
    }
    assert!(backend.take().is_empty());
}

// R61
#[tokio::test]
async fn it_does_not_start_beside_keys_or_where_others_reach_it() {
    for (name, value, why) in [
        ("DOORWARD_DATABASE_URL", "sqlite:///tmp/never-made-by-a-lab.db", "server with keys"),
        ("DOORWARD_KEYS__PEPPER", "0123456789012345678901234567890123456789", "server with keys"),
        ("DOORWARD_OTLP__GRPC_LISTEN", "0.0.0.0:0", "this machine alone"),
        ("DOORWARD_OTLP__HTTP_LISTEN", "[::]:0", "this machine alone"),
        ("DOORWARD_OPS__LISTEN", "0.0.0.0:0", "this machine alone"),
    ] {
        let told = refusal_to_start(name, value).await;
        assert!(told.contains(why), "{name}: {told}");
    }
    assert!(!std::path::Path::new("/tmp/never-made-by-a-lab.db").exists());
    let mut command = doorward();
    command.args(["lab", "--default-tenant", "../other"]);
    let printed = run(command).await;
    assert!(printed.code == Some(2) && printed.err.contains("a tenant's name must have"), "{}", printed.err);
}

// R60, R61: where there are keys there is no lab.
#[tokio::test]
async fn a_server_with_keys_has_no_lab_in_it() {
    let backend = Backend::grpc().await;
    let settings =
        Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
    let world = World::with(Database::sqlite(), settings).await;
    let body = request(vec![group(Some("acme"), "one")]);
    let refused = client::raw(&world.server.otlp_grpc(), &Metadata::none(), EXPORT, body.clone()).await;
    assert_refused(refused, Code::Unauthenticated, "CREDENTIALS_MISSING");
    client::raw(&world.server.otlp_grpc(), &Metadata::bearer(&world.ingest), EXPORT, body).await.unwrap();
    assert_eq!(tenant_of(&backend.take()[0]), world.tenant_id);
    let metrics = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
    assert!(metrics.contains("doorward_otlp_lab 0\n"), "{metrics}");
}
