//! Who asks for passkeys, and on which pages.

use crate::domain::Digest;
use crate::secret::sha256;

/// A domain and the pages of it that may ask for its passkeys.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
    id_hash: Digest,
}

/// Why a relying party cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRelyingParty {
    /// The id is no domain.
    #[error("people.rp_id must be a domain in lower case, such as example.com")]
    Id,
    /// There is no origin, or too many.
    #[error("people.origins must have 1 to {} origins", RelyingParty::MAX_ORIGINS)]
    Count,
    /// An origin is not one, or not of that domain.
    #[error(
        "people.origins: `{0}` must be https://HOST or https://HOST:PORT with the rp_id or a host below it; http is for localhost alone"
    )]
    Origin(String),
}

impl RelyingParty {
    /// Origins that there can be.
    pub const MAX_ORIGINS: usize = 16;

    /// The relying party of a domain (§5.1.2: effective domains alone, no addresses).
    pub fn new(id: &str, name: &str, origins: &[String]) -> Result<Self, BadRelyingParty> {
        if !is_domain(id) {
            return Err(BadRelyingParty::Id);
        }
        if !(1..=Self::MAX_ORIGINS).contains(&origins.len()) {
            return Err(BadRelyingParty::Count);
        }
        if let Some(bad) = origins.iter().find(|origin| !belongs(origin, id)) {
            return Err(BadRelyingParty::Origin(bad.clone()));
        }
        let id_hash = sha256(id.as_bytes());
        Ok(Self { id: id.to_owned(), name: name.to_owned(), origins: origins.to_vec(), id_hash })
    }

    /// The domain.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What people are shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a page of that origin may ask (§7.1 step 9, §7.2 step 12): the one text or none.
    pub(super) fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }

    /// Whether an authenticator answered to this domain (§7.1 step 14, §7.2 step 16).
    pub(super) fn is_meant(&self, id_hash: &[u8; 32]) -> bool {
        Digest::from_bytes(id_hash) == self.id_hash
    }
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    // A last label of digits alone makes it an IPv4 address.
    text.len() <= 253 && text.split('.').all(label) && !text.rsplit('.').next().is_none_or(numeric)
}

/// Whether it is an origin as browsers write it, on the domain or below it.
fn belongs(origin: &str, id: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let default = if scheme == "https" { 443 } else { 80 };
    // The default port is not written, and no number begins with a zero.
    let port_fits = port.is_none_or(|port| {
        port.parse::<u16>().is_ok_and(|number| number != default && number.to_string() == port)
    });
    let local = host == "localhost" || host.ends_with(".localhost");
    let scheme_fits = scheme == "https" || (scheme == "http" && local);
    let below = host.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    scheme_fits && port_fits && is_domain(host) && below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, origin: &str) -> Result<RelyingParty, BadRelyingParty> {
        RelyingParty::new(id, "Acme", &[origin.to_owned()])
    }

    #[test]
    fn origins_are_of_the_domain_and_safe() {
        for (id, origin) in [
            ("example.com", "https://example.com"),
            ("example.com", "https://login.example.com:8443"),
            ("localhost", "http://localhost:8080"),
            ("localhost", "https://localhost"),
            ("localhost", "http://app.localhost"),
        ] {
            let party = made(id, origin).unwrap();
            assert!(party.allows(origin) && !party.allows(&format!("{origin}/")));
        }
        for (id, origin) in [
            ("example.com", "http://example.com"),
            ("example.com", "https://example.com/"),
            ("example.com", "https://example.com:443"),
            ("example.com", "https://example.com:08443"),
            ("example.com", "https://example.com:"),
            ("example.com", "https://Example.com"),
            ("example.com", "https://badexample.com"),
            ("example.com", "https://example.com.evil.test"),
            ("example.com", "https://evil@example.com"),
            ("example.com", "https://.example.com"),
            ("example.com", "example.com"),
            ("example.com", ""),
        ] {
            assert_eq!(made(id, origin).unwrap_err(), BadRelyingParty::Origin(origin.into()), "{origin}");
        }
        for id in ["", "Example.com", "127.0.0.1", "[::1]", "a..b", "-a.com", "https://example.com", "ä.de"]
        {
            assert_eq!(made(id, "https://example.com").unwrap_err(), BadRelyingParty::Id, "{id}");
        }
        assert_eq!(RelyingParty::new("example.com", "", &[]).unwrap_err(), BadRelyingParty::Count);
    }
}
