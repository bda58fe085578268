//! Second factors: enrolled, confirmed, each code and backup code once, removed by a fresh one.
use super::person::{
    Authenticator, begin, claims, enrol, log_in, opens, owner, reason, refresh, visitor, world,
};
use crate::harness::client::{Authn, assert_refused};
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    CompleteLoginRequest, ConfirmTotpRequest, DisableTotpRequest, EnrollTotpRequest, LoginRequest,
    RegenerateBackupCodesRequest, VerifyCredentialRequest, disable_totp_request,
};
use serde_json::json;
use tonic::{Code, Status};

/// Logins that bring the same code at the same time, each from a device of its own: the waits that wrong codes cost
/// must not be what makes all but one fail.
const CROWD: usize = 24;

/// As many logins that wait for a second factor, each on a device that is known.
pub async fn waiting(world: &World, devices: &[String]) -> Vec<String> {
    let mut challenges = Vec::new();
    for device_token in devices {
        let request = LoginRequest { device_token: device_token.clone(), ..owner(world) };
        challenges.push(begin(world, request).await.challenge);
    }
    challenges
}

/// Devices that are known of the owner.
pub async fn devices(world: &World, many: usize) -> Vec<String> {
    let mut devices = Vec::new();
    for _ in 0..many {
        devices.push(log_in(world).await.device.unwrap());
    }
    devices
}

