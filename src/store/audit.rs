//! The audit log: one Merkle tree for each tenant.
//!
//! A write appends its entry in its own transaction and gives it the next
//! number, no more: the tree over the entries grows when they get a checkpoint
//! ([`tree`]), which is the first moment that anybody could hold us to.

pub mod keep;
pub mod pages;
pub mod tree;

use super::query::RunQueryDsl;
use super::rows::corrupt;
use super::schema::{audit_entries, audit_fields, audit_heads};
use super::{Conn, Pg, Result};
use crate::domain::audit::entry::Draft;
use crate::domain::audit::{Actor, Event};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Text};

/// Writes an entry; part of the mutation that it speaks of. From here to the
/// commit the head of the tenant's log is held. Gives the entry's text.
pub(super) async fn append(conn: &mut Conn, actor: &Actor, event: &Event) -> Result<String> {
    let draft = Draft::new(actor, event).map_err(corrupt)?;
    let tenant = event.tenant.as_bytes();
    let idx = match conn {
        Conn::Pg(c) => append_at_once(c, actor, event, &draft).await?,
        Conn::Sqlite(_) => append_step_by_step(conn, actor, event, &draft, tenant).await?,
    };
    Ok(draft.at(u64::try_from(idx).map_err(corrupt)?))
}

/// How many entries of an action there are, in all logs; for tests and `doctor`.
pub async fn event_count(conn: &mut Conn, action: &str) -> Result<i64> {
    Ok(audit_entries::table.filter(audit_entries::action.eq(action)).count().get_result(conn).await?)
}

/// There is one writer, so what was read still holds.
async fn append_step_by_step(
    conn: &mut Conn,
    actor: &Actor,
    event: &Event,
    draft: &Draft,
    tenant: &[u8; 16],
) -> Result<i64> {
    let head = audit_heads::table.find(tenant.to_vec());
    let found: Option<(i64, i64, i64)> = head
        .select((audit_heads::size, audit_heads::sealed, audit_heads::since))
        .first(conn)
        .await
        .optional()?;
    let time = event.time.micros();
    let idx = if let Some((size, sealed, since)) = found {
        let since = if sealed == size { time } else { since };
        let set = (audit_heads::size.eq(size + 1), audit_heads::since.eq(since));
        diesel::update(audit_heads::table.find(tenant.to_vec())).set(set).execute(conn).await?;
        size
    } else {
        let row = (
            audit_heads::tenant_id.eq(tenant.to_vec()),
            audit_heads::size.eq(1),
            audit_heads::since.eq(time),
            audit_heads::sealed.eq(0),
            audit_heads::frontier.eq(Vec::new()),
            audit_heads::first.eq(0),
            audit_heads::held.eq(false),
        );
        diesel::insert_into(audit_heads::table).values(row).execute(conn).await?;
        0
    };
    let row = (
        audit_entries::tenant_id.eq(tenant.to_vec()),
        audit_entries::idx.eq(idx),
        audit_entries::time.eq(time),
        audit_entries::actor.eq(&actor.id),
        audit_entries::action.eq(event.action.name()),
        audit_entries::target.eq(&event.target),
        audit_entries::entry.eq(draft.at(u64::try_from(idx).map_err(corrupt)?)),
    );
    diesel::insert_into(audit_entries::table).values(row).execute(conn).await?;
    for field in &draft.fields {
        let row = (
            audit_fields::tenant_id.eq(tenant.to_vec()),
            audit_fields::idx.eq(idx),
            audit_fields::name.eq(&field.name),
            audit_fields::salt.eq(field.salt.to_vec()),
            audit_fields::value.eq(&field.value),
        );
        diesel::insert_into(audit_fields::table).values(row).execute(conn).await?;
    }
    Ok(idx)
}

async fn append_at_once(conn: &mut Pg, actor: &Actor, event: &Event, draft: &Draft) -> QueryResult<i64> {
    let append = Append {
        tenant: event.tenant.as_bytes().to_vec(),
        time: event.time.micros(),
        actor: actor.id.clone(),
        action: event.action.name(),
        target: event.target.clone(),
        before: draft.before.clone(),
        after: draft.after.clone(),
        names: draft.fields.iter().map(|field| field.name.clone()).collect(),
        salts: draft.fields.iter().map(|field| field.salt.to_vec()).collect(),
        values: draft.fields.iter().map(|field| field.value.clone()).collect(),
    };
    diesel_async::RunQueryDsl::get_result(append, conn).await
}

/// Head, entry and fields in one statement, which stays prepared: one round
/// trip a write.
struct Append {
    tenant: Vec<u8>,
    time: i64,
    actor: String,
    action: &'static str,
    target: String,
    before: String,
    after: String,
    names: Vec<String>,
    salts: Vec<Vec<u8>>,
    values: Vec<String>,
}

impl QueryId for Append {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for Append {
    type SqlType = BigInt;
}

impl QueryFragment<diesel::pg::Pg> for Append {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        out.push_sql("WITH new AS (SELECT ");
        out.push_bind_param::<Binary, _>(&self.tenant)?;
        out.push_sql(" AS tenant, ");
        out.push_bind_param::<BigInt, _>(&self.time)?;
        out.push_sql(
            " AS time),
             head AS (INSERT INTO audit_heads AS head (tenant_id, size, since, sealed, frontier, first, held)
                      SELECT tenant, 1, time, 0, ''::bytea, 0, FALSE FROM new
                      ON CONFLICT (tenant_id) DO UPDATE SET size = head.size + 1,
                          since = CASE WHEN head.sealed = head.size THEN excluded.since ELSE head.since END
                      RETURNING head.size - 1 AS idx),
             entry AS (INSERT INTO audit_entries (tenant_id, idx, time, actor, action, target, entry)
                       SELECT tenant, idx, time, ",
        );
        for text in [&self.actor, self.action, &self.target] {
            out.push_bind_param::<Text, str>(text)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<Text, _>(&self.before)?;
        out.push_sql(" || idx::text || ");
        out.push_bind_param::<Text, _>(&self.after)?;
        out.push_sql(
            " FROM new, head),
             fields AS (INSERT INTO audit_fields (tenant_id, idx, name, salt, value)
                        SELECT tenant, idx, field.name, field.salt, field.value
                        FROM new, head, unnest(",
        );
        out.push_bind_param::<Array<Text>, _>(&self.names)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.salts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.values)?;
        out.push_sql(") AS field (name, salt, value)) SELECT idx FROM head");
        Ok(())
    }
}
