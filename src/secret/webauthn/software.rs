//! An authenticator and its browser in software, for tests: what they are told
//! to say wrongly they say wrongly.
//!
//! Nothing here is shared with what is tested, the writing of CBOR included.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{digest, rand, rsa};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

/// User present.
pub const UP: u8 = 1;
/// User verified.
pub const UV: u8 = 4;
/// Backup eligible.
pub const BE: u8 = 8;
/// Backed up.
pub const BS: u8 = 16;
/// Attested credential data follow.
pub const AT: u8 = 64;
/// Extension data follow.
pub const ED: u8 = 128;

/// The private half.
pub enum Pair {
    /// ECDSA on P-256.
    Es256(EcdsaKeyPair),
    /// Ed25519.
    EdDsa(Ed25519KeyPair),
    /// RSA PKCS #1 v1.5.
    Rs256(Box<rsa::KeyPair>),
}

/// One credential, and the browser that it is used through.
pub struct Software {
    /// The private half.
    pub pair: Pair,
    /// The credential's id.
    pub id: Vec<u8>,
    /// The count of signatures; `None` is an authenticator that does not count.
    pub counter: Option<u32>,
    /// Flags of every answer; [`AT`] is added where it belongs.
    pub flags: u8,
    /// What the authenticator takes for the relying party.
    pub rp_id: String,
    /// The page.
    pub origin: String,
    /// Whom it is for, as told at registration.
    pub user: Option<Vec<u8>>,
    /// Members that are laid over the client data.
    pub client: Value,
    /// What follows in the authenticator's data, extensions for example.
    pub tail: Vec<u8>,
}

impl Software {
    /// With ES256.
    pub fn new(rp_id: &str, origin: &str) -> Self {
        Self::with(
            Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            rp_id,
            origin,
        )
    }

    /// With a pair of keys.
    pub fn with(pair: Pair, rp_id: &str, origin: &str) -> Self {
        let mut id = vec![0; 32];
        rand::fill(&mut id).unwrap();
        Self {
            pair,
            id,
            counter: Some(0),
            flags: UP | UV,
            rp_id: rp_id.to_owned(),
            origin: origin.to_owned(),
            user: None,
            client: json!({}),
            tail: Vec::new(),
        }
    }

    /// `navigator.credentials.create`: options in, `RegistrationResponseJSON` out.
    pub fn create(&mut self, options: &str) -> Value {
        let options: Value = serde_json::from_str(options).unwrap();
        self.user = Some(BASE64.decode(options["user"]["id"].as_str().unwrap()).unwrap());
        let client = self.client_data("webauthn.create", &options);
        let data = self.data(true);
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let object = [
            [&[0xa3, 0x63], b"fmt".as_slice(), &[0x64], b"none", &[0x67], b"attStmt", &[0xa0, 0x68]].concat(),
            [b"authData".as_slice(), &[0x59], &length, &data].concat(),
        ]
        .concat();
        self.envelope(&json!({
            "clientDataJSON": BASE64.encode(client),
            "attestationObject": BASE64.encode(object),
            "transports": ["internal"],
        }))
    }

    /// `navigator.credentials.get`: options in, `AuthenticationResponseJSON` out.
    pub fn get(&mut self, options: &str) -> Value {
        let options: Value = serde_json::from_str(options).unwrap();
        self.counter = self.counter.map(|counter| counter + 1);
        let client = self.client_data("webauthn.get", &options);
        let data = self.data(false);
        let signature = self.sign(&[data.as_slice(), sha256(&client).as_slice()].concat());
        self.envelope(&json!({
            "clientDataJSON": BASE64.encode(client),
            "authenticatorData": BASE64.encode(data),
            "signature": BASE64.encode(signature),
            "userHandle": self.user.as_ref().map(|user| BASE64.encode(user)),
        }))
    }

    /// The key as `COSE_Key`.
    pub fn cose(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
                [head.as_slice(), &point[1..33], &[0x22, 0x58, 0x20], &point[33..]].concat()
            }
            Pair::EdDsa(pair) => {
                let head = [0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                [head.as_slice(), pair.public_key().as_ref()].concat()
            }
            Pair::Rs256(pair) => {
                let n = pair.public_key().modulus().big_endian_without_leading_zero();
                let length = u16::try_from(n.len()).unwrap().to_be_bytes();
                let head = [0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59];
                [head.as_slice(), &length, n, &[0x21, 0x43, 0x01, 0x00, 0x01]].concat()
            }
        }
    }

    /// The authenticator's data.
    pub fn data(&self, attested: bool) -> Vec<u8> {
        let flags = self.flags | if attested { AT } else { 0 };
        let counter = self.counter.unwrap_or(0).to_be_bytes();
        let mut data = [sha256(self.rp_id.as_bytes()).as_slice(), &[flags], &counter].concat();
        if attested {
            let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
            data.extend([&[7; 16], length.as_slice(), &self.id, &self.cose()].concat());
        }
        data.extend(&self.tail);
        data
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let mut told = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
            "other_keys_can_be_added_here": "as browsers do",
        });
        for (name, value) in self.client.as_object().unwrap() {
            told[name] = value.clone();
        }
        told.to_string().into_bytes()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn envelope(&self, response: &Value) -> Value {
        let id = BASE64.encode(&self.id);
        json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        })
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}
