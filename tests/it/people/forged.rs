//! Tokens that Doorward did not make, or not so: all are refused, at every door, and told nothing.
use super::person::{log_in, part, refused_by, settings};
use crate::harness::{Database, World};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The secret of HS256, which these tests know and forgers do not: so each token here is good but for one thing.
const SECRET: &str = "0123456789abcdef0123456789abcdef-of-the-tests";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn mac(message: &str, secret: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

/// A token of these texts with a signature that fits.
fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", encoded(header), encoded(payload));
    let signature = encoded(mac(&message, SECRET));
    format!("{message}.{signature}")
}

/// The members with one of them changed, or taken out by `Value::Null`.
fn with(members: &Value, name: &str, value: &Value) -> String {
    let mut members = members.clone();
    if value.is_null() {
        members.as_object_mut().unwrap().remove(name);
    } else {
        members[name] = value.clone();
    }
    members.to_string()
}

/// The text with a member written a second time.
fn doubled(members: &Value, name: &str) -> String {
    let text = members.to_string();
    format!("{},\"{name}\":{}}}", &text[..text.len() - 1], members[name])
}

/// Asserts that each is refused at every door, and no two in different words.
async fn all_refused(world: &World, tokens: Vec<(String, String)>) {
    for (what, token) in tokens {
        let told = refused_by(&world.server.api(), &world.owner, &token).await;
        assert_eq!(told.as_deref(), Some("INVALID_TOKEN"), "{what}: {token:.300}");
    }
}

async fn shared_secret_world() -> World {
    let settings = settings().set("tokens.algorithm", "HS256").set("tokens.secret", SECRET);
    World::with(Database::sqlite(), settings).await
}

// A01, A03, A04, A05: what a header may not say, each under a signature that fits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_header_is_taken() {
    let world = shared_secret_world().await;
    let good = log_in(&world).await.access;
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let payload = claims.to_string();
    // The tests sign as Doorward does: else nothing here would prove anything.
    let own = signed(&header.to_string(), &payload);
    assert_eq!(refused_by(&world.server.api(), &world.owner, &own).await, None);
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", ""] {
        tokens.push((format!("alg {alg}"), signed(&with(&header, "alg", &json!(alg)), &payload)));
        let message = format!("{}.{}", encoded(with(&header, "alg", &json!(alg))), encoded(&payload));
        tokens.push((format!("alg {alg} without a signature"), format!("{message}.")));
    }
    let long = "k".repeat(64 * 1024 / 16);
    for kid in ["../../dev/null", "' OR 1=1--", "unknown", "", long.as_str()] {
        tokens.push((format!("kid {kid:.20}"), signed(&with(&header, "kid", &json!(kid)), &payload)));
    }
    for typ in ["JWT", "at+JWT", "application/at+jwt", "mfa+jwt", "refresh+jwt", ""] {
        tokens.push((format!("typ {typ}"), signed(&with(&header, "typ", &json!(typ)), &payload)));
    }
    for name in ["alg", "kid", "typ"] {
        tokens.push((format!("no {name}"), signed(&with(&header, name, &Value::Null), &payload)));
        tokens.push((format!("{name} twice"), signed(&doubled(&header, name), &payload)));
        tokens.push((format!("{name} a number"), signed(&with(&header, name, &json!(1)), &payload)));
    }
    for (name, value) in [
        ("jwk", json!({"kty": "oct", "k": encoded(SECRET)})),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        tokens.push((format!("header {name}"), signed(&with(&header, name, &value), &payload)));
    }
    all_refused(&world, tokens).await;
}

