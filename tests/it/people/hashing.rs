//! What hashing costs: nobody but those who wait for it, and of those all the same.
use super::person::{Login, owner, reason, settings, visitor};
use crate::harness::client::{self, Authn, Metadata};
use crate::harness::world::OWNER;
use crate::harness::{Database, World};
use doorward::pb::v1::{LoginRequest, WhoAmIRequest};
use std::time::{Duration, Instant};
use tonic::Status;
use tonic_types::StatusExt;

/// Measured logins of each kind.
const SAMPLES: usize = 36;

/// A caller in a network of its own, so that nothing is counted together.
fn from(world: &World, number: usize) -> Authn {
    let address = format!("2001:db8:0:{number:x}::1");
    client::authn(&world.server.api(), Metadata::none().and("x-forwarded-for", &address))
}

fn trusting() -> crate::harness::Settings {
    settings().set("proxies.trusted", "127.0.0.0/8")
}

// R35, A26: who would wait too long is sent away at once; whoever does not log in notices nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_is_shed_and_checks_go_on() {
    let settings = trusting().set("hashing.threads", "1").set("hashing.max_wait_ms", "50");
    let world = World::with(Database::sqlite(), settings).await;
    let storm: Vec<_> = (0..50)
        .map(|at| {
            let mut authn = from(&world, at);
            let email = format!("person-{at}@acme.test");
            let request = LoginRequest { email, password: "certainly not it".into(), ..Default::default() };
            tokio::spawn(async move { authn.login(request).await.map(drop) })
        })
        .collect();
    let mut checks = world.authn();
    for _ in 0..20 {
        let begun = Instant::now();
        checks.who_am_i(WhoAmIRequest {}).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    let (mut wrong, mut shed) = (0, 0);
    for login in storm {
        let status: Status = login.await.unwrap().unwrap_err();
        match reason(&status).as_str() {
            "INVALID_LOGIN" => wrong += 1,
            "RATE_LIMIT_EXCEEDED" => {
                let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
                assert!(retry.is_some_and(|retry| !retry.is_zero()), "{status:?}");
                shed += 1;
            }
            other => panic!("{other}: {status}"),
        }
    }
    assert!(wrong >= 1 && shed >= 1, "{wrong} were hashed, {shed} sent away");
    // It is over when it is over.
    let end = Instant::now() + Duration::from_secs(20);
    while let Err(status) = visitor(&world).login(owner(&world)).await {
        assert_eq!(reason(&status), "RATE_LIMIT_EXCEEDED", "{status}");
        assert!(Instant::now() < end, "nobody gets in any more");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn median(samples: &mut [Duration]) -> f64 {
    samples.sort();
    samples[samples.len() / 2].as_secs_f64()
}

// R30, A23: one hash each. Without it an answer takes a tenth of the time or less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_without_a_person_or_a_password_takes_as_long() {
    let world = World::with(Database::sqlite(), trusting()).await;
    // Each person of these bears four failures, as the owner does between two successes.
    let groups = SAMPLES / 4;
    for group in 0..groups {
        world.stranger_of(&format!("tenant-{group}")).await;
    }
    let mut callers: Vec<_> = (0..10).map(|at| from(&world, at)).collect();
    let (mut wrong, mut unknown, mut unset) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..SAMPLES {
        if at % 4 == 0 {
            Login::of(from(&world, 1000 + at).login(owner(&world)).await.unwrap());
        }
        let emails =
            [OWNER.to_owned(), format!("person-{at}@acme.test"), format!("owner@tenant-{}.test", at / 4)];
        for (email, times) in emails.into_iter().zip([&mut wrong, &mut unknown, &mut unset]) {
            let request = LoginRequest { email, password: "certainly not it".into(), ..Default::default() };
            let caller = &mut callers[at % 10];
            let begun = Instant::now();
            let status = caller.login(request).await.unwrap_err();
            times.push(begun.elapsed());
            assert_eq!(reason(&status), "INVALID_LOGIN", "{status}");
        }
    }
    let wrong = median(&mut wrong);
    for (what, times) in [("unknown", &mut unknown), ("without a password", &mut unset)] {
        let ratio = median(times) / wrong;
        println!("{what}: {ratio:.2} of the {:.1} ms of a wrong password", wrong * 1000.0);
        assert!((0.5..1.5).contains(&ratio), "{what} takes {ratio:.2} of the time of a wrong password");
    }
    // Hashing is what takes the time: else nothing was measured.
    let mut checks = Vec::new();
    let mut asker = world.authn();
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        asker.who_am_i(WhoAmIRequest {}).await.unwrap();
        checks.push(begun.elapsed());
    }
    assert!(median(&mut checks) * 3.0 < wrong, "a call takes as long as a hash");
}
