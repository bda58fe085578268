//! Hours that are unusual for a key, and hours that are long past.
use crate::harness::{Database, World, on_both};
use doorward::domain::Clock;
use doorward::domain::KeyId;
use doorward::domain::audit::{Action, Actor, Event};
use doorward::domain::usage::{Counts, Hour, Outcome};
use doorward::store::audit::event_count;
use doorward::store::usage::{usage_add, usage_history, usage_of, usage_prune, usage_spike_note};
use doorward::store::{Across, Error, Options, Store, Url};
use std::time::{Duration, Instant};

fn store(database: &Database) -> Store {
    Store::new(&Options { url: Url::new(database.url()), ..Options::default() }).unwrap()
}

fn hour() -> Hour {
    Hour::of(doorward::boot::SystemClock::default().now())
}

fn accepted(count: u64) -> Counts {
    let mut counts = [0; Outcome::COUNT];
    counts[Outcome::Accepted as usize] = count;
    Counts::from_array(counts)
}

async fn spikes(store: &Store) -> i64 {
    event_count(&mut store.read(Across::Instance).await.unwrap(), Action::UsageSpike.name()).await.unwrap()
}

async fn key(world: &World) -> KeyId {
    world.create_plain().await.0.id.parse().unwrap()
}

on_both! {
    // R21: within two minutes, for the hour is looked at every minute.
    async fn a_spike_is_written_into_the_audit_log_once(database: Database) {
        let world = World::start(database).await;
        let store = store(&world.database);
        let (now, loud, busy) = (hour(), key(&world).await, key(&world).await);
        for at in 1..30 {
            let rows = [(loud, now.minus(at), accepted(50)), (busy, now.minus(at), accepted(5_000))];
            usage_add(&store, &rows).await.unwrap();
        }
        // Both hours, should the next one begin meanwhile.
        for at in [now, now.minus(-1)] {
            usage_add(&store, &[(loud, at, accepted(6_000)), (busy, at, accepted(6_000))]).await.unwrap();
        }
        let end = Instant::now() + Duration::from_secs(150);
        while spikes(&store).await == 0 {
            assert!(Instant::now() < end, "nobody has noticed");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let told = usage_of(&mut store.read(Across::Instance).await.unwrap(), loud, now, now.minus(-2)).await.unwrap();
        assert_eq!(told.iter().filter(|used| used.spike).count(), 1);
        let busy = usage_of(&mut store.read(Across::Instance).await.unwrap(), busy, now, now.minus(-2)).await.unwrap();
        assert!(busy.iter().all(|used| !used.spike), "as busy as always");
        assert_eq!(spikes(&store).await, 1);
    }

    async fn a_key_has_one_spike_a_day_whoever_notes_it(database: Database) {
        let world = World::start(database).await;
        let (store, key) = (store(&world.database), key(&world).await);
        let day = Hour::from_number(1_000).day();
        for at in [0, 1, 24] {
            usage_add(&store, &[(key, day.minus(-at), accepted(1))]).await.unwrap();
        }
        let note = async |at: i64| {
            let (tenant, now) = (world.tenant_id.parse().unwrap(), doorward::boot::SystemClock::default().now());
            let event = Event::new(tenant, Action::UsageSpike, key, now, &doorward::boot::OsEntropy);
            let actor = Actor::system("test");
            let noting = store.write(&actor, event, async |tx| {
                if usage_spike_note(tx, key, day.minus(-at)).await? { Ok(()) } else { Err(Error::Conflict) }
            });
            noting.await.is_ok()
        };
        let (one, two) = tokio::join!(note(0), note(0));
        assert!(one != two, "one of two that race: {one} {two}");
        assert!(!note(1).await, "the same day");
        assert!(note(24).await, "the next day");
        assert_eq!(spikes(&store).await, 2, "what was not noted is not in the log");
    }

    async fn counts_add_up_and_old_ones_go(database: Database) {
        let world = World::start(database).await;
        let (store, key) = (store(&world.database), key(&world).await);
        let (now, gone) = (hour(), KeyId::from_bytes([9; 16]));
        let rows = [(key, now.minus(100), accepted(2)), (gone, now.minus(100), accepted(2))];
        for _ in 0..3 {
            usage_add(&store, &rows).await.unwrap();
        }
        let old: Vec<_> = (0..10).map(|at| (key, now.minus(10_000 + at), accepted(1))).collect();
        usage_add(&store, &old).await.unwrap();
        let history = usage_history(&mut store.read(Across::Instance).await.unwrap(), key, now).await.unwrap();
        assert_eq!((history.hours, history.total, history.first), (1, 6, Some(now.minus(10_009))));
        let before = now.minus(90 * 24);
        for expected in [4, 4, 2, 0] {
            assert_eq!(usage_prune(&store, before, 4).await.unwrap(), expected);
        }
        let left = usage_of(&mut store.read(Across::Instance).await.unwrap(), key, now.minus(20_000), now).await.unwrap();
        assert_eq!(left.iter().map(|used| used.counts.total()).collect::<Vec<_>>(), [6]);
    }
}
