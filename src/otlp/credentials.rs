//! The headers in which exporters send their key, brought into the one form that the guard reads.
//!
//! Telemetry vendors each chose a header of their own. An exporter that was set up for one of them moves over by
//! changing its endpoint and its key, not its header.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::domain::{Reason, Refusal};

/// Headers whose whole value is a key, besides `x-api-key`, which the guard knows itself.
const ALIASES: [&str; 3] = ["api-key", "x-honeycomb-team", "signoz-ingestion-key"];

/// What the guard reads besides credentials.
const KEPT: [&str; 4] = ["x-master-key", "x-correlation-id", "x-request-id", "x-forwarded-for"];

/// What a sender with `%20` in the header is told; some exporters take their environment variables percent-encoded and
/// some do not.
const PERCENT: &str = "the authorization header holds a literal `%20`; set it with a space instead";

/// Base64 with or without padding: many a shell script drops it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Headers as the guard takes them.
#[derive(Debug)]
pub struct Normal<'a> {
    /// The headers: those that came, or a few of them with the key under `authorization`.
    pub headers: Cow<'a, HeaderMap>,
    /// What to tell the sender about its headers, if it is let in.
    pub note: Option<&'static str>,
}

/// Brings credential headers into the guard's form.
///
/// # Errors
/// [`Reason::AmbiguousCredentials`] when two different keys, or one header twice, were sent, and
/// [`Reason::InvalidApiKey`] when a value cannot be read.
pub fn normalise(headers: &HeaderMap) -> Result<Normal<'_>, Refusal> {
    let Some(foreign) = Foreign::find(headers)? else {
        return Ok(Normal { headers: Cow::Borrowed(headers), note: None });
    };
    let key = foreign.one_key()?;
    let mut value = HeaderValue::try_from(format!("Bearer {key}")).or(Err(unreadable()))?;
    value.set_sensitive(true);
    let mut normal = HeaderMap::with_capacity(KEPT.len() + 1);
    normal.insert(AUTHORIZATION, value);
    for name in KEPT {
        for value in headers.get_all(name) {
            normal.append(HeaderName::from_static(name), value.clone());
        }
    }
    Ok(Normal { headers: Cow::Owned(normal), note: foreign.note })
}

/// The keys of a request that does not present its key in the guard's form.
struct Foreign {
    keys: Vec<String>,
    note: Option<&'static str>,
}

impl Foreign {
    fn find(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let authorization = only(headers, "authorization")?.map(Authorization::read).transpose()?;
        let aliases = ALIASES.into_iter().map(|name| only(headers, name)).collect::<Result<Vec<_>, _>>()?;
        let own_form = matches!(authorization, None | Some(Authorization::Own(_)));
        if own_form && aliases.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut keys: Vec<String> = aliases.into_iter().flatten().map(str::to_owned).collect();
        keys.extend(only(headers, "x-api-key")?.map(str::to_owned));
        let mut note = None;
        match authorization {
            None => {}
            Some(Authorization::Own(key)) => keys.push(key.to_owned()),
            Some(Authorization::Percent(key)) => {
                keys.push(key.to_owned());
                note = Some(PERCENT);
            }
            Some(Authorization::Basic(key)) => keys.push(key),
        }
        Ok(Some(Self { keys, note }))
    }

    fn one_key(&self) -> Result<&str, Refusal> {
        match self.keys.split_first() {
            None => Err(Refusal::credentials_missing()),
            Some((first, rest)) if rest.iter().all(|key| key == first) => Ok(first),
            Some(_) => Err(ambiguous("two different credentials were presented; send one")),
        }
    }
}

/// The `authorization` header, by its scheme.
enum Authorization<'a> {
    /// `Bearer KEY`, or what only the guard can judge.
    Own(&'a str),
    /// `Bearer%20KEY`.
    Percent(&'a str),
    /// `Basic`, with the key as the password (or alone, as the name).
    Basic(String),
}

impl<'a> Authorization<'a> {
    fn read(value: &'a str) -> Result<Self, Refusal> {
        if let Some(key) = after(value, "bearer%20") {
            return Ok(Self::Percent(key));
        }
        let Some(encoded) = after(value, "basic ") else {
            return Ok(Self::Own(after(value, "bearer ").unwrap_or(value)));
        };
        let decoded = LENIENT.decode(encoded.trim()).or(Err(unreadable()))?;
        let text = String::from_utf8(decoded).or(Err(unreadable()))?;
        let (name, password) = text.split_once(':').unwrap_or((&text, ""));
        let key = if password.is_empty() { name } else { password };
        Ok(Self::Basic(key.to_owned()))
    }
}

/// What follows `scheme`, whatever the letters' case (RFC 9110 §11.1).
fn after<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches(' '))
}

