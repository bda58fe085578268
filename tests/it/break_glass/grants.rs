//! What a grant is, what it can do, and who hears of it.
use super::*;
use crate::harness::client::assert_refused;
use crate::harness::on_both;
use crate::harness::rest;
use crate::harness::world::named;
use bytes::Bytes;
use doorward::pb::v1::{
    GetApiKeyRequest, ListMembersRequest, ListTenantsRequest, PrincipalType, RevokeApiKeyRequest,
    RotateApiKeyRequest, SuspendTenantRequest,
};
use http::Method;
use std::time::{Duration, SystemTime};
use tonic::Code;

const LACKS: &str = "INSUFFICIENT_PERMISSIONS";

on_both! {
    // R2, R44
    async fn the_key_opens_one_grant_that_ranks_above_everything(database: Database) {
        let glass = Glass::start(database).await;
        // A credential beside it is not looked at, be it bad or good.
        let with_garbage = glass.here().and("authorization", "Bearer garbage-that-is-no-key");
        let answer = who(&glass.address(), with_garbage).await.unwrap();
        assert_eq!(answer.metadata().get("x-doorward-break-glass").unwrap(), "rotate-the-key");
        assert_eq!(answer.metadata().get("x-tenant-id").unwrap().to_str().unwrap(), glass.world.tenant_id);
        let correlation = answer.metadata().get("x-correlation-id").unwrap().to_str().unwrap().to_owned();
        let opened = format!("\"correlation.id\":\"{correlation}\"");
        assert!(glass.world.server.log().contains(&opened), "{opened}: {}", glass.world.server.log());
        let first = answer.into_inner();
        assert_eq!(first.r#type(), PrincipalType::BreakGlass);
        assert!(first.id.starts_with("grant_") && first.user_id.is_empty() && first.api_key_id.is_empty());
        assert_eq!((first.role.as_str(), &first.auth_methods[..]), ("break_glass", &["master_key".to_owned()][..]));
        let default = "admin.users audit.read keys.manage keys.read members.read tenant.read tenant.update";
        let mut permissions = first.permissions.clone();
        permissions.sort();
        assert_eq!(permissions.join(" "), default);
        let end = SystemTime::try_from(first.expire_time.unwrap()).unwrap();
        let left = end.duration_since(SystemTime::now()).unwrap();
        assert!(left > Duration::from_mins(29) && left <= Duration::from_mins(30), "{left:?}");
        // The same grant for the next call, by REST and by the tenant's short name.
        let owner = glass.world.owner.clone();
        let headers = [("x-master-key", KEY), ("x-break-glass-reason", "another reason now"), ("x-tenant-id", "acme"), ("x-api-key", &owner)];
        let request = rest::request(Method::GET, "/v1/auth/me", &headers, Bytes::new());
        let answer = rest::send(&glass.address(), request).await.unwrap();
        assert_eq!((answer.status, answer.header("x-doorward-break-glass")), (200, "rotate-the-key"));
        assert_eq!(answer.json()["principal"]["id"], first.id);
        assert_eq!(glass.audited("break_glass.opened").await, 1);
        assert_eq!(glass.audited("break_glass.used").await, 2);
        until("the owner's letter", async || owner_was_told(&glass)).await;
        assert_eq!(glass.letters.letters().len(), 1);
        assert!(glass.world.server.log().contains("break-glass: a grant was opened"));
    }

    // R6, R44: no other tenant than the one that is named.
    async fn a_grant_stays_in_its_tenant(database: Database) {
        let glass = Glass::start(database).await;
        let stranger = glass.world.stranger().await;
        let theirs = who(&glass.address(), Metadata::bearer(&stranger.secret)).await.unwrap().into_inner();
        let mut keys = client::keys(&glass.address(), glass.here());
        let id = theirs.api_key_id.clone();
        let other = keys.get_api_key(GetApiKeyRequest { id, ..Default::default() }).await;
        assert_refused(other, Code::NotFound, "NOT_FOUND");
        let mut tenancy = client::tenancy(&glass.address(), glass.here());
        let tenants = tenancy.list_tenants(ListTenantsRequest::default()).await.unwrap().into_inner().tenants;
        assert_eq!(tenants.iter().map(|it| &it.id).collect::<Vec<_>>(), [&glass.world.tenant_id]);
        let members = tenancy.list_members(ListMembersRequest::default()).await.unwrap().into_inner().members;
        assert!(members.iter().all(|member| member.user_id != stranger.user_id));
        // There it is another grant, of that tenant alone.
        let here = who(&glass.address(), glass.here()).await.unwrap().into_inner();
        let there = who(&glass.address(), emergency(&stranger.tenant_id)).await.unwrap().into_inner();
        assert_eq!(there.tenant_id, stranger.tenant_id);
        assert_ne!(here.id, there.id);
    }

    // R44: what is on the list, and nothing that would outlast the grant.
    async fn a_grant_does_what_is_listed_and_leaves_nothing_behind(database: Database) {
        let glass = Glass::start(database).await;
        let (key, secret) = glass.world.create_plain().await;
        let mut keys = client::keys(&glass.address(), glass.here());
        let id = key.id;
        for refused in [
            keys.create_api_key(named("lasting")).await.map(drop),
            keys.rotate_api_key(RotateApiKeyRequest { id: id.clone(), ..Default::default() }).await.map(drop),
        ] {
            assert_refused(refused, Code::PermissionDenied, LACKS);
        }
        let mut tenancy = client::tenancy(&glass.address(), glass.here());
        let suspend = SuspendTenantRequest { id: glass.world.tenant_id.clone(), reason: "x".into() };
        assert_refused(tenancy.suspend_tenant(suspend).await, Code::PermissionDenied, LACKS);
        keys.revoke_api_key(RevokeApiKeyRequest { id }).await.unwrap();
        assert_refused(who(&glass.address(), Metadata::bearer(&secret)).await, Code::Unauthenticated, "INVALID_API_KEY");
        // Each of the four is written down, those that were refused too.
        assert_eq!(glass.audited("break_glass.used").await, 4);
        assert_eq!(glass.audited("key.revoked").await, 1);
    }

    // R44
    async fn a_list_of_ones_own(database: Database) {
        let glass = Glass::with(database, |it| it.set("break_glass.permissions", "tenant.read, keys.read")).await;
        let told = who(&glass.address(), glass.here()).await.unwrap().into_inner();
        assert_eq!(told.permissions, ["keys.read", "tenant.read"]);
        let mut tenancy = client::tenancy(&glass.address(), glass.here());
        assert_refused(tenancy.list_members(ListMembersRequest::default()).await, Code::PermissionDenied, LACKS);
    }
}
