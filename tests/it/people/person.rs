//! A person with a password and, later, an authenticator; and what a token opens.
use crate::harness::client::{self, Authn, Metadata};
use crate::harness::world::OWNER;
use crate::harness::{Settings, World, rest};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    ConfirmTotpRequest, EnrollTotpRequest, LoginRequest, LoginResponse, MfaRequired, RefreshSessionRequest,
    RefreshSessionResponse, VerifyCredentialRequest, WhoAmIRequest,
};
use http::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tonic::{Response, Status};
use tonic_types::StatusExt;

/// Seconds that a code lasts (RFC 6238 §5.2).
const PERIOD: u64 = 30;

/// Nobody is sent away because a busy machine hashes slowly.
pub fn settings() -> Settings {
    Settings::default().set("otlp.backend", "sink").set("hashing.max_wait_ms", "60000")
}

/// A world of these settings.
pub async fn world(database: crate::harness::Database) -> World {
    World::with(database, settings()).await
}

/// A client without any credential.
pub fn visitor(world: &World) -> Authn {
    client::authn(&world.server.api(), Metadata::none())
}

/// What the owner logs in with.
pub fn owner(world: &World) -> LoginRequest {
    LoginRequest { email: OWNER.into(), password: world.password.clone(), ..Default::default() }
}

/// What a login gave.
#[derive(Clone, Debug)]
pub struct Login {
    pub access: String,
    pub refresh: String,
    /// What makes the device known; none where it was.
    pub device: Option<String>,
}

impl Login {
    /// What the answer has; the login must be complete.
    pub fn of(answer: Response<LoginResponse>) -> Self {
        let device = answer.metadata().get("doorward-device-token");
        let device = device.map(|token| token.to_str().unwrap().to_owned());
        let told = answer.into_inner();
        assert!(told.mfa_required.is_none() && !told.access_token.is_empty(), "it waits: {told:?}");
        Self { access: told.access_token, refresh: told.refresh_token, device }
    }

    /// The session, as its token says.
    pub fn session(&self) -> String {
        claims(&self.access)["sid"].as_str().unwrap().to_owned()
    }
}

/// Logs the owner in.
pub async fn log_in(world: &World) -> Login {
    Login::of(visitor(world).login(owner(world)).await.unwrap())
}

/// Logs somebody in at another replica.
pub async fn log_in_at(address: &str, request: LoginRequest) -> Login {
    Login::of(client::authn(address, Metadata::none()).login(request).await.unwrap())
}

/// Logs the owner in as far as the second factor.
pub async fn begin(world: &World, request: LoginRequest) -> MfaRequired {
    let told = visitor(world).login(request).await.unwrap().into_inner();
    assert_eq!((told.access_token.as_str(), told.refresh_token.as_str(), told.user), ("", "", None));
    told.mfa_required.expect("no second factor is asked for")
}

/// Changes a refresh token for fresh tokens.
pub async fn refresh(address: &str, token: &str) -> Result<RefreshSessionResponse, Status> {
    let request = RefreshSessionRequest { refresh_token: token.to_owned() };
    Ok(client::authn(address, Metadata::none()).refresh_session(request).await?.into_inner())
}

/// The reason of a refusal; "" where it is none of ours.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// What each door says of a token: nothing if it opens, else why not. They must agree.
pub async fn refused_by(address: &str, asker: &str, token: &str) -> Option<String> {
    let who = client::authn(address, Metadata::bearer(token)).who_am_i(WhoAmIRequest {}).await;
    let grpc = who.err().map(|status| reason(&status));
    let answer = rest::call(address, token, Method::GET, "/v1/auth/me", &Value::Null).await;
    let over_rest =
        (answer.status != 200).then(|| answer.json()["error"]["code"].as_str().unwrap().to_owned());
    let question = VerifyCredentialRequest { credential: token.to_owned(), ..Default::default() };
    let asked = client::authn(address, Metadata::bearer(asker)).verify_credential(question).await;
    let asked = match asked.unwrap().into_inner().outcome.unwrap() {
        Outcome::Principal(_) => None,
        Outcome::Denial(denial) => {
            Some(denial.reason().as_str_name().trim_start_matches("ERROR_REASON_").to_owned())
        }
    };
    assert_eq!((&grpc, &grpc), (&over_rest, &asked), "the doors disagree");
    grpc
}

/// The same, asked at the world's own server by the owner's key.
pub async fn refused(world: &World, token: &str) -> Option<String> {
    refused_by(&world.server.api(), &world.owner, token).await
}

