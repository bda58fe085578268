//! Access tokens by each algorithm, and how they end.
use super::person::{claims, log_in, opens, part, refresh, refused, settings};
use crate::harness::client::assert_refused;
use crate::harness::server::{doorward, run};
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::WhoAmIRequest;
use std::time::Duration;
use tonic::Code;

on_both! {
    // R31: who verifies by the keys of before goes on for as long as those are known.
    async fn another_algorithm_leaves_tokens_good(database: Database) {
        let mut world = World::with(database, settings().set("tokens.algorithm", "EdDSA")).await;
        let login = log_in(&world).await;
        world.settings = settings().set("tokens.algorithm", "ES256");
        let world = world.restarted().await;
        opens(&world, &login.access).await;
        // The new key signs once all had the time to learn of it.
        assert_eq!(part(&log_in(&world).await.access, 0)["alg"], "EdDSA");
    }

    // R31, R4
    async fn a_token_ends_and_says_when_and_a_refresh_goes_on(database: Database) {
        let world = World::with(database, settings().set("tokens.access_ttl_seconds", "1")).await;
        let login = log_in(&world).await;
        let says = claims(&login.access);
        assert_eq!(says["exp"].as_i64().unwrap() - says["iat"].as_i64().unwrap(), 1, "{says}");
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!(refused(&world, &login.access).await.as_deref(), Some("TOKEN_EXPIRED"));
        let over = world.authn_as(&login.access).who_am_i(WhoAmIRequest {}).await;
        let told = assert_refused(over, Code::Unauthenticated, "TOKEN_EXPIRED");
        assert!(told["expires_at"].starts_with("20"), "{told:?}");
        // Of one that nobody signed it is not told that it is over.
        let forged = resigned(&login.access, &format!("{}A", &login.access[..login.access.len() - 1]));
        if forged != login.access {
            assert_eq!(refused(&world, &forged).await.as_deref(), Some("INVALID_TOKEN"));
        }
        let fresh = refresh(&world.server.api(), &login.refresh).await.unwrap();
        assert_eq!(fresh.expires_in, 1);
        assert_eq!(claims(&fresh.access_token)["sid"], says["sid"]);
    }
}

// R31, A02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_algorithm_signs_what_opens() {
    let mut before: Option<String> = None;
    for algorithm in ["RS256", "ES256", "EdDSA", "HS256"] {
        let settings = settings().set("tokens.algorithm", algorithm).set("tokens.secret", "s".repeat(32));
        let world = World::with(Database::sqlite(), settings).await;
        let login = log_in(&world).await;
        let header = part(&login.access, 0);
        assert_eq!((&header["alg"], &header["typ"]), (&algorithm.into(), &"at+jwt".into()), "{header}");
        opens(&world, &login.access).await;
        // What another server signed is nothing here, whole or in parts.
        if let Some(before) = before {
            for token in [before.clone(), resigned(&before, &login.access), resigned(&login.access, &before)]
            {
                assert_eq!(refused(&world, &token).await.as_deref(), Some("INVALID_TOKEN"), "{algorithm}");
            }
        }
        before = Some(login.access);
    }
}

// R31: no secret is made up, and none that is too short is taken.
#[tokio::test]
async fn a_shared_secret_that_is_missing_or_short_keeps_the_server_from_starting() {
    for secret in [None, Some("too short")] {
        let database = Database::sqlite();
        let mut command = doorward();
        command.arg("serve").env("DOORWARD_DATABASE_URL", database.url());
        command.env("DOORWARD_TOKENS__ALGORITHM", "HS256");
        if let Some(secret) = secret {
            command.env("DOORWARD_TOKENS__SECRET", secret);
        }
        let printed = run(command).await;
        assert_eq!(printed.code, Some(64), "{}{}", printed.out, printed.err);
        let said = printed.err + &printed.out;
        assert!(said.contains("tokens.secret") && !said.contains("too short"), "{said}");
    }
}

/// The header and claims of one token under the signature of another.
fn resigned(token: &str, other: &str) -> String {
    format!("{}.{}", token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1)
}