/// The header's one value. Twice is refused even if both are equal: what stands before us may have read the other.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ambiguous("the credential header was sent more than once"));
    }
    first.to_str().map(Some).or(Err(unreadable()))
}

fn ambiguous(message: &'static str) -> Refusal {
    Refusal::new(Reason::AmbiguousCredentials, message)
}

fn unreadable() -> Refusal {
    Refusal::new(Reason::InvalidApiKey, "the credential header cannot be read")
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn basic(name: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn bearer(pairs: &[(&'static str, &str)]) -> Result<String, Reason> {
        let headers = headers(pairs);
        let normal = normalise(&headers).map_err(|refusal| refusal.reason)?;
        Ok(normal.headers.get(AUTHORIZATION).map_or("none", |value| value.to_str().unwrap()).to_owned())
    }

    #[test]
    fn each_alias_carries_a_key() {
        let cases = [
            ("api-key", "k1".to_owned()),
            ("x-honeycomb-team", "k1".to_owned()),
            ("signoz-ingestion-key", "k1".to_owned()),
            ("authorization", "Bearer k1".to_owned()),
            ("authorization", "bearer%20k1".to_owned()),
            ("authorization", basic("ignored", "k1")),
            ("authorization", basic("k1", "")),
            ("authorization", basic("ignored", "k1").trim_end_matches('=').to_owned()),
        ];
        for (name, value) in cases {
            assert_eq!(bearer(&[(name, &value)]).as_deref(), Ok("Bearer k1"), "{name}: {value}");
        }
    }

    #[test]
    fn the_guards_own_form_is_left_alone() {
        let own = headers(&[("authorization", "Bearer k1"), ("x-api-key", "k2"), ("x-tenant-id", "evil")]);
        let normal = normalise(&own).unwrap();
        assert!(matches!(normal.headers, Cow::Borrowed(_)));
        assert_eq!(bearer(&[]).as_deref(), Ok("none"));
    }

    #[test]
    fn one_key_in_two_headers_is_one_key() {
        assert_eq!(bearer(&[("api-key", "k1"), ("authorization", "Bearer k1")]).as_deref(), Ok("Bearer k1"));
    }

    #[test]
    fn case_13_two_different_keys_are_refused() {
        let cases = [
            [("api-key", "k1"), ("x-honeycomb-team", "k2")],
            [("api-key", "k1"), ("x-api-key", "k2")],
            [("api-key", "k1"), ("authorization", "Bearer k2")],
            [("api-key", "k1"), ("api-key", "k1")],
            [("authorization", "Bearer k1"), ("authorization", "Bearer k1")],
        ];
        for pairs in cases {
            assert_eq!(bearer(&pairs), Err(Reason::AmbiguousCredentials), "{pairs:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for value in ["Basic !!!", "Basic /w=="] {
            assert_eq!(bearer(&[("authorization", value)]), Err(Reason::InvalidApiKey), "{value}");
        }
    }

    #[test]
    fn a_literal_percent_sign_is_told() {
        let percent = headers(&[("authorization", "Bearer%20k1"), ("x-correlation-id", "c1")]);
        let normal = normalise(&percent).unwrap();
        assert!(normal.note.unwrap().contains("%20"));
        assert_eq!(normal.headers.get("x-correlation-id").unwrap(), "c1");
    }

    #[test]
    fn only_what_the_guard_reads_is_kept() {
        let many = headers(&[
            ("api-key", "k1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-tenant-id", "evil"),
            ("cookie", "a=b"),
        ]);
        let normal = normalise(&many).unwrap();
        assert_eq!(normal.headers.len(), 2);
        assert_eq!(normal.headers.get("x-forwarded-for").unwrap(), "192.0.2.1");
        assert!(normal.headers.get(AUTHORIZATION).unwrap().is_sensitive());
    }
}
