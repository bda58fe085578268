mod attacks;
mod attacks_on_bytes;
mod attacks_on_claims;
mod figures;
mod good;
mod published;

use super::*;
use crate::domain::clock::fixed::Counting;
use crate::domain::signing::{Algorithm, NewKey, SigningKeyState};
use crate::domain::{SessionId, TenantId, Timestamp, UserId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::LazyLock;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const HOUR: Duration = Duration::from_hours(1);
const EXPECT: Expect<'static> =
    Expect { issuer: "https://id.example.com", audience: "https://api.example.com" };

/// One key of each algorithm, made once: RSA takes its time.
static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| Algorithm::ALL.map(fresh).into());

fn fresh(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm, &Counting::default()).unwrap()
}

fn key(algorithm: Algorithm) -> &'static SigningKey {
    KEYS.iter().find(|key| key.public().algorithm() == algorithm).unwrap()
}

fn state(key: &SigningKey) -> SigningKeyState {
    let algorithm = key.public().algorithm();
    key.state(&NewKey { algorithm, activate: NOW, retire: NOW.plus(24 * HOUR) })
}

fn shared(key: &SigningKey) -> Option<SharedSecret> {
    (key.public().algorithm() == Algorithm::Hs256)
        .then(|| SharedSecret::new(key.private_bytes().unwrap()).unwrap())
}

fn keyset(keys: &[&SigningKey]) -> Keyset {
    let mut set = Keyset::default();
    for key in keys {
        set.put(state(key), shared(key).as_ref()).unwrap();
    }
    set
}

/// A set of all four keys, in force.
fn all() -> Keyset {
    keyset(&KEYS.iter().collect::<Vec<_>>())
}

fn claims() -> AccessClaims {
    let entropy = Counting::default();
    AccessClaims {
        issuer: EXPECT.issuer.to_owned(),
        audience: EXPECT.audience.to_owned(),
        user: UserId::new(NOW, &entropy),
        tenant: TenantId::new(NOW, &entropy),
        session: SessionId::new(NOW, &entropy),
        client: "console".to_owned(),
        id: "8Jx2VhPZ0nFQ5bWm3tYkLg".to_owned(),
        issued: NOW,
        expires: NOW.plus(Duration::from_mins(15)),
        authenticated: NOW,
        methods: vec!["pwd".to_owned(), "otp".to_owned()],
    }
}

fn token(key: &SigningKey) -> String {
    key.sign(&claims()).unwrap().reveal().to_owned()
}

fn header_of(key: &SigningKey) -> String {
    let name = key.public().algorithm().name();
    format!(r#"{{"alg":"{name}","kid":"{}","typ":"at+jwt"}}"#, key.kid())
}

fn payload() -> String {
    String::from_utf8(claims().write().unwrap()).unwrap()
}

/// A token with a right signature over whatever it says.
fn forged(key: &SigningKey, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.signature(message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verify(token: &str) -> Result<AccessClaims, TokenFault> {
    all().verify(token, &EXPECT, NOW)
}

/// What every refused token must give.
#[track_caller]
fn malformed(token: &str) {
    assert_eq!(verify(token), Err(TokenFault::Malformed), "{token:.300}");
}

#[track_caller]
fn invalid(token: &str) {
    assert_eq!(verify(token), Err(TokenFault::Invalid), "{token:.300}");
}

#[track_caller]
fn unknown(token: &str) {
    assert_eq!(verify(token), Err(TokenFault::UnknownKey), "{token:.300}");
}

/// The header of the key with the text replaced.
#[track_caller]
fn header_with(key: &SigningKey, from: &str, to: &str) -> String {
    let header = header_of(key).replace(from, to);
    assert_ne!(header, header_of(key));
    header
}

/// The payload with one member replaced by another text.
fn payload_with(member: &str, text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(&payload()).unwrap();
    let old = format!(r#""{member}":{}"#, value[member]);
    let changed = payload().replace(&old, text);
    assert_ne!(changed, payload(), "{member}");
    changed.replace("{,", "{").replace(",,", ",").replace(",}", "}")
}
