//! The end of a tenant that was deleted.
use super::*;
use crate::harness::on_both;
use doorward::domain::tenants::TenantPatch;
use doorward::store::Across;
use doorward::store::keys::key_by_id;
use doorward::store::members::owner_of;
use doorward::store::purge::{
    purge_keys, purge_members, purge_sessions, purge_tenant, still_due, tenants_due,
};
use doorward::store::tenants::{tenant_by_id, tenant_replace};
use std::time::Duration;

/// Rows that one run takes away.
const MOST: i64 = 3;

/// One run, in the order of the job.
async fn run(store: &Store, tenant: TenantId, before: Timestamp) -> usize {
    let ran = write(store, tenant, async |tx| {
        if !still_due(tx, tenant, before).await? {
            return Ok(0);
        }
        let rows = purge_keys(tx, tenant, MOST).await?
            + purge_sessions(tx, tenant, MOST).await?
            + purge_members(tx, tenant, MOST).await?;
        if rows > 0 { Ok(rows) } else { purge_tenant(tx, tenant).await }
    });
    ran.await.unwrap().value
}

on_both! {
    // R43: nothing goes before its time, all of it goes in the end, and nobody else's with it.
    async fn a_deleted_tenant_goes_by_and_by(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let (other, neighbour) = town(&store, "umbrella").await;
        let kept = key(other, Some(neighbour));
        insert(&store, &kept).await.unwrap();
        for _ in 0..5 {
            insert(&store, &key(tenant, Some(owner))).await.unwrap();
        }
        let (early, late) = (now(), now().plus(Duration::from_hours(1)));
        assert!(tenants_due(&mut store.read(Across::Instance).await.unwrap(), late, 9).await.unwrap().is_empty());
        assert_eq!(run(&store, tenant, late).await, 0, "it is not deleted");
        let before = tenant_by_id(&mut store.read(tenant).await.unwrap(), tenant).await.unwrap().unwrap();
        let deleted = before.patched(TenantPatch { deleted: Some(true), ..TenantPatch::default() }, now());
        write(&store, tenant, async |tx| tenant_replace(tx, &deleted).await).await.unwrap();
        assert!(tenants_due(&mut store.read(Across::Instance).await.unwrap(), early, 9).await.unwrap().is_empty());
        assert_eq!(run(&store, tenant, early).await, 0, "its time has not come");
        assert_eq!(tenants_due(&mut store.read(Across::Instance).await.unwrap(), late, 9).await.unwrap(), [tenant]);
        let runs = [run(&store, tenant, late).await, run(&store, tenant, late).await];
        assert_eq!(runs, [3, 2]);
        assert_eq!(owner_of(&mut store.read(tenant).await.unwrap(), tenant).await.unwrap(), Some(owner));
        assert_eq!((run(&store, tenant, late).await, run(&store, tenant, late).await), (1, 0));
        let conn = &mut store.read(Across::Instance).await.unwrap();
        assert_eq!(tenant_by_id(conn, tenant).await.unwrap(), None);
        assert_eq!(owner_of(conn, tenant).await.unwrap(), None);
        assert_eq!(key_by_id(conn, other, kept.state.id).await.unwrap(), Some(kept));
    }
}
