//! Signatures, by the cryptographic library.

use super::jwk::PublicJwk;
use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use aws_lc_rs::{encoding::AsDer, encoding::Pkcs8V1Der, hmac};
use zeroize::Zeroizing;

/// Bytes of the longest signature: that of RSA with 2048 bits.
pub(super) const MAX_SIGNATURE: usize = 256;

/// What verifies signatures: a key for one algorithm, read once.
pub(super) enum Check {
    /// The public half of a pair that signs SHA-256 digests: of RS256 and ES256.
    Hashed(ParsedPublicKey),
    /// The public half of a pair that signs messages: of `EdDSA`.
    Public(ParsedPublicKey),
    /// A secret.
    Shared(Box<hmac::Key>),
}

impl Check {
    /// The key that this public half is.
    pub(super) fn of(jwk: &PublicJwk) -> Option<Self> {
        let parsed = match jwk {
            PublicJwk::Rsa { n, e } => {
                rsa::PublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            }
            PublicJwk::P256 { x, y } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            PublicJwk::Ed25519 { x } => ParsedPublicKey::new(&ED25519, x),
        };
        let Ok(key) = parsed else { return None };
        Some(match jwk {
            PublicJwk::Rsa { .. } | PublicJwk::P256 { .. } => Self::Hashed(key),
            PublicJwk::Ed25519 { .. } => Self::Public(key),
        })
    }

    /// Whether the signature is that key's over the message of that SHA-256. The library
    /// compares the tags of HS256 in constant time.
    pub(super) fn holds(&self, message: &[u8], sha256: impl FnOnce() -> [u8; 32], signature: &[u8]) -> bool {
        match self {
            Self::Hashed(key) => {
                let digest = digest::Digest::import_less_safe(&sha256(), &digest::SHA256);
                digest.is_ok_and(|digest| key.verify_digest_sig(&digest, signature).is_ok())
            }
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            Self::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// A pair of keys. The library wipes the private half when it is dropped.
pub(super) enum Pair {
    Rsa(Box<rsa::KeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    pub(super) fn generate_rsa() -> Option<Self> {
        let Ok(pair) = rsa::KeyPair::generate(rsa::KeySize::Rsa2048) else { return None };
        Some(Self::Rsa(Box::new(pair)))
    }

    pub(super) fn generate_p256() -> Option<Self> {
        let Ok(pair) = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING) else { return None };
        Some(Self::P256(pair))
    }

    pub(super) fn generate_ed25519() -> Option<Self> {
        let Ok(pair) = Ed25519KeyPair::generate() else { return None };
        Some(Self::Ed25519(pair))
    }

    /// Reads what [`Self::private`] wrote.
    pub(super) fn read_rsa(pkcs8: &[u8]) -> Option<Self> {
        let Ok(pair) = rsa::KeyPair::from_pkcs8(pkcs8) else { return None };
        Some(Self::Rsa(Box::new(pair)))
    }

    /// Reads what [`Self::private`] wrote.
    pub(super) fn read_p256(pkcs8: &[u8]) -> Option<Self> {
        let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) else { return None };
        Some(Self::P256(pair))
    }

    /// Reads what [`Self::private`] wrote.
    pub(super) fn read_ed25519(pkcs8: &[u8]) -> Option<Self> {
        let Ok(pair) = Ed25519KeyPair::from_pkcs8(pkcs8) else { return None };
        Some(Self::Ed25519(pair))
    }

    /// The private half as PKCS #8 (RFC 5958).
    pub(super) fn private(&self) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match self {
            Self::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair.as_ref()).map(|der| der.as_ref().to_vec())
            }
            Self::P256(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
        };
        let Ok(bytes) = bytes else { return None };
        Some(Zeroizing::new(bytes))
    }

    /// The public half.
    pub(super) fn public(&self) -> Option<PublicJwk> {
        match self {
            Self::Rsa(pair) => PublicJwk::rsa(
                pair.public_key().modulus().big_endian_without_leading_zero(),
                pair.public_key().exponent().big_endian_without_leading_zero(),
            ),
            Self::P256(pair) => PublicJwk::p256(pair.public_key().as_ref()),
            Self::Ed25519(pair) => PublicJwk::ed25519(pair.public_key().as_ref()),
        }
    }

    /// The signature over the message.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map(|()| signature)
            }
            Self::P256(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec())
            }
            Self::Ed25519(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
        };
        let Ok(signature) = signature else { return None };
        Some(signature)
    }
}
