//! Finding the one credential that a call presents.
//!
//! Which of several counts is decided by what they are, never by which of them
//! happens to be valid: an invalid credential of a higher rank does not fall
//! through to a valid one below.

use crate::domain::keys::KeyKind;
use crate::domain::reading::Reading;
use crate::domain::{Reason, Refusal};
use http::{HeaderMap, HeaderName, HeaderValue, header};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const MASTER_KEY: HeaderName = HeaderName::from_static("x-master-key");

/// The rank of a credential; the higher counts (R2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Global,
    Key,
    Token,
}

/// The credential that counts, without its scheme. `kind_of` is the kind of key
/// that a text has the form of.
pub fn find(headers: &HeaderMap, kind_of: impl Fn(&str) -> Option<KeyKind>) -> Result<&str, Refusal> {
    if headers.contains_key(MASTER_KEY) {
        // Break-glass is off, and off it answers as garbage does.
        return Err(Refusal::invalid_api_key());
    }
    let bearer = only(headers, &header::AUTHORIZATION)?.map(bearer).transpose()?;
    let api_key = only(headers, &API_KEY)?.map(text).transpose()?;
    match (bearer, api_key) {
        (None, None) => Err(Refusal::credentials_missing()),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(one), Some(other)) if one == other => Ok(one),
        (Some(one), Some(other)) => match rank(one, &kind_of).cmp(&rank(other, &kind_of)) {
            std::cmp::Ordering::Greater => Ok(one),
            std::cmp::Ordering::Less => Ok(other),
            std::cmp::Ordering::Equal => Err(ambiguous("two different credentials were presented; send one")),
        },
    }
}

/// The header's one value. Twice is once too often, even if both are equal:
/// what stands before us may have read the other.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ambiguous("the credential header was sent more than once"));
    }
    match first {
        Some(value) if value.as_bytes().contains(&b',') => {
            Err(ambiguous("the credential header holds more than one value"))
        }
        other => Ok(other),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Refusal> {
    value.to_str().readable().ok_or_else(Refusal::invalid_api_key)
}

/// What follows `Bearer` and spaces; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &HeaderValue) -> Result<&str, Refusal> {
    let value = text(value)?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(rest.trim_start_matches(' '));
    }
    let message = "the authorization header must be `Bearer` and a key";
    Err(Refusal::new(Reason::InvalidApiKey, message))
}

fn rank(credential: &str, kind_of: impl Fn(&str) -> Option<KeyKind>) -> Rank {
    match kind_of(credential) {
        Some(KeyKind::Global) => Rank::Global,
        None if credential.contains('.') => Rank::Token,
        Some(_) | None => Rank::Key,
    }
}

fn ambiguous(message: &'static str) -> Refusal {
    Refusal::new(Reason::AmbiguousCredentials, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[(&'static str, &'static str)]) -> Result<String, Reason> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let kind_of = |text: &str| match text.split_once('_')?.0 {
            "global" => Some(KeyKind::Global),
            _ => Some(KeyKind::User),
        };
        find(&map, kind_of).map(ToOwned::to_owned).map_err(|refusal| refusal.reason)
    }

    // R2
    #[test]
    fn one_credential_counts_or_none() {
        for (headers, outcome) in [
            (&[][..], Err(Reason::CredentialsMissing)),
            (&[("authorization", "Bearer dw_1")], Ok("dw_1")),
            (&[("authorization", "bearer   dw_1")], Ok("dw_1")),
            (&[("x-api-key", "dw_1")], Ok("dw_1")),
            (&[("authorization", "Bearer dw_1"), ("x-api-key", "dw_1")], Ok("dw_1")),
            (&[("authorization", "Bearer dw_1"), ("x-api-key", "dw_2")], Err(Reason::AmbiguousCredentials)),
            (&[("authorization", "Bearer global_1"), ("x-api-key", "dw_2")], Ok("dw_2")),
            (&[("authorization", "Bearer a.b.c"), ("x-api-key", "dw_2")], Ok("a.b.c")),
            (&[("x-api-key", "dw_1"), ("x-api-key", "dw_1")], Err(Reason::AmbiguousCredentials)),
            (&[("x-api-key", "dw_1,dw_1")], Err(Reason::AmbiguousCredentials)),
            (&[("authorization", "Basic dw_1")], Err(Reason::InvalidApiKey)),
            (&[("authorization", "Bearer dw_1"), ("x-master-key", "x")], Err(Reason::InvalidApiKey)),
        ] {
            assert_eq!(found(headers), outcome.map(ToOwned::to_owned), "{headers:?}");
        }
    }
}
