//! Follower, keeper, reaper and fence together, on a database that is made up
//! and a clock that tokio moves: thousands of faults a second, each run the
//! same for the same seed.

use super::{Database, Log, Options, Renews, Replica};
use crate::domain::changes::{Change, Revision};
use crate::domain::keys::{KeyState, samples};
use crate::domain::tenants::TenantState;
use crate::domain::{Clock, Digest, Entropy, KeyId, Moment, TenantId, Timestamp};
use crate::store::{Enlisted, Error, Look, Renewal, ReplicaId, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const LEASE: Duration = Duration::from_secs(1);
const TENANT: TenantId = TenantId::from_bytes([1; 16]);

/// Numbers without pattern, the same for the same seed.
struct Dice(AtomicU64);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % bound
    }
}

/// Ids by the same dice.
struct Seeded(Arc<Dice>);

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| u8::try_from(self.0.below(256)).unwrap());
    }
}

/// Tokio's time, at a rate of its own.
struct Watch {
    start: Instant,
    /// Millionths by which it runs fast.
    rate: i64,
}

impl Clock for Watch {
    fn moment(&self) -> Moment {
        let true_time = i64::try_from(self.start.elapsed().as_micros()).unwrap();
        let own = true_time + true_time * self.rate / 1_000_000 + 5_000_000;
        Moment { wall: Timestamp::from_micros(own), monotonic: u64::try_from(own).unwrap() }
    }
}

#[derive(Default)]
struct Rows {
    changes: Vec<Change>,
    keys: BTreeMap<KeyId, KeyState>,
    replicas: BTreeMap<ReplicaId, Enlisted>,
    era: String,
}

/// The database, by one replica's link to it.
#[derive(Clone)]
struct Made {
    rows: Arc<Mutex<Rows>>,
    head: Arc<watch::Sender<usize>>,
    dice: Arc<Dice>,
    /// Until when nothing passes this link.
    silent_until: Arc<Mutex<Instant>>,
}

impl Made {
    /// A round trip: some time there, some time back, or none comes back.
    async fn trip<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> Result<T> {
        self.leg().await?;
        let outcome = work(&mut self.rows.lock().unwrap());
        self.leg().await?;
        Ok(outcome)
    }

    async fn leg(&self) -> Result<()> {
        sleep(Duration::from_micros(self.dice.below(3_000))).await;
        let silent_until = *self.silent_until.lock().unwrap();
        if Instant::now() < silent_until {
            // Either the link is seen to be broken, or the bytes come late.
            tokio::time::sleep_until(silent_until).await;
            if self.dice.below(2) == 0 {
                return Err(Error::Unavailable("the link broke".into()));
            }
        }
        Ok(())
    }

    fn commit(&self, change: Change) -> Revision {
        let mut rows = self.rows.lock().unwrap();
        if let Change::Key(key) = &change {
            rows.keys.insert(key.id, (**key).clone());
        }
        rows.changes.push(change);
        self.head.send_replace(rows.changes.len());
        Revision::from_number(rows.changes.len() as u64)
    }
}

struct MadeLog {
    made: Made,
    seq: usize,
    head: watch::Receiver<usize>,
}

impl Log for MadeLog {
    async fn look(&mut self, limit: Duration) -> Result<Look> {
        let seq = self.seq;
        let read = self.made.trip(|rows| rows.changes.get(seq..).unwrap_or_default().to_vec());
        let found =
            tokio::time::timeout(limit, read).await.map_err(|late| Error::Unavailable(late.into()))??;
        let changes: Vec<_> = (seq as u64 + 1..).zip(found).collect();
        self.seq += changes.len();
        Ok(Look { changes, complete: true, gap: false })
    }

    async fn wait(&mut self, wait: Duration) {
        // A hint comes late, or not at all.
        let late = Duration::from_micros(self.made.dice.below(2_000));
        let lost = self.made.dice.below(4) == 0;
        tokio::select! {
            () = sleep(wait) => {}
            _ = self.head.changed(), if !lost => sleep(late.min(wait)).await,
        }
    }

