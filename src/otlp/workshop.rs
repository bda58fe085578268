//! Where bodies go that take long to deal with: threads that may block, no more of them at work than there are cores.
//!
//! More would not be faster, but each has memory of its own that no [budget](super::intake::Budget) sees, such as a
//! decompressor's tables, and others wait for such threads too.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::intake::busy;
use super::pool::Full;
use crate::domain::{Failure, Fault};

/// How long a body waits for a place. An exporter gives up after ten seconds, and would send again what is still to be
/// dealt with here.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A bounded number of places to work at.
#[derive(Debug)]
pub struct Workshop {
    places: Arc<Semaphore>,
    longest_wait: Duration,
}

impl Workshop {
    /// A place for each core.
    pub fn new() -> Self {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        Self { places: Arc::new(Semaphore::new(cores)), longest_wait: LONGEST_WAIT }
    }

    /// Waits for a place and does `work` there. Who stops waiting gives up the place if they have none yet; work that
    /// has begun is done to its end.
    ///
    /// # Errors
    /// No place became free in time, or the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let place = tokio::time::timeout(self.longest_wait, Arc::clone(&self.places).acquire_owned());
        let Ok(place) = place.await else { return Err(busy(Full::ForAll).into()) };
        let place = place.map_err(Fault::new)?;
        let at_work = move || {
            let done = work();
            drop(place);
            done
        };
        Ok(tokio::task::spawn_blocking(at_work).await.map_err(Fault::new)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::domain::Reason;

    fn shop(places: usize) -> Workshop {
        Workshop { places: Arc::new(Semaphore::new(places)), longest_wait: Duration::from_millis(500) }
    }

    #[tokio::test]
    async fn nobody_waits_for_long() {
        let shop = shop(1);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let mut first = Box::pin(shop.run(move || ended.recv()));
        assert!(futures_util::poll!(&mut first).is_pending(), "it has the place");
        let Err(Failure::Refused(refusal)) = shop.run(|| ()).await else {
            panic!("it was done, or is a fault")
        };
        assert_eq!(refusal.reason, Reason::BackendUnavailable);
        assert!(refusal.retry_after.is_some());
        end.send(()).unwrap();
        first.await.unwrap().unwrap();
        shop.run(|| ()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_are_at_work_than_there_are_places() {
        static AT_WORK: AtomicUsize = AtomicUsize::new(0);
        let shop = shop(2);
        let work = || {
            let others = AT_WORK.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(5));
            AT_WORK.fetch_sub(1, Ordering::SeqCst);
            others
        };
        let most = join_all((0..20).map(|_| shop.run(work))).await.into_iter().map(Result::unwrap).max();
        assert_eq!(most, Some(1), "beside oneself");
    }

    #[tokio::test]
    async fn a_panic_leaves_its_place_to_others() {
        let shop = shop(1);
        assert!(shop.run(|| panic!("on purpose")).await.is_err());
        assert_eq!(shop.run(|| 7).await.unwrap(), 7);
    }
}
