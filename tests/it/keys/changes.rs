//! Changing and ending keys.
use crate::harness::client::assert_refused;
use crate::harness::rest;
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{
    ApiKeyStatus, CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest, RotateApiKeyRequest,
    UpdateApiKeyRequest, WhoAmIRequest,
};
use http::Method;
use prost_types::FieldMask;
use serde_json::Value;
use tonic::Code;

fn mask(paths: &[&str]) -> FieldMask {
    FieldMask { paths: paths.iter().map(ToString::to_string).collect() }
}

on_both! {
    async fn an_update_changes_what_its_mask_names_and_no_more(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create(CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("before") }).await;
        let request = UpdateApiKeyRequest {
            id: key.id.clone(),
            update_mask: Some(mask(&["display_name", "rate_limit"])),
            display_name: "after".into(),
            scopes: vec!["tenant.read".into()],
            rate_limit: 60,
            etag: key.etag.clone(),
            ..Default::default()
        };
        let changed = world.keys().update_api_key(request).await.unwrap().into_inner();
        assert!(!changed.revision.is_empty());
        let changed = changed.api_key.unwrap();
        assert_eq!((changed.display_name.as_str(), changed.rate_limit), ("after", 60));
        assert_eq!(changed.scopes, ["keys.read"]);
        assert_ne!(changed.etag, key.etag);
        assert_eq!(world.get(&key.id).await, changed);
    }

    async fn an_update_of_what_has_changed_since_is_refused(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create_plain().await;
        let rename = |name: &str| UpdateApiKeyRequest {
            id: key.id.clone(),
            update_mask: Some(mask(&["display_name"])),
            display_name: name.into(),
            etag: key.etag.clone(),
            ..Default::default()
        };
        world.keys().update_api_key(rename("first")).await.unwrap();
        assert_refused(world.keys().update_api_key(rename("second")).await, Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(world.get(&key.id).await.display_name, "first");
    }

    async fn a_mask_that_names_what_is_fixed_is_refused(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create_plain().await;
        for path in ["tenant_id", "kind", "nonsense", "*", ""] {
            let request =
                UpdateApiKeyRequest { id: key.id.clone(), update_mask: Some(mask(&[path])), ..Default::default() };
            assert_refused(world.keys().update_api_key(request).await, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        assert_eq!(world.get(&key.id).await, key);
    }

    // R5, R14: the next call already sees it.
    async fn narrowing_a_key_holds_for_its_very_next_call(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let mut keys = world.keys_as(&secret);
        keys.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        let request = UpdateApiKeyRequest {
            id: key.id,
            update_mask: Some(mask(&["scopes"])),
            scopes: vec!["tenant.read".into()],
            ..Default::default()
        };
        world.keys().update_api_key(request).await.unwrap();
        let refused = keys.list_api_keys(ListApiKeysRequest::default()).await;
        let metadata = assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(metadata["required_permission"], "keys.read");
    }

    // R15: on a connection that is open, on a new one, over REST; again and again.
    async fn once_revoke_returns_the_key_opens_nothing(database: Database) {
        let world = World::start(database).await;
        for _ in 0..10 {
            let (key, secret) = world.create_plain().await;
            let mut open = world.authn_as(&secret);
            open.who_am_i(WhoAmIRequest {}).await.unwrap();
            let revoked = world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await.unwrap();
            let refused = open.who_am_i(WhoAmIRequest {}).await;
            assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
            let refused = world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await;
            assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
            let refused = rest::call(&world.server.api(), &secret, Method::GET, "/v1/auth/me", &Value::Null).await;
            refused.assert_refused(401, "INVALID_API_KEY");
            let revoked = revoked.into_inner();
            assert!(revoked.receipt.is_some() && !revoked.revision.is_empty());
            let shown = revoked.api_key.unwrap();
            assert_eq!(shown.status(), ApiKeyStatus::Revoked);
            assert!(shown.revoke_time.is_some());
        }
    }

    // R15: for good.
    // In an incident nobody reads a key again first because somebody renames it.
    async fn a_revocation_never_loses_a_race_against_another_change(database: Database) {
        let world = World::start(database).await;
        for round in 0..10 {
            let (key, _) = world.create_plain().await;
            let rename = async {
                for at in 0..5 {
                    let request = UpdateApiKeyRequest {
                        id: key.id.clone(),
                        display_name: format!("name {at}"),
                        update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
                        ..Default::default()
                    };
                    let _ = world.keys().update_api_key(request).await;
                }
            };
            let revoke = async {
                tokio::time::sleep(std::time::Duration::from_millis(round)).await;
                world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await
            };
            let ((), revoked) = tokio::join!(rename, revoke);
            revoked.unwrap_or_else(|status| panic!("round {round}: {status}"));
        }
    }

    async fn a_revoked_key_cannot_be_changed_or_brought_back(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let revoke = RevokeApiKeyRequest { id: key.id.clone() };
        let first = world.keys().revoke_api_key(revoke.clone()).await.unwrap().into_inner().api_key.unwrap();
        let again = world.keys().revoke_api_key(revoke).await.unwrap().into_inner().api_key.unwrap();
        assert_eq!(first.revoke_time, again.revoke_time);
        let rotate = RotateApiKeyRequest { id: key.id.clone(), ..Default::default() };
        let refused = world.keys().rotate_api_key(rotate).await;
        assert_refused(refused, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let rename = UpdateApiKeyRequest {
            id: key.id,
            update_mask: Some(mask(&["display_name"])),
            display_name: "back".into(),
            ..Default::default()
        };
        let refused = world.keys().update_api_key(rename).await;
        assert_refused(refused, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let refused = world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }

    async fn a_restart_forgets_nothing(database: Database) {
        let world = World::start(database).await;
        let (kept, kept_secret) = world.create_plain().await;
        let (revoked, revoked_secret) = world.create_plain().await;
        let (rotated, old_secret) = world.create_plain().await;
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: revoked.id }).await.unwrap();
        let rotate = RotateApiKeyRequest { id: rotated.id, ..Default::default() };
        let new_secret = world.keys().rotate_api_key(rotate).await.unwrap().into_inner().secret;
        let before = world.listing().await;
        let world = world.restarted().await;
        assert_eq!(world.listing().await, before);
        for secret in [&kept_secret, &new_secret] {
            world.authn_as(secret).who_am_i(WhoAmIRequest {}).await.unwrap();
        }
        for secret in [&revoked_secret, &old_secret] {
            let refused = world.authn_as(secret).who_am_i(WhoAmIRequest {}).await;
            assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
        }
        assert_eq!(world.get(&kept.id).await.status(), ApiKeyStatus::Active);
    }
}

// R11: a check writes nothing itself; a task notes the use within the minute.
#[tokio::test]
async fn the_last_use_of_a_key_is_shown_within_a_minute() {
    let world = World::start(Database::sqlite()).await;
    let (key, secret) = world.create_plain().await;
    assert_eq!(key.last_used_time, None);
    world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap();
    for _ in 0..70 {
        if world.get(&key.id).await.last_used_time.is_some() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    panic!("the use of the key is not shown");
}
