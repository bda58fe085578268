//! What a tenant says of itself: features, kinds of keys, lifetimes; and its end.
use super::house::House;
use crate::cut::Open;
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::world::named;
use crate::harness::{Database, on_both};
use crate::people::person::{claims, opens, refused};
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    ApiKeyKind, CreateApiKeyRequest, DeleteTenantRequest, ListSessionsRequest, ResumeTenantRequest, Tenant,
    TenantState, UpdateTenantRequest, VerifyCredentialRequest,
};
use prost_types::FieldMask;
use tonic::{Code, Status};

async fn change(
    house: &House,
    credential: &str,
    path: &str,
    request: UpdateTenantRequest,
) -> Result<Tenant, Status> {
    let update_mask = Some(FieldMask { paths: vec![path.into()] });
    let request = UpdateTenantRequest { id: "-".into(), update_mask, ..request };
    Ok(house.as_of(credential).update_tenant(request).await?.into_inner().tenant.unwrap())
}

async fn asked(house: &House, credential: &str, feature: &str) -> Option<String> {
    let request = VerifyCredentialRequest {
        credential: credential.into(),
        required_feature: feature.into(),
        ..Default::default()
    };
    match house.world.authn().verify_credential(request).await.unwrap().into_inner().outcome.unwrap() {
        Outcome::Principal(_) => None,
        Outcome::Denial(denial) => {
            assert_eq!(denial.metadata["required_feature"], feature);
            Some(denial.reason().as_str_name().to_owned())
        }
    }
}

on_both! {
    // R42
    async fn a_feature_is_there_while_it_is_licensed(database: Database) {
        let house = House::start(database).await;
        let (_, key) = house.world.create_plain().await;
        let missing = Some("ERROR_REASON_FEATURE_NOT_LICENSED".to_owned());
        assert_eq!(asked(&house, &key, "sso").await, missing);
        let with = |features: &[&str]| UpdateTenantRequest { features: features.iter().map(|name| (*name).to_owned()).collect(), ..Default::default() };
        // An admin of the tenant cannot license themselves anything.
        let ada = house.join("ada@acme.test", "admin").await;
        let told = change(&house, &ada.token, "features", with(&["sso"])).await;
        let told = assert_refused(told, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(told["required_permission"], "platform.tenants");
        let tenant = change(&house, &house.world.owner, "features", with(&["sso", "audit.export"])).await.unwrap();
        assert_eq!(tenant.features, ["audit.export", "sso"]);
        assert_eq!(asked(&house, &key, "sso").await, None);
        assert_eq!(asked(&house, &key, "ss").await, missing);
        change(&house, &house.world.owner, "features", with(&["audit.export"])).await.unwrap();
        assert_eq!(asked(&house, &key, "sso").await, missing);
        let told = change(&house, &house.world.owner, "features", with(&["Not a name"])).await;
        assert_refused(told, Code::InvalidArgument, "INVALID_ARGUMENT");
    }

    // R42
    async fn kinds_of_keys_can_be_forbidden(database: Database) {
        let house = House::start(database).await;
        let only = UpdateTenantRequest { allowed_key_kinds: vec![ApiKeyKind::User.into(), ApiKeyKind::Ingest.into()], ..Default::default() };
        let tenant = change(&house, &house.world.owner, "allowed_key_kinds", only).await.unwrap();
        assert_eq!(tenant.allowed_key_kinds.len(), 2);
        let service = CreateApiKeyRequest { kind: ApiKeyKind::Service.into(), ..named("service") };
        let told = house.world.keys().create_api_key(service.clone()).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        house.world.create_plain().await;
        change(&house, &house.world.owner, "allowed_key_kinds", UpdateTenantRequest::default()).await.unwrap();
        house.world.create(service).await;
    }

    // R42
    async fn sessions_live_as_long_as_the_tenant_says(database: Database) {
        let house = House::start(database).await;
        let short = |seconds| UpdateTenantRequest { session_lifetime_seconds: seconds, ..Default::default() };
        for bad in [1, 299, 2_592_001] {
            let told = change(&house, &house.world.owner, "session_lifetime_seconds", short(bad)).await;
            assert_refused(told, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        change(&house, &house.world.owner, "session_lifetime_seconds", short(600)).await.unwrap();
        let login = crate::people::person::log_in(&house.world).await;
        let listed = house.world.authn_as(&login.access).list_sessions(ListSessionsRequest::default()).await.unwrap();
        let sessions = listed.into_inner().sessions;
        let own = sessions.iter().find(|session| session.id == login.session()).unwrap();
        let life = own.expire_time.unwrap().seconds - own.create_time.unwrap().seconds;
        assert!((595..=605).contains(&life), "{life}");
        // No token outlasts its session.
        let expire = claims(&login.access)["exp"].as_i64().unwrap();
        assert!(expire <= own.expire_time.unwrap().seconds, "{expire}");
    }

    // R43
    async fn a_tenant_that_is_deleted_is_out_at_once_and_can_come_back(database: Database) {
        let house = House::start(database).await;
        let other = house.world.stranger().await;
        let ada = house.join("ada@acme.test", "admin").await;
        let (_, key) = house.world.create_plain().await;
        let delete = |credential: &str, id: &str| {
            let (mut tenancy, id) = (house.as_of(credential), id.to_owned());
            async move { tenancy.delete_tenant(DeleteTenantRequest { id, ..Default::default() }).await }
        };
        // Admins cannot; a stranger sees nothing to delete.
        let told = delete(&ada.token, "acme").await;
        let told = assert_refused(told, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(told["required_permission"], "tenant.delete");
        assert_refused(delete(&other.secret, &house.world.tenant_id).await, Code::NotFound, "NOT_FOUND");
        // The operator deletes the other one, whose streams end at once.
        let open = Open::over(house.world.authn_as(&other.secret)).await;
        let gone = delete(&house.world.owner, "umbrella").await.unwrap().into_inner().tenant.unwrap();
        assert_eq!((gone.state(), gone.delete_time.is_some()), (TenantState::Deleted, true));
        open.ends(Code::Unauthenticated, "INVALID_API_KEY").await;
        assert_eq!(refused(&house.world, &other.secret).await.as_deref(), Some("INVALID_API_KEY"));
        let mut as_operator = client::tenancy(
            &house.world.server.api(),
            Metadata::bearer(&house.world.owner).and("x-tenant-id", "umbrella"),
        );
        let told = as_operator.list_members(doorward::pb::v1::ListMembersRequest::default()).await;
        assert_refused(told, Code::PermissionDenied, "TENANT_MISMATCH");
        // It comes back with what it had.
        let back = ResumeTenantRequest { id: "umbrella".into() };
        let back = house.as_of(&house.world.owner).resume_tenant(back).await.unwrap().into_inner().tenant.unwrap();
        assert_eq!((back.state(), back.delete_time), (TenantState::Active, None));
        let who = house.who(&other.secret).await;
        assert_eq!(who.tenant_slug, "umbrella");
        opens(&house.world, &key).await;
        // The owner of the house, in person.
        let told = delete(&house.owner.access, "acme").await.unwrap().into_inner().tenant.unwrap();
        assert_eq!(told.state(), TenantState::Deleted);
        has_gone(&house, &ada.token).await;
        has_gone(&house, &house.owner.access).await;
    }
}

async fn has_gone(house: &House, token: &str) {
    let mut authn = house.world.authn_as(token);
    let told = authn.who_am_i(doorward::pb::v1::WhoAmIRequest {}).await;
    assert_refused(told, Code::Unauthenticated, "SESSION_REVOKED");
}
