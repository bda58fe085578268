use super::*;
use crate::domain::clock::fixed::Counting;
use crate::domain::{Moment, Reason, Timestamp};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Time passes only where a test says so.
#[derive(Default)]
struct Still(AtomicU64);

impl Clock for Still {
    fn moment(&self) -> Moment {
        let monotonic = self.0.load(Ordering::Relaxed);
        Moment { wall: Timestamp::from_micros(0), monotonic }
    }
}

struct House {
    pool: HashingPool,
    metrics: Arc<Metrics>,
    clock: Arc<Still>,
}

fn house(threads: usize) -> House {
    // Quick hashes: what is tested is the queue.
    let options = HashingOptions { threads, memory_kib: 64, passes: 1, ..HashingOptions::default() };
    let (clock, metrics) = (Arc::new(Still::default()), Arc::new(Metrics::new().unwrap()));
    let pool =
        HashingPool::start(options, clock.clone(), Arc::new(Counting::default()), metrics.clone()).unwrap();
    House { pool, metrics, clock }
}

type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

impl House {
    /// Holds a thread until the sender is used or dropped, and waits until it does.
    fn hold(&self) -> (Asked<'_, ()>, mpsc::Sender<()>) {
        let (go, wait) = mpsc::channel();
        let (begun, begins) = mpsc::channel();
        let mut held: Asked<'_, ()> = Box::pin(self.pool.run(move |_| {
            begun.send(()).unwrap();
            wait.recv().unwrap_or(());
        }));
        assert!(first(&mut held).is_pending());
        begins.recv_timeout(Duration::from_secs(10)).unwrap();
        (held, go)
    }

    fn queued(&self) -> i64 {
        self.metrics.login_queue.get()
    }
}

/// Asks once, as a runtime does at first.
fn first<F: Future + Unpin>(asked: &mut F) -> Poll<F::Output> {
    pin!(asked).poll(&mut Context::from_waker(Waker::noop()))
}

fn password(text: &str) -> Password {
    Password::presented(text.to_owned()).unwrap()
}

#[tokio::test]
async fn a_password_fits_its_own_hash_and_nobodys_never() {
    let house = house(2);
    let hash = house.pool.hash(password("tr0ub4dor and more")).await.unwrap();
    let verdict = house.pool.verify(password("tr0ub4dor and more"), Some(hash.clone())).await.unwrap();
    assert_eq!(verdict, Verdict { fits: true, needs_rehash: false });
    let no = Verdict { fits: false, needs_rehash: false };
    assert_eq!(house.pool.verify(password("tr0ub4dor and less"), Some(hash)).await.unwrap(), no);
    assert_eq!(house.pool.verify(password("tr0ub4dor and more"), None).await.unwrap(), no);
}

#[tokio::test]
async fn a_weak_password_is_refused_where_it_would_be_set() {
    let house = house(1);
    let known = || Known::of(["ada.lovelace@example.com", "Analytical Engines"]);
    let weak = house.pool.set("new_password", password("lovelace1815"), known()).await.unwrap_err();
    let Failure::Refused(refusal) = weak else { panic!("{weak:?}") };
    assert_eq!(refusal.reason, Reason::InvalidArgument);
    assert_eq!(refusal.violations[0].field, "new_password");
    assert!(!refusal.message.contains("lovelace"), "{refusal}");
    let strong = password("fjord.umbrella.quince");
    let hash = house.pool.set("new_password", strong.clone(), known()).await.unwrap();
    assert!(house.pool.verify(strong, Some(hash)).await.unwrap().fits);
}

// A26
#[tokio::test]
async fn who_would_wait_more_than_a_second_is_refused_at_once() {
    let house = house(1);
    let (held, go) = house.hold();
    let served = Arc::new(AtomicUsize::new(0));
    let mut waiting: Vec<Asked<'_, usize>> = Vec::new();
    // One thread, 50 ms each: twenty are served within a second.
    for _ in 0..20 {
        let served = served.clone();
        let mut asked: Asked<'_, usize> =
            Box::pin(house.pool.run(move |_| served.fetch_add(1, Ordering::Relaxed)));
        assert!(first(&mut asked).is_pending());
        waiting.push(asked);
    }
    assert_eq!(house.queued(), 20);
    let mut one_more: Asked<'_, PasswordHash> = Box::pin(house.pool.hash(password("one too many")));
    let Poll::Ready(Err(Failure::Refused(refusal))) = first(&mut one_more) else { panic!("not refused") };
    assert_eq!(refusal.reason, Reason::RateLimitExceeded);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
    assert_eq!(house.queued(), 20);
    go.send(()).unwrap();
    held.await.unwrap();
    for (place, asked) in waiting.into_iter().enumerate() {
        assert_eq!(asked.await.unwrap(), place, "in the order in which they came");
    }
    assert_eq!(house.queued(), 0);
}

