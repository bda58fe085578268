//! Use cases: one file a noun. Everything that a transport can ask for is here.

pub mod bootstrap;
mod caller;
pub mod keys;
pub mod tenants;
mod uses;
mod verify;

pub use crate::view::{Demand, Terms, Verified};
pub use caller::Caller;
pub use uses::flush_uses;
pub use verify::Verifier;

use crate::domain::changes::Revision;
use crate::domain::{Clock, Entropy, Failure, Fault, Refusal};
use crate::replica::Replica;
use crate::secret::{Forms, Pepper};
use crate::store::{Store, Written};
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
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl App {
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

    /// Waits until what was written is in full effect here.
    async fn settled<T>(&self, written: Written<T>) -> Result<Written<T>, Fault> {
        self.replica.wait_for(written.revision, SETTLE).await?;
        Ok(written)
    }
}
