//! The half of `doorward.v1.AuthnService` that is for people: logins, sessions,
//! second factors, passwords.

use super::shapes::page;
use crate::app::login::{Factor, LoginAttempt, Outcome, Tokens};
use crate::app::people::Visitor;
use crate::app::{App, Caller};
use crate::domain::paging::Page;
use crate::domain::sessions::Session;
use crate::domain::{Failure, Refusal, SessionId};
use crate::pb::v1 as pb;
use crate::protocol::times::from_time;
use crate::secret::BackupCode;
use std::sync::Arc;
use tonic::metadata::{MetadataMap, MetadataValue};

/// Where an answer has what makes a device known at its next login.
const DEVICE_TOKEN: &str = "doorward-device-token";

/// The handlers.
#[derive(Clone)]
pub struct People {
    app: Arc<App>,
}

/// An answer, and what goes into its headers.
pub struct WithDevice<T> {
    pub answer: T,
    pub device: Option<crate::secret::Bearer>,
}

impl<T> WithDevice<T> {
    /// The answer with the device's token in its headers.
    pub fn respond(self) -> tonic::Response<T> {
        let mut response = tonic::Response::new(self.answer);
        put_device(response.metadata_mut(), self.device.as_ref());
        response
    }
}

fn put_device(metadata: &mut MetadataMap, device: Option<&crate::secret::Bearer>) {
    let value = device.map(|device| MetadataValue::try_from(device.reveal()));
    if let Some(Ok(mut value)) = value {
        value.set_sensitive(true);
        metadata.insert(DEVICE_TOKEN, value);
    }
}

