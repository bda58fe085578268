//! Provider keys: set by people, fetched by services, opened nowhere but in their place.
use super::{SECRET, audited, by_the_test, delete, fetch, list, service, set, store, wanted};
use crate::harness::client::assert_refused;
use crate::harness::world::named;
use crate::harness::{Database, World, on_both, rest};
use crate::people::person;
use doorward::domain::audit::Action;
use doorward::pb::v1::{
    ApiKeyKind, CreateApiKeyRequest, Environment, ListProviderKeysRequest, SetProviderKeyRequest,
};
use doorward::store::Across;
use doorward::store::vault::{SealedColumn, SealedValue, sealed_page, sealed_replace};
use http::Method;
use serde_json::{Value, json};
use tonic::Code;

on_both! {
    // R46
    async fn people_set_a_key_and_only_a_service_gets_it_back(database: Database) {
        let world = World::start(database).await;
        let made = set(&world, "openai", "", SECRET).await;
        assert_eq!((made.provider.as_str(), made.label.as_str(), made.fingerprint.len()), ("openai", "", 16));
        assert!(made.set_by.starts_with("user_") && made.last_fetched_time.is_none(), "{made:?}");
        assert_eq!(list(&world).await, std::slice::from_ref(&made));
        let service = service(&world).await;
        let answer = fetch(&world, &service, "openai", "").await.unwrap();
        assert_eq!(answer.secret, SECRET);
        let fetched = list(&world).await.remove(0);
        assert!(fetched.last_fetched_time.is_some());
        assert_eq!(answer.provider_key.as_ref(), Some(&fetched));
        // Another label is another key, and a new secret is the same key.
        let other = set(&world, "openai", "team-a", "sk-other-secret").await;
        let again = set(&world, "openai", "", "sk-a-newer-secret").await;
        assert_eq!((&again.id, again.last_fetched_time), (&made.id, None));
        assert!(again.fingerprint != made.fingerprint && other.fingerprint != made.fingerprint);
        assert_eq!(fetch(&world, &service, "openai", "team-a").await.unwrap().secret, "sk-other-secret");
        assert_eq!(fetch(&world, &service, "openai", "").await.unwrap().secret, "sk-a-newer-secret");
        assert_eq!(set(&world, "openai", "", SECRET).await.fingerprint, made.fingerprint);
        delete(&world, "openai", "").await.unwrap();
        for refused in [fetch(&world, &service, "openai", "").await.map(|_| ()), delete(&world, "openai", "").await] {
            assert_refused(refused, Code::NotFound, "NOT_FOUND");
        }
        for (action, many) in
            [(Action::ProviderKeySet, 4), (Action::ProviderKeyFetched, 3), (Action::ProviderKeyDeleted, 1)]
        {
            assert_eq!(audited(&world.database, action).await, many, "{action:?}");
        }
    }

    // R46: whatever they may do otherwise.
    async fn whoever_is_no_service_gets_nothing(database: Database) {
        let world = World::start(database).await;
        set(&world, "openai", "", SECRET).await;
        let session = person::log_in(&world).await.access;
        for person in [&world.owner, &session] {
            let metadata = assert_refused(
                fetch(&world, person, "openai", "").await, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
            assert_eq!(metadata["required_role"], "service");
        }
        let of_kind = async |kind: ApiKeyKind, scopes: &[&str], environment: Environment| {
            let scopes = scopes.iter().map(ToString::to_string).collect();
            let (kind, environment) = (kind.into(), environment.into());
            world.create(CreateApiKeyRequest { kind, scopes, environment, ..named("k") }).await.1
        };
        let fetches = ["provider_keys.fetch"];
        let machines = [
            of_kind(ApiKeyKind::Tenant, &[], Environment::Live).await,
            of_kind(ApiKeyKind::Service, &["provider_keys.manage"], Environment::Live).await,
            of_kind(ApiKeyKind::Service, &fetches, Environment::Test).await,
        ];
        for machine in machines {
            let refused = fetch(&world, &machine, "openai", "").await;
            assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        }
        assert_eq!(audited(&world.database, Action::ProviderKeyFetched).await, 0);
        // Who fetches may not set, and the other way round.
        let service = of_kind(ApiKeyKind::Service, &fetches, Environment::Live).await;
        let mut keys = world.keys_as(&service);
        let refused = keys.set_provider_key(wanted("openai", "", SECRET)).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        let refused = keys.list_provider_keys(ListProviderKeysRequest::default()).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
    }

    async fn over_rest_it_is_the_same_and_never_listed(database: Database) {
        let world = World::start(database).await;
        let (api, service) = (world.server.api(), service(&world).await);
        let body = json!({"provider": "anthropic", "label": "team-a", "secret": SECRET});
        let made = rest::call(&api, &world.owner, Method::POST, "/v1/provider-keys", &body).await;
        assert_eq!(made.json()["provider_key"]["label"], "team-a", "{}", made.text());
        let listed = rest::call(&api, &world.owner, Method::GET, "/v1/provider-keys", &Value::Null).await;
        assert_eq!(listed.json()["provider_keys"][0]["provider"], "anthropic");
        assert!(!listed.text().contains("Canary") && !made.text().contains("Canary"));
        let path = "/v1/provider-keys/anthropic:fetch";
        let got = rest::call(&api, &service, Method::POST, path, &json!({"label": "team-a"})).await;
        assert_eq!((&got.json()["secret"], got.header("cache-control")), (&SECRET.into(), "no-store"));
        let refused = rest::call(&api, &world.owner, Method::POST, path, &json!({"label": "team-a"})).await;
        assert_eq!(refused.assert_refused(403, "INSUFFICIENT_PERMISSIONS")["required_role"], "service");
        let path = "/v1/provider-keys/anthropic?label=team-a";
        assert_eq!(rest::call(&api, &world.owner, Method::DELETE, path, &Value::Null).await.status, 200);
        let gone = rest::call(&api, &world.owner, Method::DELETE, path, &Value::Null).await;
        gone.assert_refused(404, "NOT_FOUND");
    }

    async fn what_cannot_stand_in_a_header_is_no_key(database: Database) {
        let world = World::start(database).await;
        let long = "a".repeat(8193);
        let refused = |request: SetProviderKeyRequest| {
            let mut keys = world.keys();
            async move {
                let refused = keys.set_provider_key(request).await;
                assert!(!format!("{refused:?}").contains("Canary"), "{refused:?}");
                assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
            }
        };
        for secret in ["", "two\nlines Canary", "Canary ä", " Canary", long.as_str()] {
            refused(wanted("openai", "", secret)).await;
        }
        for (provider, label) in [("", ""), ("OpenAI", ""), ("a/b", ""), ("openai", "A"), ("openai", "a/b")] {
            refused(wanted(provider, label, "Canary")).await;
        }
        assert_eq!(list(&world).await, []);
        set(&world, "openai", "", &"a".repeat(8192)).await;
    }

    // R40: another tenant's is not there.
    async fn a_tenant_has_its_own_keys(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        set(&world, "openai", "", SECRET).await;
        let mut theirs = world.keys_as(&stranger.secret);
        let listed = theirs.list_provider_keys(ListProviderKeysRequest::default()).await.unwrap().into_inner();
        assert_eq!(listed.provider_keys, []);
        let request = CreateApiKeyRequest {
            kind: ApiKeyKind::Service.into(), scopes: vec!["provider_keys.fetch".into()], ..named("theirs")
        };
        let service = theirs.create_api_key(request).await.unwrap().into_inner().secret;
        assert_refused(fetch(&world, &service, "openai", "").await, Code::NotFound, "NOT_FOUND");
        theirs.set_provider_key(wanted("openai", "", "sk-theirs")).await.unwrap();
        assert_eq!(fetch(&world, &service, "openai", "").await.unwrap().secret, "sk-theirs");
    }

    // Whoever can write to the database cannot move a secret to where they can fetch it.
    async fn a_sealed_secret_opens_in_its_own_place_alone(database: Database) {
        let world = World::start(database).await;
        set(&world, "openai", "", SECRET).await;
        set(&world, "anthropic", "", "sk-ant-mine").await;
        set(&world, "openai", "team-a", "sk-labelled").await;
        let stranger = world.stranger().await;
        world.keys_as(&stranger.secret).set_provider_key(wanted("openai", "", "sk-theirs")).await.unwrap();
        let service = service(&world).await;
        // By their order: the ids are made in time.
        let values = sealed(&world.database).await;
        let [ours, other, labelled, theirs] = values.as_slice() else { panic!("{}", values.len()) };
        for foreign in [other, labelled, theirs] {
            overwrite(&world.database, ours, &foreign.sealed).await;
            assert_refused(fetch(&world, &service, "openai", "").await, Code::Unavailable, "BACKEND_UNAVAILABLE");
            let there = SealedValue { row: ours.row.clone(), sealed: foreign.sealed.clone() };
            overwrite(&world.database, &there, &ours.sealed).await;
        }
        let mut changed = ours.sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        overwrite(&world.database, ours, &changed).await;
        assert_refused(fetch(&world, &service, "openai", "").await, Code::Unavailable, "BACKEND_UNAVAILABLE");
        let there = SealedValue { row: ours.row.clone(), sealed: changed };
        overwrite(&world.database, &there, &ours.sealed).await;
        assert_eq!(fetch(&world, &service, "openai", "").await.unwrap().secret, SECRET, "the test itself spoils it");
    }
}

async fn sealed(database: &Database) -> Vec<SealedValue> {
    let store = store(database);
    let mut conn = store.read(Across::Instance).await.unwrap();
    sealed_page(&mut conn, SealedColumn::ProviderKeys, &[], 10).await.unwrap()
}

async fn overwrite(database: &Database, before: &SealedValue, after: &[u8]) {
    let (store, (actor, event)) = (store(database), by_the_test());
    let replaced = store
        .write_across(Across::Instance, &actor, event, async |tx| {
            sealed_replace(tx, SealedColumn::ProviderKeys, before, after).await
        })
        .await
        .unwrap();
    assert!(replaced.value, "the row is another meanwhile");
}
