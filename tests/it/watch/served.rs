//! A service of somebody else's behind the embedded layer: the standard health service, which has a unary and a
//! streaming method.
use super::{LEASE, SLACK, embedded, embedded_at, refused, revoke, soon};
use crate::harness::client::{Metadata, assert_refused, assert_told, channel, raw};
use crate::harness::mint::unknown_key;
use crate::harness::world::named;
use crate::harness::{Database, Settings, World, on_both};
use doorward::client::embedded::{Embedded, EmbeddedLayer, Permission, Reason};
use doorward::pb::v1::{CreateApiKeyRequest, RevokeSessionRequest, UpdateApiKeyRequest};
use prost_types::FieldMask;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::InterceptedService;
use tonic::transport::server::TcpConnectInfo;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::HealthReporter;

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const LIST: &str = "/grpc.health.v1.Health/List";

/// The guarded service.
struct Served {
    address: String,
    reporter: HealthReporter,
}

type Health = HealthClient<InterceptedService<Channel, Metadata>>;

impl Served {
    async fn start(embedded: Embedded) -> Self {
        let (reporter, health) = tonic_health::server::health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let layer = EmbeddedLayer::new(embedded)
            .require(WATCH, Permission::TENANT_READ)
            .open(LIST)
            .peer(|extensions| Some(extensions.get::<TcpConnectInfo>()?.remote_addr()?.ip()));
        let server = Server::builder().layer(layer).add_service(health);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, reporter }
    }

    fn health(&self, metadata: Metadata) -> Health {
        HealthClient::with_interceptor(channel(&self.address), metadata)
    }

    async fn check(&self, metadata: Metadata) -> Result<(), Status> {
        self.health(metadata).check(HealthCheckRequest::default()).await.map(drop)
    }

    /// A stream that has given its first answer.
    async fn watch(&self, key: &str) -> Streaming<HealthCheckResponse> {
        let mut health = self.health(Metadata::bearer(key));
        let mut stream = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        stream
    }

    async fn say(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status("", status).await;
    }
}

/// How a stream ends, which has to be soon.
async fn end(stream: &mut Streaming<HealthCheckResponse>) -> Status {
    let ending = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("ended"),
                Err(status) => return status,
            }
        }
    };
    timeout(Duration::from_secs(10), ending).await.expect("the stream goes on")
}

on_both! {
    // R1, R2, R4: who gets through, and how the others are told.
    async fn calls_are_refused_as_doorward_refuses_them(database: Database) {
        let world = World::start(database).await;
        let served = Served::start(embedded(&world).await).await;
        let (_, good) = world.create_plain().await;
        served.check(Metadata::bearer(&good)).await.unwrap();
        served.check(Metadata::none().and("x-api-key", &good)).await.unwrap();
        let (_, other) = world.create_plain().await;
        let unknown = unknown_key("dw_live_");
        for (metadata, reason) in [
            (Metadata::none(), "CREDENTIALS_MISSING"),
            (Metadata::bearer("garbage"), "INVALID_API_KEY"),
            (Metadata::bearer(&unknown), "INVALID_API_KEY"),
            (Metadata::bearer("a.b.c"), "INVALID_TOKEN"),
            (Metadata::bearer(&good).and("x-api-key", &other), "AMBIGUOUS_CREDENTIALS"),
            (Metadata::bearer(&good).and("authorization", &format!("Bearer {good}")), "AMBIGUOUS_CREDENTIALS"),
        ] {
            assert_refused(served.check(metadata).await, Code::Unauthenticated, reason);
        }
        let (_, narrow) =
            world.create(CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("narrow") }).await;
        served.check(Metadata::bearer(&narrow)).await.unwrap();
        let mut health = served.health(Metadata::bearer(&narrow));
        let refused = health.watch(HealthCheckRequest::default()).await;
        let metadata = assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(metadata["required_permission"], "tenant.read");
        // This one is open to all: they get through to a service that does not know it.
        let through = raw(&served.address, &Metadata::none(), LIST, Vec::new()).await.unwrap_err();
        assert_eq!(through.code(), Code::Unimplemented);
        let request = CreateApiKeyRequest { allowed_networks: vec!["203.0.113.0/24".into()], ..named("far") };
        let (_, far) = world.create(request).await;
        assert_refused(served.check(Metadata::bearer(&far)).await, Code::PermissionDenied, "IP_NOT_ALLOWED");
        let request = CreateApiKeyRequest { allowed_networks: vec!["127.0.0.0/8".into()], ..named("near") };
        let (_, near) = world.create(request).await;
        served.check(Metadata::bearer(&near)).await.unwrap();
    }

    // R15: streams in other services end with the key, and before the revocation returns nothing more gets through.
    async fn a_stream_of_another_service_ends_with_the_key(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let served = Served::start(embedded.clone()).await;
        let ((key, revoked), (_, kept)) = (world.create_plain().await, world.create_plain().await);
        for key in [&revoked, &kept] {
            soon("a key is not heard of", || refused(&embedded, key).is_none()).await;
        }
        let (mut cut, mut other) = (served.watch(&revoked).await, served.watch(&kept).await);
        revoke(&world, &key.id).await;
        // It has not been told anything since, so what comes next is the end.
        served.say(false).await;
        assert_told(&cut.message().await.unwrap_err(), Code::Unauthenticated, "INVALID_API_KEY");
        assert!(other.message().await.unwrap().is_some(), "it ended with somebody else's key");
        let refused = served.check(Metadata::bearer(&revoked)).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }

    // R15: a narrowing ends what needs what was taken away, and nothing else.
    async fn a_stream_ends_when_its_permission_is_taken_away(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let served = Served::start(embedded.clone()).await;
        let (key, secret) = world.create_plain().await;
        soon("the key is not heard of", || refused(&embedded, &secret).is_none()).await;
        let mut stream = served.watch(&secret).await;
        let narrowed_to = async |scopes: &[&str]| {
            let update = UpdateApiKeyRequest {
                id: key.id.clone(),
                update_mask: Some(FieldMask { paths: vec!["scopes".into()] }),
                scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
                ..Default::default()
            };
            world.keys().update_api_key(update).await.unwrap();
        };
        narrowed_to(&["tenant.read", "keys.read"]).await;
        served.say(false).await;
        assert!(stream.message().await.unwrap().is_some(), "it needs nothing of what was taken away");
        narrowed_to(&["keys.read"]).await;
        assert_told(&end(&mut stream).await, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
    }

    // P4: without a lease and without a server nothing gets through, and nobody's key is blamed.
    async fn without_doorward_calls_are_unavailable(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let served = Served::start(embedded.clone()).await;
        let (_, good) = world.create_plain().await;
        soon("the key is not heard of", || refused(&embedded, &good).is_none()).await;
        let mut stream = served.watch(&good).await;
        world.server.signal("STOP");
        let start = Instant::now();
        while served.check(Metadata::bearer(&good)).await.is_ok() {
            assert!(start.elapsed() < LEASE + SLACK, "answers without a lease");
        }
        for key in [&good, &unknown_key("dw_live_")] {
            let refused = served.check(Metadata::bearer(key)).await;
            assert_refused(refused, Code::Unavailable, "BACKEND_UNAVAILABLE");
        }
        served.say(false).await;
        assert_told(&end(&mut stream).await, Code::Unavailable, "BACKEND_UNAVAILABLE");
        world.server.signal("CONT");
        let end = Instant::now() + Duration::from_secs(20);
        while let Err(status) = served.check(Metadata::bearer(&good)).await {
            assert_told(&status, Code::Unavailable, "BACKEND_UNAVAILABLE");
            assert!(Instant::now() < end, "it does not come back");
        }
    }
}

