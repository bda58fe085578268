//! What a replica asks of its database. The store is one; tests have another
//! that fails as they tell it to.

use crate::domain::changes::{Change, Revision};
use crate::store::{Enlisted, Keeper, Look, Renewal, ReplicaId, Result, Store, Tail};
use std::future::Future;
use std::time::Duration;

/// The database of several replicas.
pub trait Database: Clone + Send + Sync + 'static {
    /// Follows the change log.
    type Log: Log;
    /// Renews leases.
    type Keeper: Renews;

    /// Whether there can be other replicas.
    fn has_others(&self) -> bool;
    /// See [`Store::enlist`].
    fn enlist(&self, id: ReplicaId, lease: Duration) -> impl Future<Output = Result<()>> + Send;
    /// How many keys and memberships there are.
    fn counts(&self) -> impl Future<Output = Result<(u64, u64)>> + Send;
    /// See [`Store::snapshot`].
    fn snapshot(&self, each: impl FnMut(Change) + Send) -> impl Future<Output = Result<Revision>> + Send;
    /// Follows the log from there on.
    fn log(&self, from: Revision) -> Self::Log;
    /// A session that renews.
    fn keeper(&self) -> Self::Keeper;
    /// See [`Store::enlisted`].
    fn enlisted(&self) -> impl Future<Output = Result<Vec<Enlisted>>> + Send;
    /// See [`Store::newest`].
    fn newest(&self) -> impl Future<Output = Result<Revision>> + Send;
    /// See [`Store::drain`].
    fn drain(&self, id: ReplicaId, seen: Option<u64>) -> impl Future<Output = Result<()>> + Send;
    /// See [`Store::forget`].
    fn forget(&self, id: ReplicaId, seen: Option<u64>) -> impl Future<Output = Result<()>> + Send;
}

/// The change log, followed.
pub trait Log: Send + 'static {
    /// See [`Tail::look`].
    fn look(&mut self, limit: Duration) -> impl Future<Output = Result<Look>> + Send;
    /// See [`Tail::wait`].
    fn wait(&mut self, wait: Duration) -> impl Future<Output = ()> + Send;
    /// See [`Tail::go_on_after`].
    fn go_on_after(&mut self, revision: Revision);
    /// See [`Tail::acknowledge`].
    fn acknowledge(
        &mut self,
        id: ReplicaId,
        revision: Revision,
        cuts: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A session that renews.
pub trait Renews: Send + 'static {
    /// See [`Keeper::renew`].
    fn renew(
        &mut self,
        id: ReplicaId,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<Renewal>>> + Send;
}

impl Database for Store {
    type Log = Tail;
    type Keeper = Keeper;

    fn has_others(&self) -> bool {
        !self.is_embedded()
    }
    fn enlist(&self, id: ReplicaId, lease: Duration) -> impl Future<Output = Result<()>> + Send {
        Self::enlist(self, id, lease)
    }
    fn counts(&self) -> impl Future<Output = Result<(u64, u64)>> + Send {
        Self::counts(self)
    }
    fn snapshot(&self, each: impl FnMut(Change) + Send) -> impl Future<Output = Result<Revision>> + Send {
        Self::snapshot(self, each)
    }
    fn log(&self, from: Revision) -> Tail {
        self.tail(from)
    }
    fn keeper(&self) -> Keeper {
        Self::keeper(self)
    }
    fn enlisted(&self) -> impl Future<Output = Result<Vec<Enlisted>>> + Send {
        Self::enlisted(self)
    }
    fn newest(&self) -> impl Future<Output = Result<Revision>> + Send {
        Self::newest(self)
    }
    fn drain(&self, id: ReplicaId, seen: Option<u64>) -> impl Future<Output = Result<()>> + Send {
        Self::drain(self, id, seen)
    }
    fn forget(&self, id: ReplicaId, seen: Option<u64>) -> impl Future<Output = Result<()>> + Send {
        Self::forget(self, id, seen)
    }
}

impl Log for Tail {
    fn look(&mut self, limit: Duration) -> impl Future<Output = Result<Look>> + Send {
        Self::look(self, limit)
    }
    fn wait(&mut self, wait: Duration) -> impl Future<Output = ()> + Send {
        Self::wait(self, wait)
    }
    fn go_on_after(&mut self, revision: Revision) {
        Self::go_on_after(self, revision);
    }
    fn acknowledge(
        &mut self,
        id: ReplicaId,
        revision: Revision,
        cuts: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<()>> + Send {
        Self::acknowledge(self, id, revision, cuts, limit)
    }
}

impl Renews for Keeper {
    fn renew(
        &mut self,
        id: ReplicaId,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<Renewal>>> + Send {
        Self::renew(self, id, limit)
    }
}