    fn go_on_after(&mut self, revision: Revision) {
        self.seq = usize::try_from(revision.number()).unwrap();
    }

    async fn acknowledge(
        &mut self,
        id: ReplicaId,
        revision: Revision,
        cuts: &str,
        limit: Duration,
    ) -> Result<()> {
        let write = self.made.trip(|rows| {
            if let Some(row) = rows.replicas.get_mut(&id).filter(|row| !row.draining) {
                row.acknowledged = row.acknowledged.max(revision);
                cuts.clone_into(&mut row.cuts);
            }
        });
        tokio::time::timeout(limit, write).await.map_err(|late| Error::Unavailable(late.into()))?
    }
}

struct MadeKeeper(Made);

impl Renews for MadeKeeper {
    async fn renew(&mut self, id: ReplicaId, limit: Duration) -> Result<Option<Renewal>> {
        let renew = self.0.trip(|rows| {
            let row = rows.replicas.get_mut(&id).filter(|row| !row.draining)?;
            row.renewals += 1;
            let head = Revision::from_number(rows.changes.len() as u64);
            Some(Renewal { head, era: rows.era.clone() })
        });
        tokio::time::timeout(limit, renew).await.map_err(|late| Error::Unavailable(late.into()))?
    }
}

impl Database for Made {
    type Log = MadeLog;
    type Keeper = MadeKeeper;

    fn has_others(&self) -> bool {
        true
    }

    async fn enlist(&self, id: ReplicaId, lease: Duration) -> Result<()> {
        let (acknowledged, cuts) = (Revision::default(), String::new());
        self.trip(|rows| {
            rows.replicas
                .insert(id, Enlisted { id, acknowledged, cuts, renewals: 0, draining: false, lease });
        })
        .await
    }

    async fn counts(&self) -> Result<(u64, u64)> {
        Ok((0, 0))
    }

    async fn snapshot(&self, mut each: impl FnMut(Change) + Send) -> Result<Revision> {
        let (changes, head) = self.trip(|rows| (rows.changes.clone(), rows.changes.len() as u64)).await?;
        changes.into_iter().for_each(&mut each);
        Ok(Revision::from_number(head))
    }

    fn log(&self, from: Revision) -> MadeLog {
        let seq = usize::try_from(from.number()).unwrap();
        MadeLog { made: self.clone(), seq, head: self.head.subscribe() }
    }

    fn keeper(&self) -> MadeKeeper {
        MadeKeeper(self.clone())
    }

    async fn enlisted(&self) -> Result<Vec<Enlisted>> {
        self.trip(|rows| rows.replicas.values().cloned().collect()).await
    }

    async fn newest(&self) -> Result<Revision> {
        self.trip(|rows| Revision::from_number(rows.changes.len() as u64)).await
    }

    async fn drain(&self, id: ReplicaId, seen: Option<u64>) -> Result<()> {
        self.trip(|rows| {
            if let Some(row) = rows.replicas.get_mut(&id)
                && seen.is_none_or(|seen| row.renewals == seen)
            {
                row.draining = true;
            }
        })
        .await
    }

    async fn forget(&self, id: ReplicaId, seen: Option<u64>) -> Result<()> {
        self.trip(|rows| {
            let goes = |row: &Enlisted| row.draining && seen.is_none_or(|seen| row.renewals == seen);
            if rows.replicas.get(&id).is_some_and(goes) {
                rows.replicas.remove(&id);
            }
        })
        .await
    }
}

/// What a run came to.
#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    stale: usize,
    unanswered: usize,
    by_acknowledgement: usize,
    by_waiting: usize,
    longest: Duration,
}

fn key(number: u64) -> KeyState {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let user = crate::domain::UserId::from_bytes([2; 16]);
    KeyState {
        id: KeyId::from_bytes(id),
        digest: Digest::from_bytes(&bytes),
        kind: crate::domain::keys::KeyKind::Service,
        user: None,
        ..samples::user_key(1, TENANT, user)
    }
}

