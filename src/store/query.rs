//! Diesel's query methods for a [`Conn`], whichever database is behind it.
//!
//! A query of diesel's does not depend on the database until it is run. So the
//! methods here ask that it can be run on both, and run it on the one that is
//! there: a query that only one of them understands does not compile.

use super::{Conn, Pg, Sqlite};
use diesel::dsl::Limit;
use diesel::query_builder::QueryId;
use diesel::query_dsl::methods::LimitDsl;
use diesel::{QueryResult, Selectable};
use diesel_async::RunQueryDsl as Run;
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use std::future::Future;

/// A query that both databases can run, giving rows of `U`.
pub trait Load<'q, U>: LoadQuery<'q, Sqlite, U> + LoadQuery<'q, Pg, U> + Send + 'q {}
impl<'q, U, Q> Load<'q, U> for Q where Q: LoadQuery<'q, Sqlite, U> + LoadQuery<'q, Pg, U> + Send + 'q {}

/// A statement that both databases can run.
pub trait Execute: ExecuteDsl<Sqlite> + ExecuteDsl<Pg> + Send {}
impl<Q: ExecuteDsl<Sqlite> + ExecuteDsl<Pg> + Send> Execute for Q {}

/// Runs queries. Shadows diesel's trait of the same name; import it by name.
pub trait RunQueryDsl: Sized {
    /// Runs a statement; gives the rows that it touched.
    fn execute(self, conn: &mut Conn) -> impl Future<Output = QueryResult<usize>> + Send
    where
        Self: Execute,
    {
        async {
            match conn {
                Conn::Sqlite(c) => Run::<Sqlite>::execute(self, c).await,
                Conn::Pg(c) => Run::<Pg>::execute(self, c).await,
            }
        }
    }

    /// Runs a query; gives all its rows.
    fn load<'q, U: Send>(self, conn: &mut Conn) -> impl Future<Output = QueryResult<Vec<U>>> + Send
    where
        Self: Load<'q, U>,
    {
        async {
            match conn {
                Conn::Sqlite(c) => Run::<Sqlite>::load(self, c).await,
                Conn::Pg(c) => Run::<Pg>::load(self, c).await,
            }
        }
    }

    /// Runs a query; gives its one row.
    fn get_result<'q, U: Send>(self, conn: &mut Conn) -> impl Future<Output = QueryResult<U>> + Send
    where
        Self: Load<'q, U>,
    {
        async {
            match conn {
                Conn::Sqlite(c) => Run::<Sqlite>::get_result(self, c).await,
                Conn::Pg(c) => Run::<Pg>::get_result(self, c).await,
            }
        }
    }

    /// Runs a query; gives its first row.
    fn first<'q, U: Send>(self, conn: &mut Conn) -> impl Future<Output = QueryResult<U>> + Send
    where
        Self: LimitDsl,
        Limit<Self>: RunQueryDsl + Load<'q, U>,
    {
        RunQueryDsl::get_result(self.limit(1), conn)
    }
}

/// For queries alone, so that `first` of a slice stays what it is.
impl<Q: QueryId> RunQueryDsl for Q {}

/// `Row::columns()` selects a row's columns in the order of its fields; unlike
/// `Row::as_select()` it is not tied to one database.
pub trait Columns: Selectable<diesel::sqlite::Sqlite> {
    /// The columns.
    fn columns() -> Self::SelectExpression {
        Self::construct_selection()
    }
}

impl<T: Selectable<diesel::sqlite::Sqlite>> Columns for T {}
