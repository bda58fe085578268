//! Reading the log: pages for people, runs for exports.

use super::tree::{number, signed};
use crate::domain::audit::entry::Field;
use crate::domain::audit::merkle::Span;
use crate::domain::{TenantId, Timestamp};
use crate::store::query::RunQueryDsl;
use crate::store::rows::corrupt;
use crate::store::schema::{audit_entries, audit_fields};
use crate::store::when::when;
use crate::store::{Conn, Result};
use diesel::prelude::*;
use std::collections::BTreeMap;

/// An entry as it is stored, with those of its fields that were not erased.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its place.
    pub idx: u64,
    /// The leaf, byte for byte.
    pub entry: String,
    /// What is left of what it committed to.
    pub fields: Vec<Field>,
}

/// Which entries are listed; what is not said does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Who did it.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Only entries before this place.
    pub before: Option<u64>,
}

/// At most `most` entries of a tenant, the newest first.
pub async fn page(conn: &mut Conn, tenant: TenantId, filter: Filter, most: u16) -> Result<Vec<Stored>> {
    let before = filter.before.map(signed).transpose()?;
    let rows: Vec<(i64, String)> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(when(filter.actor.map(|actor| audit_entries::actor.eq(actor))))
        .filter(when(filter.action.map(|action| audit_entries::action.eq(action))))
        .filter(when(filter.target.map(|target| audit_entries::target.eq(target))))
        .filter(when(filter.from.map(|from| audit_entries::time.ge(from.micros()))))
        .filter(when(filter.until.map(|until| audit_entries::time.lt(until.micros()))))
        .filter(when(before.map(|before| audit_entries::idx.lt(before))))
        .order(audit_entries::idx.desc())
        .limit(i64::from(most))
        .select((audit_entries::idx, audit_entries::entry))
        .load(conn)
        .await?;
    with_fields(conn, tenant, rows).await
}

/// The entries of these places, in order; they must all be there.
pub async fn run(conn: &mut Conn, tenant: TenantId, span: Span) -> Result<Vec<Stored>> {
    let rows: Vec<(i64, String)> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::idx.ge(signed(span.start)?))
        .filter(audit_entries::idx.lt(signed(span.end)?))
        .order(audit_entries::idx)
        .select((audit_entries::idx, audit_entries::entry))
        .load(conn)
        .await?;
    if rows.len() as u64 != span.end.saturating_sub(span.start) {
        return Err(corrupt("the audit log lacks entries"));
    }
    with_fields(conn, tenant, rows).await
}

/// The first place from which on no entry is before `time`, as far as clocks agree.
pub async fn first_since(conn: &mut Conn, tenant: TenantId, time: Timestamp) -> Result<Option<u64>> {
    let found: Option<i64> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::time.ge(time.micros()))
        .select(diesel::dsl::min(audit_entries::idx))
        .first(conn)
        .await?;
    found.map(number).transpose()
}

/// The place after the last entry before `time`.
pub async fn end_before(conn: &mut Conn, tenant: TenantId, time: Timestamp) -> Result<u64> {
    let found: Option<i64> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::time.lt(time.micros()))
        .select(diesel::dsl::max(audit_entries::idx))
        .first(conn)
        .await?;
    found.map_or(Ok(0), |last| Ok(number(last)? + 1))
}

async fn with_fields(conn: &mut Conn, tenant: TenantId, rows: Vec<(i64, String)>) -> Result<Vec<Stored>> {
    let places: Vec<i64> = rows.iter().map(|(idx, _)| *idx).collect();
    let mut found: BTreeMap<i64, Vec<Field>> = BTreeMap::new();
    // Some at a time: the number of values that a statement may have is bounded.
    for places in places.chunks(1000) {
        let fields: Vec<(i64, String, Vec<u8>, String)> = audit_fields::table
            .filter(audit_fields::tenant_id.eq(tenant.as_bytes().to_vec()))
            .filter(audit_fields::idx.eq_any(places.to_vec()))
            .order((audit_fields::idx, audit_fields::name))
            .select((audit_fields::idx, audit_fields::name, audit_fields::salt, audit_fields::value))
            .load(conn)
            .await?;
        for (idx, name, salt, value) in fields {
            let salt = crate::store::rows::id(&salt)?;
            found.entry(idx).or_default().push(Field { name, salt, value });
        }
    }
    rows.into_iter()
        .map(|(idx, entry)| {
            let fields = found.remove(&idx).unwrap_or_default();
            Ok(Stored { idx: number(idx)?, entry, fields })
        })
        .collect()
}
