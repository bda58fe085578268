//! What is counted, and who may know of it.
use super::{counts_are, summed, usage_as};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::server::{doorward, run};
use crate::harness::world::named;
use crate::harness::{Database, World, on_both, rest};
use doorward::pb::v1::{
    ApiKeyKind, CreateApiKeyRequest, GetApiKeyUsageRequest, RefusedChecks, ResumeTenantRequest,
    RevokeApiKeyRequest, SuspendTenantRequest, VerifyCredentialRequest, WhoAmIRequest,
};
use http::Method;
use serde_json::Value;
use tonic::Code;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

async fn ask(world: &World, secret: &str, permission: &str) {
    let question = VerifyCredentialRequest {
        credential: secret.to_owned(),
        required_permission: permission.to_owned(),
        ..Default::default()
    };
    world.authn().verify_credential(question).await.unwrap();
}

on_both! {
    // R21: at every door, each check once.
    async fn every_door_counts(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let (ingest, telemetry) = world.create_ingest().await;
        for _ in 0..3 {
            world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap();
            rest::call(&world.server.api(), &secret, Method::GET, "/v1/auth/me", &Value::Null).await;
            ask(&world, &secret, "").await;
            client::raw(&world.server.otlp_grpc(), &Metadata::bearer(&telemetry), EXPORT, Vec::new()).await.unwrap();
        }
        // The ninth is refused, on its own ground.
        ask(&world, &secret, "platform.tenants").await;
        client::raw(&world.server.otlp_grpc(), &Metadata::bearer(&secret), EXPORT, Vec::new()).await.unwrap();
        let _ = world.authn_as(&telemetry).who_am_i(WhoAmIRequest {}).await.unwrap_err();
        counts_are(&world, &key.id, 11, RefusedChecks::default()).await;
        counts_are(&world, &ingest.id, 4, RefusedChecks::default()).await;
    }

    // R21: refused by reason, once the key was found.
    async fn refusals_are_counted_by_their_reason(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let soon = prost_types::Timestamp::from(std::time::SystemTime::now() + std::time::Duration::from_secs(2));
        let request = CreateApiKeyRequest {
            scopes: vec!["tenant.read".into()],
            expire_time: Some(soon),
            ..named("short-lived")
        };
        let (brief, gone) = world.create(request).await;
        let limited = CreateApiKeyRequest { rate_limit: 1, ..named("limited") };
        let (limited, one) = world.create(limited).await;
        let elsewhere = CreateApiKeyRequest { allowed_networks: vec!["192.0.2.0/24".into()], ..named("elsewhere") };
        let (elsewhere, far) = world.create(elsewhere).await;
        for _ in 0..2 {
            ask(&world, &gone, "keys.manage").await;
        }
        for _ in 0..4 {
            let _ = world.authn_as(&one).who_am_i(WhoAmIRequest {}).await;
        }
        for _ in 0..5 {
            world.authn_as(&far).who_am_i(WhoAmIRequest {}).await.unwrap_err();
        }
        let other = VerifyCredentialRequest {
            credential: far.clone(), tenant_id: stranger.tenant_id.clone(), peer_address: "192.0.2.1".into(),
            ..Default::default()
        };
        world.authn().verify_credential(other).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        for _ in 0..3 {
            ask(&world, &gone, "").await;
        }
        let none = RefusedChecks::default;
        counts_are(&world, &brief.id, 0, RefusedChecks { permission: 2, expired: 3, ..none() }).await;
        counts_are(&world, &limited.id, 1, RefusedChecks { rate_limit: 3, ..none() }).await;
        counts_are(&world, &elsewhere.id, 0, RefusedChecks { address: 5, other: 1, ..none() }).await;
        // A tenant that asks about another's key learns nothing, and leaves nothing.
        let question = VerifyCredentialRequest { credential: far, ..Default::default() };
        world.authn_as(&stranger.secret).verify_credential(question).await.unwrap();
        let suspend = SuspendTenantRequest { id: stranger.tenant_id.clone(), ..Default::default() };
        world.tenancy().suspend_tenant(suspend).await.unwrap();
        for _ in 0..6 {
            ask(&world, &stranger.secret, "").await;
        }
        let resume = ResumeTenantRequest { id: stranger.tenant_id.clone() };
        world.tenancy().resume_tenant(resume).await.unwrap();
        let id = world.authn_as(&stranger.secret).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        let id = id.principal.unwrap().api_key_id;
        let end = std::time::Instant::now() + crate::usage::PATIENCE;
        loop {
            let hours = usage_as(&world, &stranger.secret, &id).await.unwrap();
            let suspended: u64 = hours.iter().filter_map(|hour| hour.refused).map(|refused| refused.suspended).sum();
            if suspended == 6 {
                break;
            }
            assert!(std::time::Instant::now() < end, "{hours:?}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(summed(&world, &elsewhere.id).await.1.address, 5);
    }

    // R21: the last uses of a key that is revoked are those that one wants to know of.
    async fn nothing_is_lost_by_a_revocation_or_an_orderly_end(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let (other, lasting) = world.create_plain().await;
        let mut authn = world.authn_as(&secret);
        for _ in 0..40 {
            authn.who_am_i(WhoAmIRequest {}).await.unwrap();
        }
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await.unwrap();
        // A key that has the record next does not inherit.
        let (heir, _) = world.create_plain().await;
        counts_are(&world, &key.id, 40, RefusedChecks::default()).await;
        assert_eq!(summed(&world, &heir.id).await.0, 0);
        world.authn_as(&lasting).who_am_i(WhoAmIRequest {}).await.unwrap();
        let world = world.restarted().await;
        assert_eq!(summed(&world, &other.id).await.0, 1);
    }

    async fn whose_use_it_is_may_know(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let (key, _) = world.create_plain().await;
        let of = async |kind: ApiKeyKind, scope: &str| {
            let scopes = vec![scope.to_owned()];
            world.create(CreateApiKeyRequest { kind: kind.into(), scopes, ..named("k") }).await
        };
        let (itself, service) = of(ApiKeyKind::Service, "keys.read").await;
        let (_, auditor) = of(ApiKeyKind::Service, "usage.read").await;
        let (_, neither) = of(ApiKeyKind::User, "tenant.read").await;
        usage_as(&world, &service, &itself.id).await.unwrap();
        usage_as(&world, &auditor, &key.id).await.unwrap();
        let refused = usage_as(&world, &service, &key.id).await;
        assert_refused(refused, Code::NotFound, "NOT_FOUND");
        let refused = usage_as(&world, &stranger.secret, &key.id).await;
        assert_refused(refused, Code::NotFound, "NOT_FOUND");
        let refused = usage_as(&world, &neither, &key.id).await;
        let metadata = assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(metadata["required_permission"], "keys.read");
        let long = GetApiKeyUsageRequest { id: key.id, start_time: Some(<_>::default()), ..Default::default() };
        let refused = world.keys().get_api_key_usage(long).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
    }

    async fn it_is_drawn_on_the_command_line_and_told_over_rest(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap();
        counts_are(&world, &key.id, 1, RefusedChecks::default()).await;
        let mut command = doorward();
        command.args(["key", "usage", &key.id, "--last", "3h"]);
        command.env("DOORWARD_ADDRESS", format!("http://{}", world.server.api())).env("DOORWARD_API_KEY", &world.owner);
        let printed = run(command).await;
        assert!(printed.out.contains("########  1\n") && printed.out.is_ascii(), "{}{}", printed.out, printed.err);
        let path = format!("/v1/api-keys/{}/usage", key.id);
        let answer = rest::call(&world.server.api(), &world.owner, Method::GET, &path, &Value::Null).await;
        assert_eq!(answer.json()["hours"][0]["accepted"], "1", "{}", answer.text());
    }
}