impl People {
    /// Handlers over this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn login(
        &self,
        visitor: &Visitor,
        asked: pb::LoginRequest,
    ) -> Result<WithDevice<pb::LoginResponse>, Failure> {
        let said = |text: String| (!text.is_empty()).then_some(text);
        let attempt = LoginAttempt {
            email: asked.email,
            password: asked.password,
            tenant: said(asked.tenant_id),
            totp: said(asked.totp_code),
            device_token: said(asked.device_token),
            device_name: said(asked.device_name),
        };
        let answer = match self.app.login_counted(visitor, attempt).await? {
            Outcome::Complete(tokens) => {
                let Told { access_token, refresh_token, token_type, expires_in, user } = told(&tokens);
                let mfa_required = None;
                let answer = pb::LoginResponse {
                    access_token,
                    refresh_token,
                    token_type,
                    expires_in,
                    user,
                    mfa_required,
                };
                return Ok(WithDevice { answer, device: tokens.device });
            }
            Outcome::Waiting(waiting) => pb::MfaRequired {
                challenge: waiting.challenge.reveal().to_owned(),
                methods: waiting.methods.into_iter().map(str::to_owned).collect(),
                expire_time: Some(from_time(waiting.expire)),
                passkey_options_json: waiting.passkey_options.unwrap_or_default(),
            },
        };
        let answer = pb::LoginResponse { mfa_required: Some(answer), ..pb::LoginResponse::default() };
        Ok(WithDevice { answer, device: None })
    }

    pub async fn complete_login(
        &self,
        visitor: &Visitor,
        asked: pb::CompleteLoginRequest,
    ) -> Result<WithDevice<pb::CompleteLoginResponse>, Failure> {
        use pb::complete_login_request::Factor as Asked;
        let factor = match asked.factor {
            Some(Asked::TotpCode(code)) => Factor::Totp(code),
            Some(Asked::BackupCode(code)) => Factor::BackupCode(code),
            Some(Asked::PasskeyJson(answer)) => Factor::Passkey(answer),
            None => return Err(no_factor().into()),
        };
        let tokens = self.app.complete_login_counted(visitor, &asked.challenge, factor).await?;
        let Told { access_token, refresh_token, token_type, expires_in, user } = told(&tokens);
        let answer = pb::CompleteLoginResponse { access_token, refresh_token, token_type, expires_in, user };
        Ok(WithDevice { answer, device: tokens.device })
    }

    pub async fn refresh(
        &self,
        visitor: &Visitor,
        asked: &pb::RefreshSessionRequest,
    ) -> Result<pb::RefreshSessionResponse, Failure> {
        let tokens = self.app.session_refresh(visitor, &asked.refresh_token).await?;
        let Told { access_token, refresh_token, token_type, expires_in, user } = told(&tokens);
        Ok(pb::RefreshSessionResponse { access_token, refresh_token, token_type, expires_in, user })
    }

    pub async fn logout(
        &self,
        caller: Option<&Caller>,
        visitor: &Visitor,
        asked: &pb::LogoutRequest,
    ) -> Result<pb::LogoutResponse, Failure> {
        let refresh = Some(asked.refresh_token.as_str()).filter(|token| !token.is_empty());
        let written = self.app.session_logout(caller, visitor, refresh).await?;
        Ok(pb::LogoutResponse { revision: written.revision.to_string() })
    }

    pub async fn list_sessions(
        &self,
        caller: &Caller,
        asked: &pb::ListSessionsRequest,
    ) -> Result<pb::ListSessionsResponse, Failure> {
        const LIST: &str = "sessions";
        let page = page(asked.page_size, &asked.page_token, LIST)?;
        let (sessions, more) = self.app.session_list(caller, page).await?;
        let last = sessions.last().filter(|_| more);
        let own = caller.verified.credential.session();
        Ok(pb::ListSessionsResponse {
            next_page_token: last.map(|last| Page::token(last.state.id.as_bytes(), LIST)).unwrap_or_default(),
            sessions: sessions.iter().map(|session| shown(session, own)).collect(),
        })
    }

    pub async fn revoke_session(
        &self,
        caller: &Caller,
        asked: &pb::RevokeSessionRequest,
    ) -> Result<pb::RevokeSessionResponse, Failure> {
        let id = asked.id.parse::<SessionId>();
        let id = id.map_err(|error| Refusal::invalid("id", error.to_string()))?;
        let written = self.app.session_revoke(caller, id).await?;
        Ok(pb::RevokeSessionResponse { revision: written.revision.to_string() })
    }

    pub async fn revoke_all_sessions(
        &self,
        caller: &Caller,
        asked: pb::RevokeAllSessionsRequest,
    ) -> Result<pb::RevokeAllSessionsResponse, Failure> {
        let written = self.app.session_revoke_all(caller, asked.keep_current).await?;
        Ok(pb::RevokeAllSessionsResponse {
            revoked_count: i32::try_from(written.value).unwrap_or(i32::MAX),
            revision: written.revision.to_string(),
        })
    }

    pub async fn enroll_totp(
        &self,
        caller: &Caller,
        asked: pb::EnrollTotpRequest,
    ) -> Result<pb::EnrollTotpResponse, Failure> {
        let enrolment = self.app.totp_enroll(caller, asked.password).await?;
        Ok(pb::EnrollTotpResponse {
            secret: enrolment.secret.to_string(),
            otpauth_uri: enrolment.uri.to_string(),
            qr_svg: enrolment.qr_svg.to_string(),
        })
    }

    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        asked: &pb::ConfirmTotpRequest,
    ) -> Result<pb::ConfirmTotpResponse, Failure> {
        let written = self.app.totp_confirm(caller, &asked.code).await?;
        let revision = written.revision.to_string();
        Ok(pb::ConfirmTotpResponse { backup_codes: codes(&written.value), revision })
    }

    pub async fn disable_totp(
        &self,
        caller: &Caller,
        asked: pb::DisableTotpRequest,
    ) -> Result<pb::DisableTotpResponse, Failure> {
        use pb::disable_totp_request::Factor as Asked;
        let factor = match asked.factor {
            Some(Asked::TotpCode(code)) => Factor::Totp(code),
            Some(Asked::BackupCode(code)) => Factor::BackupCode(code),
            Some(Asked::PasskeyJson(answer)) => Factor::Passkey(answer),
            None => return Err(no_factor().into()),
        };
        let written = self.app.totp_disable(caller, factor).await?;
        Ok(pb::DisableTotpResponse { revision: written.revision.to_string() })
    }

    pub async fn regenerate_backup_codes(
        &self,
        caller: &Caller,
        asked: pb::RegenerateBackupCodesRequest,
    ) -> Result<pb::RegenerateBackupCodesResponse, Failure> {
        let factor = match (asked.totp_code.is_empty(), asked.passkey_json.is_empty()) {
            (false, true) => Factor::Totp(asked.totp_code),
            (true, false) => Factor::Passkey(asked.passkey_json),
            (true, true) | (false, false) => return Err(no_factor().into()),
        };
        let written = self.app.backup_codes_regenerate(caller, factor).await?;
        let revision = written.revision.to_string();
        Ok(pb::RegenerateBackupCodesResponse { backup_codes: codes(&written.value), revision })
    }

    pub async fn change_password(
        &self,
        caller: &Caller,
        asked: pb::ChangePasswordRequest,
    ) -> Result<pb::ChangePasswordResponse, Failure> {
        let change = self.app.password_change(caller, asked.current_password, asked.new_password);
        Ok(pb::ChangePasswordResponse { revision: change.await?.revision.to_string() })
    }

    pub async fn request_password_reset(
        &self,
        visitor: &Visitor,
        asked: &pb::RequestPasswordResetRequest,
    ) -> Result<pb::RequestPasswordResetResponse, Failure> {
        self.app.password_request_reset(visitor, &asked.email).await?;
        Ok(pb::RequestPasswordResetResponse {})
    }

    pub async fn reset_password(
        &self,
        visitor: &Visitor,
        asked: pb::ResetPasswordRequest,
    ) -> Result<pb::ResetPasswordResponse, Failure> {
        let reset = self.app.password_reset(visitor, &asked.token, asked.new_password);
        Ok(pb::ResetPasswordResponse { revision: reset.await?.revision.to_string() })
    }

    pub async fn request_email_verification(
        &self,
        caller: &Caller,
    ) -> Result<pb::RequestEmailVerificationResponse, Failure> {
        self.app.email_request_verification(caller).await?;
        Ok(pb::RequestEmailVerificationResponse {})
    }

    pub async fn verify_email(
        &self,
        visitor: &Visitor,
        asked: &pb::VerifyEmailRequest,
    ) -> Result<pb::VerifyEmailResponse, Failure> {
        let written = self.app.email_verify(visitor, &asked.token).await?;
        Ok(pb::VerifyEmailResponse { revision: written.revision.to_string() })
    }
}

