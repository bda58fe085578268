//! What operators rely on: probes, metrics, discovery and an orderly end.
use crate::harness::client::{self, Metadata};
use crate::harness::{Database, World, on_both, rest};
use doorward::pb::v1::{
    ListApiKeysRequest, StreamVerifyCredentialsRequest, VerifyCredentialRequest, WhoAmIRequest,
};
use http::Method;
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

// R8
#[tokio::test]
async fn health_and_readiness_need_no_credential() {
    let world = World::start(Database::sqlite()).await;
    for path in ["/health", "/ready"] {
        let answer = rest::get(&world.server.ops(), path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for path in ["/", "/v1/api-keys", "/metrics/../health"] {
        assert_eq!(rest::get(&world.server.ops(), path).await.unwrap().status, 404, "{path}");
    }
    let post = rest::request(Method::POST, "/health", &[], bytes::Bytes::new());
    assert!(matches!(rest::send(&world.server.ops(), post).await.unwrap().status, 404 | 405));
}

/// A line of the Prometheus text format 0.0.4: a comment, or a name, labels and a number.
fn is_sound(line: &str) -> bool {
    if let Some(comment) = line.strip_prefix("# ") {
        return ["HELP ", "TYPE "].iter().any(|kind| comment.starts_with(kind));
    }
    let Some((series, value)) = line.rsplit_once(' ') else { return false };
    let name = series.split('{').next().unwrap_or_default();
    let named = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    let labelled = !series.contains('{') || series.ends_with('}');
    named && labelled && value.parse::<f64>().is_ok()
}

// R8
#[tokio::test]
async fn metrics_are_prometheus_text_and_count_calls() {
    let world = World::start(Database::sqlite()).await;
    world.authn().who_am_i(WhoAmIRequest {}).await.unwrap();
    let _ = world.authn_as("garbage").who_am_i(WhoAmIRequest {}).await;
    let answer = rest::get(&world.server.ops(), "/metrics").await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    let text = answer.text();
    for line in text.lines().filter(|line| !line.is_empty()) {
        assert!(is_sound(line), "{line}");
    }
    for series in [
        "doorward_verify_accepted_total",
        "doorward_verify_refused_total{reason=\"INVALID_API_KEY\"}",
        "doorward_rpc_calls_total",
        "doorward_view_keys",
        "doorward_lease_remaining_milliseconds",
        "doorward_connections",
    ] {
        becomes_counted(&world, series).await;
    }
}

/// Waits until a series is above 0; gauges are set every now and then.
async fn becomes_counted(world: &World, series: &str) {
    for _ in 0..100 {
        let text = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
        if text.lines().any(|line| line.starts_with(series) && !line.ends_with(" 0")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{series} stays at 0");
}

// The standard health service, whole and by name.
#[tokio::test]
async fn grpc_health_is_the_standard_service() {
    let world = World::start(Database::sqlite()).await;
    let mut health = HealthClient::new(client::channel(&world.server.api()));
    for service in [
        "",
        "doorward.v1.AuditService",
        "doorward.v1.AuthnService",
        "doorward.v1.KeysService",
        "doorward.v1.TenancyService",
    ] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "nonsense".into() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
}

// Tools find the services by themselves, in either version of the protocol.
#[tokio::test]
async fn reflection_tells_every_service_and_its_messages() {
    let world = World::start(Database::sqlite()).await;
    let channel = client::channel(&world.server.api());
    let expected = [
        "doorward.v1.AuditService",
        "doorward.v1.AuthnService",
        "doorward.v1.KeysService",
        "doorward.v1.TenancyService",
    ];
    {
        use v1::server_reflection_request::MessageRequest;
        use v1::server_reflection_response::MessageResponse;
        let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
        let ask =
            |message| v1::ServerReflectionRequest { message_request: Some(message), ..Default::default() };
        let list = ask(MessageRequest::ListServices(String::new()));
        let symbol = ask(MessageRequest::FileContainingSymbol("doorward.v1.ApiKey".into()));
        let stream = tokio_stream::iter([list, symbol]);
        let mut answers = reflection.server_reflection_info(stream).await.unwrap().into_inner();
        let Some(MessageResponse::ListServicesResponse(list)) =
            answers.message().await.unwrap().unwrap().message_response
        else {
            panic!("no list");
        };
        let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        for service in expected {
            assert!(names.iter().any(|name| name == service), "{service} is not in {names:?}");
        }
        let file = answers.message().await.unwrap().unwrap().message_response;
        assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");
    }
    let mut reflection = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let list = v1alpha::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([list])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer
    else {
        panic!("{answer:?}")
    };
    assert!(list.service.iter().any(|service| service.name == expected[1]), "{list:?}");
}

on_both! {
    // In order: no new work, what runs is finished, exit 0.
    async fn sigterm_finishes_what_has_begun(database: Database) {
        let mut world = World::start(database).await;
        let address = world.server.api();
        let owner = world.owner.clone();
        // Calls run all the time, one after the other, until one cannot be made any more.
        let callers: Vec<_> = (0..4).map(|_| {
            let (address, owner) = (address.clone(), owner.clone());
            tokio::spawn(async move {
                let mut keys = client::keys(&address, Metadata::bearer(&owner));
                let mut finished = 0;
                loop {
                    match keys.list_api_keys(ListApiKeysRequest::default()).await {
                        Ok(_) => finished += 1,
                        Err(status) => return (finished, status),
                    }
                }
            })
        }).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.server.terminate();
        assert_eq!(world.server.ended(Duration::from_secs(20)).await.code(), Some(0), "{}", world.server.log());
        for caller in callers {
            let (finished, status) = caller.await.unwrap();
            assert!(finished > 0);
            // Refused or not connected, but never a call that was taken and then dropped half-way.
            let text = format!("{status:?}").to_lowercase();
            let never_begun = text.contains("connect") || text.contains("refused") || text.contains("goaway");
            assert!(status.code() == tonic::Code::Unavailable || never_begun, "{status:?}");
        }
        assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    }

    // An open stream does not hold the end up for ever.
    async fn sigterm_ends_open_streams(database: Database) {
        let mut world = World::start(database).await;
        let (questions, stream) = tokio::sync::mpsc::channel(4);
        let mut answers =
            world.authn().stream_verify_credentials(ReceiverStream::new(stream)).await.unwrap().into_inner();
        let request = VerifyCredentialRequest { credential: world.owner.clone(), ..Default::default() };
        let question = StreamVerifyCredentialsRequest { tag: 1, request: Some(request) };
        questions.send(question).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().tag, 1);
        world.server.terminate();
        assert_eq!(world.server.ended(Duration::from_secs(20)).await.code(), Some(0), "{}", world.server.log());
    }

    // What was acknowledged is there after a crash.
    async fn a_crash_loses_nothing_that_was_acknowledged(database: Database) {
        let world = World::start(database).await;
        let mut made = Vec::new();
        for _ in 0..10 {
            made.push(world.create_plain().await);
        }
        let World { server, database, settings, owner, .. } = world;
        server.kill();
        let server = crate::harness::Server::serve(&database, &settings).await;
        for (key, secret) in made {
            let me = client::authn(&server.api(), Metadata::bearer(&secret)).who_am_i(WhoAmIRequest {}).await.unwrap();
            assert_eq!(me.into_inner().principal.unwrap().api_key_id, key.id);
        }
        client::keys(&server.api(), Metadata::bearer(&owner)).list_api_keys(ListApiKeysRequest::default()).await.unwrap();
    }
}
