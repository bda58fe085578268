//! What a login answers, to whom, and what it does not tell.
use super::person::{
    Login, begin, enrol, log_in, login_body, opens, owner, post, reason, refresh, refused, visitor, world,
};
use crate::harness::client::assert_refused;
use crate::harness::rest::Answer;
use crate::harness::world::{OWNER, TENANT};
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{
    CompleteLoginRequest, CreateTenantRequest, LoginRequest, ResumeTenantRequest, SuspendTenantRequest,
    WhoAmIRequest,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tonic::{Code, Status};

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Everything of an answer that may not differ between an address that is known and one that is not.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let own = ["x-correlation-id", "date"];
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    let mut body = answer.json();
    body["error"]["correlation_id"].take();
    (answer.status, headers, body)
}

/// The same for gRPC.
fn told(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let mut names: Vec<_> = status.metadata().keys().map(|name| format!("{name:?}")).collect();
    names.sort();
    (status.code(), status.message().to_owned(), status.details().len().to_be_bytes().to_vec(), names)
}

async fn complete(world: &World, challenge: &str, factor: Factor) -> Result<String, Status> {
    let request = CompleteLoginRequest { challenge: challenge.to_owned(), factor: Some(factor) };
    Ok(visitor(world).complete_login(request).await?.into_inner().access_token)
}

/// A second tenant of the owner's, whose id is given back.
async fn second_tenant(world: &World) -> String {
    let request =
        CreateTenantRequest { slug: "umbrella".into(), owner_email: OWNER.into(), ..Default::default() };
    world.tenancy().create_tenant(request).await.unwrap().into_inner().tenant.unwrap().id
}

