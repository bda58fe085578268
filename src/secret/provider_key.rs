//! The secret of a key that a tenant has with another provider.

use super::{Pepper, sha256};
use crate::domain::TenantId;
use std::fmt::{self, Write};
use zeroize::{Zeroize, Zeroizing};

/// The secret in the clear, wiped when dropped.
pub struct ProviderSecret(Zeroizing<String>);

/// A text that can be no provider's secret. Never tells any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProviderSecret {
    /// Empty, or longer than [`ProviderSecret::MAX`] bytes.
    #[error("must have 1 to {} bytes", ProviderSecret::MAX)]
    Length,
    /// Something that is not printed, or a blank at either end.
    #[error("must have printable ASCII characters only, and no blank at either end")]
    Character,
}

impl ProviderSecret {
    /// Bytes that it has at most.
    pub const MAX: usize = 8192;

    /// What somebody sent. It goes into a header as it stands, so no line
    /// break, no control character and no other script is in it.
    pub fn presented(text: String) -> Result<Self, BadProviderSecret> {
        let text = Zeroizing::new(text);
        if text.is_empty() || text.len() > Self::MAX {
            return Err(BadProviderSecret::Length);
        }
        let printed = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let bare = !text.starts_with(' ') && !text.ends_with(' ');
        if printed && bare { Ok(Self(text)) } else { Err(BadProviderSecret::Character) }
    }

    /// What was sealed and has been opened.
    pub fn opened(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadProviderSecret> {
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Self::presented(text),
            Err(no_text) => {
                no_text.into_bytes().zeroize();
                Err(BadProviderSecret::Character)
            }
        }
    }

    /// The secret in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Sixteen hexadecimal digits that tell this secret from another of the
    /// same tenant: the first 64 bits of HMAC-SHA256 under the pepper. Without
    /// the pepper no guess at the secret can be tried on them.
    pub fn fingerprint(&self, tenant: TenantId, pepper: &Pepper) -> Option<String> {
        let parts = [b"doorward provider key fingerprint 1".as_slice(), tenant.as_bytes(), self.0.as_bytes()];
        let labelled = Zeroizing::new(parts.concat());
        let sealed = pepper.seal(sha256(&labelled))?.to_bytes();
        Some(sealed.iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

impl fmt::Debug for ProviderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderSecret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Result<ProviderSecret, BadProviderSecret> {
        ProviderSecret::presented(text.to_owned())
    }

    #[test]
    fn what_can_stand_in_a_header_is_taken_and_nothing_else() {
        for good in ["k", "sk-proj-0123_ABC", "{\"type\": \"x\"}", &"a".repeat(ProviderSecret::MAX)] {
            assert_eq!(secret(good).unwrap().reveal(), good);
        }
        for bad in ["", &"a".repeat(ProviderSecret::MAX + 1)] {
            assert_eq!(secret(bad).unwrap_err(), BadProviderSecret::Length);
        }
        for bad in ["a\n", "\ta", "a\r\nb", " a", "a ", "a\0", "kä", "\u{7f}"] {
            assert_eq!(secret(bad).unwrap_err(), BadProviderSecret::Character, "{bad:?}");
        }
        assert!(ProviderSecret::opened(Zeroizing::new(vec![0xff])).is_err());
        assert!(ProviderSecret::opened(Zeroizing::new(b"ok".to_vec())).is_ok());
    }

    #[test]
    fn a_fingerprint_needs_pepper_tenant_and_secret() {
        let pepper = |byte: u8| Pepper::new(Zeroizing::new(vec![byte; 32])).unwrap();
        let print = |text: &str, tenant: u8, byte: u8| {
            secret(text).unwrap().fingerprint(TenantId::from_bytes([tenant; 16]), &pepper(byte)).unwrap()
        };
        let one = print("planted", 1, 1);
        assert_eq!((one.len(), &one), (16, &print("planted", 1, 1)));
        for other in [print("planted2", 1, 1), print("planted", 2, 1), print("planted", 1, 2)] {
            assert_ne!(one, other);
        }
        assert!(!format!("{:?}", secret("planted")).contains("planted"));
    }
}
