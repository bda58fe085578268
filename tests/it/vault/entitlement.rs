//! What a provider key entitles its tenant to, told wherever a credential is checked.
use super::{SECRET, delete, set, wanted};
use crate::harness::client::{self, Metadata};
use crate::harness::world::{bootstrap, named};
use crate::harness::{Database, Server, Settings, World, on_both, rest};
use crate::people::person;
use crate::watch::{embedded, soon};
use doorward::client::embedded::Demand;
use doorward::domain::entitlements::Entitlements;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    CreateApiKeyRequest, DeleteProviderKeyRequest, VerifyCredentialRequest, WhoAmIRequest,
};
use http::Method;
use serde_json::{Value, json};

/// What is told of a credential, by itself and to another that asks; they must agree.
async fn told(api: &str, owner: &str, credential: &str) -> Vec<String> {
    let me = client::authn(api, Metadata::bearer(credential)).who_am_i(WhoAmIRequest {}).await;
    let me = me.unwrap().into_inner().principal.unwrap().entitlements;
    let question = VerifyCredentialRequest { credential: credential.to_owned(), ..Default::default() };
    let answer = client::authn(api, Metadata::bearer(owner)).verify_credential(question).await;
    let Some(Outcome::Principal(principal)) = answer.unwrap().into_inner().outcome else { panic!() };
    assert_eq!(principal.entitlements, me);
    me
}

on_both! {
    // R46: the cap is lifted while a key is set.
    async fn a_tenant_is_entitled_while_it_has_a_key(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let (_, narrow) =
            world.create(CreateApiKeyRequest { scopes: vec!["tenant.read".into()], ..named("narrow") }).await;
        let session = person::log_in(&world).await.access;
        let credentials = [&world.owner, &narrow, &session];
        let everybody = async |expected: &[&str]| {
            for credential in credentials {
                assert_eq!(told(&world.server.api(), &world.owner, credential).await, expected);
            }
        };
        everybody(&[]).await;
        set(&world, "openai", "", SECRET).await;
        everybody(&["ai.unlimited"]).await;
        set(&world, "anthropic", "", SECRET).await;
        delete(&world, "openai", "").await.unwrap();
        everybody(&["ai.unlimited"]).await;
        let over_rest = rest::call(&world.server.api(), &world.owner, Method::GET, "/v1/auth/me", &Value::Null).await;
        assert_eq!(over_rest.json()["principal"]["entitlements"], json!(["ai.unlimited"]));
        assert_eq!(told(&world.server.api(), &world.owner, &stranger.secret).await, [""; 0]);
        delete(&world, "anthropic", "").await.unwrap();
        everybody(&[]).await;
        // A restart reads it from the snapshot.
        set(&world, "openai", "", SECRET).await;
        let world = world.restarted().await;
        assert_eq!(told(&world.server.api(), &world.owner, &narrow).await, ["ai.unlimited"]);
    }

    // R15, R46: in another process, from its memory.
    async fn the_embedded_layer_knows_it_too(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let (_, secret) = world.create_plain().await;
        let demand = Demand::default();
        embedded.check_or_ask(&secret, &demand).await.unwrap();
        let told = || embedded.check(&secret, &demand).map(|verified| verified.principal.entitlements());
        soon("the key is not heard of", || told().is_ok()).await;
        assert!(told().unwrap().is_empty());
        set(&world, "openai", "", SECRET).await;
        soon("the entitlement is not heard of", || told().unwrap() == Entitlements::AI_UNLIMITED).await;
        delete(&world, "openai", "").await.unwrap();
        assert!(told().unwrap().is_empty(), "when it returned it had not happened");
    }
}

// R15: when the last key is deleted, no replica takes the tenant for entitled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_last_key_is_deleted_all_replicas_know() {
    let database = Database::postgres().await;
    let owner = bootstrap(&database).await["api_key"].as_str().unwrap().to_owned();
    let settings = Settings::default().set("otlp.backend", "sink");
    let (one, two) = (Server::serve(&database, &settings).await, Server::serve(&database, &settings).await);
    let mut keys = client::keys(&one.api(), Metadata::bearer(&owner));
    for round in 0..10 {
        keys.set_provider_key(wanted("openai", "", SECRET)).await.unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let arrived = async || {
            let mut authn = client::authn(&two.api(), Metadata::bearer(&owner));
            !authn
                .who_am_i(WhoAmIRequest {})
                .await
                .unwrap()
                .into_inner()
                .principal
                .unwrap()
                .entitlements
                .is_empty()
        };
        while !arrived().await {
            assert!(std::time::Instant::now() < end, "round {round}: the entitlement does not arrive");
        }
        let request = DeleteProviderKeyRequest { provider: "openai".into(), ..Default::default() };
        keys.delete_provider_key(request).await.unwrap();
        assert_eq!(told(&two.api(), &owner, &owner).await, [""; 0], "round {round}");
    }
}
