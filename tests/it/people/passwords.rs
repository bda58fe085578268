//! Passwords set anew and addresses verified, by links that work once.
use super::person::{
    Login, Mailbox, begin, enrol, has_ended, log_in, login_body, opens, owner, post, reason, refresh, visitor,
};
use crate::cut::Open;
use crate::harness::client::assert_refused;
use crate::harness::world::OWNER;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{
    ChangePasswordRequest, CompleteLoginRequest, LoginRequest, RequestEmailVerificationRequest,
    RequestPasswordResetRequest, ResetPasswordRequest, VerifyEmailRequest,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const NEW: &str = "an elephant in the pantry";
const PAGE: &str = "reset-password";

async fn ask(world: &World, email: &str) {
    let request = RequestPasswordResetRequest { email: email.into() };
    visitor(world).request_password_reset(request).await.unwrap();
}

async fn reset(world: &World, token: &str, new_password: &str) -> Result<(), Status> {
    let request = ResetPasswordRequest { token: token.to_owned(), new_password: new_password.to_owned() };
    visitor(world).reset_password(request).await.map(drop)
}

on_both! {
    // R37, R33, A32
    async fn a_link_sets_the_password_once_and_ends_all_sessions(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let login = log_in(&world).await;
        let open = Open::over(world.authn_as(&login.access)).await;
        ask(&world, &OWNER.to_uppercase()).await;
        let token = mailbox.token(PAGE).await;
        opens(&world, &login.access).await;
        // A password that does not do leaves the link as it is.
        let long = "x".repeat(1025);
        for weak in ["", "short", "password", "aaaaaaaaaaaaaaa", "owner@acme.test", "1234567890", long.as_str()] {
            let refused = reset(&world, &token, weak).await.unwrap_err();
            assert_refused(Err::<(), _>(refused.clone()), Code::InvalidArgument, "INVALID_ARGUMENT");
            let fields = refused.get_details_bad_request().unwrap().field_violations;
            assert_eq!(fields[0].field, "new_password", "{weak}: {fields:?}");
        }
        reset(&world, &token, NEW).await.unwrap();
        has_ended(&world, &login.access).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        let refreshed = refresh(&world.server.api(), &login.refresh).await;
        assert_eq!(reason(&refreshed.unwrap_err()), "SESSION_REVOKED");
        assert_eq!(reason(&reset(&world, &token, "another elephant in it").await.unwrap_err()), "INVALID_TOKEN");
        let old = visitor(&world).login(owner(&world)).await;
        assert_refused(old, Code::Unauthenticated, "INVALID_LOGIN");
        let new = LoginRequest { password: NEW.into(), ..owner(&world) };
        let new = Login::of(visitor(&world).login(new).await.unwrap());
        opens(&world, &new.access).await;
        // The devices of before are known no more: each may be a thief's.
        let before = LoginRequest { password: NEW.into(), device_token: login.device.unwrap(), ..owner(&world) };
        assert!(Login::of(visitor(&world).login(before).await.unwrap()).device.is_some());
    }

    // A32: race
    async fn one_of_those_who_have_the_link_can_use_it(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        ask(&world, OWNER).await;
        let token = mailbox.token(PAGE).await;
        let calls: Vec<_> = (0..8)
            .map(|at| {
                let request =
                    ResetPasswordRequest { token: token.clone(), new_password: format!("elephant {at} in the pantry") };
                let mut authn = visitor(&world);
                tokio::spawn(async move { authn.reset_password(request).await.map(|_| at) })
            })
            .collect();
        let mut winners = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                Ok(at) => winners.push(at),
                Err(status) => assert_eq!(reason(&status), "INVALID_TOKEN", "{status}"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let password = format!("elephant {} in the pantry", winners[0]);
        Login::of(visitor(&world).login(LoginRequest { password, ..owner(&world) }).await.unwrap());
    }

    // R34, A31, A32: the link stands for the password, not for the second factor.
    async fn the_second_factor_is_asked_for_after_a_reset(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let login = log_in(&world).await;
        enrol(&world, &login.access).await;
        let pending = begin(&world, owner(&world)).await.challenge;
        ask(&world, OWNER).await;
        reset(&world, &mailbox.token(PAGE).await, NEW).await.unwrap();
        begin(&world, LoginRequest { password: NEW.into(), ..owner(&world) }).await;
        // A login that waited with the old password waits no more.
        let factor = Some(Factor::TotpCode("123456".into()));
        let request = CompleteLoginRequest { challenge: pending, factor };
        let over = visitor(&world).complete_login(request).await.unwrap_err();
        assert!(over.message().contains("no longer waits"), "{over}");
    }

    // R37, A23, A32: who asks learns nothing, and no host that they name is in the link.
    async fn asking_for_a_link_tells_nothing_and_steers_nothing(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let path = "/v1/auth/password:request-reset";
        let unknown = post(&world, path, &json!({"email": "nobody@acme.test"})).await;
        let known = post(&world, path, &json!({"email": OWNER})).await;
        assert_eq!((known.status, known.text()), (200, "{}".to_owned()));
        assert_eq!((unknown.status, unknown.text()), (known.status, known.text()));
        let names = |answer: &crate::harness::rest::Answer| {
            let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&unknown), names(&known));
        let first = mailbox.token(PAGE).await;
        // The same with a host and proxies of the asker's choosing.
        let mut link = TcpStream::connect(world.server.api()).await.unwrap();
        let body = json!({"email": OWNER}).to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\n\
             forwarded: host=evil.example\r\norigin: https://evil.example\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        link.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        link.read_to_string(&mut answer).await.unwrap();
        if answer.starts_with("HTTP/1.1 200") {
            let second = mailbox.token(PAGE).await;
            // The newer link ends the older one.
            assert_eq!(reason(&reset(&world, &first, NEW).await.unwrap_err()), "INVALID_TOKEN");
            reset(&world, &second, NEW).await.unwrap();
        }
        let all: String = mailbox.letters().into_iter().map(|(_, text)| text).collect();
        assert!(!all.contains("evil.example") && !all.contains("nobody@acme.test"), "{all}");
    }

    // R37, A32: a change of the password ends links that are on their way.
    async fn a_link_ends_when_the_password_is_changed(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let login = log_in(&world).await;
        ask(&world, OWNER).await;
        let token = mailbox.token(PAGE).await;
        let mut authn = world.authn_as(&login.access);
        let change = |new: &str| ChangePasswordRequest { current_password: world.password.clone(), new_password: new.into() };
        let weak = authn.change_password(change("password1")).await.unwrap_err();
        assert_eq!(weak.get_details_bad_request().unwrap().field_violations[0].field, "new_password");
        authn.change_password(change(NEW)).await.unwrap();
        assert_eq!(reason(&reset(&world, &token, "another elephant in it").await.unwrap_err()), "INVALID_TOKEN");
    }

    // R37: and a person who never had a password gets one.
    async fn an_address_is_verified_once_and_a_first_password_set(database: Database) {
        let mailbox = Mailbox::new();
        let world = World::with(database, mailbox.settings()).await;
        let stranger = world.stranger().await;
        ask(&world, "owner@umbrella.test").await;
        reset(&world, &mailbox.token(PAGE).await, NEW).await.unwrap();
        let answer = post(&world, "/v1/auth/login", &login_body("owner@umbrella.test", NEW)).await;
        assert_eq!((answer.status, &answer.json()["user"]["tenant_id"]), (200, &json!(stranger.tenant_id)));
        let login = log_in(&world).await;
        world.authn_as(&login.access).request_email_verification(RequestEmailVerificationRequest {}).await.unwrap();
        let token = mailbox.token("verify-email").await;
        assert_eq!(reason(&reset(&world, &token, NEW).await.unwrap_err()), "INVALID_TOKEN");
        let verify = VerifyEmailRequest { token };
        visitor(&world).verify_email(verify.clone()).await.unwrap();
        assert_refused(visitor(&world).verify_email(verify).await, Code::Unauthenticated, "INVALID_TOKEN");
    }
}
