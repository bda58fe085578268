//! The stream itself: who may have it, what it shows, and when it ends.
use super::raw::{Seen, Watching};
use super::{LEASE, SLACK, revoke, watcher};
use crate::harness::client::{Metadata, assert_told, authn};
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::watch_revocations_request::Action;
use doorward::pb::v1::{
    CreateApiKeyRequest, SetIpAllowlistRequest, UpdateApiKeyRequest, WatchAcknowledge, WatchOpen,
    WatchRevocationsRequest,
};
use prost_types::FieldMask;
use tonic::Code;

on_both! {
    // A66: of another tenant, its people and its keys nothing is ever shown, in the snapshot or after it.
    async fn nothing_of_another_tenant_is_shown(database: Database) {
        let world = World::start(database).await;
        let before = world.stranger().await;
        let (_, credential) = watcher(&world).await;
        let mut watching = Watching::begin(&world, &credential).await;
        let mut seen = Seen::default();
        watching.snapshot(&mut seen).await;
        // Changes of theirs, with changes of ours around them.
        let mut theirs = world.keys_as(&before.secret);
        for round in 0..5 {
            world.create_plain().await;
            let made = theirs.create_api_key(named("theirs")).await.unwrap().into_inner();
            let update = UpdateApiKeyRequest {
                id: made.api_key.unwrap().id,
                update_mask: Some(FieldMask { paths: vec!["rate_limit".into()] }),
                rate_limit: 10 + round,
                ..Default::default()
            };
            theirs.update_api_key(update).await.unwrap();
        }
        let (last, _) = world.create_plain().await;
        watching.until_key(&last.id, &mut seen).await;
        let all = seen.all();
        assert!(all.contains(&world.tenant_id) && all.contains("owner@acme.test"), "{all}");
        for foreign in [&before.tenant_id, &before.user_id, "umbrella"] {
            assert!(!all.contains(foreign), "{foreign} is shown: {all}");
        }
        // One that may see everything does.
        let mut watching = Watching::begin(&world, &world.owner).await;
        let mut seen = Seen::default();
        watching.snapshot(&mut seen).await;
        assert!(seen.all().contains(&before.tenant_id));
    }

    // Coming back: what was missed, and no snapshot; another scope or era: a snapshot.
    async fn who_comes_back_gets_what_was_missed(database: Database) {
        let world = World::start(database).await;
        let (_, credential) = watcher(&world).await;
        let mut watching = Watching::begin(&world, &credential).await;
        let mut seen = Seen::default();
        let (era, revision) = watching.snapshot(&mut seen).await;
        drop(watching);
        let (missed, _) = world.create_plain().await;
        let open = WatchOpen { era: era.clone(), revision: revision.clone() };
        let mut watching = Watching::open(&world, &credential, open.clone()).await;
        let mut seen = Seen::default();
        watching.until_key(&missed.id, &mut seen).await;
        assert!(!seen.snapshot, "everything was sent again");
        for (credential, open) in [
            (&world.owner, open.clone()),
            (&credential, WatchOpen { era: "another".into(), ..open.clone() }),
            // A forged revision of the future.
            (&credential, WatchOpen { revision: "r999999999".into(), ..open }),
        ] {
            let mut watching = Watching::open(&world, credential, open).await;
            let mut seen = Seen::default();
            watching.snapshot(&mut seen).await;
            assert!(seen.snapshot && seen.all().contains(&missed.id));
        }
    }

    // R15, A66: the stream ends with the watcher's own key.
    async fn a_revoked_watcher_hears_nothing_more(database: Database) {
        let world = World::start(database).await;
        let (key, credential) = watcher(&world).await;
        let mut watching = Watching::begin(&world, &credential).await;
        watching.snapshot(&mut Seen::default()).await;
        revoke(&world, &key.id).await;
        let status = watching.ends().await;
        assert_told(&status, Code::Unauthenticated, "INVALID_API_KEY");
    }

    // A66: a right to see that is taken away takes the stream with it.
    async fn a_watcher_that_may_see_less_has_to_come_back(database: Database) {
        let world = World::start(database).await;
        let request = CreateApiKeyRequest {
            scopes: vec!["credentials.verify".into(), "platform.verify".into()],
            ..named("wide")
        };
        let (key, credential) = world.create(request).await;
        let mut watching = Watching::begin(&world, &credential).await;
        watching.snapshot(&mut Seen::default()).await;
        let narrow = UpdateApiKeyRequest {
            id: key.id,
            update_mask: Some(FieldMask { paths: vec!["scopes".into()] }),
            scopes: vec!["credentials.verify".into()],
            ..Default::default()
        };
        world.keys().update_api_key(narrow).await.unwrap();
        let status = watching.ends().await;
        assert_told(&status, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
    }

    // P2: who never acknowledges delays a revocation by no more than its lease; one that holds none, not at all.
    async fn a_watcher_that_says_nothing_does_not_block_revocations(database: Database) {
        let world = World::start(database).await;
        let (_, credential) = watcher(&world).await;
        let mut silent = Watching::begin(&world, &credential).await;
        silent.snapshot(&mut Seen::default()).await;
        let (key, _) = world.create_plain().await;
        let start = std::time::Instant::now();
        revoke(&world, &key.id).await;
        let without = start.elapsed();
        assert!(without < LEASE / 2, "waited {without:?} for a watcher without a lease");
        silent.renew(1).await;
        let (key, _) = world.create_plain().await;
        let start = std::time::Instant::now();
        revoke(&world, &key.id).await;
        assert!(start.elapsed() < LEASE + SLACK, "waited {:?}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_to_be_opened_as_it_should() {
    let world = World::start(Database::sqlite()).await;
    let open = || Some(Action::Open(WatchOpen::default()));
    let nonsense = || Some(Action::Acknowledge(WatchAcknowledge { revision: "nonsense".into() }));
    for actions in [
        vec![None],
        vec![nonsense()],
        vec![open(), open()],
        vec![open(), nonsense()],
        vec![Some(Action::Open(WatchOpen { era: String::new(), revision: "7".into() }))],
    ] {
        let mut watching = Watching::raw(&world, &world.owner).await;
        for action in actions {
            watching.send(action).await;
        }
        let status = watching.ends().await;
        assert_told(&status, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
}

// R14: and who may not check credentials may not watch them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_needs_the_right_to_check() {
    let world = World::start(Database::sqlite()).await;
    let request = CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("narrow") };
    let (_, narrow) = world.create(request).await;
    world.tenancy().set_ip_allowlist(SetIpAllowlistRequest::default()).await.unwrap();
    for (credential, code) in [(narrow.as_str(), Code::PermissionDenied), ("garbage", Code::Unauthenticated)]
    {
        let mut authn = authn(&world.server.api(), Metadata::bearer(credential));
        let nothing = tokio_stream::empty::<WatchRevocationsRequest>();
        assert_eq!(authn.watch_revocations(nothing).await.unwrap_err().code(), code);
    }
}
