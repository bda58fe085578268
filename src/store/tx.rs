//! A write transaction.

use super::scope::Scope;
use super::{Conn, Error, Pg, Result, Sqlite, audit, changes};
use crate::domain::audit::{Actor, Event};
use crate::domain::changes::Change;
use diesel::connection::{AnsiTransactionManager as SqliteTransactions, SimpleConnection};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{
    AnsiTransactionManager as PgTransactions, AsyncConnection, SimpleAsyncConnection, TransactionManager,
};

/// A transaction that writes. Only [`super::Store::write`] makes one. Dropped
/// before its end, it closes its connection, and with that rolls back: a
/// connection given back half-way would keep its locks.
pub struct Tx {
    conn: Held,
    event: Event,
    changes: Vec<Change>,
}

/// Said in a transaction that may take away from the audit log.
const KEEPING: &str = "SET LOCAL doorward.keeping = 'audit'";

/// A connection that is closed when dropped, unless it was given back.
struct Held(Option<Conn>);

impl Tx {
    pub(super) async fn begin(conn: Conn, scope: Scope, event: Event) -> Result<Self> {
        let mut tx = Self { conn: Held(Some(conn)), event, changes: Vec::new() };
        match tx.conn.get()? {
            // Taken at once, the write lock cannot be refused half-way.
            Conn::Sqlite(c) => {
                c.spawn_blocking(|c| SqliteTransactions::begin_transaction_sql(c, "BEGIN IMMEDIATE")).await?;
            }
            // One round trip; and no moment at which there is a transaction without its scope.
            Conn::Pg(c) => {
                let begin = format!("BEGIN; {}", scope.until_the_end());
                PgTransactions::begin_transaction_sql(&mut **c, &begin).await?;
            }
        }
        Ok(tx)
    }

    /// Goes on in another scope.
    pub(super) async fn enter(&mut self, scope: Scope) -> Result<()> {
        self.set(&scope.until_the_end()).await
    }

    /// Lets this transaction take away from the audit log, for [`audit::keep`] alone.
    pub(super) async fn keeping(&mut self) -> Result<()> {
        self.set(KEEPING).await
    }

    async fn set(&mut self, statement: &str) -> Result<()> {
        if let Conn::Pg(c) = self.conn.get()? {
            SimpleAsyncConnection::batch_execute(&mut **c, statement).await?;
        }
        Ok(())
    }

    /// Records what every view will hear of once this commits.
    pub(super) fn record(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Adds to what the audit entry says: what may be personal or free text. It
    /// can be erased, and is never part of what is signed.
    pub fn detail(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.event.detail.push((name.into(), value.to_string()));
    }

    /// Adds an id, a number or a name of our own to what the audit entry says,
    /// for ever: it cannot be erased.
    pub fn fact(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.event.facts.push((name, value.to_string()));
    }

    /// Adds what a value was and is, unless it stays what it was.
    pub fn changed(&mut self, name: &str, before: impl std::fmt::Display, after: impl std::fmt::Display) {
        let (before, after) = (before.to_string(), after.to_string());
        if before != after {
            self.event.detail.push((format!("{name}.before").into(), before));
            self.event.detail.push((format!("{name}.after").into(), after));
        }
    }

    /// When the mutation happens, for every row it writes.
    pub fn time(&self) -> crate::domain::Timestamp {
        self.event.time
    }

    /// The connection, for what is read inside the transaction.
    pub fn reading(&mut self) -> Result<&mut Conn> {
        self.conn.get()
    }

    /// The connection, for queries.
    pub(super) fn conn(&mut self) -> Result<&mut Conn> {
        self.conn.get()
    }

    /// Writes the audit entry, whose log's head is held from here to the commit,
    /// then the changes, whose lock all others wait for and which come last
    /// therefore, and commits. Gives the last number, and the entry.
    pub(super) async fn commit(mut self, actor: &Actor) -> Result<(u64, String)> {
        let (event, recorded) = (self.event.clone(), std::mem::take(&mut self.changes));
        let conn = self.conn.get()?;
        let entry = audit::append(conn, actor, &event).await?;
        let seq = changes::append(conn, &recorded, event.time).await?;
        match conn {
            Conn::Sqlite(c) => {
                <Sqlite as AsyncConnection>::TransactionManager::commit_transaction(&mut **c).await?;
            }
            Conn::Pg(c) => PgTransactions::commit_transaction(&mut **c).await?,
        }
        self.conn.0 = None;
        Ok((seq, entry))
    }

    pub(super) async fn rollback(mut self) -> Result<()> {
        match self.conn.get()? {
            Conn::Sqlite(c) => {
                <Sqlite as AsyncConnection>::TransactionManager::rollback_transaction(&mut **c).await?;
            }
            Conn::Pg(c) => {
                <Pg as AsyncConnection>::TransactionManager::rollback_transaction(&mut **c).await?;
            }
        }
        self.conn.0 = None;
        Ok(())
    }
}

impl Held {
    fn get(&mut self) -> Result<&mut Conn> {
        self.0.as_mut().ok_or_else(|| Error::Unavailable("the transaction has ended".into()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            conn.close();
        }
    }
}

impl Conn {
    /// Closes the connection instead of giving it back to its pool.
    pub(super) fn close(self) {
        match self {
            Self::Sqlite(c) => drop(Object::take(c)),
            Self::Pg(c) => drop(Object::take(c)),
        }
    }
}

/// A connection that is closed in the end, for sessions with a state of their own.
pub(super) struct Own(Held);

impl Own {
    pub(super) fn new(conn: Conn) -> Self {
        Self(Held(Some(conn)))
    }

    /// Begins a transaction in which it is written in bulk, outside the change
    /// log; [`Own::commit`] ends it.
    pub(super) async fn begin(conn: Conn, scope: Scope) -> Result<Self> {
        let mut own = Self::new(conn);
        match own.get()? {
            Conn::Sqlite(_) => own.run("BEGIN IMMEDIATE").await?,
            Conn::Pg(c) => {
                let begin = format!("BEGIN; {}", scope.until_the_end());
                SimpleAsyncConnection::batch_execute(&mut **c, &begin).await?;
            }
        }
        Ok(own)
    }

    /// Lets its transaction take away from the audit log, for [`audit::keep`] alone.
    pub(super) async fn keeping(&mut self) -> Result<()> {
        if let Conn::Pg(c) = self.get()? {
            SimpleAsyncConnection::batch_execute(&mut **c, KEEPING).await?;
        }
        Ok(())
    }

    /// Commits, and gives the connection back.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.run("COMMIT").await?;
        self.give_back();
        Ok(())
    }

    pub(super) fn get(&mut self) -> Result<&mut Conn> {
        self.0.get()
    }

    /// Gives the connection back to its pool, its session being as it was.
    pub(super) fn give_back(mut self) {
        self.0.0 = None;
    }

    /// Runs a statement of the session itself, such as `BEGIN`.
    pub(super) async fn run(&mut self, statement: &'static str) -> Result<()> {
        match self.get()? {
            Conn::Sqlite(c) => c.spawn_blocking(|c| c.batch_execute(statement)).await?,
            Conn::Pg(c) => SimpleAsyncConnection::batch_execute(&mut **c, statement).await?,
        }
        Ok(())
    }
}
