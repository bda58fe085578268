//! `Debug` for messages that carry a secret: everything but the secret.

use super::v1::{
    self, CreateApiKeyResponse, RotateApiKeyResponse, VerifyCredentialRequest, WatchedKey, WatchedUser,
};
use std::fmt;

const HIDDEN: &str = "[redacted]";

/// `Debug` that tells the name alone: all the rest is secret, or of no use without it.
macro_rules! hidden {
    ($($message:ty: $name:literal;)*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct($name).finish_non_exhaustive()
            }
        }
    )*};
}

hidden! {
    v1::LoginRequest: "LoginRequest";
    v1::LoginResponse: "LoginResponse";
    v1::MfaRequired: "MfaRequired";
    v1::CompleteLoginRequest: "CompleteLoginRequest";
    v1::complete_login_request::Factor: "Factor";
    v1::CompleteLoginResponse: "CompleteLoginResponse";
    v1::RefreshSessionRequest: "RefreshSessionRequest";
    v1::RefreshSessionResponse: "RefreshSessionResponse";
    v1::LogoutRequest: "LogoutRequest";
    v1::EnrollTotpRequest: "EnrollTotpRequest";
    v1::EnrollTotpResponse: "EnrollTotpResponse";
    v1::ConfirmTotpRequest: "ConfirmTotpRequest";
    v1::ConfirmTotpResponse: "ConfirmTotpResponse";
    v1::DisableTotpRequest: "DisableTotpRequest";
    v1::disable_totp_request::Factor: "Factor";
    v1::RegenerateBackupCodesRequest: "RegenerateBackupCodesRequest";
    v1::RegenerateBackupCodesResponse: "RegenerateBackupCodesResponse";
    v1::BeginPasskeyRegistrationRequest: "BeginPasskeyRegistrationRequest";
    v1::begin_passkey_registration_request::Factor: "Factor";
    v1::BeginPasskeyRegistrationResponse: "BeginPasskeyRegistrationResponse";
    v1::FinishPasskeyRegistrationRequest: "FinishPasskeyRegistrationRequest";
    v1::FinishPasskeyRegistrationResponse: "FinishPasskeyRegistrationResponse";
    v1::BeginPasskeyAssertionResponse: "BeginPasskeyAssertionResponse";
    v1::RemovePasskeyRequest: "RemovePasskeyRequest";
    v1::remove_passkey_request::Factor: "Factor";
    v1::BeginPasskeyLoginResponse: "BeginPasskeyLoginResponse";
    v1::FinishPasskeyLoginRequest: "FinishPasskeyLoginRequest";
    v1::FinishPasskeyLoginResponse: "FinishPasskeyLoginResponse";
    v1::ChangePasswordRequest: "ChangePasswordRequest";
    v1::ResetPasswordRequest: "ResetPasswordRequest";
    v1::VerifyEmailRequest: "VerifyEmailRequest";
}

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

impl fmt::Debug for v1::SetProviderKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetProviderKeyRequest")
            .field("provider", &self.provider)
            .field("label", &self.label)
            .field("secret", &HIDDEN)
            .finish()
    }
}

impl fmt::Debug for v1::FetchProviderKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchProviderKeyResponse")
            .field("provider_key", &self.provider_key)
            .field("secret", &HIDDEN)
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
