//! Every step of §7.1 and §7.2 that refuses, refused.

use super::software::{AT, BE, BS, ED, Pair, Software, UP, UV};
use super::*;
use crate::domain::clock::fixed::Counting;
use crate::domain::{SessionId, Timestamp, UserId};
use crate::secret::{Pepper, sha256};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const RP: &str = "example.com";
const ORIGIN: &str = "https://login.example.com";
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

struct World {
    party: RelyingParty,
    pepper: Pepper,
    entropy: Counting,
}

impl World {
    fn new() -> Self {
        Self {
            party: RelyingParty::new(RP, "Acme", &[ORIGIN.into()]).unwrap(),
            pepper: Pepper::new(Zeroizing::new(vec![9; 32])).unwrap(),
            entropy: Counting::default(),
        }
    }

    fn creation(&self) -> String {
        let asked = self.ceremonies().ask(&registration(), NOW, &self.entropy).unwrap();
        creation_options(&self.party, &asked, &[1; 16], "ada@example.com", &[])
    }

    fn request(&self, purpose: &Purpose) -> String {
        let asked = self.ceremonies().ask(purpose, NOW, &self.entropy).unwrap();
        request_options(&self.party, &asked, &[])
    }

    fn ceremonies(&self) -> Ceremonies<'_> {
        Ceremonies::new(&self.pepper)
    }

    fn registered(&self, answer: &Value) -> Result<NewCredential, Rejected> {
        let answer = Attestation::read(&answer.to_string())?;
        answer.verify(&self.party, &self.ceremonies(), &registration(), NOW)
    }

    fn proven(&self, answer: &Value, key: &NewCredential, purpose: &Purpose) -> Result<Proof, Rejected> {
        let answer = Assertion::read(&answer.to_string())?;
        let key = (&key.key, key.backup_eligible);
        answer.verify(&self.party, &self.ceremonies(), purpose, key.0, key.1, NOW)
    }
}

fn registration() -> Purpose {
    Purpose::Registration(UserId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]))
}

fn authenticators() -> Vec<Software> {
    let pairs = [
        Pair::EdDsa(Ed25519KeyPair::generate().unwrap()),
        Pair::Rs256(Box::new(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap())),
    ];
    let others = pairs.into_iter().map(|pair| Software::with(pair, RP, ORIGIN));
    [Software::new(RP, ORIGIN)].into_iter().chain(others).collect()
}

fn es256() -> Software {
    Software::new(RP, ORIGIN)
}

/// The part of an answer, decoded.
fn part(answer: &Value, name: &str) -> Vec<u8> {
    BASE64.decode(answer["response"][name].as_str().unwrap()).unwrap()
}

#[test]
fn all_kinds_of_keys_register_and_prove_themselves() {
    let world = World::new();
    for mut device in authenticators() {
        let made = world.registered(&device.create(&world.creation())).unwrap();
        assert_eq!((&made.id, made.counter, made.backed_up), (&device.id, 0, false));
        assert_eq!(device.user.as_deref(), Some([1; 16].as_slice()));
        let again = PublicKey::stored(made.key.as_bytes()).unwrap();
        assert_eq!(again.as_bytes(), device.cose());
        for purpose in [Purpose::Login, Purpose::SecondFactor(sha256(b"login"))] {
            let answer = device.get(&world.request(&purpose));
            let proof = world.proven(&answer, &made, &purpose).unwrap();
            assert_eq!((Some(proof.counter), proof.verified), (device.counter, true));
        }
    }
}

#[test]
fn what_browsers_are_asked() {
    let world = World::new();
    let asked = world.ceremonies().ask(&registration(), NOW, &world.entropy).unwrap();
    let options = creation_options(&world.party, &asked, &[1; 16], "ada@example.com", &[vec![0xfb, 0xff]]);
    let options: Value = serde_json::from_str(&options).unwrap();
    assert_eq!(options["rp"], json!({"id": RP, "name": "Acme"}));
    assert_eq!(options["user"]["id"], BASE64.encode([1; 16]));
    assert_eq!(options["excludeCredentials"], json!([{"type": "public-key", "id": "-_8"}]));
    assert_eq!(options["pubKeyCredParams"][0], json!({"type": "public-key", "alg": -7}));
    assert_eq!((&options["attestation"], &options["timeout"]), (&json!("none"), &json!(300_000)));
    let open: Value = serde_json::from_str(&request_options(&world.party, &asked, &[])).unwrap();
    assert_eq!((&open["userVerification"], &open["rpId"]), (&json!("required"), &json!(RP)));
    let named: Value = serde_json::from_str(&request_options(&world.party, &asked, &[vec![1]])).unwrap();
    assert_eq!(
        (&named["userVerification"], &named["allowCredentials"][0]["id"]),
        (&json!("preferred"), &json!("AQ"))
    );
}

