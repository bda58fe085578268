//! Links in letters.

use crate::domain::address::is_this_machine;
use crate::domain::reading::Reading;
use http::Uri;
use serde::Deserialize;
use std::fmt::Write as _;

/// What the links in letters begin with: from the configuration alone, never
/// from a request, whose host anybody can choose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LinkBase {
    /// Without a slash at its end.
    base: String,
    host: String,
}

/// A text that links cannot begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLinkBase {
    /// Not a URL.
    #[error("must be an https:// URL of at most {max} characters", max = LinkBase::MAX)]
    Unreadable,
    /// A user name, a password, a query or a fragment.
    #[error("must have no user name, query or fragment")]
    Extras,
    /// Anybody on the way could read the links.
    #[error("must begin with https://; http:// is for this machine's own addresses alone")]
    Plaintext,
}

impl LinkBase {
    /// Characters that it may have.
    pub const MAX: usize = 512;

    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, BadLinkBase> {
        let sound = text.len() <= Self::MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        let url: Uri = text.parse().readable().filter(|_| sound).ok_or(BadLinkBase::Unreadable)?;
        let authority = url.authority().ok_or(BadLinkBase::Unreadable)?;
        if authority.as_str().contains('@') || text.contains(['?', '#']) {
            return Err(BadLinkBase::Extras);
        }
        let host = authority.host();
        match url.scheme_str() {
            Some("https") if !host.is_empty() => {}
            Some("http") if is_this_machine(host) => {}
            Some("http") => return Err(BadLinkBase::Plaintext),
            Some(_) | None => return Err(BadLinkBase::Unreadable),
        }
        Ok(Self { base: text.trim_end_matches('/').to_owned(), host: host.to_owned() })
    }

    /// The host, for people to know the service by.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The link to a page, with a token behind `#`: browsers send that part to
    /// no server and in no `Referer`, so that it is in nobody's log, and
    /// scanners of mail that open every link do not use the token up.
    pub(super) fn link(&self, page: &str, token: &str) -> String {
        let mut link = format!("{}/{page}#token=", self.base);
        for byte in token.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    link.push(char::from(byte));
                }
                // Writing to a string cannot fail.
                other => drop(write!(link, "%{other:02X}")),
            }
        }
        link
    }
}

impl TryFrom<String> for LinkBase {
    type Error = BadLinkBase;

    fn try_from(text: String) -> Result<Self, BadLinkBase> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_plain_urls_are_taken() {
        for good in [
            "https://id.example.com",
            "https://id.example.com:8443/app/",
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert!(LinkBase::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", BadLinkBase::Unreadable),
            ("id.example.com", BadLinkBase::Unreadable),
            ("/app", BadLinkBase::Unreadable),
            ("ftp://id.example.com", BadLinkBase::Unreadable),
            ("https://", BadLinkBase::Unreadable),
            ("https://id.example.com/\r\nX: y", BadLinkBase::Unreadable),
            ("http://id.example.com", BadLinkBase::Plaintext),
            ("http://localhost.evil.example", BadLinkBase::Plaintext),
            ("https://localhost@evil.example", BadLinkBase::Extras),
            ("https://id.example.com/?a=b", BadLinkBase::Extras),
            ("https://id.example.com/#a", BadLinkBase::Extras),
        ] {
            assert_eq!(LinkBase::parse(bad), Err(why), "{bad}");
        }
        assert!(LinkBase::parse(&format!("https://a/{}", "x".repeat(512))).is_err());
    }

    #[test]
    fn a_token_stays_behind_the_sign_whatever_is_in_it() {
        let base = LinkBase::parse("https://id.example.com/app/").unwrap();
        assert_eq!(base.host(), "id.example.com");
        assert_eq!(base.link("reset", "aZ0-_.~"), "https://id.example.com/app/reset#token=aZ0-_.~");
        assert_eq!(
            base.link("reset", "a\r\nb c&é"),
            "https://id.example.com/app/reset#token=a%0D%0Ab%20c%26%C3%A9"
        );
    }
}