#[tokio::test]
async fn who_leaves_while_waiting_frees_a_place_and_costs_nothing() {
    let house = house(1);
    let (held, go) = house.hold();
    let done = Arc::new(AtomicUsize::new(0));
    let ask = || -> Asked<'_, usize> {
        let done = done.clone();
        Box::pin(house.pool.run(move |_| done.fetch_add(1, Ordering::Relaxed)))
    };
    let mut waiting: Vec<_> = (0..20).map(|_| ask()).collect();
    assert!(waiting.iter_mut().all(|asked| first(asked).is_pending()));
    let mut stays = waiting.remove(7);
    assert!(first(&mut ask()).is_ready(), "full");
    drop(waiting);
    assert_eq!(house.queued(), 1);
    // Nobody who left is in the way of those who come.
    let mut late: Vec<_> = (0..19).map(|_| ask()).collect();
    assert!(late.iter_mut().all(|asked| first(asked).is_pending()));
    assert!(first(&mut ask()).is_ready(), "full again");
    drop(late);
    assert!(first(&mut stays).is_pending());
    go.send(()).unwrap();
    held.await.unwrap();
    stays.await.unwrap();
    assert_eq!((done.load(Ordering::Relaxed), house.queued()), (1, 0));
}

#[tokio::test]
async fn who_leaves_during_their_hash_keeps_the_thread_until_its_end() {
    let house = house(1);
    let (held, go) = house.hold();
    drop(held);
    let mut next: Asked<'_, u8> = Box::pin(house.pool.run(|_| 7));
    assert!(first(&mut next).is_pending());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(house.queued(), 1, "the thread is not free before its hash has ended");
    assert!(first(&mut next).is_pending());
    go.send(()).unwrap();
    assert_eq!(next.await.unwrap(), 7);
    assert_eq!(house.queued(), 0);
}

#[tokio::test]
async fn a_panic_is_a_fault_of_that_job_alone() {
    let house = house(1);
    let before = house.pool.run(|_| std::thread::current().id()).await.unwrap();
    let lost = house.pool.run(|_| -> u8 { panic!("as planned") }).await.unwrap_err();
    assert!(matches!(lost, Failure::Fault(_)), "{lost:?}");
    let after = house.pool.run(|_| std::thread::current().id()).await.unwrap();
    assert_eq!(before, after);
    assert!(house.pool.hash(password("still going strong")).await.is_ok());
    assert_eq!(house.queued(), 0);
}

#[tokio::test]
async fn slow_hashes_shorten_the_queue() {
    let house = house(1);
    for _ in 0..60 {
        let clock = house.clock.clone();
        house.pool.run(move |_| clock.0.fetch_add(500_000, Ordering::Relaxed)).await.unwrap();
    }
    let (_held, _go) = house.hold();
    let mut waiting: Vec<Asked<'_, ()>> =
        (0..3).map(|_| -> Asked<'_, ()> { Box::pin(house.pool.run(|_| ())) }).collect();
    let pending = waiting.iter_mut().filter_map(|asked| first(asked).is_pending().then_some(())).count();
    assert_eq!(pending, 2);
}

#[tokio::test]
async fn nothing_of_a_password_stays_while_a_thread_waits() {
    let house = house(1);
    house.pool.hash(password("soon forgotten")).await.unwrap();
    let deadline = Duration::from_secs(10).as_millis() / 5;
    for _ in 0..deadline {
        if house.pool.run(|workspace| workspace.is_clean()).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the memory was not wiped");
}

#[tokio::test]
async fn the_threads_end_with_the_pool() {
    let House { pool, metrics, .. } = house(3);
    pool.hash(password("before the end")).await.unwrap();
    let shared = Arc::downgrade(&pool.shared);
    drop(pool);
    for _ in 0..2_000 {
        if shared.upgrade().is_none() {
            assert_eq!(metrics.login_queue.get(), 0);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{} threads still hold the pool", shared.strong_count());
}

#[test]
#[cfg(target_os = "linux")]
fn the_threads_step_back_and_nobody_else() {
    let priority = || rustix::process::getpriority_process(None).unwrap();
    let before = priority();
    let asked = std::thread::spawn(move || {
        step_back(19);
        priority()
    });
    assert_eq!(asked.join().unwrap(), 19);
    assert_eq!(priority(), before);
}

#[test]
fn unsound_options_are_told() {
    let sound = HashingOptions::default();
    assert_eq!(sound.fault(), None);
    assert!(sound.threads() >= 1);
    let unsound = [
        HashingOptions { threads: 257, ..sound },
        HashingOptions { nice: 20, ..sound },
        HashingOptions { max_wait_ms: 9, ..sound },
        HashingOptions { max_wait_ms: 60_001, ..sound },
        HashingOptions { max_queued: 0, ..sound },
        HashingOptions { max_queued: 10_001, ..sound },
        HashingOptions { passes: 1, ..sound },
        HashingOptions { memory_kib: 4_194_304, ..sound },
    ];
    assert!(unsound.iter().all(|options| options.fault().is_some()));
}
