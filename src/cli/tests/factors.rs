//! The second factor, passwords and addresses.

use super::fake::{Fake, TOTP_URI, refused};
use super::logins::{PASSWORD, Person, done, without_secrets};
use super::*;
use crate::pb::v1::disable_totp_request::Factor;
use serde_json::Value;

const NEW: &str = "planted new word";

async fn person() -> Person {
    Person::logged_in(Fake::default(), 900).await
}

#[tokio::test]
async fn enrolment_shows_secret_uri_and_code_then_asks_and_shows_backup_codes() {
    let person = person().await;
    person.fake.refuse_after(1, [refused(Code::InvalidArgument, "INVALID_ARGUMENT")]);
    let ran = done(person.types("mfa enroll", &["111111", "123 456"]).await);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].ends_with("JBSWY3DPEHPK3PXP") && lines[1].ends_with(TOTP_URI), "{}", ran.out);
    assert!(lines[2].chars().all(|letter| letter == '█') && lines.len() > 20, "{}", ran.out);
    assert_eq!(lines[lines.len() - 2..], ["planted-backup-1", "planted-backup-2"]);
    assert!(ran.err.contains("shown this once") && !ran.err.contains("planted"), "{}", ran.err);
    assert_eq!(person.fake.methods(), ["EnrollTotp", "ConfirmTotp", "ConfirmTotp"]);
    let request: ConfirmTotpRequest = person.asked(2, "ConfirmTotp");
    assert_eq!(request.code, "123456");
}

#[tokio::test]
async fn enrolment_gives_the_password_when_the_server_wants_it() {
    for reason in ["MFA_REQUIRED", "INVALID_LOGIN", "INVALID_ARGUMENT"] {
        let person = person().await;
        person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, reason));
        done(person.types("mfa enroll", &[PASSWORD, "123456"]).await);
        assert_eq!(person.fake.methods(), ["EnrollTotp", "EnrollTotp", "ConfirmTotp"]);
        let request: EnrollTotpRequest = person.asked(1, "EnrollTotp");
        assert_eq!(request.password, PASSWORD);
    }
}

#[tokio::test]
async fn enrolment_in_two_commands_asks_nothing() {
    let person = person().await;
    person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, "MFA_REQUIRED"));
    let ran = done(person.pipes("mfa enroll --password-stdin --output json", PASSWORD).await);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["otpauth_uri"], TOTP_URI);
    assert!(ran.err.contains("doorward mfa confirm"), "{}", ran.err);
    let environment = [(KEY_VARIABLE, KEY)];
    let ran = run_with("mfa confirm --totp 123456 --output json", &person.address, &environment, "").await;
    let json: Value = serde_json::from_str(&done(ran).out).unwrap();
    assert_eq!(json["backup_codes"][1], "planted-backup-2");
    assert_eq!(person.fake.methods(), ["EnrollTotp", "EnrollTotp", "ConfirmTotp"]);

    person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, "MFA_REQUIRED"));
    let ran = person.pipes("mfa enroll", "").await;
    assert!(ran.code == 1 && ran.err.contains("MFA_REQUIRED"), "{}", ran.err);
}

#[tokio::test]
async fn the_factor_is_removed_by_either_kind_of_code() {
    let person = person().await;
    done(without_secrets(person.types("mfa disable", &["123456"]).await));
    done(without_secrets(person.types("mfa disable", &["abcd-efgh"]).await));
    done(person.pipes("mfa disable --totp 654321 --output json", "").await);
    let factors = [0, 1, 2].map(|at| person.asked::<DisableTotpRequest>(at, "DisableTotp").factor.unwrap());
    let expected = [
        Factor::TotpCode("123456".into()),
        Factor::BackupCode("abcd-efgh".into()),
        Factor::TotpCode("654321".into()),
    ];
    assert_eq!(factors, expected);
    let ran = person.pipes("mfa disable", "123456\n").await;
    assert!(ran.code == 2 && ran.err.contains("--totp CODE"), "{}", ran.err);
}

