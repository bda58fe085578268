//! What a browser is asked: the standard's own JSON (§5.4, §5.5), for
//! `PublicKeyCredential.parseCreationOptionsFromJSON` and its sibling.

use super::key::ALGORITHMS;
use super::{Ceremonies, Challenge, RelyingParty};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// `PublicKeyCredentialCreationOptionsJSON`: make a passkey for this person,
/// on no authenticator that has one of these already.
pub fn creation_options(
    party: &RelyingParty,
    challenge: &Challenge,
    user: &[u8; 16],
    name: &str,
    known: &[Vec<u8>],
) -> String {
    let algorithms = ALGORITHMS.map(|number| json!({"type": "public-key", "alg": number}));
    json!({
        "rp": {"id": party.id(), "name": party.name()},
        "user": {"id": text(user), "name": name, "displayName": name},
        "challenge": text(challenge.as_bytes()),
        "pubKeyCredParams": algorithms,
        "timeout": timeout(),
        "excludeCredentials": descriptors(known),
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": false,
            "userVerification": "preferred",
        },
        "attestation": "none",
    })
    .to_string()
}

/// `PublicKeyCredentialRequestOptionsJSON`: show one of these passkeys, or with
/// none named any that the person has here. Then the authenticator has to make
/// sure who its user is.
pub fn request_options(party: &RelyingParty, challenge: &Challenge, allowed: &[Vec<u8>]) -> String {
    json!({
        "challenge": text(challenge.as_bytes()),
        "timeout": timeout(),
        "rpId": party.id(),
        "allowCredentials": descriptors(allowed),
        "userVerification": if allowed.is_empty() { "required" } else { "preferred" },
    })
    .to_string()
}

fn descriptors(ids: &[Vec<u8>]) -> Vec<Value> {
    ids.iter().map(|id| json!({"type": "public-key", "id": text(id)})).collect()
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Milliseconds for which the browser waits for its user.
fn timeout() -> u64 {
    Ceremonies::LIFE.as_secs() * 1000
}