/// Completes each login with the same factor at the same time; `clients` are asked in turn.
pub async fn all_at_once(
    clients: &[Authn],
    challenges: Vec<String>,
    factor: &Factor,
) -> Vec<Result<String, Status>> {
    let calls: Vec<_> = challenges
        .into_iter()
        .zip(clients.iter().cycle())
        .map(|(challenge, client)| {
            let request = CompleteLoginRequest { challenge, factor: Some(factor.clone()) };
            let mut client = client.clone();
            tokio::spawn(async move { Ok(client.complete_login(request).await?.into_inner().access_token) })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

/// Asserts that one of them came in, and that all others were told that the factor is wrong.
pub fn exactly_one(answers: &[Result<String, Status>]) {
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len() + 1, answers.len(), "{refused:?}");
    for status in refused {
        assert_eq!(reason(status), "INVALID_LOGIN", "{status}");
    }
}

async fn complete(world: &World, factor: Factor) -> Result<String, Status> {
    let challenge = begin(world, owner(world)).await.challenge;
    let request = CompleteLoginRequest { challenge, factor: Some(factor) };
    Ok(visitor(world).complete_login(request).await?.into_inner().access_token)
}

async fn disable(world: &World, token: &str, factor: disable_totp_request::Factor) -> Result<(), Status> {
    let request = DisableTotpRequest { factor: Some(factor) };
    world.authn_as(token).disable_totp(request).await.map(drop)
}

on_both! {
    // R34: from nothing to a second factor, and back.
    async fn an_authenticator_is_enrolled_confirmed_and_removed(database: Database) {
        let world = world(database).await;
        let login = log_in(&world).await;
        let mut authn = world.authn_as(&login.access);
        let first = authn.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner();
        assert!(first.otpauth_uri.starts_with("otpauth://totp/Doorward:owner%40acme.test?"), "{}", first.otpauth_uri);
        assert!(first.otpauth_uri.contains(&format!("secret={}", first.secret)), "{}", first.otpauth_uri);
        assert!(first.qr_svg.starts_with("<svg") || first.qr_svg.starts_with("<?xml"), "{:.40}", first.qr_svg);
        // Until it is confirmed it counts for nothing, and can be begun anew.
        log_in(&world).await;
        let told = authn.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner();
        assert_ne!(told.secret, first.secret);
        let wrong = Authenticator::new(&first.secret).next().await;
        let refused = authn.confirm_totp(ConfirmTotpRequest { code: wrong }).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_LOGIN");
        log_in(&world).await;
        let mut authenticator = Authenticator::new(&told.secret);
        let code = authenticator.next().await;
        // A28: a code is six digits and nothing else.
        let wide: String = code.chars().map(|digit| char::from_u32(u32::from(digit) - 0x30 + 0xff10).unwrap()).collect();
        for (at, code) in [format!(" {code}"), format!("{code}\n"), wide].into_iter().enumerate() {
            let refused = authn.confirm_totp(ConfirmTotpRequest { code }).await;
            assert_refused(refused, Code::Unauthenticated, "INVALID_LOGIN");
            assert!(at < 4, "the account would have to wait");
        }
        let backup_codes = authn.confirm_totp(ConfirmTotpRequest { code: code.clone() }).await.unwrap();
        let backup_codes = backup_codes.into_inner().backup_codes;
        assert_eq!(backup_codes.len(), 10);
        // The code that confirmed is used up.
        let again = complete(&world, Factor::TotpCode(code)).await;
        assert_refused(again, Code::Unauthenticated, "INVALID_LOGIN");
        for request in [EnrollTotpRequest::default(), EnrollTotpRequest { password: world.password.clone() }] {
            assert_refused(authn.enroll_totp(request).await, Code::FailedPrecondition, "FAILED_PRECONDITION");
        }
        let confirm = authn.confirm_totp(ConfirmTotpRequest { code: authenticator.next().await }).await;
        assert_refused(confirm, Code::FailedPrecondition, "FAILED_PRECONDITION");
        // A31: the password, or the session alone, does not remove it.
        let none = authn.disable_totp(DisableTotpRequest { factor: None }).await;
        assert_refused(none, Code::InvalidArgument, "INVALID_ARGUMENT");
        let wrong = disable_totp_request::Factor::TotpCode(authenticator.wrong());
        let wrong = disable(&world, &login.access, wrong).await;
        assert_refused(wrong, Code::Unauthenticated, "INVALID_LOGIN");
        begin(&world, owner(&world)).await;
        let fresh = disable_totp_request::Factor::BackupCode(backup_codes[0].clone());
        disable(&world, &login.access, fresh).await.unwrap();
        log_in(&world).await;
        let gone = disable_totp_request::Factor::BackupCode(backup_codes[1].clone());
        let gone = disable(&world, &login.access, gone).await;
        assert_refused(gone, Code::Unauthenticated, "INVALID_LOGIN");
    }

    // A28, R34: race, and every door.
    async fn a_code_is_accepted_once_however_many_bring_it(database: Database) {
        let world = world(database).await;
        let devices = devices(&world, CROWD).await;
        let first = log_in(&world).await;
        let (mut authenticator, _) = enrol(&world, &first.access).await;
        let challenges = waiting(&world, &devices).await;
        let clients: Vec<_> = (0..4).map(|_| visitor(&world)).collect();
        let code = authenticator.next().await;
        let answers = all_at_once(&clients, challenges, &Factor::TotpCode(code.clone())).await;
        exactly_one(&answers);
        // At no other door either.
        let request = LoginRequest { totp_code: code.clone(), ..owner(&world) };
        assert_refused(visitor(&world).login(request).await, Code::Unauthenticated, "INVALID_LOGIN");
        let again = disable(&world, &first.access, disable_totp_request::Factor::TotpCode(code.clone())).await;
        assert_refused(again, Code::Unauthenticated, "INVALID_LOGIN");
        let request = RegenerateBackupCodesRequest { totp_code: code, ..Default::default() };
        let again = world.authn_as(&first.access).regenerate_backup_codes(request).await;
        assert_refused(again, Code::Unauthenticated, "INVALID_LOGIN");
        let winner = answers.into_iter().find_map(Result::ok).unwrap();
        opens(&world, &winner).await;
    }

    // A30, R34: race
    async fn a_backup_code_works_once_however_it_is_typed(database: Database) {
        let world = world(database).await;
        let devices = devices(&world, CROWD).await;
        let first = log_in(&world).await;
        let (mut authenticator, backup_codes) = enrol(&world, &first.access).await;
        let challenges = waiting(&world, &devices).await;
        let clients: Vec<_> = (0..4).map(|_| visitor(&world)).collect();
        let answers = all_at_once(&clients, challenges, &Factor::BackupCode(backup_codes[0].clone())).await;
        exactly_one(&answers);
        let typed = |code: &str| Factor::BackupCode(code.to_owned());
        let other = backup_codes[0].to_lowercase().replace('-', " ");
        assert_refused(complete(&world, typed(&other)).await, Code::Unauthenticated, "INVALID_LOGIN");
        complete(&world, typed(&backup_codes[1].to_lowercase().replace('-', ""))).await.unwrap();
        assert_refused(complete(&world, typed(&backup_codes[1])).await, Code::Unauthenticated, "INVALID_LOGIN");
        // New ones end the old ones, and need the authenticator.
        let request = RegenerateBackupCodesRequest { totp_code: backup_codes[2].clone(), ..Default::default() };
        let refused = world.authn_as(&first.access).regenerate_backup_codes(request).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_LOGIN");
        let request = RegenerateBackupCodesRequest { totp_code: authenticator.next().await, ..Default::default() };
        let fresh = world.authn_as(&first.access).regenerate_backup_codes(request).await.unwrap().into_inner();
        assert_eq!(fresh.backup_codes.len(), 10);
        assert_refused(complete(&world, typed(&backup_codes[3])).await, Code::Unauthenticated, "INVALID_LOGIN");
        let access = complete(&world, typed(&fresh.backup_codes[9])).await.unwrap();
        opens(&world, &access).await;
    }

    // A31: no way to a session of an account with a second factor but through it.
    async fn a_refresh_adds_no_second_factor(database: Database) {
        let world = world(database).await;
        let before = log_in(&world).await;
        let (_, backup_codes) = enrol(&world, &before.access).await;
        let fresh = refresh(&world.server.api(), &before.refresh).await.unwrap();
        assert_eq!(claims(&fresh.access_token)["amr"], json!(["pwd"]));
        let with = complete(&world, Factor::BackupCode(backup_codes[0].clone())).await.unwrap();
        assert_eq!(claims(&with)["amr"], json!(["pwd", "recovery"]));
        // What asks for a second factor is not met by a session that has none.
        let question = |credential: &str| VerifyCredentialRequest {
            credential: credential.to_owned(),
            require_mfa: true,
            ..Default::default()
        };
        let ask = async |credential: &str| {
            let answer = world.authn().verify_credential(question(credential)).await.unwrap().into_inner();
            match answer.outcome.unwrap() {
                Outcome::Principal(principal) => principal.mfa.to_string(),
                Outcome::Denial(denial) => denial.reason().as_str_name().to_owned(),
            }
        };
        assert_eq!(ask(&fresh.access_token).await, "ERROR_REASON_MFA_REQUIRED");
        assert_eq!(ask(&with).await, "true");
    }
}
