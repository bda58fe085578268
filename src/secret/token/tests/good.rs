//! Tokens and keys that are as they should be.

use super::*;
use crate::domain::signing::MAX_SKEW;

// R31
#[test]
fn what_is_signed_is_verified_by_every_algorithm() {
    for key in KEYS.iter() {
        assert_eq!(verify(&token(key)), Ok(claims()), "{key:?}");
        assert_eq!(keyset(&[key]).verify(&token(key), &EXPECT, NOW), Ok(claims()), "{key:?}");
    }
}

#[test]
fn keys_go_round_through_storage() {
    for key in KEYS.iter() {
        let algorithm = key.public().algorithm();
        let bytes = key.private_bytes().unwrap();
        let read = SigningKey::from_private(key.kid(), algorithm, &bytes).unwrap();
        assert_eq!(state(&read), state(key));
        assert_eq!(verify(&token(&read)), Ok(claims()));

        let other = "another".parse().unwrap();
        let refused = SigningKey::from_private(&other, algorithm, &bytes);
        assert_eq!(refused.unwrap_err(), KeyFault::Name);
        let cut = SigningKey::from_private(key.kid(), algorithm, &bytes[..bytes.len() - 1]);
        assert_eq!(cut.unwrap_err(), KeyFault::Private, "{key:?}");
        for wrong in Algorithm::ALL.into_iter().filter(|wrong| *wrong != algorithm) {
            assert!(SigningKey::from_private(key.kid(), wrong, &bytes).is_err(), "{key:?} as {wrong:?}");
        }
    }
}

#[test]
fn nothing_secret_can_be_printed() {
    for key in KEYS.iter() {
        let secret = key.private_bytes().unwrap();
        let window = secret.iter().skip(secret.len() - 8).map(u8::to_string).collect::<Vec<_>>().join(", ");
        let signed = key.sign(&claims()).unwrap();
        let shown = format!("{key:?} {:?} {signed:?} {:?} {:?}", key.public(), shared(key), keyset(&[key]));
        assert!(!shown.contains(&window) && !shown.contains(signed.reveal()), "{shown}");
        assert!(shown.contains("[redacted]"));
    }
}

// RFC 9068 §2.2, and small enough for every proxy.
#[test]
fn tokens_are_small() {
    for key in KEYS.iter() {
        let length = token(key).len();
        println!("{}: {length} bytes", key.public().algorithm().name());
        let most = if key.public().algorithm() == Algorithm::Rs256 { 1280 } else { 1024 };
        assert!(length < most, "{key:?}: {length}");
    }
}

#[test]
fn times_have_whole_seconds() {
    let mut finer = claims();
    finer.issued = Timestamp::from_micros(NOW.micros() + 999_999);
    finer.expires = finer.issued.plus(HOUR);
    finer.authenticated = finer.issued;
    let token = key(Algorithm::EdDsa).sign(&finer).unwrap();
    let read = verify(token.reveal()).unwrap();
    assert_eq!((read.issued, read.expires, read.authenticated), (NOW, NOW.plus(HOUR), NOW));
}

#[test]
fn an_expired_token_is_told_apart_only_if_it_is_genuine() {
    let key = key(Algorithm::Es256);
    let token = token(key);
    let at = claims().expires;
    let before = Timestamp::from_micros(at.micros() - 1);
    assert_eq!(all().verify(&token, &EXPECT, before), Ok(claims()));
    assert_eq!(all().verify(&token, &EXPECT, at), Err(TokenFault::Expired { at }));
    let (message, _) = token.rsplit_once('.').unwrap();
    let (_, signature) =
        self::token(key).rsplit_once('.').map(|(m, s)| (m.to_owned(), s.to_owned())).unwrap();
    assert_ne!(token, format!("{message}.{signature}"), "ECDSA signs anew");
    let swapped = format!("{message}.{}", "A".repeat(86));
    assert_eq!(all().verify(&swapped, &EXPECT, at), Err(TokenFault::Invalid));
    let other = Expect { audience: "https://other.example.com", ..EXPECT };
    assert_eq!(all().verify(&token, &other, at), Err(TokenFault::Invalid));
}

#[test]
fn a_signer_whose_clock_is_a_little_ahead_is_believed() {
    let mut ahead = claims();
    ahead.issued = NOW.plus(MAX_SKEW);
    assert!(verify(key(Algorithm::EdDsa).sign(&ahead).unwrap().reveal()).is_ok());
    ahead.issued = NOW.plus(MAX_SKEW + Duration::from_secs(1));
    let refused = verify(key(Algorithm::EdDsa).sign(&ahead).unwrap().reveal());
    assert_eq!(refused, Err(TokenFault::Invalid));
}

