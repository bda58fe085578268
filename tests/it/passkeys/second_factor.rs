//! A passkey as the second factor of a login by password: no way leads round it.
use super::person::{Place, claims};
use super::software::{Software, UP};
use crate::harness::client::assert_refused;
use crate::harness::{Database, on_both};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{CompleteLoginRequest, CompleteLoginResponse, LoginRequest, MfaRequired};
use tonic::{Code, Response, Status};

/// Completes the login that waits.
async fn complete(
    place: &Place,
    waiting: &MfaRequired,
    factor: Factor,
) -> Result<Response<CompleteLoginResponse>, Status> {
    let request = CompleteLoginRequest { challenge: waiting.challenge.clone(), factor: Some(factor) };
    place.visitor().complete_login(request).await
}

/// What the passkey answers to a login that waits.
fn shown(device: &mut Software, waiting: &MfaRequired) -> Factor {
    Factor::PasskeyJson(device.get(&waiting.passkey_options_json).to_string())
}

on_both! {
    // R38: whoever has a passkey and no authenticator is asked for it, and a password alone opens nothing.
    async fn who_has_a_passkey_is_asked_for_it(database: Database) {
        let place = Place::start(database).await;
        let (mut device, made) = place.register(&place.log_in(&place.owner).await).await;
        // As a second factor it need not know its user: the password does.
        device.flags = UP;
        let told = place.begin(&place.owner).await;
        assert_eq!((told.access_token.as_str(), told.refresh_token.as_str(), told.user), ("", "", None));
        let waiting = told.mfa_required.unwrap();
        assert_eq!(waiting.methods, ["passkey", "backup_code"]);
        let given = complete(&place, &waiting, shown(&mut device, &waiting)).await.unwrap().into_inner();
        assert_eq!(claims(&given.access_token)["amr"], serde_json::json!(["pwd", "hwk"]));
        // The login waits no more.
        let again = complete(&place, &waiting, shown(&mut device, &waiting)).await;
        assert_refused(again, Code::Unauthenticated, "INVALID_LOGIN");
        // A code of an authenticator that nobody has opens nothing.
        let request = LoginRequest {
            email: place.owner.email.clone(),
            password: place.owner.password.clone(),
            totp_code: "000000".into(),
            ..Default::default()
        };
        assert_refused(place.visitor().login(request).await, Code::Unauthenticated, "INVALID_LOGIN");
        // A backup code stands in for it, once.
        let code = || Factor::BackupCode(made.backup_codes[0].clone());
        let waiting = place.begin(&place.owner).await.mfa_required.unwrap();
        complete(&place, &waiting, code()).await.unwrap();
        let waiting = place.begin(&place.owner).await.mfa_required.unwrap();
        assert_refused(complete(&place, &waiting, code()).await, Code::Unauthenticated, "INVALID_LOGIN");
    }

    // R38: an answer is for its own login and its own person.
    async fn an_answer_is_for_one_login_of_one_person(database: Database) {
        let place = Place::start(database).await;
        let (mut own, _) = place.register(&place.log_in(&place.owner).await).await;
        let stranger = place.stranger().await;
        let (mut theirs, _) = place.register(&place.log_in(&stranger).await).await;
        let waiting = place.begin(&place.owner).await.mfa_required.unwrap();
        // Somebody else's passkey, as it is, and pretending to be the owner's.
        let told = complete(&place, &waiting, shown(&mut theirs, &waiting)).await;
        assert_refused(told, Code::Unauthenticated, "INVALID_LOGIN");
        theirs.user.clone_from(&own.user);
        let told = complete(&place, &waiting, shown(&mut theirs, &waiting)).await;
        assert_refused(told, Code::Unauthenticated, "INVALID_LOGIN");
        theirs.user = None;
        let told = complete(&place, &waiting, shown(&mut theirs, &waiting)).await;
        assert_refused(told, Code::Unauthenticated, "INVALID_LOGIN");
        // An answer to another login of the same person.
        let other = place.begin(&place.owner).await.mfa_required.unwrap();
        let told = complete(&place, &waiting, shown(&mut own, &other)).await;
        assert_refused(told, Code::Unauthenticated, "INVALID_LOGIN");
        // One that was for a login by passkey alone.
        let alone = Factor::PasskeyJson(own.get(&place.request().await).to_string());
        assert_refused(complete(&place, &waiting, alone).await, Code::Unauthenticated, "INVALID_LOGIN");
        // Five guesses used the first login up; the other still waits for its own answer.
        let told = complete(&place, &other, shown(&mut own, &other)).await;
        assert!(told.is_ok(), "{told:?}");
    }

    // R38: of those who bring the same answer at the same moment one gets in.
    async fn of_concurrent_answers_one_wins(database: Database) {
        let place = Place::start(database).await;
        let (mut device, _) = place.register(&place.log_in(&place.owner).await).await;
        let waiting = place.begin(&place.owner).await.mfa_required.unwrap();
        let answer = shown(&mut device, &waiting);
        let tries = (0..4).map(|_| complete(&place, &waiting, answer.clone()));
        let won = futures_util::future::join_all(tries).await.into_iter().flatten().count();
        assert_eq!(won, 1);
    }
}
