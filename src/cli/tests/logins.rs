//! Logging in and out, the kept login, and its refreshing.

use super::fake::{Fake, refused};
use super::*;
use crate::cli::prompt::Terminal;
use crate::pb::v1::complete_login_request::Factor;
use prost::Message;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use tempfile::TempDir;
use zeroize::Zeroizing;

pub const EMAIL: &str = "o@acme.example";
pub const PASSWORD: &str = "planted pass word";

/// Somebody at a terminal with answers ready.
struct Script {
    answers: VecDeque<&'static str>,
    hidden: Arc<Mutex<Vec<bool>>>,
}

impl Terminal for Script {
    fn line(&mut self, hidden: bool) -> std::io::Result<Option<Zeroizing<String>>> {
        self.hidden.lock().unwrap().push(hidden);
        Ok(self.answers.pop_front().map(|answer| Zeroizing::new(answer.to_owned())))
    }
}

/// A person with a home on this machine, and a server.
pub struct Person {
    pub fake: Fake,
    pub address: String,
    home: TempDir,
    hidden: Arc<Mutex<Vec<bool>>>,
}

impl Person {
    pub async fn of(fake: Fake) -> Self {
        let address = fake.serve().await;
        Self { fake, address, home: tempfile::tempdir().unwrap(), hidden: Arc::default() }
    }

    /// Somebody whose access token ends at `end`, in seconds; now is 0.
    pub async fn logged_in(fake: Fake, end: i64) -> Self {
        let person = Self::of(fake).await;
        let mut file = person.login_file();
        file["expire_time"] = json!(jiff::Timestamp::from_second(end).unwrap().to_string());
        std::fs::create_dir_all(person.file().parent().unwrap()).unwrap();
        std::fs::write(person.file(), file.to_string()).unwrap();
        person.chmod(0o600);
        person
    }

    fn login_file(&self) -> Value {
        json!({
            "address": format!("http://{}", self.address),
            "access_token": "planted-access-0",
            "refresh_token": "planted-refresh-0",
            "device_token": "planted-device-0",
            "user": {"id": "user_1", "email": EMAIL, "role": "owner", "tenant_id": "tenant_1"},
        })
    }

    pub fn file(&self) -> PathBuf {
        let name = format!("http-{}.json", self.address.replace(':', "_"));
        self.home.path().join(".config/doorward").join(name)
    }

