//! `doorward.v1.AuthnService`.

use super::passkeys::Passkeys;
use super::people::People;
use super::verify::Checks;
use super::{open, reply, visit, watch, wire};
use crate::guard;
use crate::pb::v1 as pb;
use crate::pb::v1::authn_service_server::AuthnService;
use bytes::BytesMut;
use futures_util::Stream;
use futures_util::StreamExt;
use prost::Message;
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

/// The service. Checks are served by [`super::WithChecks`] on their quick way;
/// the same methods here serve whoever mounts the service by itself.
pub struct Authn {
    checks: Checks,
    people: People,
    passkeys: Passkeys,
}

impl Authn {
    /// The service over these checks.
    pub fn new(checks: Checks) -> Self {
        let people = People::new(Arc::clone(checks.app()));
        let passkeys = Passkeys::new(Arc::clone(checks.app()));
        Self { checks, people, passkeys }
    }
}

#[tonic::async_trait]
impl AuthnService for Authn {
    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let (caller, _) = open(request)?;
        let principal = Some(wire::principal(&caller.verified));
        reply(&caller.correlation, Ok(pb::WhoAmIResponse { principal }))
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::LoginResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        let told = reply(&visitor.correlation, self.people.login(&visitor, asked).await)?;
        Ok(told.into_inner().respond())
    }

    async fn complete_login(
        &self,
        request: Request<pb::CompleteLoginRequest>,
    ) -> Result<Response<pb::CompleteLoginResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        let told = reply(&visitor.correlation, self.people.complete_login(&visitor, asked).await)?;
        Ok(told.into_inner().respond())
    }

    async fn refresh_session(
        &self,
        request: Request<pb::RefreshSessionRequest>,
    ) -> Result<Response<pb::RefreshSessionResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        reply(&visitor.correlation, self.people.refresh(&visitor, &asked).await)
    }

    async fn request_password_reset(
        &self,
        request: Request<pb::RequestPasswordResetRequest>,
    ) -> Result<Response<pb::RequestPasswordResetResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        reply(&visitor.correlation, self.people.request_password_reset(&visitor, &asked).await)
    }

    async fn reset_password(
        &self,
        request: Request<pb::ResetPasswordRequest>,
    ) -> Result<Response<pb::ResetPasswordResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        reply(&visitor.correlation, self.people.reset_password(&visitor, asked).await)
    }

    async fn verify_email(
        &self,
        request: Request<pb::VerifyEmailRequest>,
    ) -> Result<Response<pb::VerifyEmailResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        reply(&visitor.correlation, self.people.verify_email(&visitor, &asked).await)
    }

    async fn logout(
        &self,
        request: Request<pb::LogoutRequest>,
    ) -> Result<Response<pb::LogoutResponse>, Status> {
        let caller = guard::caller(&request).cloned();
        let (visitor, asked) = visit(request)?;
        let caller = caller.as_ref();
        let told = match caller {
            Ok(caller) => self.people.logout(Some(caller), &visitor, &asked).await,
            Err(_nobody) => self.people.logout(None, &visitor, &asked).await,
        };
        reply(&visitor.correlation, told)
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.list_sessions(&caller, &asked).await)
    }

    async fn revoke_session(
        &self,
        request: Request<pb::RevokeSessionRequest>,
    ) -> Result<Response<pb::RevokeSessionResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.revoke_session(&caller, &asked).await)
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<pb::RevokeAllSessionsRequest>,
    ) -> Result<Response<pb::RevokeAllSessionsResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.revoke_all_sessions(&caller, asked).await)
    }

    async fn enroll_totp(
        &self,
        request: Request<pb::EnrollTotpRequest>,
    ) -> Result<Response<pb::EnrollTotpResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.enroll_totp(&caller, asked).await)
    }

    async fn confirm_totp(
        &self,
        request: Request<pb::ConfirmTotpRequest>,
    ) -> Result<Response<pb::ConfirmTotpResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.confirm_totp(&caller, &asked).await)
    }

    async fn disable_totp(
        &self,
        request: Request<pb::DisableTotpRequest>,
    ) -> Result<Response<pb::DisableTotpResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.disable_totp(&caller, asked).await)
    }

    async fn regenerate_backup_codes(
        &self,
        request: Request<pb::RegenerateBackupCodesRequest>,
    ) -> Result<Response<pb::RegenerateBackupCodesResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.regenerate_backup_codes(&caller, asked).await)
    }

    async fn begin_passkey_registration(
        &self,
        request: Request<pb::BeginPasskeyRegistrationRequest>,
    ) -> Result<Response<pb::BeginPasskeyRegistrationResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.passkeys.begin_registration(&caller, asked).await)
    }

    async fn finish_passkey_registration(
        &self,
        request: Request<pb::FinishPasskeyRegistrationRequest>,
    ) -> Result<Response<pb::FinishPasskeyRegistrationResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.passkeys.finish_registration(&caller, &asked).await)
    }

    async fn list_passkeys(
        &self,
        request: Request<pb::ListPasskeysRequest>,
    ) -> Result<Response<pb::ListPasskeysResponse>, Status> {
        let (caller, _) = open(request)?;
        reply(&caller.correlation, self.passkeys.list(&caller).await)
    }

    async fn begin_passkey_assertion(
        &self,
        request: Request<pb::BeginPasskeyAssertionRequest>,
    ) -> Result<Response<pb::BeginPasskeyAssertionResponse>, Status> {
        let (caller, _) = open(request)?;
        reply(&caller.correlation, self.passkeys.begin_assertion(&caller).await)
    }

    async fn remove_passkey(
        &self,
        request: Request<pb::RemovePasskeyRequest>,
    ) -> Result<Response<pb::RemovePasskeyResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.passkeys.remove(&caller, asked).await)
    }

    async fn begin_passkey_login(
        &self,
        request: Request<pb::BeginPasskeyLoginRequest>,
    ) -> Result<Response<pb::BeginPasskeyLoginResponse>, Status> {
        let (visitor, _) = visit(request)?;
        reply(&visitor.correlation, self.passkeys.begin_login())
    }

    async fn finish_passkey_login(
        &self,
        request: Request<pb::FinishPasskeyLoginRequest>,
    ) -> Result<Response<pb::FinishPasskeyLoginResponse>, Status> {
        let (visitor, asked) = visit(request)?;
        let told = reply(&visitor.correlation, self.passkeys.finish_login(&visitor, asked).await)?;
        Ok(told.into_inner().respond())
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let (caller, asked) = open(request)?;
        reply(&caller.correlation, self.people.change_password(&caller, asked).await)
    }

    async fn request_email_verification(
        &self,
        request: Request<pb::RequestEmailVerificationRequest>,
    ) -> Result<Response<pb::RequestEmailVerificationResponse>, Status> {
        let (caller, _) = open(request)?;
        reply(&caller.correlation, self.people.request_email_verification(&caller).await)
    }

    async fn verify_credential(
        &self,
        request: Request<pb::VerifyCredentialRequest>,
    ) -> Result<Response<pb::VerifyCredentialResponse>, Status> {
        let (caller, asked) = open(request)?;
        let mut out = BytesMut::new();
        self.checks.one(&caller, &asked, &mut out).await?;
        Ok(Response::new(decoded(out.freeze())?))
    }

    async fn batch_verify_credentials(
        &self,
        request: Request<pb::BatchVerifyCredentialsRequest>,
    ) -> Result<Response<pb::BatchVerifyCredentialsResponse>, Status> {
        let (caller, asked) = open(request)?;
        let mut out = BytesMut::new();
        self.checks.many(&caller, &asked, &mut out).await?;
        Ok(Response::new(decoded(out.freeze())?))
    }

    type StreamVerifyCredentialsStream =
        Pin<Box<dyn Stream<Item = Result<pb::StreamVerifyCredentialsResponse, Status>> + Send>>;

    async fn stream_verify_credentials(
        &self,
        request: Request<Streaming<pb::StreamVerifyCredentialsRequest>>,
    ) -> Result<Response<Self::StreamVerifyCredentialsStream>, Status> {
        let caller = guard::caller(&request)?.clone();
        let answers = self.checks.clone().stream(caller, request.into_inner());
        Ok(Response::new(Box::pin(answers.map(|answer| decoded(answer?)))))
    }

    type WatchRevocationsStream = watch::Answers;

    async fn watch_revocations(
        &self,
        request: Request<Streaming<pb::WatchRevocationsRequest>>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let caller = guard::caller(&request)?.clone();
        Ok(Response::new(watch::watch(self.checks.app(), &caller, request.into_inner())))
    }
}

fn decoded<T: Message + Default>(bytes: bytes::Bytes) -> Result<T, Status> {
    T::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}
