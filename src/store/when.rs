//! Optional conditions, without boxing a query, which would tie it to one database.

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};

/// The condition, or `TRUE` if there is none.
pub fn when<E: Expression>(condition: Option<E>) -> When<E> {
    When(condition)
}

/// See [`when`].
#[derive(Debug, Clone, Copy)]
pub struct When<E>(Option<E>);

impl<E: Expression> Expression for When<E> {
    type SqlType = E::SqlType;
}

impl<E: SelectableExpression<T>, T> SelectableExpression<T> for When<E> {}
impl<E: AppearsOnTable<T>, T> AppearsOnTable<T> for When<E> {}
impl<E: ValidGrouping<G>, G> ValidGrouping<G> for When<E> {
    type IsAggregate = E::IsAggregate;
}

impl<E> QueryId for When<E> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<E: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for When<E> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if let Some(condition) = &self.0 {
            return condition.walk_ast(out);
        }
        out.push_sql("TRUE");
        Ok(())
    }
}
