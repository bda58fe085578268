//! Credentials that are good, and may not.
use super::{EXPORT, Refusal, Siege, bearer};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::rest;
use crate::harness::world::{Stranger, named};
use crate::harness::{Database, Settings, World, on_both};
use doorward::pb::v1::{
    CreateApiKeyRequest, GetApiKeyRequest, ListApiKeysRequest, ResumeTenantRequest, RevokeApiKeyRequest,
    RotateApiKeyRequest, SetIpAllowlistRequest, SuspendTenantRequest, UpdateApiKeyRequest,
};
use http::Method;
use prost_types::FieldMask;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const LACKS: Refusal = Refusal(Code::PermissionDenied, 403, "INSUFFICIENT_PERMISSIONS");

/// What the caller gets for a key id at each method that takes one.
async fn tries(world: &World, caller: &str, id: &str) -> Vec<Status> {
    let id = id.to_owned();
    let mut keys = world.keys_as(caller);
    let update = UpdateApiKeyRequest {
        id: id.clone(),
        update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
        display_name: "mine now".into(),
        ..Default::default()
    };
    vec![
        keys.get_api_key(GetApiKeyRequest { id: id.clone(), ..Default::default() }).await.unwrap_err(),
        keys.update_api_key(update).await.unwrap_err(),
        keys.rotate_api_key(RotateApiKeyRequest { id: id.clone(), ..Default::default() }).await.unwrap_err(),
        keys.revoke_api_key(RevokeApiKeyRequest { id }).await.unwrap_err(),
    ]
}