#[test]
fn registrations_that_are_refused() {
    let world = World::new();
    let refused = |edit: fn(&mut Software), wanted: Rejected| {
        let mut device = es256();
        edit(&mut device);
        assert_eq!(world.registered(&device.create(&world.creation())).unwrap_err(), wanted);
    };
    refused(|device| device.origin = "https://login.example.com.evil.test".into(), Rejected::Origin);
    refused(|device| device.origin = "https://example.com".into(), Rejected::Origin);
    refused(|device| device.client = json!({"crossOrigin": true}), Rejected::Origin);
    refused(|device| device.client = json!({"topOrigin": "https://evil.test"}), Rejected::Origin);
    refused(|device| device.client = json!({"type": "webauthn.get"}), Rejected::Type);
    refused(|device| device.client = json!({"challenge": "AAAA"}), Rejected::Challenge);
    refused(|device| device.client = json!({"challenge": "A=="}), Rejected::Malformed("challenge"));
    refused(|device| device.client = json!({"origin": 7}), Rejected::Malformed("clientDataJSON"));
    refused(|device| device.rp_id = "evil.test".into(), Rejected::RelyingParty);
    refused(|device| device.flags = UV, Rejected::NotPresent);
    refused(|device| device.flags = UP | BS, Rejected::Flags);
    refused(|device| device.tail = vec![0xa0], Rejected::Malformed("authenticatorData"));
    refused(|device| device.flags |= ED, Rejected::Malformed("authenticatorData"));
    refused(|device| device.id = Vec::new(), Rejected::Malformed("id"));
    refused(|device| device.id = vec![1; 1024], Rejected::Malformed("id"));
    // A key that has no point on the curve.
    let answer = es256().create(&world.creation());
    let mut object = part(&answer, "attestationObject");
    let last = object.len() - 1;
    object[last] ^= 1;
    let mut touched = answer.clone();
    touched["response"]["attestationObject"] = BASE64.encode(&object).into();
    assert_eq!(world.registered(&touched).unwrap_err(), Rejected::Key);
    // The id of somebody else's credential.
    let mut renamed = answer.clone();
    (renamed["id"], renamed["rawId"]) = (json!("AAAA"), json!("AAAA"));
    assert_eq!(world.registered(&renamed).unwrap_err(), Rejected::Malformed("id"));
    let other = Purpose::Registration(UserId::from_bytes([3; 16]), SessionId::from_bytes([2; 16]));
    let read = Attestation::read(&answer.to_string()).unwrap();
    let verified = read.verify(&world.party, &world.ceremonies(), &other, NOW);
    assert_eq!(verified.unwrap_err(), Rejected::Challenge);
    let late = NOW.plus(Ceremonies::LIFE);
    let read = Attestation::read(&answer.to_string()).unwrap();
    let verified = read.verify(&world.party, &world.ceremonies(), &registration(), late);
    assert_eq!(verified.unwrap_err(), Rejected::Challenge);
    assert!(world.registered(&answer).is_ok());
}

#[test]
fn unverified_users_may_register_and_be_a_second_factor_and_not_log_in_by_that_alone() {
    let world = World::new();
    let mut device = es256();
    device.flags = UP;
    let made = world.registered(&device.create(&world.creation())).unwrap();
    let factor = Purpose::SecondFactor(sha256(b"login"));
    let answer = device.get(&world.request(&factor));
    assert!(!world.proven(&answer, &made, &factor).unwrap().verified);
    let answer = device.get(&world.request(&Purpose::Login));
    assert_eq!(world.proven(&answer, &made, &Purpose::Login).unwrap_err(), Rejected::NotVerified);
}

#[test]
fn assertions_that_are_refused() {
    let world = World::new();
    let refused = |edit: fn(&mut Software), wanted: Rejected| {
        let mut device = es256();
        let made = world.registered(&device.create(&world.creation())).unwrap();
        edit(&mut device);
        let answer = device.get(&world.request(&Purpose::Login));
        assert_eq!(world.proven(&answer, &made, &Purpose::Login).unwrap_err(), wanted);
    };
    refused(|device| device.origin = "http://login.example.com".into(), Rejected::Origin);
    refused(|device| device.client = json!({"crossOrigin": true}), Rejected::Origin);
    refused(|device| device.client = json!({"type": "webauthn.create"}), Rejected::Type);
    refused(|device| device.client = json!({"challenge": "AAAA"}), Rejected::Challenge);
    refused(|device| device.rp_id = "evil.test".into(), Rejected::RelyingParty);
    refused(|device| device.flags = UV, Rejected::NotPresent);
    refused(|device| device.flags = UP | UV | BE, Rejected::Flags);
    refused(|device| device.flags = UP | UV | BS, Rejected::Flags);
    refused(|device| device.flags = UP | UV | AT, Rejected::Malformed("attestedCredentialData"));
    refused(|device| device.tail = vec![0], Rejected::Malformed("authenticatorData"));
    refused(|device| device.pair = es256().pair, Rejected::Signature);
    // Of another ceremony, and of another login.
    let mut device = es256();
    let made = world.registered(&device.create(&world.creation())).unwrap();
    let answer = device.get(&world.request(&Purpose::Login));
    let factor = Purpose::SecondFactor(sha256(b"login"));
    assert_eq!(world.proven(&answer, &made, &factor).unwrap_err(), Rejected::Challenge);
    assert!(world.proven(&answer, &made, &Purpose::Login).is_ok());
    // Each byte that is signed, and each of the signature.
    for name in ["authenticatorData", "clientDataJSON", "signature"] {
        let bytes = part(&answer, name);
        for at in 0..bytes.len() {
            let (mut bytes, mut touched) = (bytes.clone(), answer.clone());
            bytes[at] ^= 1;
            touched["response"][name] = BASE64.encode(&bytes).into();
            assert!(world.proven(&touched, &made, &Purpose::Login).is_err(), "{name}, byte {at}");
        }
    }
}

