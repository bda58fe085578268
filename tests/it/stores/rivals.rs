//! Two tenants of one Doorward, each of which says in every way there is that it is the other.
use crate::exporters::exporter::{Exporter, Order, Outcome, PYTHON_GRPC, PYTHON_HTTP};
use crate::harness::client::{self, Metadata};
use crate::harness::{Database, Settings, World, rest, world};
use doorward::pb::v1::{ApiKeyKind, CreateApiKeyRequest};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::{Response, Status};

/// One of the two.
pub struct Rival {
    pub tenant: String,
    name: &'static str,
    key: String,
}

/// The two, and the server before the store.
pub struct Rivals {
    world: World,
    pub pair: [Rival; 2],
}

/// What JSON written by hand is to say.
pub struct Forgery {
    /// The name of what is sent.
    pub name: String,
    /// The time, in nanoseconds of Unix.
    pub now: String,
    /// Resource attributes that name the other tenant.
    pub attributes: Value,
}

impl Rival {
    /// The names of all that it sends of one signal.
    pub fn names(&self) -> BTreeSet<String> {
        ["grpc", "http", "json"].iter().map(|how| self.named(how)).collect()
    }

    fn named(&self, how: &str) -> String {
        format!("{}_{how}", self.name)
    }
}

impl Rivals {
    /// A server that hands on to this back end.
    pub async fn before(backend: String, protocol: &str) -> Self {
        let settings =
            Settings::default().set("otlp.backend", backend).set("otlp.backend_protocol", protocol);
        let world = World::with(Database::sqlite(), settings).await;
        let stranger = world.stranger().await;
        let request = CreateApiKeyRequest { kind: ApiKeyKind::Ingest.into(), ..world::named("ingest") };
        let mut keys = client::keys(&world.server.api(), Metadata::bearer(&stranger.secret));
        let key = keys.create_api_key(request).await.unwrap().into_inner().secret;
        let acme = Rival { tenant: world.tenant_id.clone(), name: "acme", key: world.ingest.clone() };
        let umbrella = Rival { tenant: stranger.tenant_id, name: "umbrella", key };
        Self { world, pair: [acme, umbrella] }
    }

    /// Both send a signal through OpenTelemetry's exporters over gRPC and HTTP, and in JSON by hand.
    pub async fn send(&self, signals: &'static [&'static str], forge: fn(Forgery) -> Value) {
        let [first, second] = &self.pair;
        for (from, to) in [(first, second), (second, first)] {
            self.export(from, to, signals, PYTHON_GRPC).await;
            self.export(from, to, signals, PYTHON_HTTP).await;
            self.send_json(from, to, signals, forge).await;
        }
    }

    /// What the first of the two is answered when it posts JSON.
    pub async fn post(&self, signal: &str, body: &Value) -> rest::Answer {
        let [first, second] = &self.pair;
        self.post_as(first, second, signal, body).await
    }

    /// What it is answered when it calls a method over gRPC.
    pub async fn call(&self, path: &str, body: Vec<u8>) -> Result<Response<Vec<u8>>, Status> {
        let bearer = Metadata::bearer(&self.pair[0].key);
        client::raw(&self.world.server.otlp_grpc(), &bearer, path, body).await
    }

    async fn export(&self, from: &Rival, to: &Rival, signals: &'static [&'static str], exporter: Exporter) {
        let server = &self.world.server;
        let (address, how) =
            if exporter.is_grpc() { (server.otlp_grpc(), "grpc") } else { (server.otlp_http(), "http") };
        let (key, victim) = (&from.key, &to.tenant);
        let order = Order {
            endpoint: format!("http://{address}"),
            headers: format!("authorization=Bearer%20{key},x-scope-orgid={victim},x-tenant-id={victim}"),
            marker: from.named(how),
            signals,
            padding: 0,
        };
        for report in exporter.run(order).await {
            assert_eq!(report.outcome, Outcome::Exported, "{}", report.log);
        }
    }

    async fn send_json(&self, from: &Rival, to: &Rival, signals: &[&str], forge: fn(Forgery) -> Value) {
        let said = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let attributes = json!([
            said("service.name", "checkout"),
            said("tenant.id", &to.tenant),
            said("tenant_id", &to.tenant),
            said("X-Scope-OrgID", &to.tenant),
        ]);
        let now = since_the_epoch().as_nanos().to_string();
        let body = forge(Forgery { name: from.named("json"), now, attributes });
        for signal in signals {
            let answer = self.post_as(from, to, signal, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    /// Posts JSON with headers that name the other tenant.
    async fn post_as(&self, from: &Rival, to: &Rival, signal: &str, body: &Value) -> rest::Answer {
        let (bearer, both) = (format!("Bearer {}", from.key), format!("{}|{}", to.tenant, from.tenant));
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("x-scope-orgid", &to.tenant),
            ("x-scope-orgid", &both),
            ("x-tenant-id", &to.tenant),
        ];
        let path = format!("/v1/{signal}");
        let request = rest::request(Method::POST, &path, &headers, body.to_string().into());
        rest::send(&self.world.server.otlp_http(), request).await.unwrap()
    }
}

/// The time, as the tests' samples and records have it.
pub fn since_the_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
