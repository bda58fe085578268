//! Checks in a service's own process, from a copy of its own, under a lease.
//!
//! An [`Embedded`] follows a Doorward by `WatchRevocations`. While its lease
//! holds, a check is a lookup in memory; the lease is a part of the server's
//! own, and a revocation does not return before this copy has applied it or
//! its lease is over. Without a lease the server is asked, and if it gives no
//! answer the call is refused with `UNAVAILABLE`: nothing is ever accepted
//! from old data.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use doorward::client::embedded::{Demand, Embedded};
//! use doorward::client::{Address, Presented};
//!
//! let key = Presented::from_environment(&|name| std::env::var_os(name))?;
//! let embedded = Embedded::connect(&Address::parse("auth.example.com:443")?, &key).await?;
//! let verified = embedded.check_or_ask("dw_live_…", &Demand::default()).await?;
//! println!("{}", verified.principal.tenant());
//! # Ok(())
//! # }
//! ```

mod ask;
mod follow;
mod layer;
mod mirror;
mod reasked;
mod told;

pub use crate::domain::{Failure, Fault, Permission, Reason, Refusal};
pub use crate::view::{Demand, Verified};
pub use layer::{EmbeddedLayer, EmbeddedService};
pub use mirror::{Mirror, Miss};

use super::{Address, Client, ConnectError, Options, Presented, SystemClock};
use crate::domain::Clock;
use arc_swap::ArcSwapOption;
use follow::Follower;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a check waits for a renewal before it asks the server.
const FRESHEN: Duration = Duration::from_millis(100);

/// Checks credentials in this process. Cheap to clone; the last clone ends the
/// following.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
    following: Arc<Following>,
}

/// The task that follows; it ends with the last who needs it.
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What checks and the follower share.
struct Shared {
    clock: Arc<SystemClock>,
    client: Client,
    current: ArcSwapOption<Mirror>,
    /// The sending of the last renewal that was granted.
    renewed: watch::Sender<u64>,
    /// Somebody waits for a renewal.
    nudge: Notify,
    questions: Semaphore,
    /// Why the last stream ended.
    ended: Mutex<Option<String>>,
}

/// The copy is not ready to answer.
#[derive(Debug, thiserror::Error)]
#[error("no lease yet: {0}")]
pub struct NotReady(String);

/// Where an acceptance comes from.
enum Source {
    /// From this copy.
    Memory(Arc<Mirror>),
    /// From the server.
    Server,
}

impl Embedded {
    /// Connects and begins to follow. The credential needs `credentials.verify`;
    /// with `platform.verify` it knows the keys of every tenant, otherwise those
    /// of its own alone.
    pub async fn connect(address: &Address, credential: &Presented) -> Result<Self, ConnectError> {
        Ok(Self::over(Client::connect(address, Some(credential), &Options::default()).await?))
    }

    /// Begins to follow over a connection that is there.
    pub fn over(client: Client) -> Self {
        let shared = Arc::new(Shared::new(client));
        let task = tokio::spawn(Follower::new(Arc::clone(&shared)).run());
        Self { shared, following: Arc::new(Following(task.abort_handle())) }
    }

    /// Waits until checks can be answered from memory.
    ///
    /// # Errors
    /// They cannot within `most`; with why the last stream ended, if one did.
    pub async fn ready(&self, most: Duration) -> Result<(), NotReady> {
        let mut renewed = self.shared.renewed.subscribe();
        let leased = renewed.wait_for(|_| self.is_fresh());
        match timeout(most, leased).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotReady(self.shared.why())),
        }
    }

    /// Whether checks can be answered from memory at this moment.
    pub fn is_fresh(&self) -> bool {
        let at = self.shared.clock.moment();
        self.shared.current.load().as_ref().is_some_and(|mirror| mirror.holds(at))
    }

    /// Checks a credential, as presented without its scheme, from memory alone.
    ///
    /// # Errors
    /// A key that was made a moment ago can be refused as unknown, for it may
    /// not have been heard of: [`Self::check_or_ask`] makes sure.
    /// [`Failure::Fault`] while there is no lease, and for imported keys
    /// and access tokens, which only the server can look up.
    pub fn check(&self, presented: &str, demand: &Demand<'_>) -> Result<Verified, Failure> {
        self.shared.look(presented, demand).map_err(|miss| match miss {
            Miss::Refused(refusal) => refusal.into(),
            Miss::Unknown => Refusal::invalid_api_key().into(),
            Miss::Sealed => {
                Fault::new("only the server can look up an imported key or an access token").into()
            }
            Miss::Lapsed => mirror::lapsed().into(),
        })
    }

    /// The same; what memory cannot tell is asked of the server, after a short
    /// wait for a fresh lease.
    ///
    /// # Errors
    /// [`Failure::Fault`] if the server gives no answer either.
    pub async fn check_or_ask(&self, presented: &str, demand: &Demand<'_>) -> Result<Verified, Failure> {
        self.shared.find(presented, demand).await.map(|(verified, _)| verified)
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ended = self.following.0.is_finished();
        f.debug_struct("Embedded")
            .field("fresh", &self.is_fresh())
            .field("ended", &ended)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn new(client: Client) -> Self {
        Self {
            clock: Arc::default(),
            client,
            current: ArcSwapOption::empty(),
            renewed: watch::Sender::new(0),
            nudge: Notify::new(),
            questions: Semaphore::new(ask::MOST_QUESTIONS),
            ended: Mutex::new(None),
        }
    }

    /// Checks from memory alone.
    #[inline]
    fn look(&self, presented: &str, demand: &Demand<'_>) -> Result<Verified, Miss> {
        let mirror = self.current.load();
        let mirror = mirror.as_ref().ok_or(Miss::Lapsed)?;
        mirror.check(presented, demand, self.clock.moment())
    }

    /// The same, with the mirror that it was found in.
    fn look_into(&self, presented: &str, demand: &Demand<'_>) -> Result<(Verified, Source), Miss> {
        let mirror = self.current.load_full().ok_or(Miss::Lapsed)?;
        let verified = mirror.check(presented, demand, self.clock.moment())?;
        Ok((verified, Source::Memory(mirror)))
    }

    /// Checks from memory, or asks.
    async fn find(&self, presented: &str, demand: &Demand<'_>) -> Result<(Verified, Source), Failure> {
        for is_last in [false, true] {
            match self.look_into(presented, demand) {
                Ok(found) => return Ok(found),
                Err(Miss::Refused(refusal)) => return Err(refusal.into()),
                Err(Miss::Sealed) => break,
                Err(Miss::Unknown | Miss::Lapsed) if is_last => break,
                Err(Miss::Unknown | Miss::Lapsed) => self.freshen().await,
            }
        }
        self.ask(presented, demand).await.map(|verified| (verified, Source::Server))
    }

    /// Waits, but not long, for a lease that was asked for after this began:
    /// all that it presupposes is known then. Many wait for one.
    async fn freshen(&self) {
        let now = self.clock.moment().monotonic;
        let mut renewed = self.renewed.subscribe();
        self.nudge.notify_one();
        // If none comes, the server is asked.
        let _late = timeout(FRESHEN, renewed.wait_for(|sent| *sent >= now)).await;
    }

    fn install(&self, mirror: &Arc<Mirror>) {
        self.current.store(Some(Arc::clone(mirror)));
    }

    fn renewed(&self, sent: u64) {
        self.renewed.send_replace(sent);
    }

    fn ended(&self, why: &str) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    fn why(&self) -> String {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.clone().unwrap_or_else(|| "the server has not answered".to_owned())
    }
}
