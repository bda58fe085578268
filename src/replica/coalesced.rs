//! One read for all who wait: whoever asks gets what was read *after* they
//! asked, and however many ask, there is at most one read at a time.

use crate::domain::Fault;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Why a shared read failed, as text: many get to hear of it.
type Outcome<T> = Result<T, Arc<str>>;
type Read<T> = Shared<BoxFuture<'static, Outcome<T>>>;
type Begin<T> = Box<dyn Fn() -> BoxFuture<'static, Outcome<T>> + Send + Sync>;

/// A read that is shared.
pub struct Coalesced<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    begin: Begin<T>,
    /// At most one read begins in this time.
    spacing: Duration,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// The read that has not begun; who comes now may share it.
    next: Option<Read<T>>,
    /// The read under way; who comes now is too late for it.
    running: Option<Read<T>>,
    begun: Option<Instant>,
}

impl<T: Clone + Send + Sync + 'static> Coalesced<T> {
    /// Shares what `begin` begins, at most once in `spacing`.
    pub fn new(
        spacing: Duration,
        begin: impl Fn() -> BoxFuture<'static, Outcome<T>> + Send + Sync + 'static,
    ) -> Self {
        let state = Mutex::new(State { next: None, running: None, begun: None });
        Self { inner: Arc::new(Inner { begin: Box::new(begin), spacing, state }) }
    }

    /// What is read from now on.
    pub async fn after_now(&self) -> Result<T, Fault> {
        let read = Inner::join(&self.inner);
        read.await.map_err(|why| Fault::new(why.to_string()))
    }
}

impl<T: Clone + Send + Sync + 'static> Inner<T> {
    fn join(this: &Arc<Self>) -> Read<T> {
        let mut state = this.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = &state.next {
            return next.clone();
        }
        let before = state.running.clone();
        let inner = Arc::clone(this);
        let next = async move {
            if let Some(before) = before {
                drop(before.await);
            }
            let due = inner.lock().begun.map(|begun| begun + inner.spacing);
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            let read = {
                let mut state = inner.lock();
                state.running = state.next.take();
                state.begun = Some(now());
                (inner.begin)()
            };
            read.await
        };
        let next = next.boxed().shared();
        state.next = Some(next.clone());
        next
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn counting(took: Duration) -> (Arc<AtomicU64>, Coalesced<u64>) {
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let read = Coalesced::new(Duration::from_millis(5), move || {
            let begun = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(took).await;
                Ok(begun)
            }
            .boxed()
        });
        (count, read)
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_shares_one_read() {
        let (count, read) = counting(Duration::from_millis(1));
        let all = futures_util::future::join_all((0..1000).map(|_| read.after_now())).await;
        // The first begins at once; for that one all others are too late.
        assert!(all.into_iter().all(|outcome| outcome.unwrap() <= 1));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_a_read_is_under_way_gets_the_next() {
        let (_, read) = counting(Duration::from_millis(100));
        let (early, late) = tokio::join!(read.after_now(), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            read.after_now().await
        });
        assert_eq!((early.unwrap(), late.unwrap()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_read_for_at_most_once_in_the_spacing() {
        let (count, read) = counting(Duration::ZERO);
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            read.after_now().await.unwrap();
        }
        assert!(count.load(Ordering::SeqCst) <= 201, "{count:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_who_leaves_holds_nobody_up() {
        let (_, read) = counting(Duration::from_millis(100));
        let left = tokio::time::timeout(Duration::from_millis(10), read.after_now()).await;
        assert!(left.is_err());
        let found = tokio::time::timeout(Duration::from_secs(1), read.after_now()).await;
        assert_eq!(found.unwrap().unwrap(), 1);
    }
}