#[tokio::test]
async fn backup_codes_are_all_that_goes_to_standard_output() {
    let person = person().await;
    let ran = done(person.types("mfa backup-codes", &["123456"]).await);
    assert_eq!(ran.out, "planted-backup-1\nplanted-backup-2\n");
    let request: RegenerateBackupCodesRequest = person.asked(0, "RegenerateBackupCodes");
    assert_eq!(request.totp_code, "123456");
    done(person.types("mfa backup-codes", &["12345", "123456"]).await);
    let ran = person.types("mfa backup-codes", &["a backup code", "12345", "1234567", "123456"]).await;
    assert_eq!((ran.code, person.fake.methods().len()), (2, 2), "{}", ran.err);
}

#[tokio::test]
async fn the_password_is_changed_after_the_new_one_was_given_twice() {
    let person = person().await;
    done(without_secrets(person.types("password change", &[PASSWORD, NEW, NEW]).await));
    done(person.pipes("password change --password-stdin", &format!("{PASSWORD}\n{NEW}\n")).await);
    for at in [0, 1] {
        let request: ChangePasswordRequest = person.asked(at, "ChangePassword");
        assert_eq!((request.current_password.as_str(), request.new_password.as_str()), (PASSWORD, NEW));
    }
    let ran = without_secrets(person.types("password change", &[PASSWORD, NEW, "another"]).await);
    assert!(ran.code == 2 && ran.err.contains("differ"), "{}", ran.err);
    let ran = person.pipes("password change --password-stdin", PASSWORD).await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    let ran = person.pipes("password change", &format!("{PASSWORD}\n{NEW}\n")).await;
    assert!(ran.code == 2 && ran.err.contains("--password-stdin"), "{}", ran.err);
    assert_eq!(person.fake.methods().len(), 2);
}

#[tokio::test]
async fn a_forgotten_password_is_set_without_a_login() {
    let person = Person::of(Fake::default()).await;
    let ran = done(person.pipes("password reset --email o@acme.example", "").await);
    assert!(ran.err.contains("doorward password reset --token-stdin"), "{}", ran.err);
    done(person.pipes("password reset --token-stdin", &format!("planted-token\n{NEW}\n")).await);
    done(without_secrets(person.types("password reset --token-stdin", &[" planted-token ", NEW, NEW]).await));
    let request: RequestPasswordResetRequest = person.asked(0, "RequestPasswordReset");
    assert_eq!(request.email, "o@acme.example");
    for at in [1, 2] {
        let request: ResetPasswordRequest = person.asked(at, "ResetPassword");
        assert_eq!((request.token.as_str(), request.new_password.as_str()), ("planted-token", NEW));
    }
}

#[tokio::test]
async fn an_address_is_verified_in_two_steps() {
    let person = person().await;
    let ran = done(person.pipes("email verify", "").await);
    assert!(ran.err.contains("doorward email verify --token-stdin"), "{}", ran.err);
    assert_eq!(person.authorization(0).unwrap(), "Bearer planted-access-0");
    let ran = done(person.pipes("email verify --token-stdin --output json", "planted-token\n").await);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["revision"], "1");
    let request: VerifyEmailRequest = person.asked(1, "VerifyEmail");
    assert_eq!((request.token.as_str(), person.authorization(1)), ("planted-token", None));
}

#[test]
fn wrong_usage_is_found_before_anything_is_asked() {
    for line in [
        "login --password x",
        "login --totp 12345",
        "session revoke",
        "mfa disable --totp abcdef",
        "password reset",
        "password reset --email a@b.example --token-stdin",
        "email verify token",
    ] {
        let parsed = Cli::try_parse_from(["doorward"].into_iter().chain(line.split_whitespace()));
        assert_eq!(parsed.map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
    }
    let line = ["doorward", "login", "--totp", "123456"];
    assert!(!format!("{:?}", Cli::try_parse_from(line).unwrap()).contains("123456"));
}
