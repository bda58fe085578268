//! Transactions, their audit entries, and the change log.
use super::*;
use crate::harness::on_both;
use crate::harness::postgres::Postgres;
use doorward::domain::changes::{Change, Revision};
use doorward::domain::{Reason, Refusal};
use doorward::store::Across;
use doorward::store::audit::event_count;
use doorward::store::{Error, keys::key_by_id};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

/// Everything in the change log, as a follower reads it.
async fn log(store: &Store) -> Vec<(u64, Change)> {
    let mut tail = store.tail(Revision::default());
    let mut all = Vec::new();
    loop {
        let look = tail.look(LIMIT).await.unwrap();
        all.extend(look.changes);
        if look.complete {
            return all;
        }
    }
}

on_both! {
    // R45
    async fn every_write_leaves_its_audit_entry_and_its_change(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let key = key(tenant, Some(owner));
        let written = insert(&store, &key).await.unwrap();
        let log = log(&store).await;
        assert_eq!(log.last(), Some(&(written.revision.number(), Change::Key(Box::new(key.state)))));
        assert_eq!(log.len(), 4);
        assert_eq!(event_count(&mut store.read(Across::Instance).await.unwrap(), "key.created").await.unwrap(), 2);
    }

    async fn what_is_refused_half_way_never_happened(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let before = log(&store).await.len();
        let key = key(tenant, Some(owner));
        let refused = write(&store, tenant, async |tx| {
            key_insert(tx, &key).await?;
            Err::<(), _>(Refusal::new(Reason::FailedPrecondition, "no").into())
        }).await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        assert_eq!(key_by_id(&mut store.read(tenant).await.unwrap(), tenant, key.state.id).await.unwrap(), None);
        assert_eq!(log(&store).await.len(), before);
    }

    // A client that hangs up leaves nothing behind and holds no lock.
    async fn a_write_that_is_dropped_rolls_back_and_frees_its_locks(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let before = log(&store).await.len();
        for at in 0..20 {
            let key = key(tenant, Some(owner));
            let writing = write(&store, tenant, async |tx| {
                key_insert(tx, &key).await?;
                tokio::time::sleep(Duration::from_mins(1)).await;
                Ok(())
            });
            assert!(tokio::time::timeout(Duration::from_micros(at * 700), writing).await.is_err());
        }
        let began = Instant::now();
        insert(&store, &key(tenant, Some(owner))).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(log(&store).await.len(), before + 1);
    }

    async fn detached_work_ends_though_nobody_waits(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let key = key(tenant, Some(owner));
        let id = key.state.id;
        let (slow, writer) = (key.clone(), store.clone());
        let work = store.detached(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            insert(&writer, &slow).await
        });
        assert!(tokio::time::timeout(Duration::from_millis(5), work).await.is_err());
        store.close().await;
        assert!(key_by_id(&mut store.read(tenant).await.unwrap(), tenant, id).await.unwrap().is_some());
    }

    // The order of the log is the order of commits, without gaps, whatever is
    // rolled back in between.
    async fn writers_that_race_make_one_log_without_gaps(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let before = log(&store).await.len() as u64;
        let follower = tokio::spawn({
            let store = store.clone();
            async move {
                let mut tail = store.tail(Revision::from_number(before));
                let mut seen = Vec::new();
                while seen.len() < 160 {
                    let look = tail.look(LIMIT).await.unwrap();
                    seen.extend(look.changes);
                    if look.complete {
                        tail.wait(Duration::from_millis(500)).await;
                    }
                }
                seen
            }
        });
        let writers = (0..8).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = Vec::new();
                for at in 0..25 {
                    let key = key(tenant, Some(owner));
                    let fails = at % 5 == 4;
                    let written = write(&store, tenant, async |tx| {
                        key_insert(tx, &key).await?;
                        if fails { Err(Refusal::not_found("anything").into()) } else { Ok(()) }
                    }).await;
                    if !fails {
                        done.push((written.unwrap().revision.number(), key.state.id));
                    }
                }
                done
            })
        });
        let mut written = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            written.extend(writer.await.unwrap());
        }
        written.sort_unstable();
        let seen = tokio::time::timeout(Duration::from_secs(30), follower).await.unwrap().unwrap();
        let seen: Vec<_> = seen.into_iter().map(|(seq, change)| {
            let Change::Key(key) = change else { panic!("only keys were written: {change:?}") };
            (seq, key.id)
        }).collect();
        assert_eq!(seen, written, "each change once, in the order of commits, told to its own writer");
        assert!(seen.iter().map(|(seq, _)| *seq).eq(before + 1..=before + 160));
    }

    async fn a_follower_is_woken_by_a_commit(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let mut tail = store.tail(Revision::default());
        assert!(tail.look(LIMIT).await.unwrap().complete);
        for _ in 0..5 {
            let waiting = tokio::spawn(async move {
                let began = Instant::now();
                tail.wait(Duration::from_secs(20)).await;
                (tail, began.elapsed())
            });
            tokio::time::sleep(Duration::from_millis(30)).await;
            insert(&store, &key(tenant, Some(owner))).await.unwrap();
            let (back, waited) = waiting.await.unwrap();
            tail = back;
            assert!(waited < Duration::from_secs(10), "{waited:?}");
            assert_eq!(tail.look(LIMIT).await.unwrap().changes.len(), 1);
        }
    }
}

// A follower whose session is killed reads on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_survives_the_loss_of_its_session() {
    let database = Database::postgres().await;
    let store = open(&database).await;
    let (tenant, owner) = town(&store, "acme").await;
    let mut tail = store.tail(Revision::default());
    let mut seen = tail.look(LIMIT).await.unwrap().changes.len();
    let url = database.url();
    let name = url.rsplit_once('/').unwrap().1;
    let admin = Postgres::shared().connect(name).await;
    for _ in 0..3 {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        admin.execute(kill, &[]).await.unwrap();
        while insert(&store, &key(tenant, Some(owner))).await.is_err() {}
        let began = Instant::now();
        loop {
            tail.wait(Duration::from_millis(100)).await;
            let found = tail.look(LIMIT).await.map_or(0, |look| look.changes.len());
            seen += found;
            if found > 0 {
                break;
            }
            assert!(began.elapsed() < LIMIT, "the change was never seen");
        }
    }
    assert!(seen >= 6, "{seen}");
}
