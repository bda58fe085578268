//! The cookies of a session: their names, how they are read and how they are written (RFC 6265bis).

use crate::domain::reading::Reading;
use crate::domain::{Reason, Refusal};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// One of our cookies. All have the prefix `__Host-`, with which browsers take them from us alone, over
/// TLS alone, and for all paths: no other host of the domain can plant one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// The access token.
    Access,
    /// The session's id, a dot, the refresh token.
    Refresh,
    /// What makes the device known at its next login.
    Device,
    /// The token that pages send back as a header.
    Csrf,
}

impl Name {
    /// Those that end with the session. The device stays known: that is what it is for.
    pub const OF_SESSION: [Self; 3] = [Self::Access, Self::Refresh, Self::Csrf];

    const fn text(self) -> &'static str {
        match self {
            Self::Access => "__Host-doorward_access",
            Self::Refresh => "__Host-doorward_refresh",
            Self::Device => "__Host-doorward_device",
            Self::Csrf => "__Host-doorward_csrf",
        }
    }

    /// Strict: a request that another site began has no session. Scripts read the CSRF token alone.
    const fn attributes(self) -> &'static str {
        match self {
            Self::Access | Self::Refresh | Self::Device => "Path=/; Secure; HttpOnly; SameSite=Strict",
            Self::Csrf => "Path=/; Secure; SameSite=Strict",
        }
    }
}

/// The one value of our cookie, if it came. Cookies of other names are nothing to us.
///
/// # Errors
/// It came twice, so that nobody can say which is ours, or has letters that ours never have.
pub(super) fn value(headers: &HeaderMap, name: Name) -> Result<Option<&str>, Refusal> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| value_of(pair.trim_ascii(), name.text()));
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let message = format!("the cookie `{}` was sent more than once", name.text());
        return Err(Refusal::new(Reason::AmbiguousCredentials, message));
    }
    match std::str::from_utf8(first).readable().filter(|text| is_plain(text)) {
        Some(text) => Ok(Some(text)),
        None => Err(unreadable(name)),
    }
}

/// A cookie that holds what we never wrote.
pub(super) fn unreadable(name: Name) -> Refusal {
    Refusal::new(Reason::InvalidToken, format!("the cookie `{}` is not valid", name.text()))
}

/// The line that sets a cookie; `None` if the value cannot be one's.
pub(super) fn set(name: Name, value: &str, life: Duration) -> Option<HeaderValue> {
    if !is_plain(value) {
        return None;
    }
    let (name, attributes) = (name.text(), name.attributes());
    let line = format!("{name}={value}; Max-Age={}; {attributes}", life.as_secs());
    let mut line = HeaderValue::try_from(line).readable()?;
    line.set_sensitive(true);
    Some(line)
}

/// The line that makes a browser forget a cookie.
pub(super) fn forget(name: Name) -> Option<HeaderValue> {
    let line = format!("{}=; Max-Age=0; {}", name.text(), name.attributes());
    HeaderValue::try_from(line).readable()
}

/// What stands behind the name, compared letter by letter: browsers keep the prefix's promise for this
/// writing of it.
fn value_of<'c>(pair: &'c [u8], name: &str) -> Option<&'c [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// Letters that our values have: those of base64url, ids, and dots.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jar(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        headers
    }

    fn access(lines: &[&'static str]) -> Result<Option<String>, Reason> {
        value(&jar(lines), Name::Access).map(|text| text.map(str::to_owned)).map_err(|error| error.reason)
    }

    #[test]
    fn the_cookie_of_exactly_our_name_is_read() {
        for (lines, expected) in [
            (&[][..], None),
            (&["__Host-doorward_access=a.b.c"][..], Some("a.b.c")),
            (&["theme=dark; __Host-doorward_access=a ; x=__Host-doorward_access=b"], Some("a")),
            // HTTP/2 may cut the header at its semicolons (RFC 9113 §8.2.3).
            (&["theme=dark", "__Host-doorward_access=a"], Some("a")),
            (&["__Host-doorward_access="], Some("")),
            (&["__host-doorward_access=a; __HOST-doorward_access=b"], None),
            (&["doorward_access=a; __Secure-doorward_access=b"], None),
            (&["__Host-doorward_access =a; __Host-doorward_accesss=b; __Host-doorward_access"], None),
        ] {
            assert_eq!(access(lines), Ok(expected.map(str::to_owned)), "{lines:?}");
        }
    }

    #[test]
    fn twice_is_once_too_often_even_if_equal() {
        for lines in [
            &["__Host-doorward_access=a; __Host-doorward_access=a"][..],
            &["__Host-doorward_access=a", "__Host-doorward_access=b"],
            &["__Host-doorward_access=; x=y; __Host-doorward_access=a"],
        ] {
            assert_eq!(access(lines), Err(Reason::AmbiguousCredentials), "{lines:?}");
        }
        assert_eq!(access(&["theme=dark; theme=light; __Host-doorward_access=a"]), Ok(Some("a".to_owned())));
    }

    #[test]
    fn what_we_never_wrote_is_not_valid() {
        for line in
            ["__Host-doorward_access=\"a\"", "__Host-doorward_access=a b", "__Host-doorward_access=a,b"]
        {
            assert_eq!(access(&[line]), Err(Reason::InvalidToken), "{line}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(b"__Host-doorward_access=\xff").unwrap());
        assert_eq!(value(&headers, Name::Access).unwrap_err().reason, Reason::InvalidToken);
    }

    // A37
    #[test]
    fn lines_have_every_attribute() {
        let life = Duration::from_mins(15);
        let line = |name| set(name, "a.b", life).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            line(Name::Access),
            "__Host-doorward_access=a.b; Max-Age=900; Path=/; Secure; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            line(Name::Csrf),
            "__Host-doorward_csrf=a.b; Max-Age=900; Path=/; Secure; SameSite=Strict"
        );
        for name in [Name::Access, Name::Refresh, Name::Device, Name::Csrf] {
            let (set, gone) = (line(name), forget(name).unwrap());
            for line in [set.as_str(), gone.to_str().unwrap()] {
                assert!(line.starts_with("__Host-doorward_"), "{line}");
                assert!(line.contains("; Path=/; Secure; "), "{line}");
                assert!(line.ends_with("; SameSite=Strict") && !line.contains("Domain"), "{line}");
                assert_eq!(line.contains("HttpOnly"), name != Name::Csrf, "{line}");
            }
            assert!(gone.to_str().unwrap().contains("=; Max-Age=0; "));
        }
        for value in ["a;b", "a b", "a\r\nset-cookie: x=y", "ä", "a,b"] {
            assert!(set(Name::Access, value, life).is_none(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(line in prop::collection::vec(any::<u8>(), 0..80)) {
            let Ok(line) = HeaderValue::from_bytes(&line) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(COOKIE, line)]);
            let _ = value(&headers, Name::Access);
        }
    }
}
