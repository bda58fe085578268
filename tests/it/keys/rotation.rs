//! A new secret for the same key.
use crate::harness::client::assert_refused;
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{CreateApiKeyRequest, RotateApiKeyRequest, WhoAmIRequest};
use prost_types::Duration as Span;
use std::time::{Duration, SystemTime};
use tonic::Code;

fn rotate(id: &str, overlap_seconds: i64) -> RotateApiKeyRequest {
    let overlap = Some(Span { seconds: overlap_seconds, nanos: 0 });
    RotateApiKeyRequest { id: id.to_owned(), overlap, ..Default::default() }
}

on_both! {
    // R16
    async fn without_overlap_the_old_secret_ends_at_once(database: Database) {
        let world = World::start(database).await;
        let (key, old) = world.create_plain().await;
        let mut open = world.authn_as(&old);
        open.who_am_i(WhoAmIRequest {}).await.unwrap();
        let request = RotateApiKeyRequest { id: key.id.clone(), ..Default::default() };
        let rotated = world.keys().rotate_api_key(request).await.unwrap().into_inner();
        assert_refused(open.who_am_i(WhoAmIRequest {}).await, Code::Unauthenticated, "INVALID_API_KEY");
        let principal = world.authn_as(&rotated.secret).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        assert_eq!(principal.principal.unwrap().api_key_id, key.id);
        let shown = rotated.api_key.unwrap();
        assert_eq!((shown.id, shown.previous_secret_expire_time), (key.id, None));
        assert_ne!(rotated.secret, old);
    }

    // R16
    async fn with_overlap_both_work_until_it_ends(database: Database) {
        let world = World::start(database).await;
        let (key, old) = world.create_plain().await;
        let rotated = world.keys().rotate_api_key(rotate(&key.id, 3)).await.unwrap().into_inner();
        let until = SystemTime::try_from(rotated.api_key.unwrap().previous_secret_expire_time.unwrap()).unwrap();
        assert!(until > SystemTime::now() && until < SystemTime::now() + Duration::from_secs(4));
        let answer = world.authn_as(&old).who_am_i(WhoAmIRequest {}).await.unwrap();
        assert_eq!(answer.metadata().get("x-doorward-key-rotated").unwrap(), "true");
        let answer = world.authn_as(&rotated.secret).who_am_i(WhoAmIRequest {}).await.unwrap();
        assert!(!answer.metadata().contains_key("x-doorward-key-rotated"));
        tokio::time::sleep(until.duration_since(SystemTime::now()).unwrap_or_default()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let refused = world.authn_as(&old).who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
        world.authn_as(&rotated.secret).who_am_i(WhoAmIRequest {}).await.unwrap();
    }

    // R16, R17
    async fn an_overlap_never_outlives_the_key(database: Database) {
        let world = World::start(database).await;
        let end = SystemTime::now() + Duration::from_mins(10);
        let request = CreateApiKeyRequest { expire_time: Some(end.into()), ..named("ends") };
        let (key, _) = world.create(request).await;
        let rotated = world.keys().rotate_api_key(rotate(&key.id, 3600)).await.unwrap().into_inner();
        let rotated = rotated.api_key.unwrap();
        assert_eq!(rotated.previous_secret_expire_time, rotated.expire_time);
        assert_eq!(rotated.expire_time, key.expire_time);
    }

    // R16: only the last secret before this one lives on.
    async fn a_second_rotation_ends_the_first_secret(database: Database) {
        let world = World::start(database).await;
        let (key, first) = world.create_plain().await;
        let second = world.keys().rotate_api_key(rotate(&key.id, 600)).await.unwrap().into_inner().secret;
        let third = world.keys().rotate_api_key(rotate(&key.id, 600)).await.unwrap().into_inner().secret;
        for secret in [&second, &third] {
            world.authn_as(secret).who_am_i(WhoAmIRequest {}).await.unwrap();
        }
        let refused = world.authn_as(&first).who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }

    async fn an_overlap_that_cannot_be_is_refused(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        for seconds in [-1, 31 * 24 * 3600, i64::MAX, i64::MIN] {
            let refused = world.keys().rotate_api_key(rotate(&key.id, seconds)).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap();
        assert_eq!(world.get(&key.id).await.etag, key.etag);
    }

    // A21
    async fn of_two_rotations_at_once_one_secret_survives(database: Database) {
        let world = World::start(database).await;
        let (key, old) = world.create_plain().await;
        let request = RotateApiKeyRequest { id: key.id, etag: key.etag, ..Default::default() };
        let (mut one, mut two) = (world.keys(), world.keys());
        let (first, second) = tokio::join!(one.rotate_api_key(request.clone()), two.rotate_api_key(request));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let (winner, loser) = if first.is_ok() { (first, second) } else { (second, first) };
        assert_refused(loser, Code::Aborted, "ETAG_MISMATCH");
        world.authn_as(&winner.unwrap().into_inner().secret).who_am_i(WhoAmIRequest {}).await.unwrap();
        let refused = world.authn_as(&old).who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }

    // A retry after a lost answer must not end the secret that was just handed out.
    async fn the_same_request_id_rotates_once(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create_plain().await;
        let request_id = uuid::Uuid::now_v7().to_string();
        let request = RotateApiKeyRequest { id: key.id.clone(), request_id, ..Default::default() };
        let secret = world.keys().rotate_api_key(request.clone()).await.unwrap().into_inner().secret;
        let etag = world.get(&key.id).await.etag;
        match world.keys().rotate_api_key(request).await {
            Ok(answer) => assert!(answer.get_ref().secret.is_empty() || answer.get_ref().secret == secret),
            refused => drop(assert_refused(refused, Code::AlreadyExists, "ALREADY_EXISTS")),
        }
        assert_eq!(world.get(&key.id).await.etag, etag);
        world.authn_as(&secret).who_am_i(WhoAmIRequest {}).await.unwrap();
    }
}
