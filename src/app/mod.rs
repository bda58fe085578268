//! Use cases: one file a noun. Everything that a transport can ask for is here.

pub mod audit;
pub mod bootstrap;
pub mod break_glass;
mod caller;
pub mod hashing;
mod housekeeping;
mod ingest;
pub mod invitations;
pub mod keys;
pub mod login;
pub mod members;
pub mod mfa;
pub mod passkey_login;
pub mod passkeys;
mod passwords;
pub mod people;
pub mod provider_keys;
mod purge;
pub mod roles;
mod sessions;
pub mod tenants;
mod tidy;
pub mod tokens;
pub mod usage;
mod uses;
pub mod vault;
mod verify;
pub mod watch;

pub use crate::store::JobRun;
pub use crate::view::{Demand, Held, Terms, Verified};
pub use caller::Caller;
pub use ingest::Meter;
pub use uses::flush_uses;
pub use verify::Verifier;

use crate::domain::changes::Revision;
use crate::domain::{Clock, Entropy, Failure, Reason, Refusal};
use crate::replica::{Replica, Settled};
use crate::secret::{Forms, Pepper};
use crate::store::{Store, Written};
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;

/// How long a call waits for a revision to take effect here.
pub const SETTLE: Duration = Duration::from_secs(2);

/// Everything that use cases need.
pub struct App {
    /// The database.
    pub store: Store,
    /// The view.
    pub replica: Arc<Replica>,
    /// The one verifier.
    pub verifier: Arc<Verifier>,
    /// The forms that keys can have.
    pub forms: Arc<Forms>,
    /// The secret over digests of imported keys.
    pub pepper: Pepper,
    /// Signs what audit logs have come to.
    pub audit: Arc<audit::Audit>,
    /// What use cases of people need.
    pub people: people::People,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The emergency key, where there is one.
    pub break_glass: Option<break_glass::BreakGlass>,
    /// For how long a deleted tenant can be brought back.
    pub deleted_kept: Duration,
    /// What all watchers share.
    pub watches: watch::Watches,
    /// How keys are used.
    pub usage: usage::Usage,
}

impl App {
    /// The keys that others verify access tokens with, as a JSON Web Key Set (RFC 7517 §5). From memory,
    /// and told while the database does not answer as well: public keys let nobody in, and who holds a
    /// token offline has to be able to read it.
    pub fn jwks(&self) -> String {
        self.people.tokens.jwks(&self.replica.view, self.clock.now())
    }

    /// Waits until what a caller has seen elsewhere is known here too.
    pub async fn at_least(&self, min_revision: &str) -> Result<(), Failure> {
        if min_revision.is_empty() {
            return Ok(());
        }
        let revision: Revision =
            min_revision.parse().map_err(|error: crate::domain::changes::BadRevision| {
                Refusal::invalid("min_revision", error.to_string())
            })?;
        Ok(self.replica.wait_for(revision, SETTLE).await?)
    }

    /// Waits until what was written is in effect here and, if it takes rights
    /// away, everywhere.
    ///
    /// # Errors
    /// The caller's deadline came first. What was written stays.
    async fn settled<T>(
        &self,
        caller: &Caller,
        written: Written<T>,
        takes: bool,
    ) -> Result<(Written<T>, Settled), Failure> {
        self.settled_by(written, takes, caller.deadline).await
    }

    /// The same for whoever stops waiting at that moment of the boot-time clock.
    async fn settled_by<T>(
        &self,
        written: Written<T>,
        takes: bool,
        deadline: Option<u64>,
    ) -> Result<(Written<T>, Settled), Failure> {
        if !takes {
            self.replica.wait_for(written.revision, SETTLE).await?;
            return Ok((written, Settled::default()));
        }
        let mut revision = written.revision;
        if revision == Revision::default() {
            // Nothing changed: somebody did it before, perhaps this moment.
            revision = self.store.newest().await?;
        }
        let committed = self.clock.moment().monotonic;
        let deadline = deadline.map(|deadline| deadline.saturating_sub(farewell(deadline, committed)));
        let Ok(settled) = self.replica.fence(revision, committed, deadline).await else {
            let message = "the change is made and still spreading to all replicas; \
                           ask again, or wait for one lease";
            let refusal = Refusal::new(Reason::DeadlineExceeded, message);
            return Err(refusal.with("committed", true).with("revision", revision).into());
        };
        self.metrics.propagation.observe(settled.took.as_secs_f64());
        Ok((Written { revision, ..written }, settled))
    }
}

/// What is kept of a caller's deadline for telling them, in microseconds: a
/// tenth of what is left. Clients watch the time themselves, and give up before
/// an answer that comes in the last moment.
fn farewell(deadline: u64, now: u64) -> u64 {
    (deadline.saturating_sub(now) / 10).clamp(20_000, 500_000)
}
