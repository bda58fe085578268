//! The pool in which passwords are hashed, apart from everything else.
//!
//! Its own threads, at low priority, so that a storm of logins leaves checks
//! alone; each with memory that it keeps. Who would wait too long is refused at
//! once, before any work. Who leaves while waiting is forgotten at once; who
//! leaves during their hash keeps their place until it has ended.

mod options;
mod queue;

pub use crate::secret::{Cost, Known, PasswordHash, Verdict, Workspace};
pub use options::HashingOptions;

use crate::domain::{Clock, Entropy, Failure, Fault};
use crate::secret::{HashingFault, Password};
use crate::telemetry::Metrics;
use queue::{Job, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};
use tokio::sync::oneshot;

/// Threads that hash. They end when it is dropped, each after the hash it is at.
pub struct HashingPool {
    shared: Arc<Shared>,
    entropy: Arc<dyn Entropy>,
}

impl HashingPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn start(
        options: HashingOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let threads = options.threads();
        let queue = Mutex::new(Queue::new(threads, options.max_wait(), options.max_queued));
        let pool = Self { shared: Arc::new(Shared { queue, wake: Condvar::new(), clock, metrics }), entropy };
        for number in 0..threads {
            let shared = pool.shared.clone();
            thread::Builder::new().name(format!("hashing-{number}")).spawn(move || {
                step_back(options.nice);
                shared.serve(options.cost());
            })?;
        }
        Ok(pool)
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED` with the time to wait when too many are waiting.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Failure> {
        let entropy = self.entropy.clone();
        let hashed = self.run(move |workspace| workspace.hash(&password, &*entropy)).await?;
        hashed.map_err(fault)
    }

    /// Hashes a password that is being set, if it withstands guessing by those
    /// who know this of the person.
    ///
    /// # Errors
    /// As [`HashingPool::hash`]; `INVALID_ARGUMENT` on `field` if it is weak.
    pub async fn set(
        &self,
        field: &'static str,
        password: Password,
        known: Known,
    ) -> Result<PasswordHash, Failure> {
        let entropy = self.entropy.clone();
        self.run(move |workspace| {
            password.withstand_guessing(&known).map_err(|bad| bad.refusal(field))?;
            workspace.hash(&password, &*entropy).map_err(fault)
        })
        .await?
    }

    /// Compares a password with the hash of a person, or with nobody's: it never
    /// fits that, and takes as long.
    ///
    /// # Errors
    /// As [`HashingPool::hash`].
    pub async fn verify(&self, password: Password, stored: Option<PasswordHash>) -> Result<Verdict, Failure> {
        let verdict = self.run(move |workspace| workspace.verify(&password, stored.as_ref())).await?;
        verdict.map_err(fault)
    }

    /// Does something else there that takes as much computing.
    ///
    /// # Errors
    /// As [`HashingPool::hash`]; a fault if it panics or the pool ends.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Workspace) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        // Nobody listens any more: then the answer is for nobody.
        let work = Box::new(move |workspace: &mut Workspace| drop(reply.send(job(workspace))));
        let number = self.shared.lock().admit(work)?;
        self.shared.told();
        self.shared.wake.notify_one();
        let _place = Place { shared: &self.shared, number };
        answer.await.map_err(|gone| Fault::new(gone).into())
    }
}

impl Drop for HashingPool {
    fn drop(&mut self) {
        let left = self.shared.lock().close();
        self.shared.told();
        self.shared.wake.notify_all();
        drop(left);
    }
}

/// A place in the queue, given up when its owner leaves.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = self.shared.lock().withdraw(self.number);
        if left.is_some() {
            self.shared.told();
        }
    }
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Shared {
    /// No code of others runs under the lock, so whoever panicked left it whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) {
        let queue = self.lock();
        self.metrics.login_queue.set(i64::try_from(queue.waiting()).unwrap_or(i64::MAX));
    }

    /// The life of a thread.
    fn serve(&self, cost: Cost) {
        let mut workspace = Workspace::new(cost);
        while let Some(job) = self.next(&mut workspace) {
            self.told();
            let begun = self.clock.moment().monotonic;
            // The memory is given up with the job that may have left it half written.
            let done = catch_unwind(AssertUnwindSafe(|| (job.work)(&mut workspace)));
            if done.is_err() {
                tracing::error!("a job of the hashing pool panicked");
                workspace = Workspace::new(cost);
            }
            let took = self.clock.moment().monotonic.saturating_sub(begun);
            self.lock().ended(took);
        }
    }

    /// Waits for a job. Nothing of the last password stays in memory meanwhile.
    fn next(&self, workspace: &mut Workspace) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed() {
                return None;
            }
            if let Some(job) = queue.take() {
                return Some(job);
            }
            if workspace.is_clean() {
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(queue);
                workspace.wipe();
                queue = self.lock();
            }
        }
    }
}

fn fault(fault: HashingFault) -> Failure {
    Fault::new(fault).into()
}

/// Lowers the priority of this thread. Elsewhere than on Linux the call would
/// lower that of the whole process.
fn step_back(nice: u8) {
    #[cfg(target_os = "linux")]
    if nice > 0
        && let Err(error) = rustix::process::setpriority_process(None, nice.into())
    {
        tracing::warn!(%error, "the hashing threads keep their priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
