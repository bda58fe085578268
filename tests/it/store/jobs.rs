//! What jobs drop, and what they must not.
use super::*;
use crate::harness::on_both;
use doorward::domain::changes::Revision;
use doorward::store::ReplicaId;
use std::time::Duration;

const MOST: u32 = 1000;

/// As if the log had become old.
fn in_two_days() -> Timestamp {
    now().plus(Duration::from_hours(48))
}

const DAY: Duration = Duration::from_hours(24);

/// A log of some changes; gives the newest.
async fn logged(store: &Store) -> Revision {
    for number in 0..5 {
        town(store, &format!("town-{number}")).await;
    }
    store.newest().await.unwrap()
}

async fn all_after(store: &Store, revision: u64) -> Option<usize> {
    let found = store.changes_after(Revision::from_number(revision), 1000).await.unwrap();
    found.map(|changes| changes.len())
}

on_both! {
    // R15: what a replica has not applied stays, and one that comes back too late knows.
    async fn the_log_is_cut_behind_every_replica(database: Database) {
        let store = open(&database).await;
        let newest = logged(&store).await;
        let lease = Duration::from_secs(2);
        store.enlist(ReplicaId::from_bytes([1; 16]), lease).await.unwrap();
        let mut tail = store.tail(Revision::default());
        assert_eq!(tail.look(lease).await.unwrap().changes.len(), usize::try_from(newest.number()).unwrap());
        let prune = async |own: Revision, now| store.changes_prune(own, DAY, now, MOST).await.unwrap();
        // It is young; nothing was applied; on PostgreSQL nothing was promised.
        assert_eq!(prune(newest, now()).await, 0);
        assert_eq!(prune(Revision::default(), in_two_days()).await, 0);
        let half = Revision::from_number(newest.number() / 2);
        if !store.is_embedded() {
            assert_eq!(prune(newest, in_two_days()).await, 0);
            tail.acknowledge(ReplicaId::from_bytes([1; 16]), half, "", lease).await.unwrap();
        }
        let own = if store.is_embedded() { half } else { newest };
        assert_eq!(prune(own, in_two_days()).await, half.number());
        assert_eq!(all_after(&store, half.number()).await, Some(usize::try_from(newest.number() - half.number()).unwrap()));
        // All but the newest, however far everybody is.
        if !store.is_embedded() {
            tail.acknowledge(ReplicaId::from_bytes([1; 16]), newest, "", lease).await.unwrap();
        }
        assert_eq!(prune(newest, in_two_days()).await, newest.number() - half.number() - 1);
        assert_eq!(prune(newest, in_two_days()).await, 0);
        // Whoever is behind the cut is told so by every way to read on, and skips nothing.
        for behind in [0, half.number(), newest.number() - 2] {
            assert_eq!(all_after(&store, behind).await, None, "{behind}");
            let look = store.tail(Revision::from_number(behind)).look(lease).await.unwrap();
            assert!(look.gap && look.changes.is_empty(), "{behind}");
        }
        for not_behind in [newest.number() - 1, newest.number()] {
            assert!(all_after(&store, not_behind).await.is_some());
            assert!(!store.tail(Revision::from_number(not_behind)).look(lease).await.unwrap().gap);
        }
        // The log goes on with the next number.
        town(&store, "one-more").await;
        assert!(store.newest().await.unwrap() > newest);
        assert!(all_after(&store, newest.number()).await.is_some());
    }

    async fn a_run_is_bounded_and_leaves_no_hole(database: Database) {
        let store = open(&database).await;
        let newest = logged(&store).await;
        store.enlist(ReplicaId::from_bytes([1; 16]), Duration::from_secs(2)).await.unwrap();
        if !store.is_embedded() {
            let mut tail = store.tail(Revision::default());
            tail.look(Duration::from_secs(2)).await.unwrap();
            tail.acknowledge(ReplicaId::from_bytes([1; 16]), newest, "", Duration::from_secs(2)).await.unwrap();
        }
        for run in 1..=3 {
            assert_eq!(store.changes_prune(newest, DAY, in_two_days(), 2).await.unwrap(), 2);
            assert!(all_after(&store, run * 2).await.is_some());
            assert_eq!(all_after(&store, run * 2 - 1).await, None);
        }
        // Another replica that has only just come holds all of it back.
        if !store.is_embedded() {
            store.enlist(ReplicaId::from_bytes([2; 16]), Duration::from_secs(2)).await.unwrap();
            assert_eq!(store.changes_prune(newest, DAY, in_two_days(), 2).await.unwrap(), 0);
        }
    }

    async fn a_job_is_taken_by_one_when_it_is_due(database: Database) {
        let store = open(&database).await;
        let (every, held) = (Duration::from_mins(5), Duration::from_mins(1));
        let at = |seconds| now().plus(Duration::from_secs(seconds));
        let take = async |seconds| store.job_take("a_job", every, held, at(seconds)).await.unwrap();
        let all = futures_util::future::join_all((0..8).map(|_| take(0))).await;
        assert_eq!(all.iter().filter(|taken| **taken).count(), 1, "one of those who come at once");
        store.job_ended("a_job", now(), Ok(7)).await.unwrap();
        assert!(!take(200).await, "not before it is due");
        assert!(take(400).await);
        // Whoever took it has gone away: it is free again when nobody holds it any more.
        assert!(!take(410).await);
        store.job_ask("a_job").await.unwrap();
        assert!(!take(410).await, "it is held");
        assert!(take(500).await);
        store.job_ended("a_job", now(), Err("no luck".into())).await.unwrap();
        let known = store.job_list().await.unwrap();
        assert_eq!((known[0].name.as_str(), known[0].failure.as_deref()), ("a_job", Some("no luck")));
    }

    async fn request_ids_are_forgotten(database: Database) {
        let store = open(&database).await;
        let (tenant, _) = town(&store, "acme").await;
        let once = async || {
            write(&store, tenant, async |tx| {
                doorward::store::keys::request_once(tx, tenant, "somebody", "one", "target").await
            }).await.unwrap().value
        };
        assert_eq!(once().await, None);
        assert_eq!(once().await.as_deref(), Some("target"));
        assert_eq!(store.requests_prune(DAY, now(), MOST).await.unwrap(), 0);
        assert_eq!(store.requests_prune(DAY, in_two_days(), MOST).await.unwrap(), 1);
        assert_eq!(once().await, None);
    }
}