    pub fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }

    fn chmod(&self, mode: u32) {
        std::fs::set_permissions(self.file(), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn home(&self) -> (&'static str, &str) {
        ("HOME", self.home.path().to_str().unwrap())
    }

    /// Runs a line with standard input that is no terminal.
    pub async fn pipes(&self, line: &str, input: &str) -> Ran {
        without_secrets(run_with(line, &self.address, &[self.home()], input).await)
    }

    /// Runs a line with answers to what is asked.
    pub async fn types(&self, line: &str, answers: &[&'static str]) -> Ran {
        let answers = answers.iter().copied().collect();
        let terminal = Box::new(Script { answers, hidden: self.hidden.clone() });
        run_at(line, &self.address, &[self.home()], "", Some(terminal)).await
    }

    pub fn asked<M: Message + Default>(&self, at: usize, method: &str) -> M {
        let asked = self.fake.asked.lock().unwrap();
        assert_eq!(asked[at].method, method, "{asked:?}");
        M::decode(asked[at].body.as_slice()).unwrap()
    }

    pub fn authorization(&self, at: usize) -> Option<String> {
        let asked = self.fake.asked.lock().unwrap();
        asked[at].metadata.get("authorization").map(|value| value.to_str().unwrap().to_owned())
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub fn without_secrets(ran: Ran) -> Ran {
    assert!(!ran.out.contains("planted") && !ran.err.contains("planted"), "{}{}", ran.out, ran.err);
    ran
}

pub fn done(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran
}

#[tokio::test]
async fn login_asks_keeps_the_tokens_and_tells_who() {
    let person = Person::of(Fake::default()).await;
    let ran = done(without_secrets(person.types("login --tenant acme", &[EMAIL, PASSWORD]).await));
    for part in [EMAIL, "tenant_1", "owner"] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    assert!(ran.err.starts_with("E-mail address: Password: \n"), "{}", ran.err);
    assert_eq!(*person.hidden.lock().unwrap(), [false, true]);

    let request: LoginRequest = person.asked(0, "Login");
    assert_eq!((request.email.as_str(), request.password.as_str()), (EMAIL, PASSWORD));
    assert_eq!((request.tenant_id.as_str(), request.totp_code.as_str()), ("acme", ""));
    assert!(request.device_name.starts_with("doorward on ") && request.device_token.is_empty());
    let asked = person.fake.asked.lock().unwrap()[0].clone();
    assert!(asked.metadata.get("authorization").is_none() && asked.metadata.get("x-tenant-id").is_none());

    assert_eq!((mode(&person.file()), mode(person.file().parent().unwrap())), (0o600, 0o700));
    let mut expected = person.login_file();
    expected["device_token"] = json!("planted-device-1");
    expected["expire_time"] = json!("1970-01-01T00:15:00Z");
    assert_eq!(person.kept(), expected);
}

#[tokio::test]
async fn login_takes_the_password_from_standard_input_and_json_has_no_secret() {
    let person = Person::of(Fake::default()).await;
    let line = format!("login --email {EMAIL} --password-stdin --totp 123456 --output json");
    let ran = done(person.pipes(&line, &format!("{PASSWORD}\nmore\n")).await);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json, json!({"id": "user_1", "email": EMAIL, "role": "owner", "tenant_id": "tenant_1"}));
    let request: LoginRequest = person.asked(0, "Login");
    assert_eq!((request.password.as_str(), request.totp_code.as_str()), (PASSWORD, "123456"));
    assert!(person.file().exists());
}

#[tokio::test]
async fn where_nobody_can_be_asked_nothing_is_sent() {
    let person = Person::of(Fake::default()).await;
    for (line, part) in
        [("login --email o@acme.example", "--password-stdin"), ("login --password-stdin", "--email")]
    {
        let ran = person.pipes(line, PASSWORD).await;
        assert_eq!(ran.code, 2, "{line}");
        assert!(ran.err.contains(part), "{line}: {}", ran.err);
    }
    let ran = person.pipes(&format!("login --email {EMAIL} --password-stdin"), "").await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    let ran = person.types("login", &[EMAIL]).await;
    assert!(ran.code == 1 && ran.err.ends_with("error: cancelled\n"), "{}", ran.err);
    assert!(person.fake.methods().is_empty());
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_may_be_mistyped() {
    let person = Person::of(Fake { mfa: true, ..Fake::default() }).await;
    let wrong = || refused(Code::Unauthenticated, "INVALID_LOGIN");
    let ran = person.types("login", &[EMAIL, PASSWORD, "12 34 56"]).await;
    done(without_secrets(ran));
    let request: CompleteLoginRequest = person.asked(1, "CompleteLogin");
    assert_eq!(request.challenge, "planted-challenge");
    assert_eq!(request.factor, Some(Factor::TotpCode("123456".into())));
    assert_eq!(person.kept()["device_token"], "planted-device-2");

    person.fake.refuse_after(1, [wrong(), wrong()]);
    let ran = person.types("login", &[EMAIL, PASSWORD, "111111", "222222", "abcd-efgh"]).await;
    let ran = done(without_secrets(ran));
    assert_eq!(ran.err.matches("No: INVALID_LOGIN.").count(), 2, "{}", ran.err);
    let request: CompleteLoginRequest = person.asked(5, "CompleteLogin");
    assert_eq!(request.factor, Some(Factor::BackupCode("abcd-efgh".into())));

    person.fake.refuse_after(1, [wrong(), wrong(), wrong()]);
    let ran = person.types("login", &[EMAIL, PASSWORD, "111111", "222222", "333333", "444444"]).await;
    assert_eq!((ran.code, person.fake.methods().len()), (1, 10), "{}", ran.err);
}

#[tokio::test]
async fn a_second_factor_that_cannot_be_asked_for_is_named() {
    let person = Person::of(Fake { mfa: true, ..Fake::default() }).await;
    let ran = person.pipes(&format!("login --email {EMAIL} --password-stdin"), PASSWORD).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--totp CODE"), "{}", ran.err);
    assert!(!person.file().exists());
}

#[tokio::test]
async fn a_wrong_password_keeps_nothing_and_says_what_to_do() {
    let person = Person::of(Fake::default()).await;
    person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, "INVALID_LOGIN"));
    let ran = without_secrets(person.types("login", &[EMAIL, PASSWORD]).await);
    assert_eq!((ran.code, person.fake.methods().len()), (1, 1));
    assert!(ran.err.contains("doorward password reset"), "{}", ran.err);
    assert!(!person.file().exists());
}

#[tokio::test]
async fn the_device_is_known_again_after_a_logout() {
    let person = Person::logged_in(Fake::default(), 900).await;
    let ran = done(person.pipes("logout", "").await);
    assert!(ran.out.is_empty() && ran.err.contains("logged out"), "{}", ran.err);
    let request: LogoutRequest = person.asked(0, "Logout");
    assert_eq!(request.refresh_token, "planted-refresh-0");
    assert_eq!(person.authorization(0), None, "an access token that is over would be refused");
    let address = format!("http://{}", person.address);
    assert_eq!(person.kept(), json!({"address": address, "device_token": "planted-device-0"}));
    assert_eq!(mode(&person.file()), 0o600);

    let ran = person.pipes("whoami", "").await;
    assert!(ran.code == 1 && ran.err.contains("`doorward login`"), "{}", ran.err);
    done(person.pipes("logout --output json", "").await);
    assert_eq!(person.fake.methods(), ["Logout"]);

    done(person.types("login", &[EMAIL, PASSWORD]).await);
    let request: LoginRequest = person.asked(1, "Login");
    assert_eq!(request.device_token, "planted-device-0");
    assert_eq!(person.kept()["device_token"], "planted-device-1");
}

#[tokio::test]
async fn a_session_that_was_over_is_forgotten_but_an_outage_forgets_nothing() {
    for (status, forgotten) in [
        (refused(Code::Unauthenticated, "SESSION_REVOKED"), true),
        (refused(Code::Unauthenticated, "INVALID_TOKEN"), true),
        (refused(Code::Unauthenticated, "TOKEN_EXPIRED"), true),
        (refused(Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED"), false),
        (Status::internal("broken"), false),
    ] {
        let person = Person::logged_in(Fake::default(), 900).await;
        person.fake.refusals.lock().unwrap().push_back(status.clone());
        let ran = person.pipes("logout", "").await;
        assert_eq!(ran.code == 0, forgotten, "{status:?}: {}", ran.err);
        assert_eq!(person.kept().get("refresh_token").is_none(), forgotten, "{status:?}");
        let path = person.file().display().to_string();
        assert!(forgotten || ran.err.contains(&path), "{}", ran.err);
    }
}

#[tokio::test]
async fn whoami_stands_on_the_login_unless_there_is_a_key() {
    let person = Person::logged_in(Fake::default(), 900).await;
    assert!(done(person.pipes("whoami", "").await).out.contains("owner"));
    assert_eq!(person.authorization(0).unwrap(), "Bearer planted-access-0");
    let environment = [person.home(), (KEY_VARIABLE, KEY)];
    assert_eq!(run_with("whoami", &person.address, &environment, "").await.code, 0);
    assert_eq!(person.authorization(1).unwrap(), format!("Bearer {KEY}"));
    assert_eq!(person.fake.methods(), ["WhoAmI", "WhoAmI"], "neither needed a refresh");

    let other = Fake::default();
    let ran = run_with("whoami", &other.serve().await, &[person.home()], "").await;
    assert!(ran.code == 1 && other.methods().is_empty(), "another server gets nothing");
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused_with_how_to_mend_it() {
    let person = Person::logged_in(Fake::default(), 900).await;
    for mode in [0o644, 0o640, 0o660] {
        person.chmod(mode);
        for line in ["whoami", "logout", "session list"] {
            let ran = person.pipes(line, "").await;
            assert_eq!(ran.code, 1, "{line}");
            assert!(ran.err.contains(&format!("chmod 600 {}", person.file().display())), "{}", ran.err);
        }
        let ran = person.types("login", &[EMAIL, PASSWORD]).await;
        assert!(ran.code == 1 && ran.err.contains("chmod 600"), "{}", ran.err);
    }
    assert!(person.fake.methods().is_empty());
    person.chmod(0o600);
    done(person.pipes("whoami", "").await);
}

#[tokio::test]
async fn a_token_near_its_end_is_changed_before_it_is_used() {
    for (end, fresh) in [(31, false), (30, true), (-5, true)] {
        let person = Person::logged_in(Fake::default(), end).await;
        done(person.pipes("whoami", "").await);
        let expected: &[&str] = if fresh { &["RefreshSession", "WhoAmI"] } else { &["WhoAmI"] };
        assert_eq!(person.fake.methods(), expected, "{end}");
        if fresh {
            let request: RefreshSessionRequest = person.asked(0, "RefreshSession");
            assert_eq!(request.refresh_token, "planted-refresh-0");
            assert_eq!(person.authorization(0), None);
            assert_eq!(person.authorization(1).unwrap(), "Bearer planted-access-1");
            let kept = person.kept();
            assert_eq!(kept["refresh_token"], "planted-refresh-1");
            assert_eq!(kept["expire_time"], "1970-01-01T00:15:00Z");
            assert_eq!(kept["device_token"], "planted-device-0");
            assert_eq!(mode(&person.file()), 0o600);
        }
    }
}

#[tokio::test]
async fn a_token_that_is_refused_as_expired_is_changed_and_the_call_made_again() {
    let person = Person::logged_in(Fake::default(), 900).await;
    person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, "TOKEN_EXPIRED"));
    done(person.pipes("session revoke session_9", "").await);
    assert_eq!(person.fake.methods(), ["RevokeSession", "RefreshSession", "RevokeSession"]);
    assert_eq!(person.authorization(2).unwrap(), "Bearer planted-access-1");

    let person = Person::logged_in(Fake::default(), 900).await;
    person.fake.always_expired.store(true, Ordering::Relaxed);
    let ran = person.pipes("whoami", "").await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(person.fake.methods(), ["WhoAmI", "RefreshSession", "WhoAmI"], "once and no more");
}

#[tokio::test]
async fn a_session_that_has_ended_is_forgotten() {
    for reason in ["SESSION_REVOKED", "INVALID_TOKEN", "TOKEN_EXPIRED"] {
        let person = Person::logged_in(Fake::default(), 0).await;
        person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, reason));
        let ran = person.pipes("whoami", "").await;
        assert_eq!((ran.code, person.fake.methods()), (1, vec!["RefreshSession"]));
        assert!(ran.err.contains("log in again: doorward login"), "{}", ran.err);
        assert!(person.kept().get("access_token").is_none(), "{reason}");
    }
    let person = Person::logged_in(Fake::default(), 900).await;
    person.fake.refusals.lock().unwrap().push_back(refused(Code::Unauthenticated, "SESSION_REVOKED"));
    let ran = person.pipes("whoami", "").await;
    assert!(ran.err.contains("log in again: doorward login"), "{}", ran.err);
    assert!(person.kept().get("access_token").is_none());

    let person = Person::logged_in(Fake::default(), 0).await;
    person.fake.refusals.lock().unwrap().push_back(Status::internal("broken"));
    assert_eq!(person.pipes("whoami", "").await.code, 1);
    assert_eq!(person.kept()["refresh_token"], "planted-refresh-0", "an outage forgets nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_change_the_token_once() {
    let fake = Fake { takes: Duration::from_millis(30), ..Fake::default() };
    let person = Arc::new(Person::logged_in(fake, 0).await);
    let mut runs = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let person = person.clone();
        runs.spawn(async move { person.pipes("whoami", "").await });
    }
    for ran in runs.join_all().await {
        done(ran);
    }
    let methods = person.fake.methods();
    assert_eq!(methods.iter().filter(|method| **method == "RefreshSession").count(), 1, "{methods:?}");
    assert_eq!(methods.iter().filter(|method| **method == "WhoAmI").count(), 8);
    for at in 1..9 {
        assert_eq!(person.authorization(at).unwrap(), "Bearer planted-access-1");
    }
}

#[tokio::test]
async fn a_named_file_is_used_wherever_it_is() {
    let person = Person::of(Fake::default()).await;
    let file = person.home.path().join("mine.json");
    let environment =
        [(crate::client::login::LOGIN_FILE_VARIABLE, file.to_str().unwrap()), (KEY_VARIABLE, KEY)];
    let line = format!("login --email {EMAIL} --password-stdin");
    let ran = done(run_with(&line, &person.address, &environment, PASSWORD).await);
    assert!(ran.err.contains("DOORWARD_API_KEY is set"), "{}", ran.err);
    assert_eq!(mode(&file), 0o600);
    done(run_with("whoami", &person.address, &environment[..1], "").await);
    assert_eq!(person.authorization(1).unwrap(), "Bearer planted-access-0");
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let person = Person::logged_in(Fake::default(), 900).await;
    let ran = done(person.pipes("session list --page-size 1000", "").await);
    assert!(ran.out.contains("session_1") && ran.err.contains("--page-token second"), "{}", ran.out);
    let request: ListSessionsRequest = person.asked(0, "ListSessions");
    assert_eq!(request.page_size, 200);
    let ran = done(person.pipes("session list --all --output json", "").await);
    let json: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (json["sessions"][0]["current"].clone(), json["sessions"][1]["id"].clone()),
        (json!(true), json!("session_2"))
    );

    done(person.pipes("session revoke session_2", "").await);
    let request: RevokeSessionRequest = person.asked(3, "RevokeSession");
    assert_eq!(request.id, "session_2");
    let ran = done(person.pipes("session revoke-all --keep-current --output json", "").await);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["revoked_count"], 3);
    let request: RevokeAllSessionsRequest = person.asked(4, "RevokeAllSessions");
    assert!(request.keep_current && person.kept().get("access_token").is_some());
    let ran = done(person.pipes("session revoke-all", "").await);
    assert!(ran.err.contains("3 sessions"), "{}", ran.err);
    assert!(person.kept().get("access_token").is_none(), "its own has ended too");
}
