//! Retention, legal holds and erasure: what is taken away leaves the rest provable.
use super::{Desk, is_true};
use crate::harness::client::assert_refused;
use crate::harness::world::OWNER;
use crate::harness::{Database, Server, World, on_both};
use doorward::app::App;
use doorward::app::audit::AuditOptions;
use doorward::boot::{OsEntropy, Parts, SystemClock, parts};
use doorward::config::Settings;
use doorward::domain::Timestamp;
use doorward::pb::v1::{EraseAuditFieldsRequest, ListEventsRequest, SetLegalHoldRequest};
use doorward::store::{Options, Url};
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// Does something with the use cases themselves, while no server is there: with
/// retention of 30 days, and the present moved by that many.
async fn without_server(world: World, days: u64, work: impl AsyncFnOnce(&App, Timestamp)) -> World {
    let World { server, database, settings, tenant_id, owner, ingest, password } = world;
    server.stop().await;
    let inside = {
        let database = Options { url: Url::new(database.url()), ..Options::default() };
        let audit = AuditOptions { retention_days: 30, ..AuditOptions::default() };
        Settings { database, audit, ..Settings::default() }
    };
    let clock = Arc::new(SystemClock::default());
    let Parts { app, following, .. } = parts(&inside, clock, Arc::new(OsEntropy)).await.unwrap();
    work(&app, app.clock.now().plus(Duration::from_hours(days * 24))).await;
    drop(following);
    app.replica.leave(&app.store).await.unwrap();
    let server = Server::serve(&database, &settings).await;
    World { server, database, settings, tenant_id, owner, ingest, password }
}

on_both! {
    // R45: what is personal goes, and every root, proof and checkpoint stays.
    async fn a_persons_data_is_erased_and_the_log_stays_true(database: Database) {
        let (world, desk) = (World::start(database).await, Desk::new());
        world.fill(3).await;
        let before = desk.export(&world, "before.dwaudit", &[]).await;
        let old = desk.checkpoint(&world, "old.checkpoint").await;
        let user = world.events_of("key.created").await[0].actor.clone();
        let erased = world.audit_verb(&["erase", "--user", &user, "--output", "json"]).await.json();
        assert!(erased["erased_count"].as_u64().unwrap() >= 3, "{erased}");
        let events = world.events_of("key.created").await;
        assert!(events.iter().all(|event| event.details.is_empty()), "{events:?}");
        assert!(events.iter().all(|event| event.erased_details == ["address", "display_name"]), "{events:?}");
        let after = desk.export(&world, "after.dwaudit", &[]).await;
        let text = std::fs::read_to_string(&after).unwrap();
        assert!(!text.contains("\"plain\""), "a name is still there");
        let said = is_true(&after, &["--since", old.to_str().unwrap()]).await;
        assert!(said.contains("erased values: "), "{said}");
        // The file of before tells what was in it: erasure cannot reach what left the house.
        is_true(&before, &[]).await;
        let told = world.events_of("audit.erased").await;
        assert_eq!((told[0].target.as_str(), told.len()), (user.as_str(), 1));
        assert!(!text.contains(OWNER));
        let again = world.audit_verb(&["erase", "--user", &user, "--output", "json"]).await.json();
        // All that there is again is the address that the erasures themselves came from.
        assert!(again["erased_count"].as_u64().unwrap() <= 4, "{again}");
        let nobody = EraseAuditFieldsRequest { user_id: "nobody".into() };
        assert_refused(world.audit().erase_audit_fields(nobody).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    }

    async fn a_log_that_is_held_is_neither_pruned_nor_erased(database: Database) {
        let world = World::start(database).await;
        world.fill(2).await;
        let user = world.events_of("key.created").await[0].actor.clone();
        let hold = SetLegalHoldRequest { held: true, reason: "case 42".into() };
        assert!(world.audit().set_legal_hold(hold).await.unwrap().into_inner().held);
        let erase = EraseAuditFieldsRequest { user_id: user.clone() };
        let refused = world.audit().erase_audit_fields(erase.clone()).await;
        assert_refused(refused, Code::FailedPrecondition, "FAILED_PRECONDITION");
        assert_eq!(world.audit_verb(&["hold", "--end"]).await.code, Some(0));
        assert!(world.audit().erase_audit_fields(erase).await.unwrap().into_inner().erased_count > 0);
        let told = world.events_of("audit.legal_hold_set").await;
        assert_eq!(told.iter().map(|event| event.facts["held"].as_str()).collect::<Vec<_>>(), ["false", "true"]);
    }

    // Whole tiles go; the tree and all that it proves stay.
    async fn what_is_old_is_pruned_and_the_rest_stays_provable(database: Database) {
        let (world, desk) = (World::start(database).await, Desk::new());
        world.fill(300).await;
        let old = desk.checkpoint(&world, "old.checkpoint").await;
        let hold = |held| SetLegalHoldRequest { held, reason: String::new() };
        world.audit().set_legal_hold(hold(true)).await.unwrap();
        let world = without_server(world, 31, async |app, later| {
            assert_eq!(app.audit_prune(app.clock.now(), 10_000).await.unwrap(), 0, "nothing is old");
            assert_eq!(app.audit_prune(later, 10_000).await.unwrap(), 0, "it is held");
        }).await;
        world.audit().set_legal_hold(hold(false)).await.unwrap();
        let world = without_server(world, 31, async |app, later| {
            assert_eq!(app.audit_prune(later, 10).await.unwrap(), 0, "less than a tile never goes");
            assert_eq!(app.audit_prune(later, 10_000).await.unwrap(), 256);
            assert_eq!(app.audit_prune(later, 10_000).await.unwrap(), 0, "it was done");
        }).await;
        let events = world.events(ListEventsRequest::default()).await;
        assert_eq!(events.last().unwrap().index, 256);
        let told = world.events_of("audit.pruned").await;
        assert_eq!((told[0].facts["from"].as_str(), told[0].facts["to"].as_str()), ("0", "256"));
        let since = ["--since", old.to_str().unwrap()];
        let file = desk.export(&world, "rest.dwaudit", &since).await;
        assert!(is_true(&file, &since).await.contains("entries (256 to "));
        let refused = world.audit_verb(&["export", "--from-index", "0"]).await;
        assert!(refused.err.contains("pruned"), "{}", refused.err);
    }
}
