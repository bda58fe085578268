//! The key set, and what other programs make of our tokens by it.
use super::Home;
use crate::harness::node::Node;
use crate::harness::postgres::Postgres;
use crate::harness::proxy::{Mode, Proxy};
use crate::harness::python::Python;
use crate::harness::{Database, Settings, on_both, rest};
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATHS: [&str; 4] =
    ["/oauth2/jwks", "/.well-known/jwks.json", "/api/oauth2/jwks", "/api/.well-known/jwks.json"];

async fn signing_with(database: &Database, algorithm: &str) -> Home {
    let settings = Settings::default().set("tokens.algorithm", algorithm);
    Home::with(database, settings.set("tokens.issuer", "https://id.acme.test")).await
}

fn order(home: &Home, token: &str) -> Value {
    let keys = format!("http://{}/oauth2/jwks", home.server.api());
    json!({"keys": keys, "issuer": "https://id.acme.test", "audience": "doorward", "token": token})
}

/// The token with one letter of a part replaced, other than the last, whose bits may not all count.
fn changed(token: &str, part: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let middle = parts[part].len() / 2;
    let other = if parts[part].as_bytes()[middle] == b'A' { "B" } else { "A" };
    parts[part].replace_range(middle..=middle, other);
    parts.join(".")
}

/// Both libraries take a token of ours and refuse what is none, and so does Doorward.
async fn verified_by_others(database: Database, algorithm: &str) {
    let home = signing_with(&database, algorithm).await;
    let (mut python, mut node) = (Python::start("jwks.py").await, Node::start("jwks.js").await);
    let token = home.access_token().await;
    let forgery = json!({"keys": order(&home, "")["keys"], "token": token, "forge": true});
    let forged = python.ask(&forgery)["forged"].as_object().unwrap().clone();
    assert_eq!(forged.len(), 4, "{forged:?}");
    let bad = forged.into_iter().map(|(what, token)| (what, token.as_str().unwrap().to_owned()));
    let bad = bad.chain([
        ("another payload".to_owned(), changed(&token, 1)),
        ("another signature".to_owned(), changed(&token, 2)),
    ]);
    let me = home.get("/v1/auth/me", &[("authorization", &format!("Bearer {token}"))]).await.json();
    for answer in [python.ask(&order(&home, &token)), node.ask(&order(&home, &token))] {
        assert_eq!(answer["header"]["alg"], algorithm, "{answer}");
        assert_eq!(answer["claims"]["sub"], me["principal"]["user_id"], "{answer}");
        assert_eq!(answer["claims"]["sid"], me["principal"]["session_id"], "{answer}");
    }
    for (what, token) in bad {
        for answer in [python.ask(&order(&home, &token)), node.ask(&order(&home, &token))] {
            assert!(answer["refused"].is_string() && answer["claims"].is_null(), "{what}: {answer}");
        }
        let answer = home.get("/v1/auth/me", &[("authorization", &format!("Bearer {token}"))]).await;
        println!("{what}");
        answer.assert_refused(401, "INVALID_TOKEN");
    }
    let elsewhere = json!({"audience": "others"});
    let mut order = order(&home, &token);
    order["audience"] = elsewhere["audience"].clone();
    assert_eq!(python.ask(&order)["refused"], "InvalidAudienceError");
    assert_eq!(node.ask(&order)["refused"], "ERR_JWT_CLAIM_VALIDATION_FAILED");
}

on_both! {
    // R31, A01, A02
    async fn rs256_is_verified_by_others(database: Database) {
        verified_by_others(database, "RS256").await;
    }

    async fn es256_is_verified_by_others(database: Database) {
        verified_by_others(database, "ES256").await;
    }

    async fn eddsa_is_verified_by_others(database: Database) {
        verified_by_others(database, "EdDSA").await;
    }

    // R31
    async fn the_key_set_is_for_everybody(database: Database) {
        let home = Home::start(&database).await;
        let garbage = [("authorization", "Bearer garbage"), ("cookie", "__Host-doorward_access=garbage")];
        for path in PATHS {
            let answer = home.get(path, &garbage).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-type"), "application/jwk-set+json");
            assert_eq!(answer.header("cache-control"), "public, max-age=300");
            let keys = answer.json();
            let key = &keys["keys"][0];
            assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(key.get(private).is_none(), "{private}");
            }
            let head = home.send(Method::HEAD, path, &[], &Value::Null).await;
            assert_eq!((head.status, head.body.len()), (200, 0));
            assert_eq!(head.header("content-length"), answer.body.len().to_string());
            let refused = home.post(path, &[], &json!({})).await;
            assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"));
        }
    }

    // A01: a shared secret has nothing to publish.
    async fn a_shared_secret_is_in_no_key_set(database: Database) {
        let secret = "Canary-Of-The-Tokens-0123456789abcdef";
        let settings = Settings::default().set("tokens.algorithm", "HS256").set("tokens.secret", secret);
        let home = Home::with(&database, settings).await;
        assert_eq!(home.get(PATHS[0], &[]).await.json(), json!({"keys": []}));
        let token = home.access_token().await;
        let me = home.get("/v1/auth/me", &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(me.status, 200, "{}", me.text());
    }
}

// Whoever verifies offline does not fail with our database, while every check does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_set_is_told_while_nothing_else_is() {
    let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let database = Database::at_port(proxy.port(), &server.fresh_database().await);
    let home = Home::start(&database).await;
    let bearer = format!("Bearer {}", home.access_token().await);
    let before = home.get(PATHS[0], &[]).await.json();
    proxy.set(Mode::Hole);
    let start = Instant::now();
    while home.get("/v1/auth/me", &[("authorization", &bearer)]).await.status != 503 {
        assert!(start.elapsed() < Duration::from_secs(10), "still answered from memory");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = rest::get(&home.server.api(), PATHS[0]).await.unwrap();
    assert_eq!((answer.status, answer.json()), (200, before));
}
