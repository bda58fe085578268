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
pub mod ingest_usage;
pub mod instance;
pub mod invitations;
mod jobs;
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
mod scope;
pub mod sessions;
pub mod signing_keys;
mod snapshot;
mod tail;
mod tap;
pub mod tenants;
mod throttles;
mod tx;
pub mod usage;
pub mod users;
pub mod vault;
mod when;

pub use connect::{BadDatabase, Options, Url};
pub use error::{Error, Result};
pub use facts::{Facts, PostgresFacts};
pub use jobs::JobRun;
pub use replicas::{Enlisted, Keeper, Renewal, ReplicaId};
pub use scope::{Across, Scope};
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
use tx::Own;

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
    writers: Connections,
    across: Connections,
    within: Connections,
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
        let connect::Pools { writers, across, within } = connect::pools(options)?;
        Ok(Self {
            writers,
            across,
            within,
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

    /// A connection to read with: a tenant's rows, which costs PostgreSQL a
    /// round trip, or everybody's, which costs none.
    ///
    /// There is no other way to one, so nobody reads under the scope of whoever
    /// had it before.
    pub async fn read(&self, scope: impl Into<Scope>) -> Result<Conn> {
        match scope.into() {
            Scope::Everything(_) => self.across.get().await,
            tenant @ Scope::Tenant(_) => self.within.get().await?.scoped(tenant).await,
        }
    }

    /// Runs `work` in a transaction, with the audit entry and the changes that
    /// it records: all of it happens, or none. It sees and touches rows of the
    /// tenant that the event is of.
    ///
    /// # Errors
    /// [`Error::Unavailable`] also when the outcome of the commit is unknown.
    pub async fn write<T>(
        &self,
        actor: &Actor,
        event: Event,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T>,
    ) -> Result<Written<T>> {
        let scope = event.tenant.into();
        self.write_in(scope, actor, event, work).await
    }

    /// The same for work that sees and touches rows of all tenants.
    ///
    /// # Errors
    /// As of [`Store::write`].
    pub async fn write_across<T>(
        &self,
        why: Across,
        actor: &Actor,
        event: Event,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T>,
    ) -> Result<Written<T>> {
        self.write_in(why.into(), actor, event, work).await
    }

    async fn write_in<T>(
        &self,
        scope: Scope,
        actor: &Actor,
        event: Event,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T>,
    ) -> Result<Written<T>> {
        let writing = async {
            let mut tx = begin_checked(self.writers.get().await?, scope, actor, event).await?;
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

    /// Runs `work` in a transaction without an audit entry or changes: what no
    /// view needs, and is no mutation by anybody.
    async fn in_bulk<T>(
        &self,
        scope: impl Into<Scope>,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T>,
    ) -> Result<T> {
        let mut own = Own::begin(self.writers.get().await?, scope.into()).await?;
        let value = work(own.get()?).await?;
        own.commit().await?;
        Ok(value)
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

/// Begins the transaction of whoever may still write. Their credential may be
/// another tenant's than what they write to: then it is looked at in its own.
async fn begin_checked(conn: Conn, scope: Scope, actor: &Actor, event: Event) -> Result<Tx> {
    let Some(credential) = actor.credential else { return Tx::begin(conn, scope, event).await };
    let first = match scope {
        Scope::Tenant(_) => Scope::Tenant(credential.tenant),
        Scope::Everything(_) => scope,
    };
    let mut tx = Tx::begin(conn, first, event).await?;
    still_stands(&mut tx, credential.id).await?;
    if first != scope {
        tx.enter(scope).await?;
    }
    Ok(tx)
}

/// Refuses a mutation whose caller's credential has ended meanwhile.
async fn still_stands(tx: &mut Tx, credential: CredentialId) -> Result<()> {
    match credential {
        CredentialId::Key(key) => keys::key_still_stands(tx, key).await,
        CredentialId::Session(session) => sessions::session_still_stands(tx, session).await,
        CredentialId::Grant(grant) => break_glass::grant_still_stands(tx, grant).await,
    }
}
