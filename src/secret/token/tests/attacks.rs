//! Attacks on how a token is verified and by what, by their numbers in the catalogue.

use super::*;
use crate::domain::signing::MAX_SKEW;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair;

// What the helpers forge is otherwise good: else nothing below would tell anything.
#[test]
fn a_forgery_that_changes_nothing_is_accepted() {
    for key in KEYS.iter() {
        assert_eq!(verify(&forged(key, header_of(key), payload())), Ok(claims()));
        let reordered = payload_with("jti", "").replace('}', r#","jti":"8Jx2VhPZ0nFQ5bWm3tYkLg"}"#);
        assert_eq!(verify(&forged(key, header_of(key), reordered)), Ok(claims()));
    }
}

// A01
#[test]
fn tokens_without_a_signature_are_not_looked_at() {
    let key = key(Algorithm::Rs256);
    let good = token(key);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    for none in ["none", "None", "NONE", "nOnE", "", "HS512", "RS512", "rs256"] {
        let header = header_with(key, "RS256", none);
        let parts = forged(key, &header, super::payload());
        malformed(&parts);
        malformed(&format!("{}.", parts.rsplit_once('.').unwrap().0));
    }
    malformed(message);
    malformed(&format!("{message}."));
    malformed(&format!("{message}.{signature}."));
    malformed(&format!(".{message}.{signature}"));
    malformed(&format!("{header}..{payload}.{signature}"));
    malformed(&format!("{header}..{signature}"));
    malformed(&format!(".{payload}.{signature}"));
    malformed(&format!("{message}.{signature}.{signature}"));
    malformed("");
    malformed("..");
    malformed("...");
    malformed(&format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#));
    malformed(&format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}"}}]}}"#));
}

// A02
#[test]
fn a_public_key_is_no_shared_secret() {
    let rsa = key(Algorithm::Rs256);
    let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&rsa.private_bytes().unwrap()).unwrap();
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
    let text = base64::engine::general_purpose::STANDARD.encode(&der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let jwk = state(rsa).public;
    let forms = [pem.trim_end().to_owned(), format!(" {pem}"), format!("\n{pem}"), pem, text, jwk];
    let published = rsa.public().published().unwrap();
    let raw = [der, pair.public_key().as_ref().to_vec(), published.into_bytes()];
    for secret in forms.into_iter().map(String::into_bytes).chain(raw) {
        let forger = SigningKey::from_shared(SharedSecret::new(zeroize::Zeroizing::new(secret)).unwrap());
        let forger = forger.unwrap();
        let header = header_with(rsa, "RS256", "HS256");
        invalid(&forged(&forger, &header, payload()));
        invalid(&forged(&forger, header_of(rsa), payload()));
        unknown(&token(&forger));
    }
}

// A02, A11: every name with every other algorithm, signed by every key.
#[test]
fn a_key_is_for_one_algorithm() {
    for named in KEYS.iter() {
        for claimed in Algorithm::ALL {
            for signer in KEYS.iter() {
                let own = named.public().algorithm();
                let header = header_of(named).replace(own.name(), claimed.name());
                let token = forged(signer, header, payload());
                let right = claimed == own && signer.kid() == named.kid();
                let wanted = if right { Ok(claims()) } else { Err(TokenFault::Invalid) };
                assert_eq!(verify(&token), wanted, "{named:?} as {claimed:?} by {signer:?}");
            }
        }
    }
}

// A03
#[test]
fn a_kid_is_only_ever_looked_up_in_memory() {
    let key = key(Algorithm::EdDsa);
    let kid = key.kid().as_str();
    let long = "k".repeat(65);
    let huge = "k".repeat(64 * 1024);
    let bad = ["../../dev/null", "' OR 1=1--", "", " ", "a b", "\\u0041", "ключ", &long, &huge];
    for bad in bad.into_iter().chain([format!("{kid} ").as_str(), format!("{kid}=").as_str()]) {
        malformed(&forged(key, header_with(key, kid, bad), payload()));
    }
    malformed(&forged(key, header_with(key, &format!(r#""{kid}""#), "7"), payload()));
    malformed(&forged(key, header_with(key, &format!(r#""{kid}""#), "null"), payload()));
    malformed(&forged(key, header_with(key, &format!(r#""kid":"{kid}","#), ""), payload()));
    unknown(&forged(key, header_with(key, kid, "unknown"), payload()));
    unknown(&token(&fresh(Algorithm::EdDsa)));
    let other = fresh(Algorithm::EdDsa);
    unknown(&forged(key, header_of(&other), payload()));
}

// A03, A11: a second key under a known name changes nothing.
#[test]
fn a_name_stays_with_its_key() {
    let (known, other) = (key(Algorithm::EdDsa), fresh(Algorithm::EdDsa));
    let mut set = all();
    let mut twin = state(&other);
    twin.kid = known.kid().clone();
    assert_eq!(set.put(twin.clone(), None), Err(KeyFault::Taken));
    let mut weaker = state(known);
    weaker.algorithm = Algorithm::Hs256;
    let secret = shared(key(Algorithm::Hs256));
    assert_eq!(set.put(weaker.clone(), secret.as_ref()), Err(KeyFault::Taken));
    assert_eq!(set.verify(&token(known), &EXPECT, NOW), Ok(claims()));
    let mut empty = Keyset::default();
    assert_eq!(empty.put(twin, None), Err(KeyFault::Name));
    assert_eq!(empty.put(weaker.clone(), secret.as_ref()), Err(KeyFault::Name));
    assert_eq!(empty.put(weaker, None), Err(KeyFault::NoSecret));
    let mut mixed = state(known);
    mixed.algorithm = Algorithm::Es256;
    assert_eq!(empty.put(mixed, None), Err(KeyFault::Public));
    let mut broken = state(known);
    broken.public.pop();
    assert_eq!(empty.put(broken, None), Err(KeyFault::Public));
    assert_eq!(empty.states().count(), 0);
}

// A04, A05
#[test]
fn headers_of_any_other_kind_are_refused() {
    for key in KEYS.iter() {
        let jwk = key.public().published().unwrap_or_else(|| "{}".to_owned());
        for member in [
            format!(r#""jwk":{jwk}"#),
            r#""jku":"http://127.0.0.1:9/jwks.json""#.to_owned(),
            r#""x5u":"http://127.0.0.1:9/chain.pem""#.to_owned(),
            r#""x5c":["MIIB"]"#.to_owned(),
            r#""x5t":"AAAA""#.to_owned(),
            r#""crit":["x"]"#.to_owned(),
            r#""crit":[]"#.to_owned(),
            r#""b64":false,"crit":["b64"]"#.to_owned(),
            r#""b64":true"#.to_owned(),
            r#""zip":"DEF""#.to_owned(),
            r#""cty":"JWT""#.to_owned(),
            r#""ALG":"none""#.to_owned(),
        ] {
            let header = header_of(key);
            malformed(&forged(key, header.replace('{', &format!("{{{member},")), payload()));
            malformed(&forged(key, header.replace('}', &format!(",{member}}}")), payload()));
        }
    }
}

// A09
#[test]
fn tokens_of_other_kinds_are_refused() {
    let key = key(Algorithm::EdDsa);
    for typ in [
        "JWT",
        "jwt",
        "AT+JWT",
        "at+JWT",
        "application/at+jwt",
        "id+jwt",
        "mfa+jwt",
        "logout+jwt",
        "txntoken+jwt",
        "rt+jwt",
        "",
        "at+jwt ",
    ] {
        malformed(&forged(key, header_with(key, "at+jwt", typ), payload()));
    }
    malformed(&forged(key, header_with(key, r#","typ":"at+jwt""#, ""), payload()));
    malformed(&forged(key, header_with(key, r#""at+jwt""#, "null"), payload()));
    for change in ["aud", "iss"] {
        for value in ["https://api.example.com/", "https://API.example.com", "https://other.example.com", "*"]
        {
            invalid(&forged(key, header_of(key), payload_with(change, &format!(r#""{change}":"{value}""#))));
        }
    }
}

// A11
#[test]
fn a_key_is_in_force_between_its_activation_and_its_retirement() {
    let key = key(Algorithm::EdDsa);
    let mut state = state(key);
    let at = |state: &SigningKeyState, now: Timestamp| {
        let mut set = Keyset::default();
        set.put(state.clone(), None).unwrap();
        let mut claims = claims();
        claims.issued = now;
        claims.expires = now.plus(HOUR);
        claims.authenticated = now;
        let token = key.sign(&claims).unwrap();
        set.verify(token.reveal(), &EXPECT, now).map(|_| ())
    };
    let micro = |time: Timestamp, by: i64| Timestamp::from_micros(time.micros() + by);
    let skew = i64::try_from(MAX_SKEW.as_micros()).unwrap();
    assert_eq!(at(&state, micro(state.activate, -skew - 1)), Err(TokenFault::Invalid));
    assert_eq!(at(&state, state.activate), Ok(()));
    assert_eq!(at(&state, micro(state.retire, -1)), Ok(()));
    assert_eq!(at(&state, state.retire), Err(TokenFault::Invalid));
    state.withdrawn = true;
    assert_eq!(at(&state, state.activate), Err(TokenFault::Invalid));
}

// A11: what is heard of a key later counts at once.
#[test]
fn a_withdrawn_key_is_out_of_force_at_once() {
    let key = key(Algorithm::Es256);
    let mut set = all();
    assert!(set.verify(&token(key), &EXPECT, NOW).is_ok());
    let mut withdrawn = state(key);
    withdrawn.withdrawn = true;
    set.put(withdrawn, None).unwrap();
    assert_eq!(set.verify(&token(key), &EXPECT, NOW), Err(TokenFault::Invalid));
    assert!(!set.jwks_json(NOW).contains(key.kid().as_str()));
}

// A12: what a token may be remembered by is all of it.
#[test]
fn tokens_that_claim_the_same_have_digests_of_their_own() {
    let key = key(Algorithm::Es256);
    let (one, two) = (key.sign(&claims()).unwrap(), key.sign(&claims()).unwrap());
    assert_ne!(one.digest(), two.digest());
    assert_eq!(one.digest(), crate::secret::sha256(one.reveal().as_bytes()));
}