#[test]
fn what_no_token_may_claim_is_not_signed() {
    let key = key(Algorithm::EdDsa);
    let wrong = |claim: &'static str, change: &dyn Fn(&mut AccessClaims)| {
        let mut claims = claims();
        change(&mut claims);
        assert_eq!(key.sign(&claims).unwrap_err(), SignFault::Claims(BadClaims { claim }));
    };
    wrong("iss", &|claims| claims.issuer.clear());
    wrong("aud", &|claims| claims.audience = "a".repeat(257));
    wrong("client_id", &|claims| claims.client = "a\"b".to_owned());
    wrong("client_id", &|claims| claims.client = "a\\b".to_owned());
    wrong("jti", &|claims| claims.id = "é".to_owned());
    wrong("amr", &|claims| claims.methods = vec!["pwd".to_owned(); 9]);
    wrong("amr", &|claims| claims.methods = vec!["x".repeat(33)]);
    wrong("exp", &|claims| claims.expires = claims.issued);
    wrong("exp", &|claims| claims.expires = NOW.plus(HOUR + Duration::from_micros(1)));
    wrong("exp", &|claims| claims.expires = Timestamp::NEVER);
    wrong("iat", &|claims| claims.issued = Timestamp::from_micros(-1));
    wrong("auth_time", &|claims| claims.authenticated = NOW.plus(HOUR));
}

// RFC 7517 §5
#[test]
fn the_key_set_has_public_halves_alone() {
    let set: serde_json::Value = serde_json::from_str(&all().jwks_json(NOW)).unwrap();
    let listed = set["keys"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    for jwk in listed {
        let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        let known = ["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];
        assert!(members.iter().all(|member| known.contains(member)), "{members:?}");
        assert_eq!(jwk["use"], "sig");
        let algorithm: Algorithm = jwk["alg"].as_str().unwrap().parse().unwrap();
        assert_eq!(jwk["kid"], key(algorithm).kid().as_str());
    }
    assert_eq!(keyset(&[key(Algorithm::Hs256)]).jwks_json(NOW), r#"{"keys":[]}"#);
    assert_eq!(all().jwks_json(NOW.plus(25 * HOUR)), r#"{"keys":[]}"#);
}

#[test]
fn a_key_set_holds_so_many_and_forgets() {
    let key = key(Algorithm::EdDsa);
    let mut set = all();
    set.remove(key.kid());
    assert_eq!(set.states().count(), 3);
    assert_eq!(set.verify(&token(key), &EXPECT, NOW), Err(TokenFault::UnknownKey));
    while set.states().count() < Keyset::MAX {
        set.put(state(&fresh(Algorithm::EdDsa)), None).unwrap();
    }
    assert_eq!(set.put(state(key), None), Err(KeyFault::Full));
}

// Another library reads what is signed here, and what it signs is read here.
#[test]
fn another_library_agrees() {
    use jsonwebtoken as other;
    for key in KEYS.iter() {
        let name = key.public().algorithm().name();
        let algorithm: other::Algorithm = name.parse().unwrap();
        let mut rules = other::Validation::new(algorithm);
        rules.set_audience(&[EXPECT.audience]);
        rules.set_issuer(&[EXPECT.issuer]);
        rules.validate_exp = false;
        let private = key.private_bytes().unwrap();
        let (decoding, encoding) = match key.public().published() {
            None => (other::DecodingKey::from_secret(&private), other::EncodingKey::from_secret(&private)),
            Some(jwk) => {
                let jwk: other::jwk::Jwk = serde_json::from_str(&jwk).unwrap();
                let thumbprint = jwk.thumbprint(other::jwk::ThumbprintHash::SHA256).unwrap();
                assert_eq!(thumbprint, key.kid().as_str());
                (other::DecodingKey::from_jwk(&jwk).unwrap(), encoding_key(algorithm, &private))
            }
        };
        let read = other::decode::<serde_json::Value>(token(key), &decoding, &rules).unwrap();
        assert_eq!(read.claims, serde_json::from_str::<serde_json::Value>(&payload()).unwrap());

        let mut header = other::Header::new(algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(key.kid().to_string());
        let theirs = other::encode(&header, &read.claims, &encoding).unwrap();
        assert_eq!(verify(&theirs), Ok(claims()), "{name}");
    }
}

fn encoding_key(algorithm: jsonwebtoken::Algorithm, pkcs8: &[u8]) -> jsonwebtoken::EncodingKey {
    if algorithm == jsonwebtoken::Algorithm::ES256 {
        jsonwebtoken::EncodingKey::from_ec_der(pkcs8)
    } else if algorithm == jsonwebtoken::Algorithm::EdDSA {
        jsonwebtoken::EncodingKey::from_ed_der(pkcs8)
    } else {
        // What PKCS #8 puts around a key of 2048 bits, it does not want.
        jsonwebtoken::EncodingKey::from_rsa_der(&pkcs8[26..])
    }
}
