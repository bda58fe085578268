//! All that a view begins with, as of one moment.

use super::tx::Own;
use super::{Result, Store, changes, keys, members, tenants, users};
use crate::domain::changes::{Change, Revision};

/// Rows read at once.
pub(super) const BATCH: i64 = 10_000;

impl Store {
    /// How many keys and memberships there are, to make room for them.
    pub async fn counts(&self) -> Result<(u64, u64)> {
        let conn = &mut self.read().await?;
        Ok((keys::count_live(conn).await?, members::count(conn).await?))
    }

    /// Gives everything that is, as changes, and the revision that it is of.
    /// Data and revision are of one transaction: nothing falls in between.
    pub async fn snapshot(&self, mut each: impl FnMut(Change) + Send) -> Result<Revision> {
        let mut own = Own::new(self.read().await?);
        // The session is closed in the end, and the transaction with it.
        let begin =
            if self.is_embedded() { "BEGIN" } else { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" };
        own.run(begin).await?;
        let conn = own.get()?;
        let head = changes::head(conn).await?;
        tenants::each(conn, |tenant| each(Change::Tenant(tenant))).await?;
        users::each(conn, |user| each(Change::User(user))).await?;
        members::each(conn, |member| each(Change::Member(member))).await?;
        keys::each_live(conn, |key| each(Change::Key(Box::new(key)))).await?;
        Ok(Revision::from_number(head))
    }
}
