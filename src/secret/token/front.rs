//! The strict front: what a token must look like before any key is looked for.

use super::claims;
use super::signature::MAX_SIGNATURE;
use crate::domain::SessionId;
use crate::domain::reading::Reading;
use crate::domain::signing::{Algorithm, Kid};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Bytes of the longest token that is looked at: 8 KiB.
pub const MAX_TOKEN: usize = 8 * 1024;

/// What header `typ` says of an access token (RFC 9068 §2.1).
pub(super) const TYPE: &str = "at+jwt";

/// Bytes of the longest header: what is ours has at most 117.
const MAX_HEADER: usize = 160;

/// The session that a token claims to stand for, whoever signed it: for what counts only together with
/// a verification. A token that is verified has one.
pub fn claimed_session(token: &str) -> Option<SessionId> {
    claims::Members::read(&Parts::of(token)?.payload()?)?.sid.parse().readable()
}

/// The header of our own tokens, as they begin with it: in base64url (RFC 7515 §4, §7.1).
pub(super) fn header_of(algorithm: Algorithm, kid: &Kid) -> String {
    let header = format!(r#"{{"alg":"{}","kid":"{kid}","typ":"{TYPE}"}}"#, algorithm.name());
    URL_SAFE_NO_PAD.encode(header)
}

/// A token, taken apart at its dots (RFC 7515 §7.1).
pub(super) struct Parts<'a> {
    /// The header as it came, in base64url.
    pub(super) header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What is signed: header and payload with the dot between them.
    pub(super) message: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes a token apart, if it is short enough and has exactly three parts.
    pub(super) fn of(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let whole = !header.is_empty() && !payload.is_empty() && !signature.is_empty();
        (whole && !payload.contains('.')).then_some(Self { header, payload, signature, message })
    }

    /// The header's bytes.
    pub(super) fn header(&self) -> Option<Bytes<MAX_HEADER>> {
        Bytes::decode(self.header)
    }

    /// The signature's bytes.
    pub(super) fn signature(&self) -> Option<Bytes<MAX_SIGNATURE>> {
        Bytes::decode(self.signature)
    }

    /// The payload's bytes, if they are one JSON object without anything around it.
    pub(super) fn payload(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.payload).readable().filter(|bytes| is_braced(bytes))
    }
}

/// At most `N` decoded bytes, without an allocation.
pub(super) struct Bytes<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Bytes<N> {
    /// Strict: the URL-safe letters alone, no padding, no bits left over (RFC 7515 §2).
    fn decode(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        let Ok(length) = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) else { return None };
        Some(Self { bytes, length })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The members that our headers have; others, and the same one twice, are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// A header like ours (RFC 7515 §4).
pub(super) struct Header<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: &'a str,
}

impl<'a> Header<'a> {
    /// Reads a header. Escapes are refused, since ours have none.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        if !is_braced(bytes) {
            return None;
        }
        let Ok(members) = serde_json::from_slice::<Members<'a>>(bytes) else { return None };
        let algorithm = members.alg.parse().readable()?;
        let sound = members.typ == TYPE && Kid::is_well_formed(members.kid);
        sound.then_some(Self { algorithm, kid: members.kid })
    }
}

/// Whether it is an object, if it is JSON: a list would be read as one too, and
/// space around it as well.
fn is_braced(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{') && bytes.last() == Some(&b'}')
}
