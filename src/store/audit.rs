//! The audit log.

use super::query::RunQueryDsl;
use super::rows::corrupt;
use super::schema::audit_events;
use super::{Conn, Result};
use crate::domain::audit::{Actor, Event};
use diesel::prelude::*;
use std::collections::BTreeMap;

#[derive(Insertable)]
#[diesel(table_name = audit_events)]
struct Row<'a> {
    id: Vec<u8>,
    tenant_id: &'a [u8],
    time: i64,
    actor: &'a str,
    credential: Option<String>,
    address: Option<String>,
    correlation: &'a str,
    action: &'a str,
    target: &'a str,
    detail: String,
}

/// Writes an entry; part of the mutation that it speaks of.
pub(super) async fn append(conn: &mut Conn, actor: &Actor, event: &Event) -> Result<()> {
    let detail: BTreeMap<_, _> = event.detail.iter().map(|(name, value)| (*name, value)).collect();
    let row = Row {
        id: event.id.as_bytes().to_vec(),
        tenant_id: event.tenant.as_bytes(),
        time: event.time.micros(),
        actor: &actor.id,
        credential: actor.credential.map(|key| key.to_string()),
        address: actor.address.map(|address| address.to_string()),
        correlation: &actor.correlation,
        action: event.action.name(),
        target: &event.target,
        detail: serde_json::to_string(&detail).map_err(corrupt)?,
    };
    diesel::insert_into(audit_events::table).values(row).execute(conn).await?;
    Ok(())
}

/// How many entries a tenant has, by action; for tests and `doctor`.
pub async fn event_count(conn: &mut Conn, action: &str) -> Result<i64> {
    Ok(audit_events::table.filter(audit_events::action.eq(action)).count().get_result(conn).await?)
}
