//! Credentials that are missing, wrong, over, or contradict each other.
use super::{AMBIGUOUS, INVALID_API_KEY, Refusal, Siege, bearer};
use crate::harness::mint::{unknown_key, with_a_typo};
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{CreateApiKeyRequest, RevokeApiKeyRequest, RotateApiKeyRequest};
use std::time::{Duration, SystemTime};
use tonic::Code;

on_both! {
    // R3, R4
    async fn no_credential(database: Database) {
        let mut siege = Siege::plain(database).await;
        let missing = Refusal(Code::Unauthenticated, 401, "CREDENTIALS_MISSING");
        siege.refused_everywhere(&[], missing).await;
        let answer = siege.refused_by_rest(&[], missing).await;
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        siege.ends().await;
    }

    // R3, R4, R10, R15, R16
    async fn a_key_that_is_not_valid(database: Database) {
        let world = World::start(database).await;
        let (revoked_key, revoked) = world.create_plain().await;
        let (revoked_ingest_key, revoked_ingest) = world.create_ingest().await;
        let (rotated_key, rotated) = world.create_plain().await;
        let (_, good) = world.create_plain().await;
        for id in [revoked_key.id, revoked_ingest_key.id] {
            world.keys().revoke_api_key(RevokeApiKeyRequest { id }).await.unwrap();
        }
        let rotate = RotateApiKeyRequest { id: rotated_key.id, ..Default::default() };
        world.keys().rotate_api_key(rotate).await.unwrap();
        let mut siege = Siege::of(world).await;
        for (what, key) in [
            ("garbage", "garbage-that-is-no-key-at-all".to_owned()),
            ("wrong checksum", with_a_typo(&good)),
            ("truncated", good[..good.len() - 1].to_owned()),
            ("extended", format!("{good}0")),
            ("another case", good.to_lowercase()),
            ("percent-encoded", good.replacen("dw_", "dw%5F", 1)),
            ("unknown", unknown_key("dw_live_")),
            ("unknown ingest", unknown_key("dw_ing_live_")),
            ("revoked", revoked),
            ("revoked ingest", revoked_ingest),
            ("rotated out", rotated),
            ("a page long", "x".repeat(4096)),
        ] {
            println!("{what}");
            siege.refused_everywhere(&[("authorization", &bearer(&key))], INVALID_API_KEY).await;
            siege.refused_everywhere(&[("x-api-key", &key)], INVALID_API_KEY).await;
        }
        siege.ends().await;
    }

    // R4, R17
    async fn an_expired_key(database: Database) {
        let world = World::start(database).await;
        let end = SystemTime::now() + Duration::from_millis(2500);
        let (_, expired) = world.create(CreateApiKeyRequest { expire_time: Some(end.into()), ..named("short") }).await;
        tokio::time::sleep(Duration::from_millis(2600)).await;
        let mut siege = Siege::of(world).await;
        let header = bearer(&expired);
        let over = Refusal(Code::Unauthenticated, 401, "API_KEY_EXPIRED");
        siege.refused_everywhere(&[("authorization", &header)], over).await;
        let metadata = siege.refused_by_grpc(&[("authorization", &header)], over).await;
        assert!(metadata["expires_at"].starts_with("20"), "{metadata:?}");
        let answer = siege.refused_by_rest(&[("authorization", &header)], over).await;
        assert_eq!(answer.json()["error"]["expires_at"], metadata["expires_at"]);
        siege.ends().await;
    }

    // R2: never guessed, and what is right never makes up for what is wrong.
    async fn credentials_that_contradict_each_other(database: Database) {
        let world = World::start(database).await;
        let (_, one) = world.create_ingest().await;
        let (_, two) = world.create_ingest().await;
        let mut siege = Siege::of(world).await;
        let (first, second) = (bearer(&one), bearer(&two));
        siege.refused_everywhere(&[("authorization", &first), ("x-api-key", &two)], AMBIGUOUS).await;
        siege.refused_everywhere(&[("authorization", &first), ("authorization", &second)], AMBIGUOUS).await;
        siege.refused_everywhere(&[("x-api-key", &one), ("x-api-key", &two)], AMBIGUOUS).await;
        let garbage = "garbage-that-is-no-key-at-all";
        siege.refused_everywhere(&[("authorization", &first), ("x-api-key", garbage)], AMBIGUOUS).await;
        siege.refused_everywhere(&[("authorization", &bearer(garbage)), ("x-api-key", &one)], AMBIGUOUS).await;
        siege.ends().await;
    }
}

// A14: two values that a proxy has joined by a comma are two values.
#[tokio::test]
async fn credentials_joined_by_a_comma() {
    let mut siege = Siege::plain(Database::sqlite()).await;
    let (one, two) = (unknown_key("dw_live_"), siege.world.owner.clone());
    for joined in [format!("Bearer {one}, Bearer {two}"), format!("Bearer {two},Bearer {one}")] {
        for secret in [&one, &two] {
            siege.secrets.push(secret.clone());
        }
        let mut keys = crate::harness::client::keys(
            &siege.world.server.api(),
            super::metadata(&[("authorization", &joined)]),
        );
        let refused = keys.list_api_keys(doorward::pb::v1::ListApiKeysRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
        siege.not_echoed(&format!("{refused:?}"));
    }
    siege.ends().await;
}

// R1: a scheme that is not ours is no key, and what has the form of a token is judged as one.
#[tokio::test]
async fn other_kinds_of_credentials() {
    let mut siege = Siege::plain(Database::sqlite()).await;
    let digest = "Digest 0123456789abcdef0123456789abcdef";
    siege.refused_by_rest(&[("authorization", digest)], INVALID_API_KEY).await;
    let token = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ";
    let invalid = Refusal(Code::Unauthenticated, 401, "INVALID_TOKEN");
    siege.refused_by_grpc(&[("authorization", token)], invalid).await;
    siege.ends().await;
}
