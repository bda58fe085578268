//! Who waits for a hashing thread, and for how long.

use crate::domain::{Failure, Fault, Reason, Refusal};
use crate::secret::Workspace;
use std::collections::VecDeque;
use std::time::Duration;

/// Something to do in memory for hashing.
pub(super) type Work = Box<dyn FnOnce(&mut Workspace) + Send>;

/// Work and its place in the queue.
pub(super) struct Job {
    number: u64,
    /// What is to be done.
    pub work: Work,
}

/// The jobs that wait, the number of those that run, and how long they take.
pub(super) struct Queue {
    waiting: VecDeque<Job>,
    running: usize,
    next: u64,
    /// The moving mean of what jobs took, in microseconds.
    mean: u64,
    closed: bool,
    threads: usize,
    max_wait: Duration,
    max_queued: usize,
}

/// Expected of the first jobs, in microseconds.
const FIRST: u64 = 50_000;
/// Weight of what was known before, when another job has ended.
const INERTIA: u64 = 7;

impl Queue {
    /// An empty queue before so many threads.
    pub fn new(threads: usize, max_wait: Duration, max_queued: usize) -> Self {
        let waiting = VecDeque::new();
        Self { waiting, running: 0, next: 0, mean: FIRST, closed: false, threads, max_wait, max_queued }
    }

    /// Puts work at the end, and gives the number of its place.
    ///
    /// # Errors
    /// It would wait too long, or too many wait.
    pub fn admit(&mut self, work: Work) -> Result<u64, Failure> {
        if self.closed {
            return Err(Fault::new("the hashing pool has ended").into());
        }
        let wait = self.expected_wait();
        if wait > self.max_wait || self.waiting.len() >= self.max_queued {
            return Err(busy(wait).into());
        }
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Job { number, work });
        Ok(number)
    }

    /// How long one more would wait for a thread.
    fn expected_wait(&self) -> Duration {
        if self.running + self.waiting.len() < self.threads {
            return Duration::ZERO;
        }
        let ahead = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX).saturating_add(1);
        let threads = u64::try_from(self.threads).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(ahead.saturating_mul(self.mean) / threads)
    }

    /// The next job, from now on running.
    pub fn take(&mut self) -> Option<Job> {
        let job = self.waiting.pop_front()?;
        self.running += 1;
        Some(job)
    }

    /// A job has ended after so many microseconds.
    pub fn ended(&mut self, took: u64) {
        self.running = self.running.saturating_sub(1);
        self.mean = self.mean.saturating_mul(INERTIA).saturating_add(took) / (INERTIA + 1);
    }

    /// Takes out a job that waits; none if it runs or has ended.
    pub fn withdraw(&mut self, number: u64) -> Option<Job> {
        let Ok(at) = self.waiting.binary_search_by_key(&number, |job| job.number) else { return None };
        self.waiting.remove(at)
    }

    /// Takes no more, and gives back what waits.
    pub fn close(&mut self) -> VecDeque<Job> {
        self.closed = true;
        std::mem::take(&mut self.waiting)
    }

    /// Whether it takes no more.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// After that time, those who wait now have been served.
fn busy(wait: Duration) -> Refusal {
    let seconds = wait.as_secs_f64().ceil().max(1.0);
    let message = format!("too many passwords are being checked at this moment; wait {seconds} s");
    let refusal = Refusal::new(Reason::RateLimitExceeded, message).with("retry_after", seconds);
    Refusal { retry_after: Some(Duration::from_secs_f64(seconds)), ..refusal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queue(threads: usize) -> Queue {
        Queue::new(threads, Duration::from_secs(1), 256)
    }

    fn idle() -> Work {
        Box::new(|_: &mut Workspace| ())
    }

    #[test]
    fn no_more_wait_than_are_served_in_time() {
        for (threads, took, room) in [(1, 50_000, 20), (2, 50_000, 40), (1, 250_000, 4), (4, 1_000_000, 4)] {
            let mut queue = queue(threads);
            queue.mean = took;
            for _ in 0..threads {
                queue.admit(idle()).unwrap();
                queue.take().unwrap();
            }
            let taken = (0..1_000).take_while(|_| queue.admit(idle()).is_ok()).count();
            assert_eq!(taken, room, "{threads} threads, {took} µs");
        }
    }

    #[test]
    fn a_free_thread_is_used_however_slow_it_was() {
        let mut queue = queue(2);
        queue.mean = 60_000_000;
        assert!(queue.admit(idle()).is_ok() && queue.admit(idle()).is_ok());
        let Err(Failure::Refused(refusal)) = queue.admit(idle()) else { panic!("admitted") };
        assert_eq!((refusal.reason, refusal.reason.told().grpc), (Reason::RateLimitExceeded, 8));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(90)));
    }

    #[test]
    fn what_is_expected_follows_what_is_seen() {
        let mut queue = queue(1);
        for _ in 0..100 {
            queue.running = 1;
            queue.ended(400_000);
        }
        assert!((390_000..=400_000).contains(&queue.mean), "{}", queue.mean);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Admit,
        Take,
        End(u64),
        Withdraw(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            3 => Just(Act::Admit),
            2 => Just(Act::Take),
            2 => (0..2_000_000_u64).prop_map(Act::End),
            2 => (0..80_u64).prop_map(Act::Withdraw),
        ];
        prop::collection::vec(act, 0..200)
    }

    proptest! {
        #[test]
        fn places_are_neither_lost_nor_made(acts in acts(), threads in 1_usize..4) {
            let mut queue = Queue::new(threads, Duration::from_secs(1), 9);
            let (mut waiting, mut running, mut next) = (Vec::new(), 0, 0);
            for act in acts {
                match act {
                    Act::Admit => if let Ok(number) = queue.admit(idle()) {
                        prop_assert_eq!(number, next);
                        waiting.push(number);
                        next += 1;
                    },
                    Act::Take => if running < threads && let Some(job) = queue.take() {
                        prop_assert_eq!(job.number, waiting.remove(0));
                        running += 1;
                    },
                    Act::End(took) => if running > 0 {
                        queue.ended(took);
                        running -= 1;
                    },
                    Act::Withdraw(number) => {
                        let known = waiting.iter().position(|place| *place == number);
                        prop_assert_eq!(queue.withdraw(number).is_some(), known.is_some());
                        known.map(|at| waiting.remove(at));
                    }
                }
                prop_assert_eq!((queue.waiting(), queue.running), (waiting.len(), running));
                prop_assert!(queue.waiting() <= 9);
            }
        }
    }
}
