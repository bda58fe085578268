//! Public keys as authenticators write them: `COSE_Key` (RFC 9052 §7, RFC 9053, RFC 8230).

use super::Rejected;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use minicbor::Decoder;
use minicbor::data::Type;
use std::fmt;

/// Numbers of the algorithms that are verified, the preferred first.
pub const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// Entries of the longest key.
const MAX_ENTRIES: u64 = 5;

/// Bytes of a modulus: 2048 to 4096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// The one public exponent that is in use: 65537.
const EXPONENT: &[u8] = &[1, 0, 1];

/// A key that verifies a passkey's signatures.
pub struct PublicKey {
    cose: Vec<u8>,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Reads what [`Self::as_bytes`] gave.
    pub fn stored(bytes: &[u8]) -> Result<Self, Rejected> {
        let (key, rest) = Self::first(bytes)?;
        if rest.is_empty() { Ok(key) } else { Err(Rejected::Malformed("key")) }
    }

    /// Reads the key that the bytes begin with; gives what comes after it.
    pub(super) fn first(bytes: &[u8]) -> Result<(Self, &[u8]), Rejected> {
        let mut reader = Decoder::new(bytes);
        let entries = entries(&mut reader)?;
        let (cose, rest) = bytes.split_at_checked(reader.position()).ok_or(Rejected::Malformed("key"))?;
        Ok((Self { cose: cose.to_vec(), parsed: parsed(&entries)? }, rest))
    }

    /// The key as it is kept: the bytes that the authenticator wrote.
    pub fn as_bytes(&self) -> &[u8] {
        &self.cose
    }

    /// Whether the signature is this key's over the message.
    pub(super) fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// A value of a key's map.
#[derive(Clone, Copy)]
enum Value<'b> {
    Number(i64),
    Bytes(&'b [u8]),
}

type Entries<'b> = Vec<(i64, Value<'b>)>;

/// The map's entries. What is in no key that is verified here is refused, as
/// §6.5.1.1 demands: no optional parameters, no label twice.
fn entries<'b>(reader: &mut Decoder<'b>) -> Result<Entries<'b>, Rejected> {
    let malformed = || Rejected::Malformed("key");
    let Ok(Some(count)) = reader.map() else { return Err(malformed()) };
    if count > MAX_ENTRIES {
        return Err(Rejected::Key);
    }
    let mut entries = Entries::new();
    for _ in 0..count {
        let Ok(label) = reader.i64() else { return Err(malformed()) };
        let value = value(reader).ok_or_else(malformed)?;
        if entries.iter().any(|(other, _)| *other == label) {
            return Err(malformed());
        }
        entries.push((label, value));
    }
    Ok(entries)
}

fn value<'b>(reader: &mut Decoder<'b>) -> Option<Value<'b>> {
    let Ok(kind) = reader.datatype() else { return None };
    if kind == Type::Bytes {
        let Ok(bytes) = reader.bytes() else { return None };
        return Some(Value::Bytes(bytes));
    }
    let Ok(number) = reader.i64() else { return None };
    Some(Value::Number(number))
}

fn parsed(entries: &Entries<'_>) -> Result<ParsedPublicKey, Rejected> {
    let number = |label: i64| {
        entries.iter().find_map(|(other, value)| match value {
            Value::Number(number) if *other == label => Some(*number),
            Value::Number(_) | Value::Bytes(_) => None,
        })
    };
    let bytes = |label: i64| {
        entries.iter().find_map(|(other, value)| match value {
            Value::Bytes(bytes) if *other == label => Some(*bytes),
            Value::Number(_) | Value::Bytes(_) => None,
        })
    };
    // Type, algorithm, then the curve and its point, or modulus and exponent.
    match (number(1), number(3), number(-1), bytes(-1), bytes(-2), bytes(-3), entries.len()) {
        (Some(2), Some(ES256), Some(1), None, Some(x), Some(y), 5) if x.len() == 32 && y.len() == 32 => {
            point(&ECDSA_P256_SHA256_ASN1, &[&[4], x, y].concat())
        }
        (Some(1), Some(EDDSA), Some(6), None, Some(x), None, 4) if x.len() == 32 => point(&ED25519, x),
        (Some(3), Some(RS256), None, Some(n), Some(EXPONENT), None, 4) if MODULUS.contains(&n.len()) => {
            let key = PublicKeyComponents { n, e: EXPONENT };
            key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_rejected| Rejected::Key)
        }
        _ => Err(Rejected::Key),
    }
}

/// The key at a point, which has to be on its curve.
fn point<A: VerificationAlgorithm>(algorithm: &'static A, bytes: &[u8]) -> Result<ParsedPublicKey, Rejected> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_rejected: aws_lc_rs::error::KeyRejected| Rejected::Key)
}