on_both! {
    // R6, R40: and no sign that it exists.
    async fn the_key_of_another_tenant(database: Database) {
        let world = World::start(database).await;
        let (ours, _) = world.create_plain().await;
        let Stranger { secret, .. } = world.stranger().await;
        let nobodys = "key_01h455vb4pex5vsknk084sn02q";
        let siege = Siege::of(world).await;
        let existing = tries(&siege.world, &secret, &ours.id).await;
        let missing = tries(&siege.world, &secret, nobodys).await;
        for (existing, missing) in existing.into_iter().zip(missing) {
            assert_eq!(existing.message(), missing.message());
            let told = |status: &Status| format!("{:?}", status.get_details_error_info());
            assert_eq!(told(&existing), told(&missing));
            assert_refused::<()>(Err(existing), Code::NotFound, "NOT_FOUND");
        }
        let path = format!("/v1/api-keys/{}", ours.id);
        for method in [Method::GET, Method::DELETE] {
            let answer = rest::call(&siege.world.server.api(), &secret, method, &path, &Value::Null).await;
            answer.assert_refused(404, "NOT_FOUND");
        }
        siege.ends().await;
    }

    // R6: a tenant that one names and does not belong to.
    async fn the_header_of_another_tenant(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let ours = world.tenant_id.clone();
        let mut siege = Siege::of(world).await;
        let mismatch = Refusal(Code::PermissionDenied, 403, "TENANT_MISMATCH");
        let key = bearer(&stranger.secret);
        for tenant in [ours.as_str(), "tenant_01h455vb4pex5vsknk084sn02q", "nonsense"] {
            let headers = [("authorization", key.as_str()), ("x-tenant-id", tenant)];
            siege.refused_by_grpc(&headers, mismatch).await;
            siege.refused_by_rest(&headers, mismatch).await;
        }
        let own = Metadata::bearer(&stranger.secret).and("x-tenant-id", &stranger.tenant_id);
        client::keys(&siege.world.server.api(), own).list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        siege.ends().await;
    }

    // R3, R14
    async fn too_few_scopes(database: Database) {
        let world = World::start(database).await;
        let (_, narrow) = world.create(CreateApiKeyRequest { scopes: vec!["tenant.read".into()], ..named("narrow") }).await;
        let mut siege = Siege::of(world).await;
        let header = bearer(&narrow);
        siege.refused_everywhere(&[("authorization", &header)], LACKS).await;
        let metadata = siege.refused_by_grpc(&[("authorization", &header)], LACKS).await;
        assert_eq!(metadata["required_permission"], "keys.read");
        let answer = siege.refused_by_rest(&[("authorization", &header)], LACKS).await;
        assert_eq!(answer.json()["error"]["required_permission"], "keys.read");
        let refused = siege.world.keys_as(&narrow).create_api_key(named("more")).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        siege.ends().await;
    }

    // R18
    async fn over_the_limit(database: Database) {
        let world = World::start(database).await;
        let limited = CreateApiKeyRequest { rate_limit: 1, ..named("limited") };
        let (_, ours) = world.create(limited.clone()).await;
        let ingest = CreateApiKeyRequest { kind: doorward::pb::v1::ApiKeyKind::Ingest.into(), ..limited };
        let (_, theirs) = world.create(ingest).await;
        world.keys_as(&ours).list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        client::raw(&world.server.otlp_grpc(), &Metadata::bearer(&theirs), EXPORT, Vec::new()).await.unwrap();
        let mut siege = Siege::of(world).await;
        let over = Refusal(Code::ResourceExhausted, 429, "RATE_LIMIT_EXCEEDED");
        let header = bearer(&ours);
        let metadata = siege.refused_by_grpc(&[("authorization", &header)], over).await;
        assert!(metadata["retry_after"].parse::<u64>().unwrap() > 0);
        let status = siege.world.keys_as(&ours).list_api_keys(ListApiKeysRequest::default()).await.unwrap_err();
        assert!(status.get_details_retry_info().is_some() && status.get_details_quota_failure().is_some());
        let answer = siege.refused_by_rest(&[("authorization", &header)], over).await;
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        siege.refused_by_ingest(&[("authorization", &bearer(&theirs))], over).await;
        siege.ends().await;
    }

    // R19
    async fn an_address_that_is_not_allowed(database: Database) {
        let world = World::start(database).await;
        let elsewhere = CreateApiKeyRequest { allowed_networks: vec!["192.0.2.0/24".into()], ..named("elsewhere") };
        let (_, elsewhere) = world.create(elsewhere).await;
        let here = CreateApiKeyRequest { allowed_networks: vec!["127.0.0.0/8".into()], ..named("here") };
        let (_, here) = world.create(here).await;
        let mut siege = Siege::of(world).await;
        let refusal = Refusal(Code::PermissionDenied, 403, "IP_NOT_ALLOWED");
        siege.refused_everywhere(&[("authorization", &bearer(&elsewhere))], refusal).await;
        // What a client says of its own address is not believed.
        let claim = [("authorization", bearer(&elsewhere)), ("x-forwarded-for", "192.0.2.1".to_owned())];
        let claim: Vec<_> = claim.iter().map(|(name, value)| (*name, value.as_str())).collect();
        siege.refused_everywhere(&claim, refusal).await;
        siege.world.keys_as(&here).list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        siege.ends().await;
    }

    // R19: the tenant's own list, which holds for all its keys; whose address it is, a trusted proxy says.
    async fn an_address_that_the_tenant_does_not_allow(database: Database) {
        let settings = Settings::default().set("otlp.backend", "sink").set("proxies.trusted", "127.0.0.0/8");
        let world = World::with(database, settings).await;
        let stranger = world.stranger().await;
        let from = |secret: &str, address: &str| Metadata::bearer(secret).and("x-forwarded-for", address);
        let operator = from(&world.owner, "192.0.2.1").and("x-tenant-id", &stranger.tenant_id);
        let networks = vec!["192.0.2.0/24".to_owned()];
        let request = SetIpAllowlistRequest { networks };
        client::tenancy(&world.server.api(), operator).set_ip_allowlist(request).await.unwrap();
        let mut siege = Siege::of(world).await;
        let refusal = Refusal(Code::PermissionDenied, 403, "IP_NOT_ALLOWED");
        let key = bearer(&stranger.secret);
        for forwarded in ["198.51.100.1", "192.0.2.1, 198.51.100.1", "nonsense", "198.51.100.1, 127.0.0.1"] {
            siege.refused_everywhere(&[("authorization", &key), ("x-forwarded-for", forwarded)], refusal).await;
        }
        siege.refused_everywhere(&[("authorization", &key)], refusal).await;
        for forwarded in ["192.0.2.7", "198.51.100.1, 192.0.2.7", "192.0.2.7, 127.0.0.1"] {
            let mut keys = client::keys(&siege.world.server.api(), from(&stranger.secret, forwarded));
            keys.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        }
        siege.ends().await;
    }

    // R19: nobody shuts the door behind themselves.
    async fn an_allowlist_that_would_shut_out_its_maker(database: Database) {
        let siege = Siege::plain(database).await;
        for network in ["192.0.2.0/24", "somewhere"] {
            let request = SetIpAllowlistRequest { networks: vec![network.into()] };
            let refused = siege.world.tenancy().set_ip_allowlist(request).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        siege.ends().await;
    }

    // R43
    async fn a_suspended_tenant(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let id = stranger.tenant_id;
        let suspend = SuspendTenantRequest { id: id.clone(), reason: "unpaid".into() };
        world.tenancy().suspend_tenant(suspend).await.unwrap();
        let mut siege = Siege::of(world).await;
        let refusal = Refusal(Code::PermissionDenied, 403, "TENANT_SUSPENDED");
        siege.refused_everywhere(&[("authorization", &bearer(&stranger.secret))], refusal).await;
        siege.world.tenancy().resume_tenant(ResumeTenantRequest { id }).await.unwrap();
        siege.world.keys_as(&stranger.secret).list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        siege.ends().await;
    }
}
