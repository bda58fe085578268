//! What goes on ends with the credential that opened it: at once, with the right status, and nothing else does.
use crate::harness::client::{Authn, Metadata, assert_told};
use crate::harness::world::named;
use crate::harness::{Database, Settings, World, client, on_both, rest};
use doorward::pb::v1::{
    ApiKey, CreateApiKeyRequest, RevokeApiKeyRequest, RotateApiKeyRequest, SetIpAllowlistRequest,
    StreamVerifyCredentialsRequest, StreamVerifyCredentialsResponse, SuspendTenantRequest,
    UpdateApiKeyRequest, VerifyCredentialRequest,
};
use prost_types::FieldMask;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

/// What "at once" may take on a busy machine; without a cut a stream would stay open for ever.
const AT_ONCE: Duration = Duration::from_secs(2);

/// An open stream of checks.
pub struct Open {
    questions: mpsc::Sender<StreamVerifyCredentialsRequest>,
    answers: Streaming<StreamVerifyCredentialsResponse>,
}

impl Open {
    async fn with(world: &World, credential: &str) -> Self {
        Self::over(world.authn_as(credential)).await
    }

    /// Opens a stream and makes sure that it answers.
    pub async fn over(mut authn: Authn) -> Self {
        let (questions, stream) = mpsc::channel(64);
        let asked = authn.stream_verify_credentials(ReceiverStream::new(stream)).await;
        let mut open = Self { questions, answers: asked.unwrap().into_inner() };
        open.answers().await;
        open
    }

    async fn ask(&self) {
        let request = Some(VerifyCredentialRequest { credential: "garbage".into(), ..Default::default() });
        let _ = self.questions.send(StreamVerifyCredentialsRequest { tag: 1, request }).await;
    }

    /// Asserts that it still answers.
    pub async fn answers(&mut self) {
        self.ask().await;
        self.answers.message().await.unwrap().unwrap();
    }

    /// Asserts that it ends by itself, nothing being asked, and as it should.
    pub async fn ends(mut self, code: Code, reason: &str) {
        let start = Instant::now();
        let end = tokio::time::timeout(AT_ONCE, self.answers.message()).await.expect("the stream stays open");
        assert_told(&end.expect_err("the stream goes on"), code, reason);
        println!("{reason}: told {:?} after the change returned", start.elapsed());
    }
}

async fn revoke(world: &World, key: &ApiKey) {
    world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await.unwrap();
}

/// Changes the one field of a key that `field` names.
async fn update(world: &World, key: &ApiKey, field: &str, to: UpdateApiKeyRequest) {
    let update_mask = Some(FieldMask { paths: vec![field.into()] });
    let request = UpdateApiKeyRequest { id: key.id.clone(), update_mask, ..to };
    world.keys().update_api_key(request).await.unwrap();
}

async fn expire(world: &World, key: &ApiKey, at: SystemTime) {
    update(
        world,
        key,
        "expire_time",
        UpdateApiKeyRequest { expire_time: Some(at.into()), ..Default::default() },
    )
    .await;
}

async fn narrow(world: &World, key: &ApiKey, scope: &str) {
    update(world, key, "scopes", UpdateApiKeyRequest { scopes: vec![scope.into()], ..Default::default() })
        .await;
}

async fn confine(world: &World, key: &ApiKey, network: &str) {
    let allowed_networks = vec![network.into()];
    update(world, key, "allowed_networks", UpdateApiKeyRequest { allowed_networks, ..Default::default() })
        .await;
}

/// The server's count of what was cut.
async fn counted(world: &World) -> u64 {
    let text = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
    let line = text.lines().find_map(|line| line.strip_prefix("doorward_streams_cut_total ")).unwrap();
    line.parse().unwrap()
}