on_both! {
    // R30, R36
    async fn the_answer_is_the_contracts_and_its_token_opens_every_door(database: Database) {
        let world = world(database).await;
        let answer = post(&world, "/v1/auth/login", &login_body(OWNER, &world.password)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let mut names = members(&body);
        names.sort_unstable();
        assert_eq!(names, ["access_token", "expires_in", "refresh_token", "token_type", "user"], "{body}");
        let mut names = members(&body["user"]);
        names.sort_unstable();
        assert_eq!(names, ["email", "id", "role", "tenant_id"], "{body}");
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!((&body["user"]["email"], &body["user"]["role"]), (&json!(OWNER), &json!("owner")));
        assert_eq!(body["user"]["tenant_id"], *world.tenant_id);
        assert!(answer.header("doorward-device-token").starts_with("dwd_"));
        assert!(answer.headers.get("cache-control").is_some_and(|value| value == "no-store"), "{answer:?}");
        let token = body["access_token"].as_str().unwrap();
        opens(&world, token).await;
        let who = world.authn_as(token).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        let who = who.principal.unwrap();
        assert!(who.session_id.starts_with("session_") && who.api_key_id.is_empty(), "{who:?}");
        assert_eq!((who.auth_methods, who.mfa), (vec!["pwd".to_owned()], false));
        assert_eq!((who.id, who.tenant_id), (body["user"]["id"].as_str().unwrap().to_owned(), world.tenant_id.clone()));
        let grpc = log_in(&world).await;
        opens(&world, &grpc.access).await;
        assert_ne!(grpc.access, token);
    }

    // R30, A23: nothing but the time could tell whether there is such a person, and that is measured elsewhere.
    async fn an_unknown_address_is_answered_like_a_wrong_password(database: Database) {
        let world = world(database).await;
        let wrong = post(&world, "/v1/auth/login", &login_body(OWNER, "certainly not it")).await;
        let unknown = post(&world, "/v1/auth/login", &login_body("nobody@acme.test", "certainly not it")).await;
        // A person who has not set a password yet.
        world.stranger().await;
        let unset = post(&world, "/v1/auth/login", &login_body("owner@umbrella.test", "certainly not it")).await;
        wrong.assert_refused(401, "INVALID_LOGIN");
        assert_eq!(visible(&wrong), visible(&unknown));
        assert_eq!(visible(&wrong), visible(&unset));
        let over_grpc = async |email: &str, tenant_id: &str| {
            let request = LoginRequest {
                email: email.into(),
                password: "certainly not it".into(),
                tenant_id: tenant_id.into(),
                ..Default::default()
            };
            visitor(&world).login(request).await.unwrap_err()
        };
        let (wrong, unknown) = (over_grpc(OWNER, "").await, over_grpc("nobody@acme.test", "").await);
        assert_refused(Err::<(), _>(wrong.clone()), Code::Unauthenticated, "INVALID_LOGIN");
        assert_eq!(told(&wrong), told(&unknown));
        // Which tenants a person is in is told to nobody either.
        assert_eq!(told(&wrong), told(&over_grpc(OWNER, "umbrella").await));
    }

    // R30, R39
    async fn a_login_goes_to_the_tenant_that_it_names(database: Database) {
        let world = world(database).await;
        let second = second_tenant(&world).await;
        world.stranger_of("initech").await;
        let to = async |tenant: &str| {
            let request = LoginRequest { tenant_id: tenant.into(), ..owner(&world) };
            visitor(&world).login(request).await.map(|answer| answer.into_inner().user.unwrap().tenant_id)
        };
        assert_eq!(to("").await.unwrap(), world.tenant_id);
        assert_eq!(to(TENANT).await.unwrap(), world.tenant_id);
        assert_eq!(to(&world.tenant_id).await.unwrap(), world.tenant_id);
        assert_eq!(to("umbrella").await.unwrap(), second);
        assert_eq!(to(&second).await.unwrap(), second);
        let strangers = to("initech").await.unwrap_err();
        assert_refused(Err::<(), _>(strangers.clone()), Code::PermissionDenied, "TENANT_MISMATCH");
        assert_eq!(told(&strangers), told(&to("no-such-tenant").await.unwrap_err()));
    }

    // R30, A35
    async fn a_suspended_tenant_lets_nobody_in_and_nothing_go_on(database: Database) {
        let world = world(database).await;
        let second = second_tenant(&world).await;
        let there = || LoginRequest { tenant_id: second.clone(), ..owner(&world) };
        let login = Login::of(visitor(&world).login(there()).await.unwrap());
        opens_there(&world, &login.access, &second).await;
        let suspend = SuspendTenantRequest { id: second.clone(), reason: "a test".into() };
        world.tenancy().suspend_tenant(suspend).await.unwrap();
        assert_refused(visitor(&world).login(there()).await, Code::PermissionDenied, "TENANT_SUSPENDED");
        let over = world.authn_as(&login.access).who_am_i(WhoAmIRequest {}).await;
        assert_refused(over, Code::PermissionDenied, "TENANT_SUSPENDED");
        let refreshed = refresh(&world.server.api(), &login.refresh).await;
        assert_eq!(reason(&refreshed.unwrap_err()), "TENANT_SUSPENDED");
        // Who has a wrong password learns nothing of it.
        let wrong = LoginRequest { password: "certainly not it".into(), ..there() };
        assert_refused(visitor(&world).login(wrong).await, Code::Unauthenticated, "INVALID_LOGIN");
        world.tenancy().resume_tenant(ResumeTenantRequest { id: second.clone() }).await.unwrap();
        opens_there(&world, &login.access, &second).await;
        let again = refresh(&world.server.api(), &login.refresh).await.unwrap();
        opens_there(&world, &again.access_token, &second).await;
    }

    // R30, R34
    async fn a_second_factor_comes_along_or_after(database: Database) {
        let world = world(database).await;
        let first = log_in(&world).await;
        let (mut authenticator, backup_codes) = enrol(&world, &first.access).await;
        // In two calls; the password alone opens nothing.
        let waiting = begin(&world, owner(&world)).await;
        assert_eq!(waiting.methods, ["totp", "backup_code"]);
        assert_eq!(refused(&world, &waiting.challenge).await.as_deref(), Some("INVALID_API_KEY"));
        let code = authenticator.next().await;
        let access = complete(&world, &waiting.challenge, Factor::TotpCode(code.clone())).await.unwrap();
        opens(&world, &access).await;
        let who = world.authn_as(&access).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        let who = who.principal.unwrap();
        assert_eq!((who.auth_methods, who.mfa), (vec!["pwd".to_owned(), "otp".to_owned()], true));
        // The challenge is used up, whatever factor comes with it.
        let spare = backup_codes[0].clone();
        let again = complete(&world, &waiting.challenge, Factor::BackupCode(spare.clone())).await;
        assert_refused(again, Code::Unauthenticated, "INVALID_LOGIN");
        // In one call: a used code and a wrong one are refused alike.
        for totp_code in [code, authenticator.wrong()] {
            let request = LoginRequest { totp_code, ..owner(&world) };
            assert_refused(visitor(&world).login(request).await, Code::Unauthenticated, "INVALID_LOGIN");
        }
        let request = LoginRequest { totp_code: authenticator.next().await, ..owner(&world) };
        let in_one = Login::of(visitor(&world).login(request).await.unwrap());
        opens(&world, &in_one.access).await;
        // A backup code that did not open the used-up challenge was not used up by it.
        let waiting = begin(&world, owner(&world)).await;
        let access = complete(&world, &waiting.challenge, Factor::BackupCode(spare)).await.unwrap();
        let who = world.authn_as(&access).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        let who = who.principal.unwrap();
        assert_eq!((who.auth_methods, who.mfa), (vec!["pwd".to_owned(), "recovery".to_owned()], true));
    }

    // A29, A31: a challenge allows five tries, and an empty one is none.
    async fn a_challenge_is_used_up_by_five_wrong_codes(database: Database) {
        let world = world(database).await;
        let first = log_in(&world).await;
        let (authenticator, backup_codes) = enrol(&world, &first.access).await;
        let known = LoginRequest { device_token: first.device.unwrap(), ..owner(&world) };
        let waiting = begin(&world, known).await;
        let empty = CompleteLoginRequest { challenge: waiting.challenge.clone(), factor: None };
        assert_refused(visitor(&world).complete_login(empty).await, Code::InvalidArgument, "INVALID_ARGUMENT");
        for _ in 0..5 {
            let wrong = complete(&world, &waiting.challenge, Factor::TotpCode(authenticator.wrong())).await;
            assert_refused(wrong, Code::Unauthenticated, "INVALID_LOGIN");
        }
        let right = complete(&world, &waiting.challenge, Factor::BackupCode(backup_codes[0].clone())).await;
        assert_refused(right, Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
        // Another login of the same account has its own.
        let fresh = begin(&world, owner(&world)).await;
        complete(&world, &fresh.challenge, Factor::BackupCode(backup_codes[0].clone())).await.unwrap();
    }

    // A24, A27: one form of the address, and passwords as they are.
    async fn addresses_are_read_in_one_form_and_passwords_as_they_are(database: Database) {
        let world = world(database).await;
        for email in ["OWNER@ACME.TEST", " owner@acme.test ", "Owner@Acme.Test"] {
            let request = LoginRequest { email: email.into(), ..owner(&world) };
            Login::of(visitor(&world).login(request).await.unwrap_or_else(|status| panic!("{email}: {status}")));
        }
        for email in ["owner@acme.test@evil.test", "owner\u{200b}@acme.test", "\u{43e}wner@acme.test", "", "owner"] {
            let request = LoginRequest { email: email.into(), ..owner(&world) };
            assert_refused(visitor(&world).login(request).await, Code::Unauthenticated, "INVALID_LOGIN");
        }
        let password = &world.password;
        for password in [format!(" {password}"), format!("{password} "), password.to_uppercase(), password[1..].to_owned()] {
            let request = LoginRequest { password, ..owner(&world) };
            assert_refused(visitor(&world).login(request).await, Code::Unauthenticated, "INVALID_LOGIN");
            // Each is a failure; a right one in between keeps the account from waiting.
            log_in(&world).await;
        }
    }

    // A26: what no password can be is not hashed.
    async fn a_password_of_a_mebibyte_is_refused_without_hashing(database: Database) {
        let world = world(database).await;
        for password in ["x".repeat(1 << 19), "\u{1f511}".repeat(1025), String::new()] {
            let start = Instant::now();
            let request = LoginRequest { password, ..owner(&world) };
            assert_refused(visitor(&world).login(request).await, Code::Unauthenticated, "INVALID_LOGIN");
            assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        }
        for bytes in [1 << 20, 16 << 20] {
            let huge = LoginRequest { password: "x".repeat(bytes), ..owner(&world) };
            assert_refused(visitor(&world).login(huge).await, Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
        }
        log_in(&world).await;
    }
}

async fn opens_there(world: &World, token: &str, tenant: &str) {
    let who = world.authn_as(token).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!(who.principal.unwrap().tenant_id, tenant);
}
