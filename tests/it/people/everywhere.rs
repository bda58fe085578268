//! Several replicas on one PostgreSQL: a login works everywhere at once, and is over everywhere at once.
use super::factors::{all_at_once, devices, exactly_one, waiting};
use super::person::{
    Login, Mailbox, begin, enrol, log_in, log_in_at, owner, reason, refresh, refused_by, visitor,
};
use crate::cut::Open;
use crate::harness::client::{self, Authn, Metadata, assert_refused};
use crate::harness::world::OWNER;
use crate::harness::{Database, Server, World};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{
    ChangePasswordRequest, CompleteLoginRequest, LoginRequest, LogoutRequest, RefreshSessionRequest,
    RequestPasswordResetRequest, ResetPasswordRequest, RevokeAllSessionsRequest, RevokeSessionRequest,
};
use std::collections::HashSet;
use std::time::Duration;
use tonic::Code;

struct Replicas {
    world: World,
    others: Vec<Server>,
    mailbox: Mailbox,
}

impl Replicas {
    async fn start(many: usize) -> Self {
        let mailbox = Mailbox::new();
        let world = World::with(Database::postgres().await, mailbox.settings()).await;
        let mut others = Vec::new();
        for _ in 1..many {
            others.push(Server::serve(&world.database, &world.settings).await);
        }
        Self { world, others, mailbox }
    }

    fn addresses(&self) -> Vec<String> {
        [&self.world.server].into_iter().chain(&self.others).map(Server::api).collect()
    }

    fn at(&self, number: usize, token: Option<&str>) -> Authn {
        let metadata = token.map_or_else(Metadata::none, Metadata::bearer);
        client::authn(&self.addresses()[number], metadata)
    }

    /// Asserts what every replica says of a token at this moment.
    async fn all_say(&self, token: &str, wanted: Option<&str>) {
        for (number, address) in self.addresses().iter().enumerate() {
            let told = refused_by(address, &self.world.owner, token).await;
            assert_eq!(told.as_deref(), wanted, "replica {number}");
        }
    }

    async fn is_over(&self, login: &Login) {
        self.all_say(&login.access, Some("SESSION_REVOKED")).await;
        for address in self.addresses() {
            assert_eq!(reason(&refresh(&address, &login.refresh).await.unwrap_err()), "SESSION_REVOKED");
        }
    }
}

// R33, P1, P3: by whichever way it ended, and wherever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_begins_and_ends_everywhere_at_once() {
    let replicas = Replicas::start(3).await;
    let addresses = replicas.addresses();
    for round in 0..4 {
        let login = log_in_at(&addresses[round % 3], owner(&replicas.world)).await;
        replicas.all_say(&login.access, None).await;
        let other = log_in_at(&addresses[(round + 1) % 3], owner(&replicas.world)).await;
        let open = Open::over(replicas.at((round + 2) % 3, Some(&login.access))).await;
        let mut by_other = replicas.at((round + 1) % 3, Some(&other.access));
        match round {
            0 => drop(by_other.revoke_session(RevokeSessionRequest { id: login.session() }).await.unwrap()),
            1 => {
                let others = RevokeAllSessionsRequest { keep_current: true };
                by_other.revoke_all_sessions(others).await.unwrap();
            }
            2 => drop(replicas.at(0, Some(&login.access)).logout(LogoutRequest::default()).await.unwrap()),
            _ => {
                let request = LogoutRequest { refresh_token: login.refresh.clone() };
                replicas.at(1, None).logout(request).await.unwrap();
            }
        }
        replicas.is_over(&login).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        replicas.all_say(&other.access, None).await;
    }
}

// R33, R37
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_password_ends_sessions_everywhere() {
    let replicas = Replicas::start(3).await;
    let addresses = replicas.addresses();
    let (own, other) =
        (log_in(&replicas.world).await, log_in_at(&addresses[1], owner(&replicas.world)).await);
    let change = ChangePasswordRequest {
        current_password: replicas.world.password.clone(),
        new_password: "an elephant in the pantry".into(),
    };
    replicas.at(2, Some(&own.access)).change_password(change).await.unwrap();
    replicas.is_over(&other).await;
    replicas.all_say(&own.access, None).await;
    let request = RequestPasswordResetRequest { email: OWNER.into() };
    replicas.at(0, None).request_password_reset(request).await.unwrap();
    let token = replicas.mailbox.token("reset-password").await;
    let request = ResetPasswordRequest { token, new_password: "two elephants in the pantry".into() };
    replicas.at(1, None).reset_password(request).await.unwrap();
    replicas.is_over(&own).await;
}

// R32, A34
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshes_at_several_replicas_agree_and_theft_is_known_to_all() {
    let replicas = Replicas::start(2).await;
    let login = log_in(&replicas.world).await;
    let calls: Vec<_> = (0..64)
        .map(|at| {
            let mut authn = replicas.at(at % 2, None);
            let request = RefreshSessionRequest { refresh_token: login.refresh.clone() };
            tokio::spawn(async move { authn.refresh_session(request).await.unwrap().into_inner() })
        })
        .collect();
    let mut successors = HashSet::new();
    for call in calls {
        successors.insert(call.await.unwrap().refresh_token);
    }
    assert_eq!(successors.len(), 1, "two generations of one token");
    let addresses = replicas.addresses();
    let newest = refresh(&addresses[1], successors.iter().next().unwrap()).await.unwrap();
    replicas.all_say(&newest.access_token, None).await;
    assert_eq!(reason(&refresh(&addresses[0], &login.refresh).await.unwrap_err()), "SESSION_REVOKED");
    replicas
        .is_over(&Login { access: newest.access_token, refresh: newest.refresh_token, device: None })
        .await;
    replicas.is_over(&login).await;
}

// R34, A28, A29, R35
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_count_once_and_failures_are_shared() {
    let replicas = Replicas::start(2).await;
    let world = &replicas.world;
    let devices = devices(world, 16).await;
    let first = log_in(world).await;
    let (mut authenticator, backup_codes) = enrol(world, &first.access).await;
    let clients = [replicas.at(0, None), replicas.at(1, None)];
    let challenges = waiting(world, &devices).await;
    let code = Factor::TotpCode(authenticator.next().await);
    exactly_one(&all_at_once(&clients, challenges, &code).await);
    let challenges = waiting(world, &devices).await;
    exactly_one(&all_at_once(&clients, challenges, &Factor::BackupCode(backup_codes[0].clone())).await);
    // Five wrong codes, whichever replica hears them.
    for at in 0..5 {
        let challenge = begin(world, owner(world)).await.challenge;
        let factor = Some(Factor::TotpCode(authenticator.wrong()));
        let wrong =
            replicas.at(at % 2, None).complete_login(CompleteLoginRequest { challenge, factor }).await;
        assert_refused(wrong, Code::Unauthenticated, "INVALID_LOGIN");
    }
    for number in 0..2 {
        let challenge = begin(world, owner(world)).await.challenge;
        let factor = Some(Factor::BackupCode(backup_codes[1].clone()));
        let right =
            replicas.at(number, None).complete_login(CompleteLoginRequest { challenge, factor }).await;
        let told = assert_refused(right, Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
        let wait: f64 = told["retry_after"].parse().unwrap();
        assert!(Duration::from_secs_f64(wait) > Duration::from_mins(11), "{told:?}");
    }
    let known = LoginRequest { device_token: devices[0].clone(), ..owner(world) };
    let challenge = begin(world, known).await.challenge;
    let factor = Some(Factor::BackupCode(backup_codes[1].clone()));
    visitor(world).complete_login(CompleteLoginRequest { challenge, factor }).await.unwrap();
}