/// One run of a while, with faults on the links of two of three replicas.
async fn run(seed: u64, fenced: bool) -> Tally {
    let dice = Arc::new(Dice(AtomicU64::new(seed)));
    let start = Instant::now();
    let link = || Arc::new(Mutex::new(start));
    let made = Made {
        rows: Arc::default(),
        head: Arc::new(watch::Sender::new(0)),
        dice: Arc::clone(&dice),
        silent_until: link(),
    };
    let tenant = TenantState::new(TENANT, "acme".parse().unwrap());
    made.commit(Change::Tenant(tenant));
    let mut replicas = Vec::new();
    for rate in [0, 9_000, -9_000] {
        let own = Made { silent_until: link(), ..made.clone() };
        let clock: Arc<dyn Clock> = Arc::new(Watch { start, rate });
        let entropy = Arc::new(Seeded(Arc::clone(&dice)));
        let options = Options { lease_ms: u64::try_from(LEASE.as_millis()).unwrap() };
        let (replica, following) = Replica::start(&own, Arc::clone(&clock), entropy, options).await.unwrap();
        replicas.push((replica, following, clock, own));
    }
    let chaos =
        tokio::spawn(chaos(replicas.iter().map(|(.., own)| own.clone()).collect(), Arc::clone(&dice)));
    let mut tally = Tally::default();
    for number in 0..120 {
        made.commit(Change::Key(Box::new(key(number))));
        sleep(Duration::from_micros(dice.below(300_000))).await;
        for (replica, _, clock, _) in &replicas {
            let answers = replica.is_fresh(clock.moment().monotonic);
            tally.unanswered += usize::from(!answers);
            tally.accepted += usize::from(answers && replica.view.key(key(number).digest).is_some());
        }
        let by = &replicas[usize::try_from(dice.below(3)).unwrap()];
        let revision = made.commit(Change::Key(Box::new(KeyState { revoked: true, ..key(number) })));
        let begun = Instant::now();
        if fenced {
            let settled = by.0.fence(revision, by.2.moment().monotonic, None).await.unwrap();
            let all = settled.expired == 0 && settled.acknowledged > 0;
            tally.by_acknowledgement += usize::from(all);
            tally.by_waiting += usize::from(!all);
        }
        tally.longest = tally.longest.max(begun.elapsed());
        for (replica, _, clock, _) in &replicas {
            let answers = replica.is_fresh(clock.moment().monotonic);
            tally.stale += usize::from(answers && replica.view.key(key(number).digest).is_some());
        }
    }
    chaos.abort();
    tally
}

/// Silences links now and then, the first replica's too.
async fn chaos(links: Vec<Made>, dice: Arc<Dice>) {
    loop {
        sleep(Duration::from_micros(dice.below(1_500_000))).await;
        let link = &links[usize::try_from(dice.below(links.len() as u64)).unwrap()];
        let silence = Duration::from_micros(dice.below(3_000_000));
        *link.silent_until.lock().unwrap() = Instant::now() + silence;
    }
}

// P1, P2
#[tokio::test(start_paused = true)]
async fn nothing_stale_is_accepted_and_no_revocation_takes_longer_than_the_wait() {
    let mut all = Tally::default();
    for seed in 0..40 {
        let tally = run(seed, true).await;
        assert_eq!(tally.stale, 0, "seed {seed}: {tally:?}");
        assert!(tally.longest < LEASE.mul_f64(1.05), "seed {seed}: {tally:?}");
        all.accepted += tally.accepted;
        all.unanswered += tally.unanswered;
        all.by_acknowledgement += tally.by_acknowledgement;
        all.by_waiting += tally.by_waiting;
    }
    let reached = [all.accepted, all.unanswered, all.by_acknowledgement, all.by_waiting];
    assert!(reached.iter().all(|count| *count > 100), "something was never reached: {all:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_fence_the_same_runs_find_stale_acceptances() {
    let mut stale = 0;
    for seed in 0..5 {
        stale += run(seed, false).await.stale;
    }
    assert!(stale > 50, "{stale}");
}
