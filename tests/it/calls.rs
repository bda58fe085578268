//! What every answer carries, whoever asked and however it ended.
use crate::harness::client::Metadata;
use crate::harness::rest::{self, Answer};
use crate::harness::world::named;
use crate::harness::{Database, Settings, World, client};
use doorward::pb::v1::{CreateApiKeyRequest, WhoAmIRequest};
use http::Method;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

async fn me(world: &World, headers: &[(&str, &str)]) -> Answer {
    let request = rest::request(Method::GET, "/v1/auth/me", headers, bytes::Bytes::new());
    rest::send(&world.server.api(), request).await.unwrap()
}

// R7
#[tokio::test]
async fn a_correlation_id_comes_back_if_it_is_well_formed_and_else_a_new_one() {
    let world = World::start(Database::sqlite()).await;
    let bearer = format!("Bearer {}", world.owner);
    let good = me(&world, &[("authorization", &bearer), ("x-correlation-id", "abc_DEF-123")]).await;
    assert_eq!(good.header("x-correlation-id"), "abc_DEF-123");
    let second = me(&world, &[("authorization", &bearer), ("x-request-id", "from-a-proxy")]).await;
    assert_eq!(second.header("x-correlation-id"), "from-a-proxy");
    let long = "a".repeat(65);
    for bad in ["", "a b", "a;b", "ä", long.as_str()] {
        let answer = me(&world, &[("x-correlation-id", bad)]).await;
        let given = answer.header("x-correlation-id");
        assert!(given != bad && (8..=64).contains(&given.len()), "{given}");
        assert!(given.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{given}");
    }
    let metadata = Metadata::bearer(&world.owner).and("x-correlation-id", "over-grpc");
    let answer = client::authn(&world.server.api(), metadata).who_am_i(WhoAmIRequest {}).await.unwrap();
    assert_eq!(answer.metadata().get("x-correlation-id").unwrap(), "over-grpc");
}

// R6
#[tokio::test]
async fn the_tenant_of_the_credential_is_told() {
    let world = World::start(Database::sqlite()).await;
    let answer = world.authn().who_am_i(WhoAmIRequest {}).await.unwrap();
    assert_eq!(answer.metadata().get("x-tenant-id").unwrap(), world.tenant_id.as_str());
    let answer =
        rest::call(&world.server.api(), &world.owner, Method::GET, "/v1/auth/me", &Value::Null).await;
    assert_eq!(answer.header("x-tenant-id"), world.tenant_id);
}

// R1
#[tokio::test]
async fn a_key_is_taken_from_either_header() {
    let world = World::start(Database::sqlite()).await;
    assert_eq!(me(&world, &[("x-api-key", &world.owner)]).await.status, 200);
    assert_eq!(me(&world, &[("authorization", &format!("bearer {}", world.owner))]).await.status, 200);
    let metadata = Metadata::none().and("x-api-key", &world.owner);
    client::authn(&world.server.api(), metadata).who_am_i(WhoAmIRequest {}).await.unwrap();
}

// R18
#[tokio::test]
async fn the_limit_and_what_is_left_are_in_every_answer() {
    let world = World::start(Database::sqlite()).await;
    let (_, secret) = world.create(CreateApiKeyRequest { rate_limit: 5, ..named("limited") }).await;
    let answer = world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap();
    assert_eq!(answer.metadata().get("x-ratelimit-remaining").unwrap(), "4");
    for remaining in (0..4).rev() {
        let answer = rest::call(&world.server.api(), &secret, Method::GET, "/v1/auth/me", &Value::Null).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), "5");
        assert_eq!(answer.header("x-ratelimit-remaining"), remaining.to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let reset: u64 = answer.header("x-ratelimit-reset").parse().unwrap();
        assert!((now..=now + 61).contains(&reset), "{reset} at {now}");
        assert!(!answer.header("ratelimit").is_empty() && !answer.header("ratelimit-policy").is_empty());
    }
    let over = rest::call(&world.server.api(), &secret, Method::GET, "/v1/auth/me", &Value::Null).await;
    over.assert_refused(429, "RATE_LIMIT_EXCEEDED");
    let wait: u64 = over.header("retry-after").parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(over.header("x-ratelimit-remaining"), "0");
}

// R8
#[tokio::test]
async fn a_health_call_with_a_credential_tells_whose_it_is() {
    let world = World::start(Database::sqlite()).await;
    let answer = rest::call(&world.server.api(), &world.owner, Method::GET, "/v1/health", &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["tenant_id"], world.tenant_id);
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    assert!(body["service"].is_string() && body["timestamp"].is_string(), "{body}");
    let without = rest::get(&world.server.api(), "/v1/health").await.unwrap();
    assert!(without.status == 401 || without.json().get("tenant_id").is_none(), "{}", without.text());
}

// R64: the same handlers behind both, and every path under `/api` too.
#[tokio::test]
async fn rest_does_what_grpc_does() {
    let world = World::start(Database::sqlite()).await;
    let api = world.server.api();
    let body = json!({"display_name": "over rest", "scopes": ["keys.read"], "rate_limit": 7});
    let made = rest::call(&api, &world.owner, Method::POST, "/v1/api-keys", &body).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    let (id, secret) = (made["api_key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(made["api_key"]["display_name"], "over rest");
    assert_eq!(made["api_key"]["kind"], "API_KEY_KIND_USER");
    assert_eq!(rest::call(&api, secret, Method::GET, "/api/v1/auth/me", &Value::Null).await.status, 200);
    let path = format!("/v1/api-keys/{id}");
    let change = json!({"display_name": "renamed", "update_mask": "display_name"});
    let changed = rest::call(&api, &world.owner, Method::PATCH, &path, &change).await;
    assert_eq!(changed.json()["api_key"]["display_name"], "renamed", "{}", changed.text());
    let listed =
        rest::call(&api, &world.owner, Method::GET, "/v1/api-keys?page_size=1", &Value::Null).await.json();
    assert_eq!(listed["api_keys"][0]["id"], id, "{listed}");
    assert!(listed["next_page_token"].is_string());
    let rotated =
        rest::call(&api, &world.owner, Method::POST, &format!("{path}:rotate"), &json!({})).await.json();
    let rotated = rotated["secret"].as_str().unwrap();
    let question = json!({"credential": rotated, "required_permission": "keys.read"});
    let answer = rest::call(&api, &world.owner, Method::POST, "/v1/auth/verify", &question).await.json();
    assert_eq!(answer["principal"]["api_key_id"], id, "{answer}");
    let revoked = rest::call(&api, &world.owner, Method::DELETE, &path, &Value::Null).await.json();
    assert_eq!(revoked["api_key"]["status"], "API_KEY_STATUS_REVOKED", "{revoked}");
    let answer = rest::call(&api, &world.owner, Method::POST, "/v1/auth/verify", &question).await.json();
    assert_eq!(answer["denial"]["reason"], "ERROR_REASON_INVALID_API_KEY", "{answer}");
}

// The default limit of the server holds for keys that say nothing themselves.
#[tokio::test]
async fn the_servers_default_limit_counts_where_nobody_set_one() {
    let settings = Settings::default().set("otlp.backend", "sink").set("limits.default_per_minute", "50");
    let world = World::with(Database::sqlite(), settings).await;
    let answer =
        rest::call(&world.server.api(), &world.owner, Method::GET, "/v1/auth/me", &Value::Null).await;
    assert_eq!(answer.header("x-ratelimit-limit"), "50");
}
