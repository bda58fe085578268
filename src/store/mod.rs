//! The database: SQLite embedded in the process, or PostgreSQL shared by many.
//!
//! One set of queries serves both (`query.rs` says how). There is one way to
//! write, [`Store::write`]: it appends the audit entry and the changes that
//! views must hear of, in the mutation's own transaction.
//!
//! A transaction must not be dropped half-way by a client that hangs up: run
//! it through [`Store::detached`].

pub mod audit;
pub mod break_glass;
pub mod changes;
mod connect;
mod error;
pub mod factors;
mod facts;
pub mod instance;
pub mod invitations;
pub mod keys;
mod lock;
pub mod members;
mod migrate;
pub mod passkeys;
pub mod people;
pub mod provider_keys;
pub mod purge;
mod query;
mod replicas;
pub mod roles;
mod rows;
mod schema;
pub mod sessions;
pub mod signing_keys;
mod snapshot;
mod tail;
mod tap;
pub mod tenants;
mod throttles;
mod tx;
pub mod users;
pub mod vault;
mod when;

pub use connect::{BadDatabase, Options, Url};
pub use error::{Error, Result};
pub use facts::{Facts, PostgresFacts};
pub use replicas::{Enlisted, Keeper, Renewal, ReplicaId};
pub use snapshot::Snapshot;
pub use tail::{Look, Tail};
pub use tap::Tap;
pub use tx::Tx;

use crate::domain::CredentialId;
use crate::domain::audit::{Actor, Event};
use crate::domain::changes::Revision;
use connect::Connections;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// A connection to the embedded database.
pub type Sqlite = SyncConnectionWrapper<diesel::SqliteConnection>;
/// A connection to PostgreSQL.
pub type Pg = diesel_async::AsyncPgConnection;

/// A pooled connection to whichever database it is.
#[expect(
    clippy::large_enum_variant,
    reason = "a few live at a time; a box would be one more thing to follow"
)]
pub enum Conn {
    /// SQLite.
    Sqlite(Object<Sqlite>),
    /// PostgreSQL.
    Pg(Object<Pg>),
}

/// The database, with its pools.
#[derive(Clone)]
pub struct Store {
    readers: Connections,
    writers: Connections,
    head: watch::Sender<u64>,
    tasks: TaskTracker,
    deadline: Duration,
    tap: Arc<OnceLock<Tap>>,
}

/// What a write gave, and the revision at which it can be seen.
#[derive(Debug)]
pub struct Written<T> {
    /// What the work gave.
    pub value: T,
    /// The last change that it made, or 0 if it made none.
    pub revision: Revision,
}

impl Store {
    /// Prepares the pools; connects at first use.
    pub fn new(options: &Options) -> Result<Self, BadDatabase> {
        let (writers, readers) = connect::pools(options)?;
        Ok(Self {
            readers,
            writers,
            head: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            deadline: Duration::from_millis(options.write_timeout_ms),
            tap: Arc::default(),
        })
    }

    /// Brings the schema up to date. Of several replicas that start together
    /// one does it and the others wait.
    ///
    /// Returns how many migrations it ran.
    pub async fn migrate(&self) -> Result<usize> {
        migrate::run(self.writers.get().await?).await
    }

    /// Whether the database is embedded, and this process its only user.
    pub fn is_embedded(&self) -> bool {
        matches!(self.writers, Connections::Sqlite(_))
    }

    /// A connection to read with.
    pub async fn read(&self) -> Result<Conn> {
        self.readers.get().await
    }

    /// Runs `work` in a transaction, with the audit entry and the changes that
    /// it records: all of it happens, or none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] also when the outcome of the commit is unknown.
    pub async fn write<T>(
        &self,
        actor: &Actor,
        event: Event,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T>,
    ) -> Result<Written<T>> {
        let writing = async {
            let mut tx = Tx::begin(self.writers.get().await?, event).await?;
            if let Some(credential) = actor.credential {
                still_stands(&mut tx, credential).await?;
            }
            match work(&mut tx).await {
                Ok(value) => {
                    let (revision, entry) = tx.commit(actor).await?;
                    self.pass_on(&entry);
                    self.head.send_if_modified(|head| {
                        revision > *head && {
                            *head = revision;
                            true
                        }
                    });
                    Ok(Written { value, revision: Revision::from_number(revision) })
                }
                Err(error) => {
                    tx.rollback().await?;
                    Err(error)
                }
            }
        };
        match tokio::time::timeout(self.deadline, writing).await {
            Ok(written) => written,
            Err(elapsed) => Err(Error::Unavailable(elapsed.into())),
        }
    }

    /// Runs work to its end, even if whoever awaits it goes away.
    pub async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match self.tasks.spawn(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::Unavailable(error.into())),
        }
    }

    /// Waits for the work that is under way; nothing new may begin.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Every change after `seq`, in commit order, as it is committed.
    pub fn tail(&self, seq: Revision) -> Tail {
        Tail::new(self.clone(), seq.number())
    }
}

/// Refuses a mutation whose caller's credential has ended meanwhile.
async fn still_stands(tx: &mut Tx, credential: CredentialId) -> Result<()> {
    match credential {
        CredentialId::Key(key) => keys::key_still_stands(tx, key).await,
        CredentialId::Session(session) => sessions::session_still_stands(tx, session).await,
        CredentialId::Grant(grant) => break_glass::grant_still_stands(tx, grant).await,
    }
}
