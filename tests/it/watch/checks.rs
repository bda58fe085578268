//! Checks in another process.
use super::{LEASE, SLACK, embedded, embedded_at, reason, refused, revoke, soon, watcher};
use crate::harness::mint::{unknown_key, with_a_typo};
use crate::harness::proxy::{Mode, Proxy};
use crate::harness::world::{OWNER, TENANT, named};
use crate::harness::{Database, World, on_both};
use doorward::client::embedded::{Demand, Permission, Reason};
use doorward::pb::v1::{CreateApiKeyRequest, RotateApiKeyRequest, SuspendTenantRequest, UpdateApiKeyRequest};
use prost_types::FieldMask;
use std::time::{Duration, Instant};

/// Keys that are made and revoked, one after the other.
const KEYS: usize = 200;

on_both! {
    // R15, P1, P3: a new key is accepted as soon as it is there, and a revoked one never again.
    async fn when_a_revocation_returns_it_has_happened_here(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let (mut keys, demand) = (world.keys(), Demand::default());
        let mut gone = Vec::new();
        for number in 0..KEYS {
            let made = keys.create_api_key(named("short-lived")).await.unwrap().into_inner();
            embedded.check_or_ask(&made.secret, &demand).await.unwrap();
            // From memory, too, once it is there.
            soon("the new key is not heard of", || refused(&embedded, &made.secret).is_none()).await;
            let id = made.api_key.unwrap().id;
            keys.revoke_api_key(doorward::pb::v1::RevokeApiKeyRequest { id }).await.unwrap();
            assert_eq!(refused(&embedded, &made.secret), Some(Reason::InvalidApiKey), "key {number}");
            gone.push(made.secret);
        }
        for secret in gone {
            assert_eq!(refused(&embedded, &secret), Some(Reason::InvalidApiKey));
            let asked = embedded.check_or_ask(&secret, &demand).await.unwrap_err();
            assert_eq!(reason(&asked), Reason::InvalidApiKey);
        }
    }

    async fn a_check_here_finds_what_a_check_there_finds(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let request = CreateApiKeyRequest { scopes: vec!["keys.read".into()], rate_limit: 3, ..named("narrow") };
        let (key, secret) = world.create(request).await;
        let demand = Demand { permission: Some(Permission::KEYS_READ), cost: Some(1), ..Demand::default() };
        let verified = embedded.check_or_ask(&secret, &demand).await.unwrap();
        assert_eq!(verified.credential.to_string(), key.id);
        assert_eq!(verified.principal.tenant().to_string(), world.tenant_id);
        assert_eq!(verified.principal.slug().unwrap().as_str(), TENANT);
        assert_eq!(verified.principal.email.as_ref().unwrap().as_str(), OWNER);
        assert_eq!(verified.permissions, [Permission::KEYS_READ].into_iter().collect());
        let more = Demand { permission: Some(Permission::KEYS_MANAGE), ..Demand::default() };
        let refusal = embedded.check_or_ask(&secret, &more).await.unwrap_err();
        assert_eq!(reason(&refusal), Reason::InsufficientPermissions);
        soon("the key is not heard of", || refused(&embedded, &secret).is_none()).await;
        while embedded.check(&secret, &demand).is_ok() {}
        assert_eq!(reason(&embedded.check(&secret, &demand).unwrap_err()), Reason::RateLimitExceeded);
        for garbage in [with_a_typo(&secret), unknown_key("dw_live_"), "garbage".into(), String::new()] {
            let refusal = embedded.check_or_ask(&garbage, &demand).await.unwrap_err();
            assert_eq!(reason(&refusal), Reason::InvalidApiKey, "{garbage}");
        }
    }

    // R15, R16: everything that takes rights away arrives before it returns.
    async fn what_takes_rights_away_has_happened_here_too(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let embedded = embedded_at(&world.server.api(), &world.owner).await;
        let (key, secret) = world.create_plain().await;
        for known in [&secret, &stranger.secret] {
            embedded.check_or_ask(known, &Demand::default()).await.unwrap();
            soon("the key is not heard of", || refused(&embedded, known).is_none()).await;
        }
        let narrow = UpdateApiKeyRequest {
            id: key.id.clone(),
            update_mask: Some(FieldMask { paths: vec!["scopes".into()] }),
            scopes: vec!["tenant.read".into()],
            ..Default::default()
        };
        world.keys().update_api_key(narrow).await.unwrap();
        let demand = Demand { permission: Some(Permission::KEYS_READ), ..Demand::default() };
        assert_eq!(reason(&embedded.check(&secret, &demand).unwrap_err()), Reason::InsufficientPermissions);
        let rotate = RotateApiKeyRequest { id: key.id, ..Default::default() };
        world.keys().rotate_api_key(rotate).await.unwrap();
        assert_eq!(refused(&embedded, &secret), Some(Reason::InvalidApiKey));
        let suspend = SuspendTenantRequest { id: stranger.tenant_id, ..Default::default() };
        world.tenancy().suspend_tenant(suspend).await.unwrap();
        assert_eq!(refused(&embedded, &stranger.secret), Some(Reason::TenantSuspended));
    }

    // P4: no lease and no server, no answer.
    async fn a_server_that_is_frozen_takes_the_lease_with_it(database: Database) {
        let world = World::start(database).await;
        let embedded = embedded(&world).await;
        let (_, secret) = world.create_plain().await;
        soon("the key is not heard of", || refused(&embedded, &secret).is_none()).await;
        world.server.signal("STOP");
        let start = Instant::now();
        while refused(&embedded, &secret).is_none() {
            assert!(start.elapsed() < LEASE + SLACK, "answers without a lease");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(refused(&embedded, &secret), Some(Reason::BackendUnavailable));
        let asked = embedded.check_or_ask(&secret, &Demand::default()).await.unwrap_err();
        assert_eq!(reason(&asked), Reason::BackendUnavailable);
        world.server.signal("CONT");
        soon("it does not come back", || refused(&embedded, &secret).is_none()).await;
    }

    // A link that is lost and found: what happened meanwhile is learnt, and until then nothing is accepted that is gone.
    async fn a_lost_link_is_found_again(database: Database) {
        let world = World::start(database).await;
        let port = world.server.api().rsplit_once(':').unwrap().1.parse().unwrap();
        let proxy = Proxy::start(port).await;
        let (_, credential) = watcher(&world).await;
        let embedded = embedded_at(&format!("127.0.0.1:{}", proxy.port()), &credential).await;
        let (key, secret) = world.create_plain().await;
        let (_, kept) = world.create_plain().await;
        for round in 0..2 {
            soon("a key is not heard of", || refused(&embedded, &kept).is_none()).await;
            proxy.set(if round == 0 { Mode::Cut } else { Mode::Hole });
            let (_, fresh) = world.create_plain().await;
            revoke(&world, &key.id).await;
            assert!(refused(&embedded, &secret).is_some(), "accepted after the revocation returned");
            proxy.set(Mode::Pass);
            soon("it does not come back", || refused(&embedded, &fresh).is_none()).await;
            assert_eq!(refused(&embedded, &secret), Some(Reason::InvalidApiKey));
        }
    }
}

// R6: whoever sees one tenant has no answer about another's keys, not even by asking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_another_tenant_are_unknown() {
    let world = World::start(Database::sqlite()).await;
    let (ours, everything) = (embedded(&world).await, embedded_at(&world.server.api(), &world.owner).await);
    let stranger = world.stranger().await;
    everything.check_or_ask(&stranger.secret, &Demand::default()).await.unwrap();
    let refusal = ours.check_or_ask(&stranger.secret, &Demand::default()).await.unwrap_err();
    assert_eq!(reason(&refusal), Reason::InvalidApiKey);
}