// Access tokens can be read by the server alone: they are asked about, streams too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_token_works_until_its_session_ends() {
    let world = crate::people::person::world(Database::sqlite()).await;
    let embedded = embedded(&world).await;
    let served = Served::start(embedded.clone()).await;
    let (login, other) =
        (crate::people::person::log_in(&world).await, crate::people::person::log_in(&world).await);
    assert_eq!(refused(&embedded, &login.access), Some(Reason::BackendUnavailable), "memory has no tokens");
    served.check(Metadata::bearer(&login.access)).await.unwrap();
    let forged = login.access.replacen(login.access.split('.').nth(1).unwrap(), "e30", 1);
    let told = served.check(Metadata::bearer(&forged)).await;
    assert_refused(told, Code::Unauthenticated, "INVALID_TOKEN");
    let (mut cut, mut kept) = (served.watch(&login.access).await, served.watch(&other.access).await);
    let end = RevokeSessionRequest { id: login.session() };
    world.authn_as(&other.access).revoke_session(end).await.unwrap();
    served.say(false).await;
    assert_told(&cut.message().await.unwrap_err(), Code::Unauthenticated, "SESSION_REVOKED");
    assert!(kept.message().await.unwrap().is_some(), "it ended with somebody else's session");
    let told = served.check(Metadata::bearer(&login.access)).await;
    assert_refused(told, Code::Unauthenticated, "SESSION_REVOKED");
    served.check(Metadata::bearer(&other.access)).await.unwrap();
}

// Imported keys are known under a digest that only the server can make: they are asked about, streams too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_key_works_and_ends_too() {
    let (settings, _file) = crate::keys::import::settings(Settings::default());
    let world = World::with(Database::sqlite(), settings).await;
    let embedded = embedded_at(&world.server.api(), &world.owner).await;
    let served = Served::start(embedded.clone()).await;
    let import = crate::keys::import::import(crate::keys::import::FOREIGN);
    let key = world.keys().import_api_key(import).await.unwrap().into_inner().api_key.unwrap();
    let foreign = crate::keys::import::FOREIGN;
    served.check(Metadata::bearer(foreign)).await.unwrap();
    let mut stream = served.watch(foreign).await;
    served.say(false).await;
    assert!(stream.message().await.unwrap().is_some());
    revoke(&world, &key.id).await;
    served.say(true).await;
    assert_told(&stream.message().await.unwrap_err(), Code::Unauthenticated, "INVALID_API_KEY");
    assert_refused(served.check(Metadata::bearer(foreign)).await, Code::Unauthenticated, "INVALID_API_KEY");
}