#[test]
fn extensions_are_passed_over_where_they_are_told_of() {
    let world = World::new();
    let mut device = es256();
    device.flags |= ED;
    device.tail = [&[0xa1, 0x6b], b"credProtect".as_slice(), &[0x02]].concat();
    let made = world.registered(&device.create(&world.creation())).unwrap();
    let answer = device.get(&world.request(&Purpose::Login));
    assert!(world.proven(&answer, &made, &Purpose::Login).is_ok());
    for bad in
        [vec![], vec![0xa1], vec![0x80], vec![0xbf, 0xff], [vec![0xa1, 0x00], vec![0x81; 20_000]].concat()]
    {
        device.tail = bad;
        let answer = device.get(&world.request(&Purpose::Login));
        let refused = world.proven(&answer, &made, &Purpose::Login).unwrap_err();
        assert!(
            matches!(refused, Rejected::Malformed("authenticatorData") | Rejected::TooLong),
            "{refused:?}"
        );
    }
}

#[test]
fn keys_are_of_three_kinds_and_nothing_more() {
    let cose = es256().cose();
    assert!(PublicKey::stored(&cose).is_ok());
    let mut twice = cose.clone();
    // Label 1 a second time, in place of label 3.
    twice[3] = 1;
    assert_eq!(PublicKey::stored(&twice).unwrap_err(), Rejected::Malformed("key"));
    assert_eq!(PublicKey::stored(&[cose.as_slice(), &[0]].concat()).unwrap_err(), Rejected::Malformed("key"));
    for (at, byte) in [(2, 3), (4, 0x27), (6, 2), (0, 0xa4)] {
        let mut other = cose.clone();
        other[at] = byte;
        assert!(PublicKey::stored(&other).is_err(), "byte {at}");
    }
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let good = Software::with(Pair::Rs256(Box::new(pair)), RP, ORIGIN).cose();
    assert!(PublicKey::stored(&good).is_ok());
    let mut exponent = good.clone();
    *exponent.last_mut().unwrap() = 3;
    assert_eq!(PublicKey::stored(&exponent).unwrap_err(), Rejected::Key);
    for length in [255_u16, 513, 1024] {
        let head = [0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59];
        let n = vec![0xff; length.into()];
        let other = [head.as_slice(), &length.to_be_bytes(), &n, &[0x21, 0x43, 1, 0, 1]].concat();
        assert_eq!(PublicKey::stored(&other).unwrap_err(), Rejected::Key, "{length} bytes");
    }
}

#[test]
fn long_answers_are_not_read() {
    let world = World::new();
    let mut answer = es256().create(&world.creation());
    answer["padding"] = "x".repeat(MAX_JSON).into();
    assert_eq!(world.registered(&answer).unwrap_err(), Rejected::TooLong);
    let deep = "[".repeat(MAX_JSON);
    assert!(matches!(Attestation::read(&deep), Err(Rejected::Malformed("JSON"))));
    assert!(matches!(Assertion::read("{}"), Err(Rejected::Malformed("JSON"))));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), text in ".{0,200}") {
        let world = World::new();
        prop_assert!(PublicKey::stored(&bytes).is_err());
        prop_assert!(Attestation::read(&text).is_err());
        prop_assert!(Assertion::read(&text).is_err());
        let mut device = es256();
        let made = world.registered(&device.create(&world.creation())).unwrap();
        let mut answer = device.create(&world.creation());
        answer["response"]["attestationObject"] = BASE64.encode(&bytes).into();
        prop_assert!(world.registered(&answer).is_err());
        let mut answer = device.get(&world.request(&Purpose::Login));
        for name in ["authenticatorData", "clientDataJSON", "signature"] {
            let right = answer["response"][name].clone();
            answer["response"][name] = BASE64.encode(&bytes).into();
            prop_assert!(world.proven(&answer, &made, &Purpose::Login).is_err());
            answer["response"][name] = right;
        }
        prop_assert!(world.proven(&answer, &made, &Purpose::Login).is_ok());
    }

    // Near what is right: an attestation object with some bytes changed.
    #[test]
    fn no_touched_registration_panics(touches in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let world = World::new();
        let mut device = es256();
        let mut answer = device.create(&world.creation());
        let mut object = part(&answer, "attestationObject");
        for (at, byte) in touches {
            let at = at.index(object.len());
            object[at] = byte;
        }
        answer["response"]["attestationObject"] = BASE64.encode(&object).into();
        if let Ok(made) = world.registered(&answer) {
            prop_assert_eq!(made.id, device.id);
        }
    }
}
