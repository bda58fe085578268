//! The whole service over a real tonic stack.

use super::tests::besides;
use crate::domain::clock::{Clock, Entropy, Moment, Timestamp};
use crate::http::{Options, Transcoder};
use crate::pb::v1::authn_service_server::{AuthnService, AuthnServiceServer};
use crate::pb::v1::{self, verify_credential_response::Outcome};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::Service as _;

struct Real;

type Answers =
    Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::StreamVerifyCredentialsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AuthnService for Real {
    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let id = request.metadata().get("x-api-key").ok_or_else(missing)?.len().to_string();
        Ok(Response::new(v1::WhoAmIResponse {
            principal: Some(v1::Principal { id, ..v1::Principal::default() }),
        }))
    }

    async fn verify_credential(
        &self,
        request: Request<v1::VerifyCredentialRequest>,
    ) -> Result<Response<v1::VerifyCredentialResponse>, Status> {
        let message = request.into_inner().credential;
        let denial =
            v1::Denial { reason: v1::ErrorReason::InvalidApiKey.into(), message, ..v1::Denial::default() };
        let outcome = Some(Outcome::Denial(denial));
        Ok(Response::new(v1::VerifyCredentialResponse { outcome, ..v1::VerifyCredentialResponse::default() }))
    }

    async fn batch_verify_credentials(
        &self,
        _: Request<v1::BatchVerifyCredentialsRequest>,
    ) -> Result<Response<v1::BatchVerifyCredentialsResponse>, Status> {
        let mut details = ErrorDetails::with_bad_request_violation("requests", "must hold 1 to 1000");
        details.set_error_info("INVALID_ARGUMENT", "doorward.dev", std::collections::HashMap::new());
        Err(Status::with_error_details(Code::InvalidArgument, "the request is not valid", details))
    }

    async fn login(&self, _: Request<v1::LoginRequest>) -> Result<Response<v1::LoginResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn complete_login(
        &self,
        _: Request<v1::CompleteLoginRequest>,
    ) -> Result<Response<v1::CompleteLoginResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn refresh_session(
        &self,
        _: Request<v1::RefreshSessionRequest>,
    ) -> Result<Response<v1::RefreshSessionResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn logout(&self, _: Request<v1::LogoutRequest>) -> Result<Response<v1::LogoutResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_sessions(
        &self,
        _: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_session(
        &self,
        _: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_all_sessions(
        &self,
        _: Request<v1::RevokeAllSessionsRequest>,
    ) -> Result<Response<v1::RevokeAllSessionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn enroll_totp(
        &self,
        _: Request<v1::EnrollTotpRequest>,
    ) -> Result<Response<v1::EnrollTotpResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn confirm_totp(
        &self,
        _: Request<v1::ConfirmTotpRequest>,
    ) -> Result<Response<v1::ConfirmTotpResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn disable_totp(
        &self,
        _: Request<v1::DisableTotpRequest>,
    ) -> Result<Response<v1::DisableTotpResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn regenerate_backup_codes(
        &self,
        _: Request<v1::RegenerateBackupCodesRequest>,
    ) -> Result<Response<v1::RegenerateBackupCodesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn begin_passkey_registration(
        &self,
        _: Request<v1::BeginPasskeyRegistrationRequest>,
    ) -> Result<Response<v1::BeginPasskeyRegistrationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn finish_passkey_registration(
        &self,
        _: Request<v1::FinishPasskeyRegistrationRequest>,
    ) -> Result<Response<v1::FinishPasskeyRegistrationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_passkeys(
        &self,
        _: Request<v1::ListPasskeysRequest>,
    ) -> Result<Response<v1::ListPasskeysResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn begin_passkey_assertion(
        &self,
        _: Request<v1::BeginPasskeyAssertionRequest>,
    ) -> Result<Response<v1::BeginPasskeyAssertionResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn remove_passkey(
        &self,
        _: Request<v1::RemovePasskeyRequest>,
    ) -> Result<Response<v1::RemovePasskeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn begin_passkey_login(
        &self,
        _: Request<v1::BeginPasskeyLoginRequest>,
    ) -> Result<Response<v1::BeginPasskeyLoginResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn finish_passkey_login(
        &self,
        _: Request<v1::FinishPasskeyLoginRequest>,
    ) -> Result<Response<v1::FinishPasskeyLoginResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn change_password(
        &self,
        _: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn request_password_reset(
        &self,
        _: Request<v1::RequestPasswordResetRequest>,
    ) -> Result<Response<v1::RequestPasswordResetResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn reset_password(
        &self,
        _: Request<v1::ResetPasswordRequest>,
    ) -> Result<Response<v1::ResetPasswordResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn request_email_verification(
        &self,
        _: Request<v1::RequestEmailVerificationRequest>,
    ) -> Result<Response<v1::RequestEmailVerificationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn verify_email(
        &self,
        _: Request<v1::VerifyEmailRequest>,
    ) -> Result<Response<v1::VerifyEmailResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    type StreamVerifyCredentialsStream = Answers;

    async fn stream_verify_credentials(
        &self,
        _: Request<Streaming<v1::StreamVerifyCredentialsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        Err(Status::unimplemented(""))
    }

    type WatchRevocationsStream = tokio_stream::Empty<Result<v1::WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        _: Request<Streaming<v1::WatchRevocationsRequest>>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn missing() -> Status {
    let details = ErrorDetails::with_error_info(
        "CREDENTIALS_MISSING",
        "doorward.dev",
        std::collections::HashMap::new(),
    );
    Status::with_error_details(Code::Unauthenticated, "no credential", details)
}

struct Fixed;

impl Clock for Fixed {
    fn moment(&self) -> Moment {
        Moment { wall: Timestamp::from_micros(0), monotonic: 0 }
    }
}

impl Entropy for Fixed {
    fn fill(&self, _: &mut [u8]) {}
}

async fn ask(method: &str, target: &str, key: Option<&str>, body: &str) -> (u16, Value) {
    let stack = Routes::new(AuthnServiceServer::new(Real));
    let mut transcoder =
        Transcoder::new(stack, Options::default(), Arc::new(Fixed), &Fixed, besides()).unwrap();
    let mut request =
        http::Request::builder().method(method).uri(target).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    let (parts, body) = transcoder.call(request).await.unwrap().into_parts();
    (parts.status.as_u16(), serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn answers_come_through() {
    let (status, body) = ask("GET", "/api/v1/auth/me", Some("four"), "").await;
    assert_eq!((status, &body["principal"]["id"]), (200, &json!("4")));
    let (status, body) = ask("POST", "/v1/auth/verify", None, r#"{"credential":"ä"}"#).await;
    assert_eq!((status, &body["denial"]["message"]), (200, &json!("ä")));
    let (status, body) = ask("GET", "/v1/health", Some("four"), "").await;
    assert_eq!((status, &body["principal"]), (200, &json!("4")));
}

#[tokio::test]
async fn refusals_come_through() {
    let (status, body) = ask("GET", "/v1/auth/me", None, "").await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("CREDENTIALS_MISSING")));
    let (status, body) = ask("POST", "/v1/auth/verify:batch", None, r#"{"requests":[]}"#).await;
    let violations = json!([{"field": "requests", "description": "must hold 1 to 1000"}]);
    assert_eq!((status, &body["error"]["field_violations"]), (400, &violations));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_501() {
    let (status, body) = ask("GET", "/v1/api-keys", None, "").await;
    assert_eq!((status, &body["error"]["code"]), (501, &json!("UNIMPLEMENTED")));
}
