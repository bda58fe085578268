//! Rows come back as they were written, and what contradicts them is refused.
use super::*;
use crate::harness::on_both;
use doorward::domain::changes::Change;
use doorward::domain::keys::{KeyPatch, Previous};
use doorward::domain::paging::Page;
use doorward::domain::permission::Permission;
use doorward::domain::tenants::TenantPatch;
use doorward::store::Across;
use doorward::store::Error;
use doorward::store::keys::{
    KeyFilter, key_by_id, key_last_uses, key_page, key_replace, keys_used, request_once,
};
use doorward::store::members::{member_delete, member_page, member_set_role};
use doorward::store::tenants::{tenant_by_id, tenant_by_slug, tenant_page, tenant_replace};
use std::time::Duration;

on_both! {
    async fn a_key_comes_back_as_it_was_written(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let mut wanted = key(tenant, Some(owner));
        wanted.state.scopes = Permissions::of(&[Permission::KEYS_READ, Permission::INGEST_WRITE]);
        wanted.state.expire = Some(now().plus(Duration::from_hours(1)));
        wanted.state.previous = Some(Previous { digest: Digest::from_bytes(&[1; 32]), until: now() });
        insert(&store, &wanted).await.unwrap();
        let mut conn = store.read(Across::Instance).await.unwrap();
        assert_eq!(key_by_id(&mut conn, tenant, wanted.state.id).await.unwrap(), Some(wanted.clone()));
        let other = TenantId::new(now(), &random());
        assert_eq!(key_by_id(&mut conn, other, wanted.state.id).await.unwrap(), None, "another tenant's");
    }

    async fn a_replacement_needs_the_version_before(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let first = key(tenant, Some(owner));
        insert(&store, &first).await.unwrap();
        let second = first.clone().patched(KeyPatch { per_minute: Some(9), ..KeyPatch::default() }, now());
        let replaced = write(&store, tenant, async |tx| key_replace(tx, &second).await).await.unwrap();
        assert!(replaced.value);
        let again = write(&store, tenant, async |tx| key_replace(tx, &second).await).await.unwrap();
        assert!(!again.value, "somebody was quicker");
        let mut conn = store.read(Across::Instance).await.unwrap();
        assert_eq!(key_by_id(&mut conn, tenant, first.state.id).await.unwrap().unwrap().state.per_minute, 9);
    }

    async fn pages_follow_each_other_newest_first(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let mut ids = Vec::new();
        for at in 0..7 {
            let key = key(tenant, (at % 2 == 0).then_some(owner));
            insert(&store, &key).await.unwrap();
            ids.push(key.state.id);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        ids.reverse();
        let mut conn = store.read(Across::Instance).await.unwrap();
        let page = |size, after: Option<KeyId>| Page { size, after: after.map(|id| *id.as_bytes()) };
        let first = key_page(&mut conn, tenant, KeyFilter::default(), page(3, None)).await.unwrap();
        assert_eq!(first.iter().map(|key| key.state.id).collect::<Vec<_>>(), ids[..4], "one more says there is more");
        let rest = key_page(&mut conn, tenant, KeyFilter::default(), page(9, Some(ids[2]))).await.unwrap();
        assert_eq!(rest.iter().map(|key| key.state.id).collect::<Vec<_>>(), ids[3..]);
        let own = KeyFilter { user: Some(owner), ..KeyFilter::default() };
        assert_eq!(key_page(&mut conn, tenant, own, page(9, None)).await.unwrap().len(), 4);
        let machines = KeyFilter { kind: Some(KeyKind::Tenant), ..KeyFilter::default() };
        assert_eq!(key_page(&mut conn, tenant, machines, page(9, None)).await.unwrap().len(), 3);
    }

    async fn contradictions_are_refused_and_leave_nothing(database: Database) {
        let store = open(&database).await;
        let (tenant_id, owner) = town(&store, "acme").await;
        let first = key(tenant_id, Some(owner));
        insert(&store, &first).await.unwrap();
        let mut twin = key(tenant_id, Some(owner));
        twin.state.digest = first.state.digest;
        assert!(matches!(insert(&store, &twin).await, Err(Error::Conflict)));
        let stranger = key(TenantId::new(now(), &random()), None);
        assert!(matches!(insert(&store, &stranger).await, Err(Error::Dangling)));
        let namesake = tenant("acme");
        let made = write_across(&store, tenant_id, async |tx| tenant_insert(tx, &namesake).await).await;
        assert!(matches!(made, Err(Error::Conflict)));
        let mut conn = store.read(Across::Instance).await.unwrap();
        let all = key_page(&mut conn, tenant_id, KeyFilter::default(), Page { size: 9, after: None }).await.unwrap();
        assert_eq!(all.len(), 1);
    }

    // R41
    async fn a_tenant_never_has_two_owners(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let second = user("second@acme.example");
        let id = second.id;
        let two = write_across(&store, tenant, async |tx| {
            user_insert(tx, &second, None).await?;
            member_insert(tx, tenant, id, Role::Owner).await
        }).await;
        assert!(matches!(two, Err(Error::Conflict)), "{two:?}");
        write_across(&store, tenant, async |tx| {
            user_insert(tx, &second, None).await?;
            member_insert(tx, tenant, id, Role::Viewer).await
        }).await.unwrap();
        let raised = write(&store, tenant, async |tx| member_set_role(tx, tenant, id, Role::Owner).await).await;
        assert!(matches!(raised, Err(Error::Conflict)), "{raised:?}");
        write(&store, tenant, async |tx| member_set_role(tx, tenant, id, Role::Admin).await).await.unwrap();
        let mut conn = store.read(Across::Instance).await.unwrap();
        let members = member_page(&mut conn, tenant, Page { size: 9, after: None }).await.unwrap();
        let roles: Vec<_> = members.iter().map(|member| (member.user, member.role)).collect();
        assert_eq!(roles.len(), 2);
        assert!(roles.contains(&(owner, Role::Owner.into())) && roles.contains(&(id, Role::Admin.into())));
        let ended = write(&store, tenant, async |tx| member_delete(tx, tenant, id).await).await.unwrap();
        assert!(ended.value);
    }

    async fn tenants_are_found_by_id_and_slug_and_listed(database: Database) {
        let store = open(&database).await;
        let (acme, _) = town(&store, "acme").await;
        let (other, _) = town(&store, "other").await;
        let mut conn = store.read(Across::Instance).await.unwrap();
        assert_eq!(tenant_by_slug(&mut conn, &"acme".parse().unwrap()).await.unwrap().unwrap().state.id, acme);
        let page = Page { size: 9, after: None };
        assert_eq!(tenant_page(&mut conn, None, page).await.unwrap().len(), 2);
        assert_eq!(tenant_page(&mut conn, Some(other), page).await.unwrap()[0].state.id, other);
        let patch = TenantPatch { suspended: Some(true), networks: Some("10.0.0.0/8".parse_networks()), ..TenantPatch::default() };
        let after = tenant_by_id(&mut conn, acme).await.unwrap().unwrap().patched(patch, now());
        write(&store, acme, async |tx| tenant_replace(tx, &after).await).await.unwrap();
        assert_eq!(tenant_by_id(&mut conn, acme).await.unwrap(), Some(after));
    }

    async fn a_request_is_remembered_for_its_actor_alone(database: Database) {
        let store = open(&database).await;
        let (tenant, _) = town(&store, "acme").await;
        for (actor, id, expected) in [("a", "1", None), ("a", "1", Some("x")), ("b", "1", None), ("a", "2", None)] {
            let done = write(&store, tenant, async |tx| request_once(tx, tenant, actor, id, "x").await).await.unwrap();
            assert_eq!(done.value.as_deref(), expected, "{actor} {id}");
        }
    }

    // R21
    async fn uses_are_stamped_in_bulk_and_again(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let mut stamps = Vec::new();
        for _ in 0..12 {
            let key = key(tenant, Some(owner));
            insert(&store, &key).await.unwrap();
            stamps.push((key.state.id, Timestamp::from_micros(60_000_000)));
        }
        keys_used(&store, stamps.clone()).await.unwrap();
        let later = Timestamp::from_micros(120_000_000);
        keys_used(&store, vec![(stamps[3].0, later)]).await.unwrap();
        let ids: Vec<KeyId> = stamps.iter().map(|(id, _)| *id).collect();
        let uses = key_last_uses(&mut store.read(Across::Instance).await.unwrap(), &ids).await.unwrap();
        assert_eq!(uses.len(), 12);
        assert!(uses.contains(&(stamps[3].0, later)) && uses.contains(&stamps[4]));
    }

    async fn a_snapshot_has_all_that_is_live(database: Database) {
        let store = open(&database).await;
        let (tenant, owner) = town(&store, "acme").await;
        let (kept, ended) = (key(tenant, Some(owner)), key(tenant, Some(owner)));
        insert(&store, &kept).await.unwrap();
        insert(&store, &ended).await.unwrap();
        let revoked = ended.revoked(now());
        let last = write(&store, tenant, async |tx| key_replace(tx, &revoked).await).await.unwrap();
        let mut all = Vec::new();
        assert_eq!(store.snapshot(|change| all.push(change)).await.unwrap(), last.revision);
        assert_eq!(all.len(), 4);
        assert!(all.contains(&Change::Key(Box::new(kept.state))));
        assert_eq!(store.counts().await.unwrap().0, 1);
    }
}
