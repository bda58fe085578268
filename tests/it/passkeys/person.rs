//! A person who has a password and makes passkeys, and what they send.
use super::software::Software;
use crate::harness::client::{self, Authn, Metadata};
use crate::harness::world::{OWNER, bootstrap};
use crate::harness::{Database, Server, Settings};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::pb::v1::{
    BeginPasskeyAssertionRequest, BeginPasskeyLoginRequest, BeginPasskeyRegistrationRequest,
    CreateTenantRequest, FinishPasskeyLoginRequest, FinishPasskeyLoginResponse,
    FinishPasskeyRegistrationRequest, FinishPasskeyRegistrationResponse, LoginRequest, LoginResponse,
    RequestPasswordResetRequest, ResetPasswordRequest,
};
use serde_json::Value;
use std::time::{Duration, Instant};
use tonic::{Response, Status};

/// The relying party of every test.
pub const RP: &str = "example.com";
/// Its one page.
pub const ORIGIN: &str = "https://login.example.com";

/// A server with passkeys on, and its owner.
pub struct Place {
    pub server: Server,
    pub database: Database,
    pub owner: Person,
    key: String,
}

/// What somebody logs in with.
#[derive(Clone)]
pub struct Person {
    pub email: String,
    pub password: String,
}

/// These settings, passkeys not among them.
pub fn plain() -> Settings {
    Settings::default()
        .set("otlp.backend", "sink")
        .set("hashing.max_wait_ms", "60000")
        .set("mail.transport", "log")
        .set("people.link_base", "https://console.example.com")
}

/// These, and passkeys.
pub fn settings() -> Settings {
    plain().set("people.rp_id", RP).set("people.origins", ORIGIN)
}

impl Place {
    /// With passkeys.
    pub async fn start(database: Database) -> Self {
        Self::with(database, &settings()).await
    }

    pub async fn with(database: Database, settings: &Settings) -> Self {
        let block = bootstrap(&database).await;
        let text = |name: &str| block[name].as_str().unwrap().to_owned();
        let server = Server::serve(&database, settings).await;
        let owner = Person { email: OWNER.into(), password: text("owner_password") };
        Self { server, database, owner, key: text("api_key") }
    }

    /// A client without a credential.
    pub fn visitor(&self) -> Authn {
        client::authn(&self.server.api(), Metadata::none())
    }

    /// A client with an access token.
    pub fn of(&self, token: &str) -> Authn {
        client::authn(&self.server.api(), Metadata::bearer(token))
    }

    /// The first step of a login by password.
    pub async fn begin(&self, person: &Person) -> LoginResponse {
        let request = LoginRequest {
            email: person.email.clone(),
            password: person.password.clone(),
            ..Default::default()
        };
        self.visitor().login(request).await.unwrap().into_inner()
    }

    /// The access token of a login that needs no more than the password.
    pub async fn log_in(&self, person: &Person) -> String {
        let told = self.begin(person).await;
        assert!(!told.access_token.is_empty(), "it waits: {:?}", told.mfa_required.unwrap().methods);
        told.access_token
    }

    /// Somebody of another tenant, who has set their password by letter.
    pub async fn stranger(&self) -> Person {
        let person = Person { email: "owner@umbrella.test".into(), password: "long-fjord-kettle-97".into() };
        let request = CreateTenantRequest {
            slug: "umbrella".into(),
            owner_email: person.email.clone(),
            ..Default::default()
        };
        let mut tenancy = client::tenancy(&self.server.api(), Metadata::bearer(&self.key));
        tenancy.create_tenant(request).await.unwrap();
        let request = RequestPasswordResetRequest { email: person.email.clone() };
        self.visitor().request_password_reset(request).await.unwrap();
        let request =
            ResetPasswordRequest { token: self.letter().await, new_password: person.password.clone() };
        self.visitor().reset_password(request).await.unwrap();
        person
    }

    /// The token of the first letter with a link to a new password.
    async fn letter(&self) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some((_, rest)) = self.server.log().split_once("dwp_") {
                return format!("dwp_{}", rest.get(..38).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no letter came")
    }

    /// Asks for a registration in this session.
    pub async fn creation(&self, token: &str) -> Result<String, Status> {
        let request = BeginPasskeyRegistrationRequest::default();
        Ok(self.of(token).begin_passkey_registration(request).await?.into_inner().options_json)
    }

    /// Sends what the browser made.
    pub async fn registered(
        &self,
        token: &str,
        answer: &Value,
    ) -> Result<FinishPasskeyRegistrationResponse, Status> {
        let request = FinishPasskeyRegistrationRequest {
            credential_json: answer.to_string(),
            display_name: "the key".into(),
        };
        Ok(self.of(token).finish_passkey_registration(request).await?.into_inner())
    }

    /// A passkey of whoever's session this is.
    pub async fn register(&self, token: &str) -> (Software, FinishPasskeyRegistrationResponse) {
        let mut device = Software::new(RP, ORIGIN);
        let answer = device.create(&self.creation(token).await.unwrap());
        let made = self.registered(token, &answer).await.unwrap();
        (device, made)
    }

    /// What a login by passkey alone asks for.
    pub async fn request(&self) -> String {
        let asked = self.visitor().begin_passkey_login(BeginPasskeyLoginRequest {}).await.unwrap();
        asked.into_inner().options_json
    }

    /// Sends what the browser answered to that.
    pub async fn passkey_login(
        &self,
        answer: &Value,
    ) -> Result<Response<FinishPasskeyLoginResponse>, Status> {
        let request = FinishPasskeyLoginRequest { credential_json: answer.to_string(), ..Default::default() };
        self.visitor().finish_passkey_login(request).await
    }

    /// An answer to what is asked where a fresh factor is needed.
    pub async fn fresh(&self, token: &str, device: &mut Software) -> String {
        let asked = self.of(token).begin_passkey_assertion(BeginPasskeyAssertionRequest {}).await.unwrap();
        device.get(&asked.into_inner().options_json).to_string()
    }
}

/// What a token claims, unverified.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
