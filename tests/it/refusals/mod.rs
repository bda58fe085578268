//! Bad input: what is refused at every door, by which status and reason, with nothing written, nothing echoed and
//! the server still there.

mod bytes;
mod credentials;
mod requests;
mod rights;

use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::rest::{self, Answer};
use crate::harness::{Database, World};
use ::bytes::Bytes;
use doorward::pb::v1::{ApiKey, ListApiKeysRequest};
use http::Method;
use prost::Message;
use std::collections::HashMap;
use tonic::Code;

/// The method that an exporter of traces calls.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A world, what was in it before, and what must be found nowhere afterwards.
struct Siege {
    world: World,
    before: Vec<ApiKey>,
    secrets: Vec<String>,
}

/// A refusal by code, HTTP status and reason.
#[derive(Clone, Copy)]
struct Refusal(Code, u16, &'static str);

const INVALID_API_KEY: Refusal = Refusal(Code::Unauthenticated, 401, "INVALID_API_KEY");
const AMBIGUOUS: Refusal = Refusal(Code::Unauthenticated, 401, "AMBIGUOUS_CREDENTIALS");

impl Siege {
    /// Begins once the world is prepared; whatever is refused from here on changes nothing.
    async fn of(world: World) -> Self {
        let before = world.listing().await;
        Self { world, before, secrets: Vec::new() }
    }

    async fn plain(database: Database) -> Self {
        Self::of(World::start(database).await).await
    }

    /// Sends the same headers to every door and expects the same refusal.
    async fn refused_everywhere(&mut self, headers: &[(&str, &str)], refusal: Refusal) {
        self.refused_by_grpc(headers, refusal).await;
        self.refused_by_rest(headers, refusal).await;
        self.refused_by_ingest(headers, refusal).await;
    }

    async fn refused_by_grpc(
        &mut self,
        headers: &[(&str, &str)],
        refusal: Refusal,
    ) -> HashMap<String, String> {
        self.remember(headers);
        let mut keys = client::keys(&self.world.server.api(), metadata(headers));
        let result = keys.list_api_keys(ListApiKeysRequest::default()).await;
        self.not_echoed(&format!("{result:?}"));
        assert_refused(result, refusal.0, refusal.2)
    }

    async fn refused_by_rest(&mut self, headers: &[(&str, &str)], refusal: Refusal) -> Answer {
        self.remember(headers);
        let request = rest::request(Method::GET, "/v1/api-keys", headers, Bytes::new());
        let answer = rest::send(&self.world.server.api(), request).await.unwrap();
        self.not_echoed(&format!("{answer:?}"));
        answer.assert_refused(refusal.1, refusal.2);
        answer
    }

    async fn refused_by_ingest(&mut self, headers: &[(&str, &str)], refusal: Refusal) {
        self.remember(headers);
        let result =
            client::raw(&self.world.server.otlp_grpc(), &metadata(headers), EXPORT, Vec::new()).await;
        self.not_echoed(&format!("{result:?}"));
        let refused = result.expect_err("ingest accepted it");
        assert_eq!(refused.code(), refusal.0, "{} wanted: {refused:?}", refusal.2);
        let mut with_type = headers.to_vec();
        with_type.push(("content-type", "application/x-protobuf"));
        let request = rest::request(Method::POST, "/v1/traces", &with_type, Bytes::new());
        let answer = rest::send(&self.world.server.otlp_http(), request).await.unwrap();
        self.not_echoed(&format!("{answer:?}"));
        assert_eq!(answer.status, refusal.1, "{} wanted: {answer:?}", refusal.2);
        let status = tonic_types::Status::decode(answer.body.clone()).unwrap();
        assert!(!status.message.is_empty(), "{answer:?}");
    }

    /// Asserts that nothing was written or echoed and that the server still serves.
    async fn ends(mut self) {
        assert!(self.world.server.is_alive());
        assert_eq!(self.world.listing().await, self.before);
        let log = self.world.server.log();
        self.not_echoed(&log);
        assert!(!log.contains("panicked"), "{log}");
    }

    fn remember(&mut self, headers: &[(&str, &str)]) {
        for (name, value) in headers.iter().filter(|(name, _)| ["authorization", "x-api-key"].contains(name))
        {
            let secret = value.strip_prefix("Bearer ").unwrap_or(value);
            assert!(secret.len() >= 16 || secret.is_empty(), "{name}: too short to be looked for");
            self.secrets.push(secret.to_owned());
        }
    }

    #[track_caller]
    fn not_echoed(&self, text: &str) {
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            let tail: String = secret.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect();
            assert!(!text.contains(&tail), "the secret is echoed: {text}");
        }
    }
}

fn metadata(headers: &[(&str, &str)]) -> Metadata {
    headers.iter().fold(Metadata::none(), |metadata, (name, value)| metadata.and(name, value))
}

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}
