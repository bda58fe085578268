//! Refresh tokens: each works once, a lost answer comes again, a stolen one ends the session.
use super::person::{claims, has_ended, log_in, opens, reason, refresh, refused, world};
use crate::harness::client::{self, Metadata};
use crate::harness::{Database, World, on_both};
use doorward::domain::SessionId;
use doorward::pb::v1::{RefreshSessionRequest, RevokeSessionRequest};
use std::collections::HashSet;
use tonic::Status;

/// Callers that refresh at the same time.
const CROWD: usize = 64;

async fn again(world: &World, token: &str) -> Result<(String, String), Status> {
    let told = refresh(&world.server.api(), token).await?;
    Ok((told.access_token, told.refresh_token))
}

/// What is written in the audit log, as text, of events of this kind.
async fn audited(world: &World, action: &str) -> usize {
    let query = format!("SELECT count(*) FROM audit_entries WHERE action = '{action}'");
    match &world.database {
        Database::Postgres(url) => {
            let name = url.rsplit('/').next().unwrap();
            let client = crate::harness::postgres::Postgres::shared().connect(name).await;
            usize::try_from(client.query_one(&query, &[]).await.unwrap().get::<_, i64>(0)).unwrap()
        }
        Database::Sqlite(directory) => {
            // The log is read from the file: what is written is there, in the database or in its journal.
            let mut found = 0;
            for entry in std::fs::read_dir(directory.path()).unwrap() {
                let content = std::fs::read(entry.unwrap().path()).unwrap();
                found += content.windows(action.len()).filter(|part| *part == action.as_bytes()).count();
            }
            found
        }
    }
}

on_both! {
    // R32
    async fn a_refresh_gives_fresh_tokens_of_the_same_session(database: Database) {
        let world = world(database).await;
        let login = log_in(&world).await;
        let (access, next) = again(&world, &login.refresh).await.unwrap();
        assert!(access != login.access && next != login.refresh && next.starts_with("dwr_"));
        assert_eq!(claims(&access)["sid"], login.session());
        opens(&world, &access).await;
        opens(&world, &login.access).await;
        let (_, third) = again(&world, &next).await.unwrap();
        assert_eq!(HashSet::from([&login.refresh, &next, &third]).len(), 3);
        for garbage in ["", "dwr_", "garbage", &login.access, &format!("{third} "), &third.to_lowercase()] {
            assert_eq!(reason(&again(&world, garbage).await.unwrap_err()), "INVALID_TOKEN", "{garbage}");
        }
        again(&world, &third).await.unwrap();
    }

    // R32, A34: a lost answer is given again, the same one.
    async fn a_lost_answer_is_given_again(database: Database) {
        let world = world(database).await;
        let login = log_in(&world).await;
        let (_, next) = again(&world, &login.refresh).await.unwrap();
        for _ in 0..3 {
            let (access, same) = again(&world, &login.refresh).await.unwrap();
            assert_eq!(same, next);
            opens(&world, &access).await;
        }
        assert_eq!(audited(&world, "session.refresh_token_reused").await, 0);
        again(&world, &next).await.unwrap();
    }

    // R32, A34: the successor was used, so whoever brings the spent token is another.
    async fn a_spent_token_of_before_ends_the_session(database: Database) {
        let world = world(database).await;
        let (login, other) = (log_in(&world).await, log_in(&world).await);
        let (_, second) = again(&world, &login.refresh).await.unwrap();
        let (newest, third) = again(&world, &second).await.unwrap();
        opens(&world, &newest).await;
        assert_eq!(reason(&again(&world, &login.refresh).await.unwrap_err()), "SESSION_REVOKED");
        for access in [&login.access, &newest] {
            has_ended(&world, access).await;
        }
        for token in [&third, &second, &login.refresh] {
            assert_eq!(reason(&again(&world, token).await.unwrap_err()), "SESSION_REVOKED");
        }
        assert!(audited(&world, "session.refresh_token_reused").await >= 1, "nobody is told of the theft");
        // It is that session's business alone.
        opens(&world, &other.access).await;
        again(&world, &other.refresh).await.unwrap();
    }

    // R32, A34: race
    async fn all_who_refresh_at_the_same_time_agree(database: Database) {
        let world = world(database).await;
        let login = log_in(&world).await;
        let calls: Vec<_> = (0..CROWD)
            .map(|_| {
                let mut authn = client::authn(&world.server.api(), Metadata::none());
                let request = RefreshSessionRequest { refresh_token: login.refresh.clone() };
                tokio::spawn(async move { authn.refresh_session(request).await })
            })
            .collect();
        let mut successors = HashSet::new();
        for call in calls {
            let told = call.await.unwrap().unwrap().into_inner();
            successors.insert(told.refresh_token);
        }
        assert_eq!(successors.len(), 1, "honest clients were given different tokens");
        let (access, _) = again(&world, successors.iter().next().unwrap()).await.unwrap();
        opens(&world, &access).await;
    }

    // A36: race; whatever came first, nothing of the session lives on.
    async fn nothing_survives_a_revocation_that_races_a_refresh(database: Database) {
        let world = world(database).await;
        let keeper = log_in(&world).await;
        let mut refreshed = 0;
        for _ in 0..30 {
            let login = log_in(&world).await;
            let id = login.session();
            assert!(id.parse::<SessionId>().is_ok());
            let mut revoker = world.authn_as(&keeper.access);
            let revoking = tokio::spawn(async move { revoker.revoke_session(RevokeSessionRequest { id }).await });
            let survivor = again(&world, &login.refresh).await;
            revoking.await.unwrap().unwrap();
            has_ended(&world, &login.access).await;
            match survivor {
                Ok((access, next)) => {
                    refreshed += 1;
                    assert_eq!(refused(&world, &access).await.as_deref(), Some("SESSION_REVOKED"));
                    assert_eq!(reason(&again(&world, &next).await.unwrap_err()), "SESSION_REVOKED");
                }
                Err(status) => assert_eq!(reason(&status), "SESSION_REVOKED", "{status}"),
            }
        }
        println!("{refreshed} of 30 refreshes came first");
        opens(&world, &keeper.access).await;
    }
}