on_both! {
    // R15, A20
    async fn a_stream_ends_at_once_when_its_key_is_revoked(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let (_, other_secret) = world.create_plain().await;
        let open = Open::with(&world, &secret).await;
        let mut other = Open::with(&world, &other_secret).await;
        let before = counted(&world).await;
        revoke(&world, &key).await;
        open.ends(Code::Unauthenticated, "INVALID_API_KEY").await;
        // Another key of the same person is none of its business.
        other.answers().await;
        assert_eq!(counted(&world).await, before + 1);
    }

    // R15: nothing that is asked after the revocation has returned is answered, however much is asked.
    async fn nothing_is_answered_after_the_revocation_returned(database: Database) {
        let world = World::start(database).await;
        for _ in 0..10 {
            let (key, secret) = world.create_plain().await;
            let Open { questions, mut answers } = Open::with(&world, &secret).await;
            let (returned, mut has_returned) = tokio::sync::watch::channel(false);
            let asking = tokio::spawn(async move {
                let (mut tag, mut first_late) = (2, None);
                loop {
                    if *has_returned.borrow_and_update() {
                        first_late.get_or_insert(tag);
                    }
                    let request = Some(VerifyCredentialRequest { credential: "garbage".into(), ..Default::default() });
                    if questions.send(StreamVerifyCredentialsRequest { tag, request }).await.is_err() {
                        return first_late;
                    }
                    tag += 1;
                }
            });
            let answering = tokio::spawn(async move {
                let mut last = 0;
                loop {
                    match answers.message().await {
                        Ok(Some(answer)) => last = answer.tag,
                        Ok(None) => panic!("the stream ended well"),
                        Err(status) => return (last, status),
                    }
                }
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            revoke(&world, &key).await;
            returned.send_replace(true);
            let (last, status) = tokio::time::timeout(AT_ONCE, answering).await.expect("it goes on").unwrap();
            assert_told(&status, Code::Unauthenticated, "INVALID_API_KEY");
            let first_late = asking.await.unwrap().unwrap_or(u64::MAX);
            assert!(last > 0 && last < first_late, "{last} was answered, {first_late} was asked too late");
        }
    }

    // R15, R16: the old secret of a rotation without overlap ends, the new one does not.
    async fn a_rotation_without_overlap_ends_streams_of_the_old_secret(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let open = Open::with(&world, &secret).await;
        let rotate = RotateApiKeyRequest { id: key.id.clone(), ..Default::default() };
        world.keys().rotate_api_key(rotate).await.unwrap();
        open.ends(Code::Unauthenticated, "INVALID_API_KEY").await;
    }

    // R15: nobody changes anything; the time comes.
    async fn an_expiry_that_is_reached_in_mid_stream_ends_it(database: Database) {
        let world = World::start(database).await;
        let end = SystemTime::now() + Duration::from_secs(3);
        let (_, secret) = world.create(CreateApiKeyRequest { expire_time: Some(end.into()), ..named("soon") }).await;
        let mut open = Open::with(&world, &secret).await;
        open.answers().await;
        assert!(SystemTime::now() < end, "the machine is too slow for this test");
        let told = tokio::time::timeout(Duration::from_secs(3) + AT_ONCE, open.answers.message()).await;
        assert!(SystemTime::now() >= end, "it ended before its time");
        assert_told(&told.expect("it goes on").unwrap_err(), Code::Unauthenticated, "API_KEY_EXPIRED");
    }

    // R15: an expiry that is brought forward counts from then on.
    async fn an_expiry_that_is_brought_forward_ends_a_stream(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let mut open = Open::with(&world, &secret).await;
        let hour = SystemTime::now() + Duration::from_hours(1);
        expire(&world, &key, hour).await;
        open.answers().await;
        let soon = SystemTime::now() + Duration::from_millis(500);
        expire(&world, &key, soon).await;
        open.ends(Code::Unauthenticated, "API_KEY_EXPIRED").await;
    }

    // R15, R43
    async fn a_suspension_ends_the_streams_of_its_tenant(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let open = Open::with(&world, &stranger.secret).await;
        let mut own = Open::with(&world, &world.owner).await;
        let request = SuspendTenantRequest { id: stranger.tenant_id.clone(), reason: "a test".into() };
        world.tenancy().suspend_tenant(request).await.unwrap();
        open.ends(Code::PermissionDenied, "TENANT_SUSPENDED").await;
        own.answers().await;
    }

    // R15, R6: an operator who acts in a tenant that is suspended meanwhile.
    async fn a_suspension_ends_streams_of_those_who_act_in_the_tenant(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let (questions, stream) = mpsc::channel(64);
        let mut request = Request::new(ReceiverStream::new(stream));
        request.metadata_mut().insert("x-tenant-id", stranger.tenant_id.parse().unwrap());
        let answers = world.authn().stream_verify_credentials(request).await.unwrap().into_inner();
        let mut open = Open { questions, answers };
        open.answers().await;
        let request = SuspendTenantRequest { id: stranger.tenant_id.clone(), reason: "a test".into() };
        world.tenancy().suspend_tenant(request).await.unwrap();
        open.ends(Code::PermissionDenied, "TENANT_SUSPENDED").await;
    }

    // R15, R19
    async fn a_narrower_allowlist_of_the_key_ends_its_streams(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let (_, other_secret) = world.create_plain().await;
        let mut open = Open::with(&world, &secret).await;
        let mut other = Open::with(&world, &other_secret).await;
        confine(&world, &key, "127.0.0.0/8").await;
        open.answers().await;
        confine(&world, &key, "192.0.2.0/24").await;
        open.ends(Code::PermissionDenied, "IP_NOT_ALLOWED").await;
        other.answers().await;
    }

    // R15, R19: nobody can shut themselves out, so the one who sets the list comes from elsewhere.
    async fn a_narrower_allowlist_of_the_tenant_ends_its_streams(database: Database) {
        let settings = Settings::default().set("otlp.backend", "sink").set("proxies.trusted", "127.0.0.0/8");
        let world = World::with(database, settings).await;
        let (_, secret) = world.create_plain().await;
        let far = Metadata::bearer(&secret).and("x-forwarded-for", "192.0.2.7");
        let open = Open::over(client::authn(&world.server.api(), far)).await;
        let mut near = Open::with(&world, &secret).await;
        let request = SetIpAllowlistRequest { networks: vec!["127.0.0.0/8".into()] };
        world.tenancy().set_ip_allowlist(request).await.unwrap();
        open.ends(Code::PermissionDenied, "IP_NOT_ALLOWED").await;
        near.answers().await;
    }

    // R15: only what the stream needs counts.
    async fn narrower_scopes_end_a_stream_that_needs_what_was_taken(database: Database) {
        let world = World::start(database).await;
        let both = vec!["credentials.verify".into(), "keys.read".into()];
        let (key, secret) = world.create(CreateApiKeyRequest { scopes: both, ..named("both") }).await;
        let mut open = Open::with(&world, &secret).await;
        narrow(&world, &key, "credentials.verify").await;
        open.answers().await;
        narrow(&world, &key, "keys.read").await;
        open.ends(Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS").await;
    }

    // R15: whatever else happens, a stream goes on.
    async fn a_stream_survives_what_does_not_concern_it(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let mut open = Open::with(&world, &secret).await;
        let renamed = UpdateApiKeyRequest { display_name: "another name".into(), ..Default::default() };
        update(&world, &key, "display_name", renamed).await;
        update(&world, &key, "rate_limit", UpdateApiKeyRequest { rate_limit: 7, ..Default::default() }).await;
        for _ in 0..20 {
            let (other, _) = world.create_plain().await;
            revoke(&world, &other).await;
            open.answers().await;
        }
        let before = counted(&world).await;
        open.answers().await;
        assert_eq!(before, 0);
    }

    // R15: a call that waits is ended, not answered late.
    async fn a_check_that_waits_ends_with_its_callers_key(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let waiting = {
            let mut authn = world.authn_as(&secret);
            let request =
                VerifyCredentialRequest { credential: "garbage".into(), min_revision: "r999999".into(), ..Default::default() };
            tokio::spawn(async move { authn.verify_credential(request).await.map(drop) })
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!waiting.is_finished(), "it does not wait");
        let start = Instant::now();
        revoke(&world, &key).await;
        let answer: Result<(), Status> = waiting.await.unwrap();
        client::assert_refused(answer, Code::Unauthenticated, "INVALID_API_KEY");
        println!("told {:?} after the revocation began", start.elapsed());
        assert_eq!(counted(&world).await, 1);
    }

    // R15, R12: an export whose body does not come, over HTTP.
    async fn an_export_with_a_slow_body_ends_with_its_key(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_ingest().await;
        let mut link = TcpStream::connect(world.server.otlp_http()).await.unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\
             content-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\n"
        );
        link.write_all(head.as_bytes()).await.unwrap();
        link.write_all(&[0x0a]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        revoke(&world, &key).await;
        let mut start = [0; 12];
        let told = tokio::time::timeout(AT_ONCE, link.read_exact(&mut start)).await;
        told.expect("the request goes on").unwrap();
        assert_eq!(&start, b"HTTP/1.1 401");
        // What the sender had under way is read for a moment, so that the answer is not lost to it.
        let mut answer = String::new();
        let rest = tokio::time::timeout(AT_ONCE * 3, link.read_to_string(&mut answer)).await;
        rest.expect("the connection stays open").unwrap();
        let answer = answer.to_lowercase();
        assert!(answer.contains("invalid api key") || answer.contains("api key"), "{answer}");
        assert!(answer.contains("www-authenticate"), "{answer}");
    }

    // R15, R12: the same over gRPC.
    async fn a_grpc_export_with_a_slow_body_ends_with_its_key(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_ingest().await;
        let (body, stream) = mpsc::channel::<Vec<u8>>(4);
        let mut grpc = tonic::client::Grpc::new(client::channel(&world.server.otlp_grpc()));
        grpc.ready().await.unwrap();
        let mut request = Request::new(ReceiverStream::new(stream));
        Metadata::bearer(&secret).add_to(request.metadata_mut());
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export".parse().unwrap();
        let call =
            tokio::spawn(async move { grpc.client_streaming(request, path, client::Bytes).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!call.is_finished(), "it does not wait");
        revoke(&world, &key).await;
        let answer = tokio::time::timeout(AT_ONCE, call).await.expect("the request goes on").unwrap();
        client::assert_refused(answer, Code::Unauthenticated, "INVALID_API_KEY");
        drop(body);
    }
}

// R15, P4: without the database nothing is released, and the credential is not blamed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_as_unavailable_when_the_lease_lapses() {
    use crate::harness::postgres::Postgres;
    use crate::harness::proxy::{Mode, Proxy};
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    let proxy = Proxy::start(postgres.port()).await;
    let database = Database::at_port(proxy.port(), &postgres.fresh_database().await);
    let settings = Settings::default().set("otlp.backend", "sink").set("coherence.lease_ms", "1000");
    let world = World::with(database, settings).await;
    let mut open = Open::with(&world, &world.owner).await;
    proxy.set(Mode::Hole);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    open.ask().await;
    let end = tokio::time::timeout(AT_ONCE, open.answers.message()).await.expect("the stream stays open");
    assert_told(&end.expect_err("it answers from memory"), Code::Unavailable, "BACKEND_UNAVAILABLE");
}