/// What all answers with tokens have.
pub(super) struct Told {
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: String,
    pub expires_in: i32,
    pub user: Option<pb::LoginUser>,
}

pub(super) fn told(tokens: &Tokens) -> Told {
    Told {
        access_token: tokens.access.reveal().to_owned(),
        refresh_token: tokens.refresh.reveal().to_owned(),
        token_type: "Bearer".into(),
        expires_in: i32::try_from(tokens.access_life.as_secs()).unwrap_or(i32::MAX),
        user: Some(pb::LoginUser {
            id: tokens.session.state.user.to_string(),
            email: tokens.email.as_str().to_owned(),
            role: tokens.role.clone(),
            tenant_id: tokens.session.state.tenant.to_string(),
        }),
    }
}

fn shown(session: &Session, own: Option<SessionId>) -> pb::Session {
    pb::Session {
        id: session.state.id.to_string(),
        device: session.device.clone(),
        address: session.address.map(|address| address.to_string()).unwrap_or_default(),
        create_time: Some(from_time(session.create_time)),
        last_seen_time: Some(from_time(session.last_seen)),
        expire_time: Some(from_time(session.state.expire)),
        auth_methods: session.methods.names().map(str::to_owned).collect(),
        current: own == Some(session.state.id),
    }
}

pub(super) fn codes(codes: &[BackupCode]) -> Vec<String> {
    codes.iter().map(|code| code.reveal().to_string()).collect()
}

pub(super) fn no_factor() -> Refusal {
    Refusal::invalid("factor", "give totp_code, backup_code or passkey_json")
}
