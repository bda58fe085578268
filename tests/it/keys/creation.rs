//! What making a key gives, and what it never gives.
use crate::harness::client::assert_refused;
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{
    ApiKeyKind, ApiKeyStatus, CreateApiKeyRequest, Environment, GetApiKeyRequest, ListApiKeysRequest,
    PrincipalType, UpdateApiKeyRequest, WhoAmIRequest,
};
use std::collections::HashSet;
use tonic::Code;

on_both! {
    // R10, R11, R17
    async fn a_key_needs_only_a_name_and_works_at_once(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create(named("ci")).await;
        assert!(key.id.starts_with("key_"), "{key:?}");
        assert!(secret.starts_with("dw_live_") && secret.starts_with(&key.prefix), "{}", key.prefix);
        assert_eq!(secret.len(), key.prefix.len() + 32 + 6);
        assert_eq!((key.display_name.as_str(), key.kind()), ("ci", ApiKeyKind::User));
        assert_eq!((key.status(), key.environment()), (ApiKeyStatus::Active, Environment::Live));
        assert_eq!(key.tenant_id, world.tenant_id);
        assert!(key.user_id.starts_with("user_") && !key.created_by.is_empty() && !key.etag.is_empty());
        assert!(key.create_time.is_some() && key.expire_time.is_none() && !key.imported);
        let principal = world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal;
        let principal = principal.unwrap();
        assert_eq!((principal.api_key_id, principal.user_id), (key.id, key.user_id));
    }

    // R11, R22
    async fn a_secret_is_shown_by_nothing_but_its_creation(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let hidden = &secret[key.prefix.len()..];
        let mut keys = world.keys();
        let get = keys.get_api_key(GetApiKeyRequest { id: key.id.clone(), ..Default::default() }).await.unwrap();
        let list = keys.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        let update = UpdateApiKeyRequest {
            id: key.id,
            update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".into()] }),
            display_name: "renamed".into(),
            ..Default::default()
        };
        let update = keys.update_api_key(update).await.unwrap();
        for answer in [format!("{get:?}"), format!("{list:?}"), format!("{update:?}")] {
            for window in hidden.as_bytes().windows(8) {
                let part = std::str::from_utf8(window).unwrap();
                assert!(!answer.contains(part), "{answer}");
            }
        }
    }

    // R11: a retry after a lost answer.
    async fn the_same_request_id_makes_no_second_key(database: Database) {
        let world = World::start(database).await;
        let request = CreateApiKeyRequest { request_id: uuid::Uuid::now_v7().to_string(), ..named("once") };
        let (key, secret) = world.create(request.clone()).await;
        let (mut one, mut two) = (world.keys(), world.keys());
        let (first, second) =
            tokio::join!(one.create_api_key(request.clone()), two.create_api_key(request.clone()));
        for retry in [first, second] {
            match retry {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    assert_eq!(answer.api_key.unwrap().id, key.id);
                    assert!(answer.secret.is_empty() || answer.secret == secret);
                }
                refused => drop(assert_refused(refused, Code::AlreadyExists, "ALREADY_EXISTS")),
            }
        }
        let made = world.listing().await.into_iter().filter(|key| key.display_name == "once");
        assert_eq!(made.count(), 1);
    }

    // R14
    async fn a_key_never_gets_more_than_its_maker_has(database: Database) {
        let world = World::start(database).await;
        let scopes = vec!["keys.read".to_owned(), "keys.write".to_owned()];
        let narrow = CreateApiKeyRequest { scopes: scopes.clone(), ..named("narrow") };
        let (_, narrow) = world.create(narrow).await;
        let mut keys = world.keys_as(&narrow);
        let more = CreateApiKeyRequest { scopes: vec!["tenant.update".into()], ..named("more") };
        let metadata =
            assert_refused(keys.create_api_key(more).await, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(metadata["required_permission"], "tenant.update");
        // A key that does not narrow still has no more than its maker.
        if let Ok(answer) = keys.create_api_key(named("heir")).await {
            let secret = answer.into_inner().secret;
            let principal = world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal;
            let allowed: HashSet<String> = scopes.into_iter().collect();
            let has: HashSet<String> = principal.unwrap().permissions.into_iter().collect();
            assert!(has.is_subset(&allowed), "{has:?}");
        }
        let unknown = CreateApiKeyRequest { scopes: vec!["keys.nonsense".into()], ..named("unknown") };
        assert_refused(world.keys().create_api_key(unknown).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    }

    // R13, R14
    async fn each_kind_of_key_may_what_its_kind_may(database: Database) {
        let world = World::start(database).await;
        for (kind, prefix, principal_type) in [
            (ApiKeyKind::Service, "dw_svc_live_", PrincipalType::Service),
            (ApiKeyKind::Tenant, "dw_ten_live_", PrincipalType::Tenant),
            (ApiKeyKind::Ingest, "dw_ing_live_", PrincipalType::Ingest),
        ] {
            let (key, secret) = world.create(CreateApiKeyRequest { kind: kind.into(), ..named("kind") }).await;
            assert!(secret.starts_with(prefix) && key.user_id.is_empty(), "{key:?}");
            let question = doorward::pb::v1::VerifyCredentialRequest { credential: secret, ..Default::default() };
            let answer = world.authn().verify_credential(question).await.unwrap().into_inner().outcome.unwrap();
            let doorward::pb::v1::verify_credential_response::Outcome::Principal(principal) = answer else {
                panic!("{kind:?}: {answer:?}");
            };
            assert_eq!((principal.r#type(), principal.id), (principal_type, key.id));
            assert!(!principal.permissions.contains(&"keys.manage".to_owned()), "{:?}", principal.permissions);
        }
        let (_, ingest) = world.create_ingest().await;
        let refused = world.keys_as(&ingest).list_api_keys(ListApiKeysRequest::default()).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
    }

    // R20
    async fn a_test_key_stays_in_the_test_environment(database: Database) {
        let world = World::start(database).await;
        let request = CreateApiKeyRequest { environment: Environment::Test.into(), ..named("test") };
        let (key, secret) = world.create(request).await;
        assert_eq!(key.environment(), Environment::Test);
        assert!(secret.starts_with("dw_test_"));
        let principal = world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal;
        assert_eq!(principal.unwrap().environment(), Environment::Test);
        let mut keys = world.keys_as(&secret);
        let live = CreateApiKeyRequest { environment: Environment::Live.into(), ..named("live") };
        let refused = keys.create_api_key(live).await.expect_err("a test key made a live one");
        assert!(matches!(refused.code(), Code::PermissionDenied | Code::InvalidArgument), "{refused:?}");
        // The text says which environment it is of, and the check covers the text.
        let disguised = secret.replacen("dw_test_", "dw_live_", 1);
        let refused = world.authn_as(&disguised).who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }
}
