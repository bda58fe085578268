//! What stands between a sender and the back end, besides the key: quotas, shares, routes, meters.
mod cut;
mod meter;
mod quota;
mod refused;
mod routes;
mod share;

use crate::harness::client::{self, Metadata};
use crate::harness::world::{Stranger, named};
use crate::harness::{Settings, World, rest};
use doorward::pb::v1::{ApiKeyKind, CreateApiKeyRequest};
use http::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tempfile::TempDir;
use tonic::Status;

/// The method that takes spans.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Settings with a file of this text, which is there as long as the directory.
fn with_file(text: &str) -> (TempDir, Settings) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("doorward.toml");
    std::fs::write(&file, text).unwrap();
    let settings = Settings::default().set("DOORWARD_CONFIG", file.to_str().unwrap());
    (directory, settings)
}

/// So many spans of this name.
fn spans(name: &str, count: usize) -> Vec<u8> {
    let span = Span { name: name.to_owned(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span; count], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Sends spans over gRPC.
async fn export(world: &World, key: &str, body: Vec<u8>) -> Result<(), Status> {
    client::raw(&world.server.otlp_grpc(), &Metadata::bearer(key), EXPORT, body).await.map(drop)
}

/// Sends a body of protobuf over HTTP.
async fn post(world: &World, key: &str, path: &str, body: Vec<u8>) -> rest::Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-protobuf")];
    let request = rest::request(Method::POST, path, &headers, body.into());
    rest::send(&world.server.otlp_http(), request).await.unwrap()
}

/// An ingest key of another tenant.
async fn ingest_of(world: &World, stranger: &Stranger) -> String {
    let metadata = Metadata::bearer(&world.owner).and("x-tenant-id", &stranger.tenant_id);
    let request = CreateApiKeyRequest { kind: ApiKeyKind::Ingest.into(), ..named("theirs") };
    let made = client::keys(&world.server.api(), metadata).create_api_key(request).await.unwrap();
    made.into_inner().secret
}