// A06, A07: what a token may not claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_claims_are_taken() {
    let world = shared_secret_world().await;
    let good = log_in(&world).await.access;
    let (header, claims) = (part(&good, 0).to_string(), part(&good, 1));
    let mut tokens = Vec::new();
    let names: Vec<String> = claims.as_object().unwrap().keys().cloned().collect();
    for name in
        ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "tid", "amr", "auth_time", "client_id"]
    {
        assert!(names.iter().any(|own| own == name), "{name} is not in {names:?}");
    }
    for name in &names {
        tokens.push((format!("no {name}"), signed(&header, &with(&claims, name, &Value::Null))));
        tokens.push((format!("{name} twice"), signed(&header, &doubled(&claims, name))));
    }
    let now = claims["iat"].as_i64().unwrap();
    for (name, value) in [
        ("exp", json!("9999999999")),
        ("exp", json!(1.5)),
        ("exp", json!(-1)),
        ("exp", json!(1e18)),
        ("exp", json!(now + 3601)),
        ("nbf", json!(now + 3600)),
        ("iat", json!(now + 3600)),
        ("aud", json!(7)),
        ("aud", json!(["doorward"])),
        ("aud", json!("another")),
        ("iss", json!("another")),
        ("iss", json!(["doorward"])),
        ("iss", json!({})),
        ("sub", json!("user_nonsense")),
        ("sub", claims["tid"].clone()),
        ("sid", json!("session_nonsense")),
        ("tid", json!("tenant_01jd0000000000000000000000")),
        ("amr", json!("pwd")),
        ("role", json!("owner")),
        ("scope", json!("platform.tenants")),
    ] {
        tokens.push((format!("{name} = {value}"), signed(&header, &with(&claims, name, &value))));
    }
    let text = claims.to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for payload in [
        format!("{text}x"),
        format!("{text}{{}}"),
        format!(" {text}"),
        format!("\u{feff}{text}"),
        format!("[{text}]"),
        text.replace("\"exp\":", "\"exp\":1e400,\"e\":"),
        format!("{},\"x\":{deep}}}", &text[..text.len() - 1]),
        String::new(),
        "{}".into(),
    ] {
        tokens.push((format!("payload {payload:.40}"), signed(&header, &payload)));
    }
    // Whole, and yet too long to be looked at.
    tokens.push(("8 KiB".into(), signed(&header, &with(&claims, "x", &json!("x".repeat(8 * 1024))))));
    all_refused(&world, tokens).await;
}

// A01, A02, A08: the form, and signatures that do not fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_form_and_no_other_signature_is_taken() {
    let world = shared_secret_world().await;
    let good = log_in(&world).await.access;
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let last = |letter: char| format!("{header}.{payload}.{}{letter}", &signature[..signature.len() - 1]);
    let own = signature.chars().last().unwrap();
    // The last letter has bits that say nothing: every other one decodes to the same bytes, or to others.
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut tokens: Vec<(String, String)> = letters
        .chars()
        .filter(|letter| *letter != own)
        .map(|letter| (format!("the last letter is {letter}"), last(letter)))
        .collect();
    let changed: String = {
        let mut claims = part(&good, 1);
        claims["auth_time"] = json!(claims["auth_time"].as_i64().unwrap() - 1);
        encoded(claims.to_string())
    };
    let zeros = encoded([0; 32]);
    for (what, token) in [
        ("another payload", format!("{header}.{changed}.{signature}")),
        ("no signature", format!("{header}.{payload}.")),
        ("a signature of zeros", format!("{header}.{payload}.{zeros}")),
        ("one byte less", format!("{header}.{payload}.{}", encoded(&raw[..31]))),
        ("one byte more", format!("{header}.{payload}.{}", encoded([raw.as_slice(), &[0]].concat()))),
        ("padding", format!("{header}.{payload}.{}", URL_SAFE.encode(&raw))),
        ("the header's padding", format!("{header}=.{payload}.{signature}")),
        ("a space", format!("{header}.{payload} .{signature}")),
        ("parts exchanged", format!("{payload}.{header}.{signature}")),
        ("empty parts", "..".into()),
        ("no header", format!(".{payload}.{signature}")),
        ("another secret", {
            let message = format!("{header}.{payload}");
            format!("{message}.{}", encoded(mac(&message, &SECRET.replace("tests", "forgers"))))
        }),
        ("an empty secret", {
            let message = format!("{header}.{payload}");
            format!("{message}.{}", encoded(mac(&message, "")))
        }),
    ] {
        tokens.push((what.into(), token));
    }
    let standard = STANDARD_NO_PAD.encode(&raw);
    if standard != signature {
        tokens.push(("the standard alphabet".into(), format!("{header}.{payload}.{standard}")));
    }
    all_refused(&world, tokens).await;
    // Other numbers of dots are no tokens at all, but nothing else either.
    for other in [format!("{header}.{payload}"), format!("{good}.{signature}"), format!("{good}.")] {
        let told = refused_by(&world.server.api(), &world.owner, &other).await;
        assert!(matches!(told.as_deref(), Some("INVALID_TOKEN" | "INVALID_API_KEY")), "{told:?}: {other}");
    }
}
