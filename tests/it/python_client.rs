//! A client in another language, generated from our protos alone.
use crate::harness::python::Python;
use crate::harness::{Database, World, on_both};
use serde_json::{Value, json};

fn order(world: &World, key: &str, service: &str, method: &str, request: &Value) -> Value {
    json!({
        "address": world.server.api(), "key": key, "service": service, "method": method, "request": request,
    })
}

on_both! {
    // R11, R64
    async fn grpcio_makes_a_key_calls_with_it_and_ends_it(database: Database) {
        let world = World::start(database).await;
        let mut python = Python::start("keys.py").await;
        let request = json!({"display_name": "from python", "scopes": ["keys.read"], "rate_limit": 100});
        let made = python.ask(&order(&world, &world.owner, "keys", "CreateApiKey", &request));
        let key = &made["response"]["api_key"];
        let (id, secret) = (key["id"].as_str().unwrap(), made["response"]["secret"].as_str().unwrap());
        assert_eq!(key["display_name"], "from python");
        let me = python.ask(&order(&world, secret, "authn", "WhoAmI", &json!({})));
        assert_eq!(me["response"]["principal"]["api_key_id"], id, "{me}");
        assert_eq!(me["metadata"]["x-tenant-id"], world.tenant_id.as_str());
        assert_eq!(me["metadata"]["x-ratelimit-limit"], "100");
        let question = json!({"credential": secret, "required_permission": "keys.manage"});
        let denied = python.ask(&order(&world, &world.owner, "authn", "VerifyCredential", &question));
        assert_eq!(
            denied["response"]["denial"]["reason"],
            "ERROR_REASON_INSUFFICIENT_PERMISSIONS",
            "{denied}"
        );
        let ended = python.ask(&order(&world, &world.owner, "keys", "RevokeApiKey", &json!({"id": id})));
        assert_eq!(ended["response"]["api_key"]["status"], "API_KEY_STATUS_REVOKED", "{ended}");
        let refused = python.ask(&order(&world, secret, "authn", "WhoAmI", &json!({})));
        assert_eq!(refused["code"], "UNAUTHENTICATED", "{refused}");
        assert_eq!((&refused["reason"], &refused["domain"]), (&json!("INVALID_API_KEY"), &json!("doorward.dev")));
    }
}

// R4, R7: what a program can act on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcio_sees_reasons_details_and_the_correlation_id() {
    let world = World::start(Database::sqlite()).await;
    let mut python = Python::start("keys.py").await;
    let nobody = python.ask(&order(&world, "", "authn", "WhoAmI", &json!({})));
    assert_eq!(
        (&nobody["code"], &nobody["reason"]),
        (&json!("UNAUTHENTICATED"), &json!("CREDENTIALS_MISSING"))
    );
    assert!(nobody["metadata"]["x-correlation-id"].is_string(), "{nobody}");
    let wrong = python.ask(&order(&world, &world.owner, "keys", "CreateApiKey", &json!({})));
    assert_eq!((&wrong["code"], &wrong["reason"]), (&json!("INVALID_ARGUMENT"), &json!("INVALID_ARGUMENT")));
    let details = wrong["details"].as_array().unwrap();
    assert!(details.contains(&json!("google.rpc.BadRequest")), "{wrong}");
    let request = json!({"display_name": "limited", "rate_limit": 1});
    let made = python.ask(&order(&world, &world.owner, "keys", "CreateApiKey", &request));
    let secret = made["response"]["secret"].as_str().unwrap();
    python.ask(&order(&world, secret, "authn", "WhoAmI", &json!({})));
    let over = python.ask(&order(&world, secret, "authn", "WhoAmI", &json!({})));
    assert_eq!(
        (&over["code"], &over["reason"]),
        (&json!("RESOURCE_EXHAUSTED"), &json!("RATE_LIMIT_EXCEEDED"))
    );
    let details = over["details"].as_array().unwrap();
    for detail in ["google.rpc.RetryInfo", "google.rpc.QuotaFailure"] {
        assert!(details.contains(&json!(detail)), "{over}");
    }
}
