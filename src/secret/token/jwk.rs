//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use crate::domain::signing::{Algorithm, Kid};
use crate::domain::{Digest, reading::Reading};
use crate::secret::sha256;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// The public half of a key, of a kind that tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicJwk {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256 { x: [u8; 32], y: [u8; 32] },
    Ed25519 { x: [u8; 32] },
}

/// The members of all kinds; more are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    kty: &'a str,
    crv: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
}

impl PublicJwk {
    /// Characters of the longest text that [`Self::read`] looks at.
    const MAX_TEXT: usize = 512;
    /// The one exponent that keys have: 65537.
    const EXPONENT: [u8; 3] = [1, 0, 1];

    /// The RSA key of these numbers, if it has 2048 bits.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Option<Self> {
        let sound = n.len() == 256 && n.first().is_some_and(|first| first & 0x80 != 0) && e == Self::EXPONENT;
        sound.then(|| Self::Rsa { n: n.to_vec(), e: e.to_vec() })
    }

    /// The key of this uncompressed point on P-256 (SEC 1 §2.3.3).
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        let [4, point @ ..] = point else { return None };
        let (x, y) = point.split_at_checked(32)?;
        Some(Self::P256 { x: x.try_into().readable()?, y: y.try_into().readable()? })
    }

    /// The key of these bytes (RFC 8032 §5.1.5).
    pub(super) fn ed25519(x: &[u8]) -> Option<Self> {
        Some(Self::Ed25519 { x: x.try_into().readable()? })
    }

    /// Reads what [`Self::canonical`] wrote, and nothing else.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_TEXT {
            return None;
        }
        let Ok(members) = serde_json::from_str::<Members<'_>>(text) else { return None };
        let key = members.key()?;
        (key.canonical() == text).then_some(key)
    }

    /// The one algorithm that it is for.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// Its required members in the form that is hashed (RFC 7638 §3.2, RFC 8037 §2).
    pub(super) fn canonical(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n)),
            Self::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x)),
        }
    }

    /// Its thumbprint under SHA-256 (RFC 7638 §3.1).
    pub(super) fn thumbprint(&self) -> Option<Kid> {
        let digest: Digest = sha256(self.canonical().as_bytes());
        URL_SAFE_NO_PAD.encode(digest.to_bytes()).parse().readable()
    }

    /// It as a member of a published key set (RFC 7517 §4, §5).
    pub(super) fn published(&self, kid: &Kid) -> String {
        let required = self.canonical();
        let required = required.trim_start_matches('{');
        format!(r#"{{"alg":"{}","kid":"{kid}","use":"sig",{required}"#, self.algorithm().name())
    }
}

impl Members<'_> {
    fn key(&self) -> Option<PublicJwk> {
        match (self.kty, self.crv, self.x, self.y, self.n, self.e) {
            ("RSA", None, None, None, Some(n), Some(e)) => PublicJwk::rsa(&decode(n)?, &decode(e)?),
            ("EC", Some("P-256"), Some(x), Some(y), None, None) => Some(PublicJwk::P256 {
                x: decode(x)?.as_slice().try_into().readable()?,
                y: decode(y)?.as_slice().try_into().readable()?,
            }),
            ("OKP", Some("Ed25519"), Some(x), None, None, None) => PublicJwk::ed25519(&decode(x)?),
            _ => None,
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).readable()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_OF_RFC_7638: &str = concat!(
        r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxu"#,
        "hDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvzq",
        "Y368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XP",
        r#"ksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#,
    );
    const ED_OF_RFC_8037: &str =
        r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn thumbprints_are_those_of_the_published_examples() {
        let thumbprint = |text: &str| PublicJwk::read(text).unwrap().thumbprint().unwrap().to_string();
        assert_eq!(thumbprint(RSA_OF_RFC_7638), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(thumbprint(ED_OF_RFC_8037), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn only_the_one_text_of_a_key_is_read() {
        for good in [RSA_OF_RFC_7638, ED_OF_RFC_8037] {
            assert_eq!(PublicJwk::read(good).unwrap().canonical(), good);
        }
        let ed = |from: &str, to: &str| {
            let changed = ED_OF_RFC_8037.replace(from, to);
            assert_ne!(changed, ED_OF_RFC_8037);
            assert_eq!(PublicJwk::read(&changed), None, "{changed}");
        };
        ed("{", " {");
        ed("}", "} ");
        ed(":", ": ");
        ed("HURo", "HUR");
        ed("HURo", "HURp");
        ed("HURo", "HURo=");
        ed("Ed25519", "Ed448");
        ed("OKP", "EC");
        ed(r#","x""#, r#","d":"AAAA","x""#);
        ed(r#","x""#, r#","kty":"OKP","x""#);
        let short = RSA_OF_RFC_7638.replace("0vx7", "");
        assert_eq!(PublicJwk::read(&short), None);
        assert_eq!(PublicJwk::read(&RSA_OF_RFC_7638.replace("AQAB", "Aw")), None);
        for bad in ["", "{}", "null", "[]", r#"["OKP",null,null,null,null,null]"#, &"x".repeat(600)] {
            assert_eq!(PublicJwk::read(bad), None, "{bad}");
        }
    }
}
