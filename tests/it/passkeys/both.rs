//! Passkeys beside an authenticator, and after the settings went.
use super::person::{ORIGIN, Place, RP, plain};
use super::software::Software;
use crate::harness::client::assert_refused;
use crate::harness::{Database, Server, on_both};
use aws_lc_rs::hmac;
use doorward::pb::v1::begin_passkey_registration_request::Factor;
use doorward::pb::v1::{
    BeginPasskeyRegistrationRequest, ConfirmTotpRequest, DisableTotpRequest, EnrollTotpRequest,
    RegenerateBackupCodesRequest, disable_totp_request,
};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::Code;

/// The code of this moment (RFC 6238), of a secret in Base32.
fn code(secret: &str) -> String {
    let five = |letter: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap();
    let (mut bits, mut count, mut key) = (0_usize, 0, Vec::new());
    for letter in secret.chars() {
        (bits, count) = ((bits << 5 | five(letter)) & 0xffff, count + 5);
        if count >= 8 {
            count -= 8;
            key.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    let step = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 30;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

async fn methods(place: &Place) -> Vec<String> {
    let told = place.begin(&place.owner).await;
    assert!(told.access_token.is_empty(), "the password alone is enough");
    told.mfa_required.unwrap().methods
}

on_both! {
    // R38: either factor will do, each can replace the other, and codes stand in for both.
    async fn beside_an_authenticator(database: Database) {
        let place = Place::start(database).await;
        let token = place.log_in(&place.owner).await;
        let mut own = place.of(&token);
        let secret = own.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner().secret;
        let confirmed = own.confirm_totp(ConfirmTotpRequest { code: code(&secret) }).await.unwrap();
        let codes = confirmed.into_inner().backup_codes;
        // The session is of a password alone: it adds no passkey without the factor that is there.
        assert_refused(place.creation(&token).await, Code::Unauthenticated, "MFA_REQUIRED");
        let begin = |factor: Factor| BeginPasskeyRegistrationRequest {
            factor: Some(factor),
            ..Default::default()
        };
        let wrong = own.begin_passkey_registration(begin(Factor::TotpCode("000000x".into()))).await;
        assert_refused(wrong, Code::Unauthenticated, "INVALID_LOGIN");
        let asked = own.begin_passkey_registration(begin(Factor::BackupCode(codes[0].clone()))).await.unwrap();
        let mut device = Software::new(RP, ORIGIN);
        let answer = device.create(&asked.into_inner().options_json);
        let made = place.registered(&token, &answer).await.unwrap();
        assert!(made.backup_codes.is_empty(), "the authenticator's codes stay");
        assert_eq!(methods(&place).await, ["totp", "passkey", "backup_code"]);
        let shown = place.fresh(&token, &mut device).await;
        let request = RegenerateBackupCodesRequest { passkey_json: shown, ..Default::default() };
        assert_eq!(own.regenerate_backup_codes(request).await.unwrap().into_inner().backup_codes.len(), 10);
        let factor = Some(disable_totp_request::Factor::PasskeyJson(place.fresh(&token, &mut device).await));
        own.disable_totp(DisableTotpRequest { factor }).await.unwrap();
        assert_eq!(methods(&place).await, ["passkey", "backup_code"]);
    }

    // Taking the settings away does not make a password enough again.
    async fn without_the_settings_the_factor_is_still_asked_for(database: Database) {
        let mut place = Place::start(database).await;
        place.register(&place.log_in(&place.owner).await).await;
        let server = std::mem::replace(&mut place.server, Server::serve(&Database::sqlite(), &plain()).await);
        server.stop().await;
        place.server = Server::serve(&place.database, &plain()).await;
        assert_eq!(methods(&place).await, ["backup_code"]);
    }
}
