//! Registering and removing passkeys.
use super::person::{ORIGIN, Place, RP, plain};
use super::software::Software;
use crate::harness::client::assert_refused;
use crate::harness::{Database, on_both, rest};
use doorward::pb::v1::remove_passkey_request::Factor;
use doorward::pb::v1::{
    BeginPasskeyAssertionRequest, BeginPasskeyLoginRequest, BeginPasskeyRegistrationRequest,
    ListPasskeysRequest, RemovePasskeyRequest,
};
use http::Method;
use serde_json::{Value, json};
use tonic::Code;

on_both! {
    // WebAuthn §7.1: what is not as asked registers nothing.
    async fn registrations_that_are_not_as_asked_are_refused(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let options = place.creation(&token).await.unwrap();
        let mut others = [
            Software::new("evil.test", ORIGIN),
            Software::new(RP, "https://evil.test"),
            Software { client: json!({"challenge": "AAAA"}), ..Software::new(RP, ORIGIN) },
            Software { flags: 0, ..Software::new(RP, ORIGIN) },
        ];
        for device in &mut others {
            let told = place.registered(&token, &device.create(&options)).await;
            assert_refused(told, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        let mut device = Software::new(RP, ORIGIN);
        let answer = device.create(&options);
        // In another session of the same person, begun while there was no second factor.
        let told = place.registered(&place.log_in(&place.owner).await, &answer).await;
        assert_refused(told, Code::InvalidArgument, "INVALID_ARGUMENT");
        place.registered(&token, &answer).await.unwrap();
        // The same answer again, and the same credential under another challenge.
        assert_refused(place.registered(&token, &answer).await, Code::InvalidArgument, "INVALID_ARGUMENT");
        let listed = place.of(&token).list_passkeys(ListPasskeysRequest {}).await.unwrap().into_inner();
        assert_eq!(listed.passkeys.len(), 1);
    }

    // Of those who bring the same answer at the same moment one registers it.
    async fn of_concurrent_registrations_one_wins(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let answer = Software::new(RP, ORIGIN).create(&place.creation(&token).await.unwrap());
        let tries = (0..6).map(|_| place.registered(&token, &answer));
        let won = futures_util::future::join_all(tries).await.into_iter().flatten().count();
        assert_eq!(won, 1);
    }

    // A session of a password alone cannot add a way round the factor that has come since.
    async fn who_has_a_factor_needs_it_to_add_another(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let (mut first, _) = place.register(&token).await;
        assert_refused(place.creation(&token).await, Code::Unauthenticated, "MFA_REQUIRED");
        let answer = place.fresh(&token, &mut first).await;
        let request = BeginPasskeyRegistrationRequest {
            factor: Some(doorward::pb::v1::begin_passkey_registration_request::Factor::PasskeyJson(answer)),
            ..Default::default()
        };
        let options = place.of(&token).begin_passkey_registration(request.clone()).await.unwrap();
        let options = options.into_inner().options_json;
        let known = &serde_json::from_str::<Value>(&options).unwrap()["excludeCredentials"];
        assert_eq!(known.as_array().unwrap().len(), 1, "the first one is not to be registered twice");
        // The credential of the first one, once more.
        let told = place.registered(&token, &first.create(&options)).await;
        assert_refused(told, Code::AlreadyExists, "ALREADY_EXISTS");
        let made = place.registered(&token, &Software::new(RP, ORIGIN).create(&options)).await.unwrap();
        assert!(made.backup_codes.is_empty(), "codes are given once");
        // The answer that began it begins nothing more.
        let again = place.of(&token).begin_passkey_registration(request).await;
        assert_refused(again, Code::Unauthenticated, "INVALID_LOGIN");
        // A session that a passkey opened a moment ago has shown enough.
        let told = place.passkey_login(&first.get(&place.request().await)).await.unwrap().into_inner();
        assert!(place.creation(&told.access_token).await.is_ok());
    }

    // Removing needs a factor that is given now; what is removed opens nothing.
    async fn a_passkey_is_removed_by_a_fresh_factor_alone(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let (mut device, made) = place.register(&token).await;
        let id = made.passkey.unwrap().id;
        let remove = async |factor: Option<Factor>, id: &str| {
            let request = RemovePasskeyRequest { id: id.to_owned(), factor };
            place.of(&token).remove_passkey(request).await
        };
        assert_refused(remove(None, &id).await, Code::InvalidArgument, "INVALID_ARGUMENT");
        // An answer to a login is none to this.
        let login = device.get(&place.request().await).to_string();
        assert_refused(remove(Some(Factor::PasskeyJson(login)), &id).await, Code::Unauthenticated, "INVALID_LOGIN");
        let fresh = Factor::PasskeyJson(place.fresh(&token, &mut device).await);
        let other = format!("{}0", id.get(..id.len() - 1).unwrap());
        let other = if other == id { id.replace('0', "1") } else { other };
        assert_refused(remove(Some(fresh), &other).await, Code::NotFound, "NOT_FOUND");
        let fresh = Factor::PasskeyJson(place.fresh(&token, &mut device).await);
        remove(Some(fresh), &id).await.unwrap();
        let answer = device.get(&place.request().await);
        assert_refused(place.passkey_login(&answer).await, Code::Unauthenticated, "INVALID_LOGIN");
        // Without any factor left the password alone is enough again, and the codes are gone.
        let token = place.log_in(&place.owner).await;
        let (_, made) = place.register(&token).await;
        assert_eq!(made.backup_codes.len(), 10);
    }

    // Without the two settings there are none, and what needs them says so.
    async fn without_settings_passkeys_are_off(database: Database) {
        let place = Place::with(database, &plain()).await;
        let token = place.log_in(&place.owner).await;
        let state = |metadata: std::collections::HashMap<String, String>| metadata["state"].clone();
        let told = assert_refused(place.creation(&token).await, Code::FailedPrecondition, "FAILED_PRECONDITION");
        assert_eq!(state(told), "passkeys_off");
        let told = place.of(&token).begin_passkey_assertion(BeginPasskeyAssertionRequest {}).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let told = place.visitor().begin_passkey_login(BeginPasskeyLoginRequest {}).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let told = place.passkey_login(&json!({})).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let listed = rest::call(&place.server.api(), &token, Method::GET, "/v1/auth/passkeys", &Value::Null).await;
        assert_eq!((listed.status, listed.json()), (200, json!({"passkeys": []})));
    }
}
