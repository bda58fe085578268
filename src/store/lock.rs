//! Rows that are held as they are until a transaction ends.
//!
//! PostgreSQL alone: on SQLite the transaction is the only one that writes.

use super::{Conn, Result, Tx};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer};

/// Which rows, and against whom.
#[derive(Debug, Clone, Copy)]
pub enum Lock {
    /// A key that is about to change: others who would change it wait.
    Key,
    /// A tenant that is about to change.
    Tenant,
    /// A role that is about to change or to be given.
    Role,
    /// A session that is about to change.
    Session,
    /// A person whose password must stay what it is meanwhile.
    PersonShared,
    /// A session that must not end meanwhile; others may hold it too.
    SessionShared,
    /// The head of a tenant's audit log, which every write of the tenant takes in the end.
    AuditHead,
    /// A grant that must not be closed meanwhile; others may hold it too.
    GrantShared,
}

impl Lock {
    const fn statement(self) -> &'static str {
        match self {
            Self::Key => "SELECT 1 AS one FROM api_keys WHERE id = $1 FOR UPDATE",
            Self::Tenant => "SELECT 1 AS one FROM tenants WHERE id = $1 FOR NO KEY UPDATE",
            Self::Role => "SELECT 1 AS one FROM roles WHERE id = $1 FOR UPDATE",
            Self::Session => "SELECT 1 AS one FROM sessions WHERE id = $1 FOR NO KEY UPDATE",
            Self::PersonShared => "SELECT 1 AS one FROM users WHERE id = $1 FOR SHARE",
            Self::GrantShared => "SELECT 1 AS one FROM break_glass_grants WHERE id = $1 FOR SHARE",
            Self::SessionShared => "SELECT 1 AS one FROM sessions WHERE id = $1 FOR SHARE",
            Self::AuditHead => "SELECT 1 AS one FROM audit_heads WHERE tenant_id = $1 FOR NO KEY UPDATE",
        }
    }
}

#[derive(QueryableByName)]
#[expect(dead_code, reason = "the row is held, not looked at")]
struct Held {
    #[diesel(sql_type = Integer)]
    one: i32,
}

impl Tx {
    /// Holds the row of this id, if there is one.
    pub(super) async fn lock(&mut self, what: Lock, id: &[u8; 16]) -> Result<()> {
        if let Conn::Pg(c) = self.conn()? {
            let look = diesel::sql_query(what.statement()).bind::<Binary, _>(id.to_vec());
            let _held: Vec<Held> = diesel_async::RunQueryDsl::load(look, &mut **c).await?;
        }
        Ok(())
    }
}
