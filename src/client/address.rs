//! Where a server is, and whether the way there is encrypted.

use http::Uri;
use http::uri::Scheme;
use std::fmt;
use std::net::IpAddr;

/// Why a text is not an address of a server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// Neither `http://…`, `https://…` nor `host:port`.
    #[error("`{0}` is not an address; write host:port, http://host:port or https://host:port")]
    Malformed(String),
    /// Another scheme than the two that gRPC is served over.
    #[error("the scheme `{0}` is not known; use http or https")]
    Scheme(String),
    /// Only the port of a bare `host:port` says where the server listens.
    #[error("`{0}` has no port; write host:port, such as {0}:443")]
    NoPort(String),
    /// More than a scheme, a host and a port.
    #[error("an address is a host and a port, without user, path or query")]
    Surplus,
}

/// The address of a server: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
}

impl Address {
    /// Reads `http://host:port`, `https://host:port` or a bare `host:port`.
    ///
    /// A bare one means plain HTTP on this machine (`localhost` or a loopback
    /// address) and HTTPS everywhere else, so that a key leaves the machine
    /// unencrypted only when `http://` was written out.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.split_once("://") {
            Some((scheme, _)) => Self::with_scheme(scheme, text),
            None => Self::bare(text),
        }
    }

    /// Whether the way there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether a credential would leave this machine unencrypted.
    pub fn is_exposed(&self) -> bool {
        !self.is_encrypted() && !self.uri.host().is_some_and(is_loopback)
    }

    /// The address as a URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    fn with_scheme(scheme: &str, text: &str) -> Result<Self, AddressError> {
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(AddressError::Scheme(scheme.to_owned()));
        }
        Self::checked(text, text)
    }

    fn bare(text: &str) -> Result<Self, AddressError> {
        let probe = Self::checked(&format!("http://{text}"), text)?;
        if probe.uri.port().is_none() {
            return Err(AddressError::NoPort(text.to_owned()));
        }
        if probe.is_exposed() {
            return Self::checked(&format!("https://{text}"), text);
        }
        Ok(probe)
    }

    /// `text` is what the caller wrote, for the error.
    fn checked(full: &str, text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        // A user part may be a password: it is refused before anything can repeat it.
        if full.contains('@') {
            return Err(AddressError::Surplus);
        }
        let uri: Uri = full.parse().map_err(|_unsaid: http::uri::InvalidUri| malformed())?;
        if uri.query().is_some() || !matches!(uri.path(), "" | "/") {
            return Err(AddressError::Surplus);
        }
        let authority = uri.authority().ok_or_else(malformed)?;
        let has_bad_port = uri.port().is_none() && authority.as_str() != authority.host();
        if authority.host().is_empty() || has_bad_port {
            return Err(malformed());
        }
        Ok(Self { uri })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_follows_from_the_host_unless_written() {
        for (text, shown, exposed) in [
            ("http://127.0.0.1:7400", "http://127.0.0.1:7400", false),
            ("http://auth.example.com:7400", "http://auth.example.com:7400", true),
            ("https://auth.example.com", "https://auth.example.com", false),
            ("https://auth.example.com/", "https://auth.example.com", false),
            ("127.0.0.1:7400", "http://127.0.0.1:7400", false),
            ("127.9.9.9:1", "http://127.9.9.9:1", false),
            ("LOCALHOST:7400", "http://LOCALHOST:7400", false),
            ("[::1]:7400", "http://[::1]:7400", false),
            ("[::2]:7400", "https://[::2]:7400", false),
            ("auth.example.com:443", "https://auth.example.com:443", false),
            ("localhost.example.com:443", "https://localhost.example.com:443", false),
            ("10.0.0.1:7400", "https://10.0.0.1:7400", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(address.is_exposed(), exposed, "{text}");
            assert_eq!(address.is_encrypted(), shown.starts_with("https"), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_its_fault() {
        for (text, fault) in [
            ("", AddressError::Malformed(String::new())),
            ("http://", AddressError::Malformed("http://".to_owned())),
            ("a b:1", AddressError::Malformed("a b:1".to_owned())),
            ("host:99999", AddressError::Malformed("host:99999".to_owned())),
            ("host:", AddressError::Malformed("host:".to_owned())),
            ("ftp://host:1", AddressError::Scheme("ftp".to_owned())),
            ("auth.example.com", AddressError::NoPort("auth.example.com".to_owned())),
            ("http://user:word@host:1", AddressError::Surplus),
            ("http://host:1/path", AddressError::Surplus),
            ("host:1/path", AddressError::Surplus),
            ("http://host:1?x=1", AddressError::Surplus),
        ] {
            assert_eq!(Address::parse(text), Err(fault), "{text}");
        }
    }
}
