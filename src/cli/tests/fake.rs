//! A server that answers with fixed things, notes what it was asked, and can be told to refuse.

mod keys;

use crate::pb::v1::authn_service_server::{AuthnService, AuthnServiceServer};
use crate::pb::v1::keys_service_server::KeysServiceServer;
use crate::pb::v1::tenancy_service_server::TenancyServiceServer;
use crate::pb::v1::*;
use prost::Message;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

pub const SECRET: &str = "dw_live_planted0secret0of0the0fake0server";
pub const TOTP_URI: &str = "otpauth://totp/Doorward:o%40acme.example?secret=JBSWY3DPEHPK3PXP&issuer=Doorward";

/// One call as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: &'static str,
    pub metadata: MetadataMap,
    pub body: Vec<u8>,
}

#[derive(Clone, Default)]
pub struct Fake {
    pub asked: Arc<Mutex<Vec<Asked>>>,
    /// Given as answers, one each, before anything is answered with success.
    pub refusals: Arc<Mutex<VecDeque<Status>>>,
    /// How many calls from now on are answered with success before there are refusals.
    pub spared: Arc<Mutex<u32>>,
    /// How long every call takes.
    pub takes: std::time::Duration,
    /// Whether a login without a code needs a second step.
    pub mfa: bool,
    /// Whether `WhoAmI` refuses every access token as expired.
    pub always_expired: Arc<AtomicBool>,
    /// How often tokens were changed: the refresh token before the last ends the session.
    pub changes: Arc<Mutex<u32>>,
}

/// A refusal as Doorward words it.
pub fn refused(code: Code, reason: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "doorward.dev", [] as [(String, String); 0]);
    Status::with_error_details(code, format!("No: {reason}."), details)
}

impl Fake {
    /// Serves on a free port of this machine and gives the address.
    pub async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = tonic::transport::Server::builder()
            .add_service(AuthnServiceServer::new(self.clone()))
            .add_service(KeysServiceServer::new(self.clone()))
            .add_service(TenancyServiceServer::new(self.clone()));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        address.to_string()
    }

    /// The only call so far, decoded.
    pub fn only<M: Message + Default>(&self, method: &str) -> M {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(asked[0].method, method);
        M::decode(asked[0].body.as_slice()).unwrap()
    }

    pub fn methods(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().iter().map(|one| one.method).collect()
    }

    /// Refuses with these, one each, after so many calls with success.
    pub fn refuse_after(&self, spared: u32, refusals: impl IntoIterator<Item = Status>) {
        *self.spared.lock().unwrap() = spared;
        self.refusals.lock().unwrap().extend(refusals);
    }

    fn next_refusal(&self) -> Option<Status> {
        let mut spared = self.spared.lock().unwrap();
        if *spared > 0 {
            *spared -= 1;
            return None;
        }
        self.refusals.lock().unwrap().pop_front()
    }

    pub(super) async fn note<M: Message>(
        &self,
        method: &'static str,
        request: Request<M>,
    ) -> Result<M, Status> {
        let asked =
            Asked { method, metadata: request.metadata().clone(), body: request.get_ref().encode_to_vec() };
        self.asked.lock().unwrap().push(asked);
        tokio::time::sleep(self.takes).await;
        let refusal = self.next_refusal();
        refusal.map_or_else(|| Ok(request.into_inner()), Err)
    }
}

pub(super) fn tenant() -> Tenant {
    Tenant { id: "tenant_1".to_owned(), slug: "acme".to_owned(), state: 1, ..Tenant::default() }
}

fn user() -> LoginUser {
    LoginUser {
        id: "user_1".into(),
        email: "o@acme.example".into(),
        role: "owner".into(),
        tenant_id: "tenant_1".into(),
    }
}

fn backup_codes() -> Vec<String> {
    vec!["planted-backup-1".to_owned(), "planted-backup-2".to_owned()]
}

fn with_device<T>(answer: T, device: &str) -> Response<T> {
    let mut response = Response::new(answer);
    response.metadata_mut().insert("doorward-device-token", device.parse().unwrap());
    response
}

