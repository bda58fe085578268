//! Whose rows a connection sees and may touch.
//!
//! Types and every query's own condition keep tenants apart, on both
//! databases. On PostgreSQL the database does so once more: row-level security
//! compares each row's tenant with the setting `doorward.tenant`, which only
//! this file spells. A connection that was given no scope sees nothing.

use super::{Conn, Result};
use crate::domain::TenantId;
use diesel_async::SimpleAsyncConnection;
use std::fmt::Write;

/// Whose rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One tenant's.
    Tenant(TenantId),
    /// Everybody's, and those that belong to no tenant.
    Everything(Across),
}

/// Why rows are looked at across tenants. Who needs another reason adds it
/// here, where all of them stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// A person: their account and factors are no tenant's, their memberships
    /// and sessions many tenants'.
    People,
    /// Views, which answer for all tenants: snapshots, the change log, leases.
    Views,
    /// Jobs and what is written in bulk: each run serves all tenants.
    Jobs,
    /// Operators, who make and list tenants.
    Operators,
    /// The instance itself: its first tenant, its keys, its vault, `doctor`.
    Instance,
}

impl From<TenantId> for Scope {
    fn from(tenant: TenantId) -> Self {
        Self::Tenant(tenant)
    }
}

impl From<Across> for Scope {
    fn from(why: Across) -> Self {
        Self::Everything(why)
    }
}

impl Scope {
    /// The setting's value: made of an id's bytes, never of a text from outside.
    fn value(self) -> String {
        match self {
            Self::Tenant(tenant) => {
                tenant.as_bytes().iter().fold(String::with_capacity(32), |mut hex, byte| {
                    // Writing to a string does not fail.
                    let _ = write!(hex, "{byte:02x}");
                    hex
                })
            }
            Self::Everything(_) => "*".into(),
        }
    }

    /// Sets the scope until the transaction ends, however it does.
    pub(super) fn until_the_end(self) -> String {
        format!("SET LOCAL doorward.tenant = '{}'", self.value())
    }

    /// Sets the scope of a session.
    pub(super) fn of_session(self) -> String {
        format!("SET doorward.tenant = '{}'", self.value())
    }
}

impl Conn {
    /// Sets the scope of a reading session, whatever it was before.
    pub(super) async fn scoped(mut self, scope: Scope) -> Result<Self> {
        if let Self::Pg(c) = &mut self {
            c.batch_execute(&scope.of_session()).await?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_spelt_from_bytes_alone() {
        let tenant = TenantId::from_bytes([0x27, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a]);
        let local = Scope::from(tenant).until_the_end();
        assert_eq!(local, "SET LOCAL doorward.tenant = '2700000000000000000000000000000a'");
        assert_eq!(Scope::from(Across::Jobs).of_session(), "SET doorward.tenant = '*'");
    }
}
