//! Guessing is slowed down, and nobody is locked out by it.
use super::person::{Login, begin, enrol, log_in, owner, reason, settings, visitor, world};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{CompleteLoginRequest, LoginRequest};
use std::time::{Duration, Instant};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Guesses at once that cost nothing, and the wait after them.
const FREE: usize = 5;
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// Sends these logins at the same time.
async fn at_once(world: &World, requests: Vec<LoginRequest>) -> Vec<Result<Login, Status>> {
    let calls: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let mut authn = visitor(world);
            tokio::spawn(async move { authn.login(request).await.map(Login::of) })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

fn counted(answers: &[Result<Login, Status>], wanted: &str) -> usize {
    answers.iter().filter(|answer| answer.as_ref().is_err_and(|status| reason(status) == wanted)).count()
}

/// Asserts that a call is to wait, and for how long at least.
fn must_wait<T>(answer: Result<T, Status>) -> Duration {
    let status = answer.err().expect("it was let pass");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let told = assert_refused(Err::<(), _>(status), Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED");
    let seconds: f64 = told["retry_after"].parse().unwrap();
    assert!(seconds >= 1.0 && retry.is_some_and(|retry| !retry.is_zero()), "{told:?} {retry:?}");
    Duration::from_secs_f64(seconds)
}

async fn complete(world: &World, challenge: &str, factor: Factor) -> Result<Login, Status> {
    let request = CompleteLoginRequest { challenge: challenge.to_owned(), factor: Some(factor) };
    let told = visitor(world).complete_login(request).await?.into_inner();
    Ok(Login { access: told.access_token, refresh: told.refresh_token, device: None })
}

on_both! {
    // R35, A24, A25: parallel guesses in many spellings share one count; a known device passes.
    async fn guesses_are_counted_together_and_a_known_device_passes(database: Database) {
        let world = world(database).await;
        let device = log_in(&world).await.device.unwrap();
        let known = LoginRequest { device_token: device, ..owner(&world) };
        let spellings = ["owner@acme.test", "OWNER@acme.test", " owner@acme.test", "Owner@Acme.Test "];
        let mut waited = false;
        for round in 0..5 {
            let begun = Instant::now();
            let guesses = (0..24).map(|at| LoginRequest {
                email: spellings[at % 4].into(),
                password: format!("certainly not {at}"),
                ..Default::default()
            });
            let answers = at_once(&world, guesses.collect()).await;
            let (wrong, sent_away) = (counted(&answers, "INVALID_LOGIN"), counted(&answers, "RATE_LIMIT_EXCEEDED"));
            assert_eq!(wrong + sent_away, 24, "{answers:?}");
            if begun.elapsed() < FIRST_WAIT {
                assert_eq!(wrong, FREE, "round {round}");
            }
            // The right password is no way round from a device that nobody knows.
            let right = visitor(&world).login(owner(&world)).await;
            if begun.elapsed() < FIRST_WAIT {
                must_wait(right);
                waited = true;
                let passed = Login::of(visitor(&world).login(known.clone()).await.unwrap());
                assert!(passed.device.is_none(), "the device was known");
                // A token that makes no device known is no way round either.
                let forged = LoginRequest { device_token: "dwd_garbage".into(), ..owner(&world) };
                if begun.elapsed() < FIRST_WAIT {
                    must_wait(visitor(&world).login(forged).await);
                }
                break;
            }
            // Too slow to see it: once more, all being forgotten.
            tokio::time::sleep(2 * FIRST_WAIT).await;
            log_in(&world).await;
        }
        assert!(waited, "this machine is too slow to be told to wait");
    }

    // R35, A25: typing errors before a right password cost nothing.
    async fn a_success_makes_earlier_failures_forgotten(database: Database) {
        let world = world(database).await;
        for _ in 0..3 {
            for _ in 0..FREE - 1 {
                let wrong = LoginRequest { password: "certainly not it".into(), ..owner(&world) };
                assert_refused(visitor(&world).login(wrong).await, Code::Unauthenticated, "INVALID_LOGIN");
            }
            log_in(&world).await;
        }
    }

    // A29, A25, R35: who has the password may guess five codes, from however many logins; then minutes pass, also over a
    // restart. The owner's own device passes.
    async fn codes_cannot_be_guessed_and_the_count_survives_a_restart(database: Database) {
        let mut world = world(database).await;
        let first = log_in(&world).await;
        let (mut authenticator, backup_codes) = enrol(&world, &first.access).await;
        for at in 0..FREE {
            // Half of them on fresh challenges: each has places of its own, the account does not.
            let challenge = begin(&world, owner(&world)).await.challenge;
            let factor = if at % 2 == 0 {
                Factor::TotpCode(authenticator.wrong())
            } else {
                Factor::BackupCode("0000-0000-0000-0000-0000-0000".into())
            };
            let wrong = complete(&world, &challenge, factor).await;
            assert_refused(wrong.map(drop), Code::Unauthenticated, "INVALID_LOGIN");
        }
        let minutes = Duration::from_mins(11);
        for restarted in [false, true] {
            if restarted {
                world = world.restarted().await;
            }
            let challenge = begin(&world, owner(&world)).await.challenge;
            let right = Factor::BackupCode(backup_codes[0].clone());
            assert!(must_wait(complete(&world, &challenge, right).await) > minutes);
            let in_one = LoginRequest { totp_code: authenticator.wrong(), ..owner(&world) };
            assert!(must_wait(visitor(&world).login(in_one).await) > minutes);
        }
        // Not even the right password and code, but from the owner's own device.
        let device_token = first.device.unwrap();
        let known = begin(&world, LoginRequest { device_token, ..owner(&world) }).await.challenge;
        complete(&world, &known, Factor::TotpCode(authenticator.next().await)).await.unwrap();
    }

    // A24, A58: one password tried on many accounts from one network.
    async fn one_network_cannot_try_many_accounts(database: Database) {
        let world = World::with(database, settings().set("proxies.trusted", "127.0.0.0/8")).await;
        let device = log_in(&world).await.device.unwrap();
        let from = |address: &str| {
            client::authn(&world.server.api(), Metadata::none().and("x-forwarded-for", address))
        };
        let begun = Instant::now();
        let calls: Vec<_> = (0..60)
            .map(|at| {
                // All of one customer: a /64.
                let mut authn = from(&format!("2001:db8:1:2::{at:x}"));
                let email = format!("person-{at}@acme.test");
                let request = LoginRequest { email, password: "Winter 2026!".into(), ..Default::default() };
                tokio::spawn(async move { authn.login(request).await.map(Login::of) })
            })
            .collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap());
        }
        let (wrong, sent_away) = (counted(&answers, "INVALID_LOGIN"), counted(&answers, "RATE_LIMIT_EXCEEDED"));
        assert_eq!(wrong + sent_away, 60, "{answers:?}");
        let back = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
        assert!((50..=50 + back).contains(&wrong), "{wrong} were let pass");
        // Nobody else is held up: another network, and a known device in this one.
        Login::of(from("2001:db8:1:3::1").login(owner(&world)).await.unwrap());
        let known = LoginRequest { device_token: device, ..owner(&world) };
        Login::of(from("2001:db8:1:2::1").login(known).await.unwrap());
    }
}
