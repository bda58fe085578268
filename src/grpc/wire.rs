//! Answers to checks, written as protobuf by hand: what of a principal does not
//! change is encoded once and copied, so that a check costs no allocation but
//! its answer's.

use super::shapes::{from_environment, from_time, names};
use crate::app::Verified;
use crate::domain::changes::Revision;
use crate::domain::keys::KeyKind;
use crate::domain::limits::Rate;
use crate::domain::principal::Principal;
use crate::domain::{KeyId, Permissions, Refusal, Timestamp};
use crate::pb::v1 as pb;
use bytes::{BufMut, BytesMut};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

/// Tags of `VerifyCredentialResponse` and `Principal`: field number and wire type.
const PRINCIPAL: u8 = 1 << 3 | 2;
const DENIAL: u8 = 2 << 3 | 2;
const RATE: u8 = 3 << 3 | 2;
const REVISION: u8 = 4 << 3 | 2;
const ID: u8 = 1 << 3 | 2;
const KEY_ID: u8 = 7 << 3 | 2;
const ENVIRONMENT: u8 = 13 << 3;
/// `key_` and 26 letters.
const KEY_ID_LENGTH: u8 = 30;

/// What an encoded answer usually takes, in bytes.
pub const USUAL: usize = 640;

/// Writes a `VerifyCredentialResponse`.
pub fn put_response(out: &mut BytesMut, outcome: &Result<Verified, Refusal>, revision: Revision) {
    let rate = match outcome {
        Ok(verified) => {
            put_principal(out, verified);
            verified.rate
        }
        Err(refusal) => {
            put_message(out, DENIAL, &denial(refusal));
            refusal.rate
        }
    };
    if let Some(rate) = rate {
        put_message(out, RATE, &rate_limit(&rate));
    }
    put_revision(out, revision);
}

/// The caller as a message.
pub fn principal(verified: &Verified) -> pb::Principal {
    let kept = fixed(&verified.principal, Permissions::NONE);
    let of_person = verified.principal.kind == KeyKind::User;
    pb::Principal {
        id: if of_person { kept.id } else { verified.credential.to_string() },
        api_key_id: verified.credential.key().map(|key| key.to_string()).unwrap_or_default(),
        session_id: verified.credential.session().map(|session| session.to_string()).unwrap_or_default(),
        auth_methods: match verified.login {
            Some(login) => login.methods.names().map(str::to_owned).collect(),
            None => kept.auth_methods,
        },
        mfa: verified.login.is_some_and(|login| login.methods.has_second_factor()),
        permissions: names(verified.permissions),
        environment: from_environment(verified.environment).into(),
        expire_time: expiry(verified).map(from_time),
        ..kept
    }
}

fn expiry(verified: &Verified) -> Option<Timestamp> {
    (verified.expire != Timestamp::NEVER).then_some(verified.expire)
}

/// What of a principal is the same for each of its keys.
fn fixed(principal: &Principal, permissions: Permissions) -> pb::Principal {
    let kind = match principal.kind {
        KeyKind::User => pb::PrincipalType::User,
        KeyKind::Service => pb::PrincipalType::Service,
        KeyKind::Tenant => pb::PrincipalType::Tenant,
        KeyKind::Ingest => pb::PrincipalType::Ingest,
        KeyKind::Global => pb::PrincipalType::Global,
        KeyKind::BreakGlass => pb::PrincipalType::BreakGlass,
    };
    let user = principal.user.map(|user| user.to_string()).unwrap_or_default();
    pb::Principal {
        id: user.clone(),
        r#type: kind.into(),
        tenant_id: principal.tenant().to_string(),
        tenant_slug: principal.slug().map(ToString::to_string).unwrap_or_default(),
        user_id: user,
        email: principal.email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
        role: principal.role_name().to_owned(),
        permissions: names(permissions),
        auth_methods: vec![
            if principal.kind == KeyKind::BreakGlass { "master_key" } else { "api_key" }.to_owned(),
        ],
        entitlements: principal.entitlements().names().map(str::to_owned).collect(),
        ..pb::Principal::default()
    }
}

/// Fields may stand in any order, so what is kept comes first and what the key
/// adds after it.
fn put_principal(out: &mut BytesMut, verified: &Verified) {
    let kept = verified.principal.written.get_or_init(|| {
        fixed(&verified.principal, verified.principal.permissions).encode_to_vec().into_boxed_slice()
    });
    let whole = verified.permissions == verified.principal.permissions;
    let key = verified.credential.key().filter(|_| whole && verified.expire == Timestamp::NEVER);
    let Some(key) = key else {
        return put_message(out, PRINCIPAL, &principal(verified));
    };
    let machine = verified.principal.kind != KeyKind::User;
    let id_fields = if machine { 2 } else { 1 };
    let length = kept.len() + id_fields * (2 + usize::from(KEY_ID_LENGTH)) + 2;
    out.put_u8(PRINCIPAL);
    encode_varint(length as u64, out);
    out.put_slice(kept);
    put_key_id(out, KEY_ID, key);
    if machine {
        put_key_id(out, ID, key);
    }
    out.put_u8(ENVIRONMENT);
    out.put_u8(u8::try_from(from_environment(verified.environment) as i32).unwrap_or(0));
}

