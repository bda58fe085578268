//! Secrets: how they look, how they are made, and how they are known without
//! being kept.

#[cfg(feature = "server")]
mod aead;
#[cfg(feature = "server")]
mod backup_codes;
mod bearer;
#[cfg(feature = "server")]
mod csrf;
mod form;
mod hash;
#[cfg(feature = "server")]
mod master_key;
mod mint;
#[cfg(feature = "server")]
mod note;
#[cfg(feature = "server")]
mod password;
mod profile;
#[cfg(feature = "server")]
mod provider_key;
#[cfg(feature = "server")]
mod qr;
#[cfg(feature = "server")]
mod sealing;
#[cfg(feature = "server")]
mod successor;
#[cfg(feature = "server")]
pub mod token;
#[cfg(feature = "server")]
mod totp;
#[cfg(feature = "server")]
pub mod webauthn;

#[cfg(feature = "server")]
pub use backup_codes::{BackupCode, NotABackupCode};
pub use bearer::{Bearer, Class, NotABearer};
#[cfg(feature = "server")]
pub use csrf::CsrfKey;
pub use form::{Form, Forms, NotAKey};
pub use hash::{Pepper, sha256};
#[cfg(feature = "server")]
pub use master_key::{BadMasterKey, MasterKey};
pub use mint::Minted;
#[cfg(feature = "server")]
pub use note::{BadVerifier, NoteKey, NoteVerifier};
#[cfg(feature = "server")]
pub use password::{BadPassword, Cost, HashingFault, Known, Password, PasswordHash, Verdict, Workspace};
pub use profile::{Alphabet, BadProfiles, Profile};
#[cfg(feature = "server")]
pub use provider_key::{BadProviderSecret, ProviderSecret};
#[cfg(feature = "server")]
pub use qr::{Qr, QrFault};
#[cfg(feature = "server")]
pub use sealing::{BadRootKey, DataKey, Kms, Place, RootKey, RootKeyId, Sealer, SealingFault};
#[cfg(feature = "server")]
pub use successor::{successor_open, successor_seal};
#[cfg(feature = "server")]
pub use totp::TotpSecret;
