//! Logging in by a passkey alone.
use super::person::{ORIGIN, Place, RP, claims, settings};
use super::software::{Software, UP};
use crate::harness::client::assert_refused;
use crate::harness::{Database, Server, on_both, rest};
use doorward::pb::v1::{
    BeginPasskeyAssertionRequest, ListPasskeysRequest, ListSessionsRequest, WhoAmIRequest,
};
use http::Method;
use serde_json::{Value, json};
use tonic::Code;

on_both! {
    // R38: as the session of two factors that it is, its counter remembered.
    async fn a_passkey_alone_logs_its_person_in(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let (mut device, made) = place.register(&token).await;
        assert_eq!(made.backup_codes.len(), 10, "with the first factor come codes that stand in for it");
        let answer = place.passkey_login(&device.get(&place.request().await)).await.unwrap();
        assert!(answer.metadata().contains_key("doorward-device-token"), "the device is known from now on");
        let told = answer.into_inner();
        assert_eq!(told.user.as_ref().unwrap().email, place.owner.email);
        assert_eq!(claims(&told.access_token)["amr"], json!(["hwk"]));
        let mut own = place.of(&told.access_token);
        let who = own.who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal.unwrap();
        assert_eq!(who.id, told.user.unwrap().id);
        let sessions = own.list_sessions(ListSessionsRequest::default()).await.unwrap().into_inner().sessions;
        assert_eq!(sessions.iter().filter(|session| session.auth_methods == ["hwk"]).count(), 1);
        let listed = own.list_passkeys(ListPasskeysRequest {}).await.unwrap().into_inner().passkeys;
        let shown: Vec<_> = listed.iter().map(|key| (key.display_name.as_str(), key.last_used_time.is_some())).collect();
        assert_eq!((shown.as_slice(), listed[0].id.as_str()), ([("the key", true)].as_slice(), made.passkey.unwrap().id.as_str()));
    }

    // WebAuthn §7.2: every step that can refuse does, and none of them opens a session.
    async fn what_is_not_as_asked_is_refused(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let (mut device, _) = place.register(&token).await;
        let wrong = async |device: &mut Software| {
            let answer = device.get(&place.request().await);
            assert_refused(place.passkey_login(&answer).await, Code::Unauthenticated, "INVALID_LOGIN");
        };
        let (party, page, flags) = (device.rp_id.clone(), device.origin.clone(), device.flags);
        device.rp_id = "evil.test".into();
        wrong(&mut device).await;
        (device.rp_id, device.origin) = (party, "https://login.example.com.evil.test".into());
        wrong(&mut device).await;
        (device.origin, device.flags) = (page, UP);
        wrong(&mut device).await;
        device.flags = flags;
        device.client = json!({"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
        wrong(&mut device).await;
        device.client = json!({});
        let user = device.user.take();
        wrong(&mut device).await;
        device.user = Some(vec![1; 16]);
        wrong(&mut device).await;
        device.user = user;
        wrong(&mut Software { user: device.user.clone(), ..Software::new(RP, ORIGIN) }).await;
        let key = std::mem::replace(&mut device.pair, Software::new(RP, ORIGIN).pair);
        wrong(&mut device).await;
        device.pair = key;
        for garbage in [json!(null), json!({}), json!("x".repeat(20_000))] {
            assert_refused(place.passkey_login(&garbage).await, Code::Unauthenticated, "INVALID_LOGIN");
        }
        // A challenge for something else is none for a login.
        let other = place.of(&token).begin_passkey_assertion(BeginPasskeyAssertionRequest {}).await.unwrap();
        let answer = device.get(&other.into_inner().options_json);
        assert_refused(place.passkey_login(&answer).await, Code::Unauthenticated, "INVALID_LOGIN");
        let answer = device.get(&place.request().await);
        place.passkey_login(&answer).await.unwrap();
    }

    // R38: an answer works once, also for those who come at the same moment.
    async fn an_answer_works_once(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let (mut device, _) = place.register(&token).await;
        // One that does not count, so that nothing but the challenge can tell.
        device.counter = None;
        let answer = device.get(&place.request().await);
        let tries: Vec<_> = futures_util::future::join_all((0..8).map(|_| place.passkey_login(&answer))).await;
        assert_eq!(tries.iter().filter(|told| told.is_ok()).count(), 1);
        for told in tries.into_iter().filter(Result::is_err) {
            assert_refused(told, Code::Unauthenticated, "INVALID_LOGIN");
        }
        assert_refused(place.passkey_login(&answer).await, Code::Unauthenticated, "INVALID_LOGIN");
    }

    // WebAuthn §6.1.1: a count that does not go up tells of a copy.
    async fn a_copy_is_told_by_its_count(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let (mut device, _) = place.register(&token).await;
        device.counter = Some(6);
        place.passkey_login(&device.get(&place.request().await)).await.unwrap();
        for behind in [Some(6), Some(2), None] {
            device.counter = behind;
            let told = place.passkey_login(&device.get(&place.request().await)).await;
            assert_refused(told, Code::Unauthenticated, "INVALID_LOGIN");
        }
        device.counter = Some(7);
        place.passkey_login(&device.get(&place.request().await)).await.unwrap();
    }
}

// The challenge proves itself: any replica takes what another one asked for.
#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_the_answer_and_only_one_does() {
    let place = Place::start(Database::postgres().await).await;
    let second = Server::serve(&place.database, &settings()).await;
    let token = place.log_in(&place.owner).await;
    let (mut device, _) = place.register(&token).await;
    let answer = device.get(&place.request().await);
    let body = json!({"credential_json": answer.to_string()});
    let there = async || {
        let headers = [("content-type", "application/json")];
        let path = "/v1/auth/login:finish-passkey";
        let request = rest::request(Method::POST, path, &headers, body.to_string().into());
        rest::send(&second.api(), request).await.unwrap()
    };
    let first: Value = there().await.json();
    assert!(first["access_token"].as_str().is_some_and(|token| !token.is_empty()), "{first}");
    assert_refused(place.passkey_login(&answer).await, Code::Unauthenticated, "INVALID_LOGIN");
    there().await.assert_refused(401, "INVALID_LOGIN");
}
