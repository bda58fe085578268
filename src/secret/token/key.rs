//! The keys that sign tokens and those that verify them.

use super::jwk::PublicJwk;
use super::shared::SharedSecret;
use super::signature::{Check, Pair};
use crate::domain::Entropy;
use crate::domain::signing::{Algorithm, Kid, NewKey, SigningKeyState};
use std::fmt;
use zeroize::Zeroizing;

/// Why there is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The library made none.
    #[error("no signing key could be made")]
    Generation,
    /// The private half cannot be read, or written.
    #[error("the private half of a signing key is not readable")]
    Private,
    /// The public half is not one of that algorithm.
    #[error("the public half of a signing key is not readable")]
    Public,
    /// The name is not that of this key.
    #[error("a signing key has another name than it should")]
    Name,
    /// HS256, and the settings have no shared secret.
    #[error("HS256 needs a shared secret of 32 to 1024 bytes in the settings")]
    NoSecret,
    /// The name already belongs to another key, which keeps it.
    #[error("two signing keys have one name")]
    Taken,
    /// There are too many.
    #[error("there are too many signing keys")]
    Full,
}

/// A key that verifies what one signing key signed, by one algorithm.
pub struct VerifyingKey {
    kid: Kid,
    public: Option<PublicJwk>,
    check: Check,
}

impl VerifyingKey {
    /// The key of this state. One of HS256 is that of `shared`, if its name says so.
    pub fn from_state(state: &SigningKeyState, shared: Option<&SharedSecret>) -> Result<Self, KeyFault> {
        let key = if state.algorithm.has_public_half() {
            Self::from_public(PublicJwk::read(&state.public).ok_or(KeyFault::Public)?)?
        } else {
            Self::from_shared(shared.ok_or(KeyFault::NoSecret)?)?
        };
        if key.algorithm() != state.algorithm {
            return Err(KeyFault::Public);
        }
        if key.kid != state.kid {
            return Err(KeyFault::Name);
        }
        Ok(key)
    }

    /// Its name: for pairs the thumbprint of the public half (RFC 7638).
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// The one algorithm that it is for.
    pub fn algorithm(&self) -> Algorithm {
        self.public.as_ref().map_or(Algorithm::Hs256, PublicJwk::algorithm)
    }

    /// The public half as a member of a key set (RFC 7517 §5), if it has one.
    pub(super) fn published(&self) -> Option<String> {
        self.public.as_ref().map(|jwk| jwk.published(&self.kid))
    }

    /// Whether the signature is this key's over the message of that SHA-256.
    pub(super) fn holds(&self, message: &[u8], sha256: impl FnOnce() -> [u8; 32], signature: &[u8]) -> bool {
        self.check.holds(message, sha256, signature)
    }

    /// The public half in the form that states carry.
    fn public_text(&self) -> String {
        self.public.as_ref().map_or_else(String::new, PublicJwk::canonical)
    }

    pub(super) fn from_public(public: PublicJwk) -> Result<Self, KeyFault> {
        let kid = public.thumbprint().ok_or(KeyFault::Public)?;
        let check = Check::of(&public).ok_or(KeyFault::Public)?;
        Ok(Self { kid, public: Some(public), check })
    }

    pub(super) fn from_shared(shared: &SharedSecret) -> Result<Self, KeyFault> {
        Ok(Self { kid: shared.kid().ok_or(KeyFault::Private)?, public: None, check: shared.check() })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {})", self.algorithm().name(), self.kid)
    }
}

/// A key that signs tokens, by one algorithm. Cannot be printed; wiped when dropped.
pub struct SigningKey {
    public: VerifyingKey,
    private: Private,
}

enum Private {
    Pair(Pair),
    Shared(SharedSecret, Box<aws_lc_rs::hmac::Key>),
}

impl SigningKey {
    /// A new key. Pairs are drawn by the library from the system's own source;
    /// the secret of HS256 from `entropy`. RS256 takes some hundred milliseconds.
    pub fn generate(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Self, KeyFault> {
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::generate_rsa(),
            Algorithm::Es256 => Pair::generate_p256(),
            Algorithm::EdDsa => Pair::generate_ed25519(),
            Algorithm::Hs256 => return Self::from_shared(SharedSecret::generate(entropy)),
        };
        Self::from_pair(pair.ok_or(KeyFault::Generation)?)
    }

    /// The HS256 key of a secret from the settings.
    pub fn from_shared(secret: SharedSecret) -> Result<Self, KeyFault> {
        let mac = secret.mac();
        Ok(Self { public: VerifyingKey::from_shared(&secret)?, private: Private::Shared(secret, mac) })
    }

    /// Reads what [`Self::private_bytes`] gave. It must be the key of that name.
    pub fn from_private(kid: &Kid, algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyFault> {
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::read_rsa(bytes),
            Algorithm::Es256 => Pair::read_p256(bytes),
            Algorithm::EdDsa => Pair::read_ed25519(bytes),
            Algorithm::Hs256 => {
                let secret = SharedSecret::new(Zeroizing::new(bytes.to_vec())).ok_or(KeyFault::Private)?;
                return Self::from_shared(secret)?.named(kid);
            }
        };
        Self::from_pair(pair.ok_or(KeyFault::Private)?)?.named(kid)
    }

    /// The private half, to be sealed: PKCS #8 (RFC 5958), or the secret of HS256.
    pub fn private_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
        match &self.private {
            Private::Pair(pair) => pair.private().ok_or(KeyFault::Private),
            Private::Shared(secret, _) => Ok(secret.bytes()),
        }
    }

    /// Its name.
    pub fn kid(&self) -> &Kid {
        &self.public.kid
    }

    /// The key that verifies what it signs.
    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// What all replicas are to know of it, used as `plan` says.
    pub fn state(&self, plan: &NewKey) -> SigningKeyState {
        SigningKeyState {
            kid: self.public.kid.clone(),
            algorithm: self.public.algorithm(),
            public: self.public.public_text(),
            activate: plan.activate,
            retire: plan.retire,
            withdrawn: false,
        }
    }

    /// The signature over the message.
    pub(super) fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.private {
            Private::Pair(pair) => pair.sign(message),
            Private::Shared(_, mac) => Some(aws_lc_rs::hmac::sign(mac, message).as_ref().to_vec()),
        }
    }

    fn from_pair(pair: Pair) -> Result<Self, KeyFault> {
        let public = VerifyingKey::from_public(pair.public().ok_or(KeyFault::Public)?)?;
        Ok(Self { public, private: Private::Pair(pair) })
    }

    fn named(self, kid: &Kid) -> Result<Self, KeyFault> {
        if self.public.kid == *kid { Ok(self) } else { Err(KeyFault::Name) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [redacted])", self.public.kid)
    }
}