/// Asserts that the token opens every door.
pub async fn opens(world: &World, token: &str) {
    assert_eq!(refused(world, token).await, None);
}

/// Asserts that its session has ended.
pub async fn has_ended(world: &World, token: &str) {
    assert_eq!(refused(world, token).await.as_deref(), Some("SESSION_REVOKED"));
}

/// What a token claims, unverified.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// A part of a token as JSON: 0 is the header, 1 what it claims.
pub fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Calls REST without a credential.
pub async fn post(world: &World, path: &str, body: &Value) -> rest::Answer {
    let headers = [("content-type", "application/json"), ("user-agent", "the-tests/1")];
    let request = rest::request(Method::POST, path, &headers, body.to_string().into());
    rest::send(&world.server.api(), request).await.unwrap()
}

/// The body of a login over REST.
pub fn login_body(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

/// Where the server puts its letters.
pub struct Mailbox(TempDir);

impl Mailbox {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Settings of a server that writes letters into it.
    pub fn settings(&self) -> Settings {
        settings()
            .set("mail.transport", "file")
            .set("mail.folder", self.0.path().to_str().unwrap())
            .set("people.link_base", "https://id.example.test/console")
    }

    /// Every letter that is there.
    pub fn letters(&self) -> Vec<(PathBuf, String)> {
        let files = std::fs::read_dir(self.0.path()).unwrap().map(|file| file.unwrap().path());
        let whole = files.filter(|file| file.extension().is_some_and(|end| end == "eml"));
        let mut letters: Vec<_> =
            whole.map(|file| (file.clone(), unfolded(&std::fs::read_to_string(file).unwrap()))).collect();
        letters.sort();
        letters
    }

    /// Waits for a letter with a link to this page; takes it away and gives the link's token.
    pub async fn token(&self, page: &str) -> String {
        let link = format!("https://id.example.test/console/{page}#token=");
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            for (file, text) in self.letters() {
                if let Some((_, rest)) = text.split_once(&link) {
                    std::fs::remove_file(file).unwrap();
                    return rest.split_whitespace().next().unwrap().to_owned();
                }
            }
            assert!(Instant::now() < end, "no letter with a link to {page}: {:?}", self.letters());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A letter as its reader sees it: long lines are sent quoted-printable (RFC 2045 §6.7).
fn unfolded(letter: &str) -> String {
    letter.replace("=\r\n", "").replace("=3D", "=")
}

/// An authenticator of our own, by RFC 6238 and RFC 4226 alone.
pub struct Authenticator {
    secret: Vec<u8>,
    /// The last step of which a code was given away.
    last: u64,
}

impl Authenticator {
    /// One that was given this secret in Base32.
    pub fn new(base32: &str) -> Self {
        let (mut bits, mut held, mut secret) = (0_u32, 0, Vec::new());
        for letter in base32.bytes() {
            let value =
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
            bits = bits << 5 | u32::try_from(value).unwrap();
            held += 5;
            if held >= 8 {
                held -= 8;
                secret.push(u8::try_from(bits >> held & 0xff).unwrap());
            }
        }
        Self { secret, last: 0 }
    }

    /// A code that was not given before: of this step, or of the next one, which is accepted by now;
    /// else after a wait.
    pub async fn next(&mut self) -> String {
        let step = loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / PERIOD;
            let step = now.max(self.last + 1);
            if step <= now + 1 {
                break step;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        self.last = step;
        self.code(step)
    }

    /// A code that is none.
    pub fn wrong(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / PERIOD;
        let good: Vec<String> = (now - 3..now + 10).map(|step| self.code(step)).collect();
        (0..1_000_000).map(|code| format!("{code:06}")).find(|code| !good.contains(code)).unwrap()
    }

    fn code(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let mac = hmac::sign(&key, &step.to_be_bytes());
        let mac = mac.as_ref();
        let at = usize::from(mac[19] & 0xf);
        let cut = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", cut % 1_000_000)
    }
}

/// Enrols an authenticator; gives it and the backup codes.
pub async fn enrol(world: &World, token: &str) -> (Authenticator, Vec<String>) {
    let mut authn = world.authn_as(token);
    let told = authn.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner();
    let mut authenticator = Authenticator::new(&told.secret);
    let request = ConfirmTotpRequest { code: authenticator.next().await };
    let told = authn.confirm_totp(request).await.unwrap().into_inner();
    (authenticator, told.backup_codes)
}

#[test]
fn the_authenticator_computes_what_the_standard_says() {
    // RFC 6238 appendix B, the last six digits.
    let authenticator = Authenticator::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
        assert_eq!(authenticator.code(time / PERIOD), code);
    }
}
