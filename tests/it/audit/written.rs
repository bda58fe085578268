//! Entries are numbered without gaps, whoever writes at once, and get their checkpoints by themselves.
use crate::harness::{Database, World, on_both};
use doorward::domain::audit::merkle::Hash;
use doorward::domain::audit::{Action, Actor, Event};
use doorward::domain::{Clock, TenantId};
use doorward::store::Across;
use doorward::store::audit::{pages, tree};
use doorward::store::{Error, Options, Result, Store, Url};
use std::time::Duration;

/// Writers at a time, and what each writes.
const WRITERS: u64 = 8;
const EACH: u64 = 40;

async fn open(database: &Database) -> Store {
    let store = Store::new(&Options { url: Url::new(database.url()), ..Options::default() }).unwrap();
    store.migrate().await.unwrap();
    store
}

fn event(tenant: TenantId, target: &str) -> Event {
    let now = doorward::boot::SystemClock::default().now();
    Event::new(tenant, Action::KeyCreated, target, now, &doorward::boot::OsEntropy)
}

/// Writes an entry, or fails half-way.
async fn write(store: &Store, tenant: TenantId, target: &str, fails: bool) -> Result<()> {
    let work = async |tx: &mut doorward::store::Tx| {
        tx.detail("name", target);
        if fails { Err(Error::Conflict) } else { Ok(()) }
    };
    store.write(&Actor::system("test"), event(tenant, target), work).await.map(drop)
}

on_both! {
    // P6
    async fn numbers_have_no_gaps_whoever_writes_at_once(database: Database) {
        let store = open(&database).await;
        let tenants = [1, 2].map(|byte| TenantId::from_bytes([byte; 16]));
        let writers = (0..WRITERS).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for at in 0..EACH {
                    let target = format!("{writer}/{at}");
                    write(&store, tenants[usize::from(at % 4 == 0)], &target, false).await.unwrap();
                    // What fails takes no number.
                    write(&store, tenants[0], &target, true).await.unwrap_err();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        for (tenant, expected) in tenants.into_iter().zip([WRITERS * EACH / 4 * 3, WRITERS * EACH / 4]) {
            let conn = &mut store.read(Across::Instance).await.unwrap();
            let head = tree::head(conn, tenant).await.unwrap().unwrap();
            assert_eq!(head.size, expected);
            let run = pages::run(conn, tenant, 0..expected).await.unwrap();
            for (stored, idx) in run.iter().zip(0..) {
                assert!(stored.entry.contains(&format!("\"idx\":{idx},")), "{}", stored.entry);
                assert_eq!(stored.fields.len(), 1);
            }
        }
    }

    // What is kept in tiles gives the same hashes as all leaves do.
    async fn the_tree_is_the_same_however_it_grew(database: Database) {
        let store = open(&database).await;
        let tenant = TenantId::from_bytes([3; 16]);
        let now = doorward::boot::SystemClock::default().now();
        let sign = |size: u64, root: &Hash| format!("{size} {root}");
        let mut written = 0;
        for more in [1_u64, 3, 251, 1, 1, 260, 300] {
            for at in 0..more {
                write(&store, tenant, &format!("{}", written + at), false).await.unwrap();
            }
            written += more;
            let head = tree::seal(&store, tenant, now, sign).await.unwrap().unwrap();
            assert_eq!((head.size, head.tree.size()), (written, written));
        }
        let conn = &mut store.read(Across::Instance).await.unwrap();
        let run = pages::run(conn, tenant, 0..written).await.unwrap();
        let leaves: Vec<Hash> = run.iter().map(|stored| Hash::of_leaf(stored.entry.as_bytes())).collect();
        let root = doorward::domain::audit::merkle::root_of(leaves.iter().copied());
        let last = tree::last_checkpoint(conn, tenant).await.unwrap().unwrap();
        assert_eq!((last.size, last.note), (written, format!("{written} {root}")));
        for index in [0, 1, 255, 256, 511, 512, written - 1] {
            let spans = doorward::domain::audit::merkle::inclusion(index, written);
            let path = tree::hashes(conn, tenant, &spans).await.unwrap();
            let leaf = leaves[usize::try_from(index).unwrap()];
            assert!(doorward::domain::audit::merkle::is_included(leaf, index, written, &path, &root), "{index}");
        }
        for old in [1, 4, 255, 256, 257, 517, 600] {
            let spans = doorward::domain::audit::merkle::consistency(old, written);
            let path = tree::hashes(conn, tenant, &spans).await.unwrap();
            let before = doorward::domain::audit::merkle::root_of(leaves.iter().copied().take(usize::try_from(old).unwrap()));
            assert!(doorward::domain::audit::merkle::is_consistent(old, &before, written, &root, &path), "{old}");
        }
    }

    // A tile of entries gets its checkpoint at once, and the platform's own log tells of it.
    async fn checkpoints_come_by_themselves(database: Database) {
        let world = World::start(database).await;
        let store = open(&world.database).await;
        let tenant: TenantId = world.tenant_id.parse().unwrap();
        for at in 0..256 {
            write(&store, tenant, &at.to_string(), false).await.unwrap();
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        let size = loop {
            let kept = tree::last_checkpoint(&mut store.read(tenant).await.unwrap(), tenant).await.unwrap();
            if let Some(kept) = kept {
                break kept.size;
            }
            assert!(std::time::Instant::now() < deadline, "there is no checkpoint");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert!(size >= 256);
        let answer = world.audit_verb(&["checkpoint", "--output", "json"]).await.json();
        let log = answer["log_id"].as_str().unwrap();
        let told = loop {
            let listed = world.audit_verb(&["list", "--platform", "--action", "audit.sealed", "--output", "json"]).await.json();
            let told = listed["events"].as_array().unwrap().iter().find_map(|event| {
                let logs = event["facts"]["logs"].as_str().unwrap();
                logs.split(' ').find(|one| one.starts_with(log)).map(str::to_owned)
            });
            if let Some(told) = told {
                break told;
            }
            assert!(std::time::Instant::now() < deadline, "the platform's log does not tell");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert!(told.starts_with(&format!("{log}:{size}:")), "{told}");
    }
}
