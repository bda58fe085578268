//! Logins that race with the reset of the password that they know.
use super::person::{Login, Mailbox, has_ended, owner, reason, visitor};
use crate::harness::world::OWNER;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{LoginRequest, RequestPasswordResetRequest, ResetPasswordRequest};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Who logs in at the same time: fewer than the guesses that a device may make at once.
const AT_ONCE: usize = 4;

/// What was given for a password.
type Given = Arc<Mutex<Vec<String>>>;

/// Logs in again and again until the password is told to be wrong.
async fn until_refused(world: Arc<World>, request: LoginRequest, given: Given) {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        match visitor(&world).login(request.clone()).await {
            Ok(answer) => given.lock().unwrap().push(answer.into_inner().access_token),
            Err(status) => match reason(&status).as_str() {
                "INVALID_LOGIN" => return,
                // It was right when it was looked at, and no more when the session was to be opened.
                "ETAG_MISMATCH" => {}
                "RATE_LIMIT_EXCEEDED" => tokio::time::sleep(Duration::from_millis(100)).await,
                other => panic!("{other}: {status}"),
            },
        }
        assert!(Instant::now() < end, "the old password still is one");
    }
}

async fn token(world: &World, mailbox: &Mailbox) -> String {
    let request = RequestPasswordResetRequest { email: OWNER.into() };
    visitor(world).request_password_reset(request).await.unwrap();
    mailbox.token("reset-password").await
}

on_both! {
    // R37, R33, A32: the reset ends every session of the old password, also those that were about to begin.
    async fn no_login_with_the_old_password_outlives_its_reset(database: Database) {
        let mailbox = Mailbox::new();
        let world = Arc::new(World::with(database, mailbox.settings()).await);
        let mut password = world.password.clone();
        for round in 0..3 {
            let token = token(&world, &mailbox).await;
            // A device that is known, so that nobody is delayed for guessing.
            let request = LoginRequest { password: password.clone(), ..owner(&world) };
            let first = Login::of(visitor(&world).login(request.clone()).await.unwrap());
            let request = LoginRequest { device_token: first.device.clone().unwrap(), ..request };
            let given = Given::default();
            let logins: Vec<_> = (0..AT_ONCE)
                .map(|_| tokio::spawn(until_refused(world.clone(), request.clone(), given.clone())))
                .collect();
            let end = Instant::now() + Duration::from_mins(1);
            while given.lock().unwrap().len() < AT_ONCE {
                assert!(Instant::now() < end && !logins.iter().any(tokio::task::JoinHandle::is_finished));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            password = format!("elephant {round} in the pantry");
            let request = ResetPasswordRequest { token, new_password: password.clone() };
            visitor(&world).reset_password(request).await.unwrap();
            for login in logins {
                login.await.unwrap();
            }
            let given = std::mem::take(&mut *given.lock().unwrap());
            for access in given.iter().chain([&first.access]) {
                has_ended(&world, access).await;
            }
        }
    }
}
