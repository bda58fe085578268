//! `Debug` for messages that carry a secret: everything but the secret.

use super::v1::{
    CreateApiKeyResponse, RotateApiKeyResponse, VerifyCredentialRequest, WatchedKey, WatchedUser,
};
use std::fmt;

const HIDDEN: &str = "[redacted]";

impl fmt::Debug for VerifyCredentialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyCredentialRequest")
            .field("credential", &HIDDEN)
            .field("required_permission", &self.required_permission)
            .field("required_feature", &self.required_feature)
            .field("require_mfa", &self.require_mfa)
            .field("tenant_id", &self.tenant_id)
            .field("cost", &self.cost)
            .field("min_revision", &self.min_revision)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CreateApiKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateApiKeyResponse")
            .field("api_key", &self.api_key)
            .field("secret", &HIDDEN)
            .field("revision", &self.revision)
            .finish()
    }
}

impl fmt::Debug for RotateApiKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateApiKeyResponse")
            .field("api_key", &self.api_key)
            .field("secret", &HIDDEN)
            .field("revision", &self.revision)
            .finish()
    }
}

impl fmt::Debug for WatchedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedKey")
            .field("id", &self.id)
            .field("tenant_id", &self.tenant_id)
            .field("digest", &HIDDEN)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WatchedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedUser")
            .field("id", &self.id)
            .field("email", &HIDDEN)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}