fn put_key_id(out: &mut BytesMut, tag: u8, key: KeyId) {
    out.put_u8(tag);
    out.put_u8(KEY_ID_LENGTH);
    out.put_slice(&key.to_text());
}

fn put_message(out: &mut BytesMut, tag: u8, message: &impl Message) {
    out.put_u8(tag);
    let length = message.encoded_len();
    encode_varint(length as u64, out);
    out.reserve(length);
    // There is room: the buffer grows by itself.
    let _infallible = message.encode(out);
}

fn put_revision(out: &mut BytesMut, revision: Revision) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = revision.number();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let written = digits.get(at..).unwrap_or_default();
    out.put_u8(REVISION);
    out.put_u8(u8::try_from(written.len() + 1).unwrap_or(0));
    out.put_u8(b'r');
    out.put_slice(written);
}

fn denial(refusal: &Refusal) -> pb::Denial {
    pb::Denial {
        reason: refusal.reason.told().number,
        message: refusal.message.to_string(),
        metadata: refusal.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

fn rate_limit(rate: &Rate) -> pb::RateLimit {
    pb::RateLimit {
        limit: rate.limit,
        remaining: rate.remaining,
        reset_time: Some(from_time(rate.reset)),
        retry_after_seconds: u32::try_from(rate.retry_after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX),
    }
}

/// Writes an encoded message as a field of another.
pub fn put_nested(out: &mut BytesMut, tag: u8, encoded: &[u8]) {
    out.reserve(encoded.len() + 1 + encoded_len_varint(encoded.len() as u64));
    out.put_u8(tag);
    encode_varint(encoded.len() as u64, out);
    out.put_slice(encoded);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CredentialId;
    use crate::domain::keys::Environment;
    use crate::domain::members::Role;
    use crate::domain::principal::{Home, Standing, Title};
    use crate::domain::{TenantId, UserId};
    use bytes::Bytes;
    use std::sync::{Arc, OnceLock};

    fn verified(kind: KeyKind, narrowed: bool, expire: Timestamp) -> Verified {
        let user = (kind == KeyKind::User).then(|| UserId::from_bytes([3; 16]));
        let principal = Principal {
            home: Arc::new(Home::new(TenantId::from_bytes([2; 16]), None)),
            kind,
            standing: Standing::Good,
            user,
            email: user.map(|_| "ada@example.com".parse().unwrap()),
            title: Title::Member(Role::Owner),
            permissions: Role::Owner.permissions(),
            written: OnceLock::new(),
        };
        let scopes = if narrowed { Role::Viewer.permissions() } else { Permissions::ALL };
        Verified {
            permissions: principal.permissions.and(scopes),
            principal: Arc::new(principal),
            credential: CredentialId::Key(KeyId::from_bytes([9; 16])),
            login: None,
            digest: crate::domain::Digest::from_bytes(&[1; 32]),
            environment: Environment::Test,
            scopes,
            expire,
            previous: false,
            rate: Some(Rate {
                limit: 5,
                remaining: 4,
                reset: Timestamp::from_micros(1_000_000),
                retry_after: std::time::Duration::ZERO,
            }),
        }
    }

    fn response(outcome: &Result<Verified, Refusal>, revision: Revision) -> Bytes {
        let mut out = BytesMut::new();
        put_response(&mut out, outcome, revision);
        out.freeze()
    }

    // The quick way and the plain way must say the same.
    #[test]
    fn what_is_copied_equals_what_is_encoded() {
        for kind in KeyKind::ALL {
            for narrowed in [false, true] {
                for expire in [Timestamp::NEVER, Timestamp::from_micros(1_700_000_000_000_000)] {
                    let verified = verified(kind, narrowed, expire);
                    let bytes = response(&Ok(verified.clone()), Revision::from_number(1203));
                    let decoded = pb::VerifyCredentialResponse::decode(bytes).unwrap();
                    let outcome = pb::verify_credential_response::Outcome::Principal(principal(&verified));
                    assert_eq!(decoded.outcome, Some(outcome), "{kind:?} {narrowed} {expire}");
                    assert_eq!(
                        (decoded.revision.as_str(), decoded.rate_limit.unwrap().remaining),
                        ("r1203", 4)
                    );
                }
            }
        }
    }

    #[test]
    fn a_denial_says_reason_and_metadata() {
        let refusal = Refusal::lacks(crate::domain::Permission::KEYS_MANAGE);
        let decoded =
            pb::VerifyCredentialResponse::decode(response(&Err(refusal), Revision::default())).unwrap();
        let Some(pb::verify_credential_response::Outcome::Denial(denial)) = decoded.outcome else { panic!() };
        assert_eq!(denial.reason(), pb::ErrorReason::InsufficientPermissions);
        assert_eq!(denial.metadata["required_permission"], "keys.manage");
        assert_eq!(decoded.revision, "r0");
    }
}