pub(super) type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AuthnService for Fake {
    type StreamVerifyCredentialsStream = tokio_stream::Empty<Result<StreamVerifyCredentialsResponse, Status>>;

    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Answer<WhoAmIResponse> {
        self.note("WhoAmI", request).await?;
        if self.always_expired.load(Ordering::Relaxed) {
            return Err(refused(Code::Unauthenticated, "TOKEN_EXPIRED"));
        }
        let principal = Principal {
            id: "user_1".into(),
            user_id: "user_1".into(),
            tenant_slug: "acme".into(),
            role: "owner".into(),
            ..Principal::default()
        };
        Ok(Response::new(WhoAmIResponse { principal: Some(principal) }))
    }

    async fn verify_credential(
        &self,
        _: Request<VerifyCredentialRequest>,
    ) -> Answer<VerifyCredentialResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn batch_verify_credentials(
        &self,
        _: Request<BatchVerifyCredentialsRequest>,
    ) -> Answer<BatchVerifyCredentialsResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn stream_verify_credentials(
        &self,
        _: Request<Streaming<StreamVerifyCredentialsRequest>>,
    ) -> Answer<Self::StreamVerifyCredentialsStream> {
        Err(Status::unimplemented("not faked"))
    }

    type WatchRevocationsStream = tokio_stream::Empty<Result<WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        _: Request<Streaming<WatchRevocationsRequest>>,
    ) -> Answer<Self::WatchRevocationsStream> {
        Err(Status::unimplemented("not faked"))
    }

    async fn login(&self, request: Request<LoginRequest>) -> Answer<LoginResponse> {
        let request = self.note("Login", request).await?;
        if self.mfa && request.totp_code.is_empty() {
            let mfa_required = Some(MfaRequired {
                challenge: "planted-challenge".into(),
                methods: vec!["totp".into(), "backup_code".into()],
                ..MfaRequired::default()
            });
            return Ok(Response::new(LoginResponse { mfa_required, ..LoginResponse::default() }));
        }
        let answer = LoginResponse {
            access_token: "planted-access-0".into(),
            refresh_token: "planted-refresh-0".into(),
            token_type: "Bearer".into(),
            expires_in: 900,
            user: Some(user()),
            mfa_required: None,
        };
        Ok(with_device(answer, "planted-device-1"))
    }

    async fn complete_login(&self, request: Request<CompleteLoginRequest>) -> Answer<CompleteLoginResponse> {
        self.note("CompleteLogin", request).await?;
        let answer = CompleteLoginResponse {
            access_token: "planted-access-0".into(),
            refresh_token: "planted-refresh-0".into(),
            token_type: "Bearer".into(),
            expires_in: 900,
            user: Some(user()),
        };
        Ok(with_device(answer, "planted-device-2"))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Answer<RefreshSessionResponse> {
        let request = self.note("RefreshSession", request).await?;
        let mut changes = self.changes.lock().unwrap();
        if request.refresh_token != format!("planted-refresh-{changes}") {
            return Err(refused(Code::Unauthenticated, "SESSION_REVOKED"));
        }
        *changes += 1;
        Ok(Response::new(RefreshSessionResponse {
            access_token: format!("planted-access-{changes}"),
            refresh_token: format!("planted-refresh-{changes}"),
            token_type: "Bearer".into(),
            expires_in: 900,
            user: Some(user()),
        }))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Answer<LogoutResponse> {
        self.note("Logout", request).await?;
        Ok(Response::new(LogoutResponse { revision: "1".into() }))
    }

    /// Two pages of one session each.
    async fn list_sessions(&self, request: Request<ListSessionsRequest>) -> Answer<ListSessionsResponse> {
        let request = self.note("ListSessions", request).await?;
        let (id, next) =
            if request.page_token.is_empty() { ("session_1", "second") } else { ("session_2", "") };
        let session = Session {
            id: id.into(),
            device: "laptop".into(),
            current: id == "session_1",
            ..Session::default()
        };
        Ok(Response::new(ListSessionsResponse { sessions: vec![session], next_page_token: next.into() }))
    }

    async fn revoke_session(&self, request: Request<RevokeSessionRequest>) -> Answer<RevokeSessionResponse> {
        self.note("RevokeSession", request).await?;
        Ok(Response::new(RevokeSessionResponse { revision: "1".into() }))
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<RevokeAllSessionsRequest>,
    ) -> Answer<RevokeAllSessionsResponse> {
        self.note("RevokeAllSessions", request).await?;
        Ok(Response::new(RevokeAllSessionsResponse { revoked_count: 3, revision: "1".into() }))
    }

    async fn enroll_totp(&self, request: Request<EnrollTotpRequest>) -> Answer<EnrollTotpResponse> {
        self.note("EnrollTotp", request).await?;
        Ok(Response::new(EnrollTotpResponse {
            secret: "JBSWY3DPEHPK3PXP".into(),
            otpauth_uri: TOTP_URI.into(),
            qr_svg: "<svg/>".into(),
        }))
    }

    async fn confirm_totp(&self, request: Request<ConfirmTotpRequest>) -> Answer<ConfirmTotpResponse> {
        self.note("ConfirmTotp", request).await?;
        Ok(Response::new(ConfirmTotpResponse { backup_codes: backup_codes(), revision: "1".into() }))
    }

    async fn disable_totp(&self, request: Request<DisableTotpRequest>) -> Answer<DisableTotpResponse> {
        self.note("DisableTotp", request).await?;
        Ok(Response::new(DisableTotpResponse { revision: "1".into() }))
    }

    async fn regenerate_backup_codes(
        &self,
        request: Request<RegenerateBackupCodesRequest>,
    ) -> Answer<RegenerateBackupCodesResponse> {
        self.note("RegenerateBackupCodes", request).await?;
        Ok(Response::new(RegenerateBackupCodesResponse {
            backup_codes: backup_codes(),
            revision: "1".into(),
        }))
    }

    async fn begin_passkey_registration(
        &self,
        _: Request<BeginPasskeyRegistrationRequest>,
    ) -> Answer<BeginPasskeyRegistrationResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn finish_passkey_registration(
        &self,
        _: Request<FinishPasskeyRegistrationRequest>,
    ) -> Answer<FinishPasskeyRegistrationResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn list_passkeys(&self, _: Request<ListPasskeysRequest>) -> Answer<ListPasskeysResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn begin_passkey_assertion(
        &self,
        _: Request<BeginPasskeyAssertionRequest>,
    ) -> Answer<BeginPasskeyAssertionResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn remove_passkey(&self, _: Request<RemovePasskeyRequest>) -> Answer<RemovePasskeyResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn begin_passkey_login(
        &self,
        _: Request<BeginPasskeyLoginRequest>,
    ) -> Answer<BeginPasskeyLoginResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn finish_passkey_login(
        &self,
        _: Request<FinishPasskeyLoginRequest>,
    ) -> Answer<FinishPasskeyLoginResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Answer<ChangePasswordResponse> {
        self.note("ChangePassword", request).await?;
        Ok(Response::new(ChangePasswordResponse { revision: "1".into() }))
    }

    async fn request_password_reset(
        &self,
        request: Request<RequestPasswordResetRequest>,
    ) -> Answer<RequestPasswordResetResponse> {
        self.note("RequestPasswordReset", request).await?;
        Ok(Response::new(RequestPasswordResetResponse {}))
    }

    async fn reset_password(&self, request: Request<ResetPasswordRequest>) -> Answer<ResetPasswordResponse> {
        self.note("ResetPassword", request).await?;
        Ok(Response::new(ResetPasswordResponse { revision: "1".into() }))
    }

    async fn request_email_verification(
        &self,
        request: Request<RequestEmailVerificationRequest>,
    ) -> Answer<RequestEmailVerificationResponse> {
        self.note("RequestEmailVerification", request).await?;
        Ok(Response::new(RequestEmailVerificationResponse {}))
    }

    async fn verify_email(&self, request: Request<VerifyEmailRequest>) -> Answer<VerifyEmailResponse> {
        self.note("VerifyEmail", request).await?;
        Ok(Response::new(VerifyEmailResponse { revision: "1".into() }))
    }
}
