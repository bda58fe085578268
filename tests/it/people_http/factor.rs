//! The second factor of a browser's login.
use super::{Browser, Home};
use crate::harness::{Database, on_both};
use aws_lc_rs::hmac;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// The bytes of a secret in base32 (RFC 4648 §6).
fn from_base32(text: &str) -> Vec<u8> {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for letter in text.bytes() {
        let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
        bits = (bits << 5 | u32::from(value)) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

/// The code of a step from now (RFC 6238 §4, RFC 4226 §5.3).
fn code(secret: &str, step: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &from_base32(secret));
    let digest = hmac::sign(&key, &(now / 30 + step).to_be_bytes());
    let digest = digest.as_ref();
    let at = usize::from(digest[19] & 0x0f);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

on_both! {
    // R33: the first step of a login has nothing to keep, the second has.
    async fn a_login_in_two_steps(database: Database) {
        let home = Home::start(&database).await;
        let mut browser = home.browser().await;
        let enrolled = browser.post(&home, "/v1/auth/totp:enroll", &json!({"password": home.password})).await;
        let secret = enrolled.json()["secret"].as_str().unwrap().to_owned();
        let confirmed = browser.post(&home, "/v1/auth/totp:confirm", &json!({"code": code(&secret, 0)})).await;
        assert_eq!(confirmed.status, 200, "{}", confirmed.text());
        let mut browser = Browser::default();
        let waiting = browser.post(&home, "/v1/auth/login", &home.login()).await;
        let body = waiting.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!((waiting.status, members), (200, vec!["mfa_required"]), "{body}");
        assert!(browser.names().is_empty());
        let plain = home.post("/v1/auth/login", &[], &home.login()).await.json();
        let members: Vec<&str> = plain.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["mfa_required"], "the contract's answer: {plain}");
        let challenge = &body["mfa_required"]["challenge"];
        let factor = json!({"challenge": challenge, "totp_code": code(&secret, 1)});
        let complete = browser.post(&home, "/v1/auth/login:complete", &factor).await;
        assert_eq!(complete.status, 200, "{}", complete.text());
        assert!(complete.json().get("access_token").is_none());
        assert_eq!(browser.names(), ["access", "refresh", "csrf", "device"]);
        let me = browser.get(&home, "/v1/auth/me").await.json();
        assert_eq!(me["principal"]["mfa"], true, "{me}");
    }
}
