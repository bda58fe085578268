//! The part of `doorward.v1.AuthnService` that is about passkeys.

use super::people::{Told, WithDevice, codes, no_factor, told};
use crate::app::login::Factor;
use crate::app::passkey_login::PasskeyAttempt;
use crate::app::people::Visitor;
use crate::app::{App, Caller};
use crate::domain::passkeys::Passkey;
use crate::domain::{Failure, PasskeyId, Refusal};
use crate::pb::v1 as pb;
use crate::protocol::times::from_time;
use std::sync::Arc;

/// The handlers.
#[derive(Clone)]
pub struct Passkeys {
    app: Arc<App>,
}

impl Passkeys {
    /// Handlers over this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    pub async fn begin_registration(
        &self,
        caller: &Caller,
        asked: pb::BeginPasskeyRegistrationRequest,
    ) -> Result<pb::BeginPasskeyRegistrationResponse, Failure> {
        use pb::begin_passkey_registration_request::Factor as Asked;
        let factor = asked.factor.map(|factor| match factor {
            Asked::TotpCode(code) => Factor::Totp(code),
            Asked::BackupCode(code) => Factor::BackupCode(code),
            Asked::PasskeyJson(answer) => Factor::Passkey(answer),
        });
        let told = self.app.passkey_begin_registration(caller, asked.password, factor).await?;
        let expire_time = Some(from_time(told.expire));
        Ok(pb::BeginPasskeyRegistrationResponse { options_json: told.options, expire_time })
    }

    pub async fn finish_registration(
        &self,
        caller: &Caller,
        asked: &pb::FinishPasskeyRegistrationRequest,
    ) -> Result<pb::FinishPasskeyRegistrationResponse, Failure> {
        let (answer, name) = (&asked.credential_json, &asked.display_name);
        let written = self.app.passkey_finish_registration(caller, answer, name).await?;
        Ok(pb::FinishPasskeyRegistrationResponse {
            passkey: Some(shown(&written.value.passkey)),
            backup_codes: codes(&written.value.codes),
            revision: written.revision.to_string(),
        })
    }

    pub async fn list(&self, caller: &Caller) -> Result<pb::ListPasskeysResponse, Failure> {
        let passkeys = self.app.passkey_list(caller).await?;
        Ok(pb::ListPasskeysResponse { passkeys: passkeys.iter().map(shown).collect() })
    }

    pub async fn begin_assertion(
        &self,
        caller: &Caller,
    ) -> Result<pb::BeginPasskeyAssertionResponse, Failure> {
        let told = self.app.passkey_begin_assertion(caller).await?;
        let expire_time = Some(from_time(told.expire));
        Ok(pb::BeginPasskeyAssertionResponse { options_json: told.options, expire_time })
    }

    pub async fn remove(
        &self,
        caller: &Caller,
        asked: pb::RemovePasskeyRequest,
    ) -> Result<pb::RemovePasskeyResponse, Failure> {
        use pb::remove_passkey_request::Factor as Asked;
        let id = asked.id.parse::<PasskeyId>();
        let id = id.map_err(|error| Refusal::invalid("id", error.to_string()))?;
        let factor = match asked.factor {
            Some(Asked::TotpCode(code)) => Factor::Totp(code),
            Some(Asked::BackupCode(code)) => Factor::BackupCode(code),
            Some(Asked::PasskeyJson(answer)) => Factor::Passkey(answer),
            None => return Err(no_factor().into()),
        };
        let written = self.app.passkey_remove(caller, id, factor).await?;
        Ok(pb::RemovePasskeyResponse { revision: written.revision.to_string() })
    }

    pub fn begin_login(&self) -> Result<pb::BeginPasskeyLoginResponse, Failure> {
        let told = self.app.passkey_begin_login()?;
        let expire_time = Some(from_time(told.expire));
        Ok(pb::BeginPasskeyLoginResponse { options_json: told.options, expire_time })
    }

    pub async fn finish_login(
        &self,
        visitor: &Visitor,
        asked: pb::FinishPasskeyLoginRequest,
    ) -> Result<WithDevice<pb::FinishPasskeyLoginResponse>, Failure> {
        let said = |text: String| (!text.is_empty()).then_some(text);
        let attempt = PasskeyAttempt {
            answer: asked.credential_json,
            tenant: said(asked.tenant_id),
            device_token: said(asked.device_token),
            device_name: said(asked.device_name),
        };
        let tokens = self.app.passkey_login(visitor, attempt).await?;
        let Told { access_token, refresh_token, token_type, expires_in, user } = told(&tokens);
        let answer =
            pb::FinishPasskeyLoginResponse { access_token, refresh_token, token_type, expires_in, user };
        Ok(WithDevice { answer, device: tokens.device })
    }
}

fn shown(passkey: &Passkey) -> pb::Passkey {
    pb::Passkey {
        id: passkey.id.to_string(),
        display_name: passkey.name.clone(),
        create_time: Some(from_time(passkey.create_time)),
        last_used_time: passkey.last_used.map(from_time),
        backed_up: passkey.backed_up,
    }
}
