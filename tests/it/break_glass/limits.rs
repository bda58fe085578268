//! How often, for how long, and by which key.
use super::*;
use crate::harness::client::assert_refused;
use crate::harness::on_both;
use crate::harness::world::bootstrap;
use crate::harness::{Server, Settings};
use doorward::boot::{OsEntropy, SystemClock};
use doorward::domain::audit::{Action, Actor, Event};
use doorward::domain::break_glass::GrantState;
use doorward::domain::permission::{Permission, Permissions};
use doorward::domain::{Clock, GrantId, TenantId, Timestamp};
use doorward::store::break_glass::{grant_close, grant_insert};
use std::time::Duration;
use tonic::Code;

const OVER: &str = "RATE_LIMIT_EXCEEDED";

fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Puts a grant into the database, as if it had been opened then, before the server starts.
async fn opened_before(
    database: &Database,
    tenant: &str,
    then: Timestamp,
    until: Timestamp,
    closed: bool,
) -> GrantId {
    let tenant: TenantId = tenant.parse().unwrap();
    let permissions = Permissions::of(&[Permission::TENANT_READ]);
    let grant =
        GrantState { id: GrantId::new(then, &OsEntropy), tenant, permissions, expire: until, closed: false };
    let event = Event::new(tenant, Action::BreakGlassOpened, grant.id, then, &OsEntropy);
    let store = store(database);
    let work = async |tx: &mut doorward::store::Tx| {
        grant_insert(tx, &grant, &key_id()).await?;
        if closed { grant_close(tx, &grant, true).await } else { Ok(()) }
    };
    store.write(&Actor::system("test"), event, work).await.unwrap();
    store.close().await;
    grant.id
}

async fn tenant_of(database: &Database) -> String {
    bootstrap(database).await["tenant_id"].as_str().unwrap().to_owned()
}

fn before(hours: u64) -> Timestamp {
    Timestamp::from_micros(now().micros() - i64::try_from(hours * 3_600_000_000).unwrap())
}

on_both! {
    // R44, A60
    async fn uses_in_a_minute(database: Database) {
        let glass = Glass::with(database, |it| it.set("break_glass.uses_per_minute", "3")).await;
        for _ in 0..3 {
            who(&glass.address(), glass.here()).await.unwrap();
        }
        let over = assert_refused(who(&glass.address(), glass.here()).await, Code::ResourceExhausted, OVER);
        assert!(over["retry_after"].parse::<u64>().unwrap() <= 60);
        assert_eq!(glass.audited("break_glass.used").await, 3);
        // Nobody else waits for it.
        who(&glass.address(), Metadata::bearer(&glass.world.owner)).await.unwrap();
    }

    // R44, A60: after wrong keys the right one waits as well, or it could be guessed.
    async fn wrong_keys_in_a_minute(database: Database) {
        let glass = Glass::with(database, |it| it.set("break_glass.failures_per_minute", "2")).await;
        for _ in 0..2 {
            let wrong = Metadata::none().and("x-master-key", "wrong");
            assert_refused(who(&glass.address(), wrong).await, Code::Unauthenticated, "INVALID_API_KEY");
        }
        for metadata in [Metadata::none().and("x-master-key", "wrong"), glass.here()] {
            assert_refused(who(&glass.address(), metadata).await, Code::ResourceExhausted, OVER);
        }
        assert_eq!(glass.audited("break_glass.opened").await, 0);
        who(&glass.address(), Metadata::bearer(&glass.world.owner)).await.unwrap();
    }

    // R44: a grant ends by itself, and the next one is another.
    async fn a_grant_ends(database: Database) {
        let tenant = tenant_of(&database).await;
        let end = now().plus(Duration::from_secs(6));
        let grant = opened_before(&database, &tenant, before(0), end, false).await;
        let letters = Mailbox::new();
        let server = Server::serve(&database, &settings(&letters)).await;
        let told = who(&server.api(), emergency(&tenant)).await.unwrap().into_inner();
        assert_eq!((told.id.as_str(), &told.permissions[..]), (grant.to_string().as_str(), &["tenant.read".to_owned()][..]));
        while now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let next = who(&server.api(), emergency(&tenant)).await.unwrap().into_inner();
        assert!(next.id != told.id && next.permissions.len() > 1, "{next:?}");
    }

    // R44
    async fn a_key_that_was_used_long_ago_opens_nothing(database: Database) {
        let tenant = tenant_of(&database).await;
        opened_before(&database, &tenant, before(49), before(48), true).await;
        let letters = Mailbox::new();
        let serve = async |days: &str| {
            let settings: Settings = settings(&letters).set("break_glass.key_days", days);
            Server::serve(&database, &settings).await
        };
        let server = serve("2").await;
        let refused = who(&server.api(), emergency(&tenant)).await;
        let told = assert_refused(refused, Code::FailedPrecondition, "FAILED_PRECONDITION");
        assert_eq!(told["state"], "key_used_up");
        // Whoever starts it is told.
        assert!(server.log().contains("its master key was used"), "{}", server.log());
        server.stop().await;
        let server = serve("3").await;
        who(&server.api(), emergency(&tenant)).await.unwrap();
    }
}
