//! Roles that a tenant makes for itself.
use super::house::House;
use crate::harness::client::assert_refused;
use crate::harness::{Database, Server, on_both};
use doorward::pb::v1::{
    CreateRoleRequest, DeleteRoleRequest, ListRolesRequest, Role, UpdateMemberRoleRequest, UpdateRoleRequest,
    WhoAmIRequest,
};
use prost_types::FieldMask;
use tonic::Code;

fn wanted(name: &str, permissions: &[&str]) -> CreateRoleRequest {
    let permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
    CreateRoleRequest { name: name.into(), permissions, ..Default::default() }
}

fn permissions_of(role: &Role, permissions: &[&str]) -> UpdateRoleRequest {
    UpdateRoleRequest {
        id: role.id.clone(),
        update_mask: Some(FieldMask { paths: vec!["permissions".into()] }),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

async fn make(house: &House, name: &str, permissions: &[&str]) -> Role {
    house.tenancy().create_role(wanted(name, permissions)).await.unwrap().into_inner().role.unwrap()
}

async fn give(house: &House, user: &str, role: &str) -> Result<(), tonic::Status> {
    let request = UpdateMemberRoleRequest { user_id: user.into(), role: role.into() };
    house.tenancy().update_member_role(request).await.map(drop)
}

on_both! {
    // R5, R41
    async fn a_role_of_the_tenants_own_holds_for_the_next_call(database: Database) {
        let house = House::start(database).await;
        let role = make(&house, "billing", &["tenant.read", "audit.read"]).await;
        assert!(role.id.starts_with("role_") && !role.built_in);
        let ada = house.join("ada@acme.test", "viewer").await;
        give(&house, &ada.id, "billing").await.unwrap();
        let who = house.who(&ada.token).await;
        assert_eq!((who.role.as_str(), who.permissions.clone()), ("billing", vec!["tenant.read".to_owned(), "audit.read".to_owned()]));
        // It is told by name where members are listed, and a login says it too.
        assert!(house.members().await.iter().any(|member| member.email == ada.email && member.role == "billing"));
        assert_eq!(house.who(&house.log_in(&ada.email).await.access).await.role, "billing");
        // Less, and more, for everybody who has it.
        for now in [&["tenant.read"] as &[&str], &["tenant.read", "members.read"]] {
            house.tenancy().update_role(permissions_of(&role, now)).await.unwrap();
            assert_eq!(house.who(&ada.token).await.permissions, now);
        }
        // By its id as well as by its name, and after a restart still.
        give(&house, &ada.id, "viewer").await.unwrap();
        give(&house, &ada.id, &role.id).await.unwrap();
        let House { world, .. } = house;
        let world = world.restarted().await;
        let who = world.authn_as(&ada.token).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        assert_eq!(who.principal.unwrap().role, "billing");
    }

    // R41
    async fn a_role_is_named_once_and_deleted_when_nobody_has_it(database: Database) {
        let house = House::start(database).await;
        let role = make(&house, "support", &["members.read"]).await;
        let again = house.tenancy().create_role(wanted("support", &["keys.read"])).await;
        assert_refused(again, Code::AlreadyExists, "ALREADY_EXISTS");
        let ada = house.join("ada@acme.test", "support").await;
        let delete = || async {
            let request = DeleteRoleRequest { id: role.id.clone() };
            house.tenancy().delete_role(request).await.map(drop)
        };
        assert_refused(delete().await, Code::FailedPrecondition, "FAILED_PRECONDITION");
        give(&house, &ada.id, "viewer").await.unwrap();
        let (invitation, _) = house.invite("bob@acme.test", "support").await;
        assert_refused(delete().await, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let request = doorward::pb::v1::RevokeInvitationRequest { id: invitation.id };
        house.tenancy().revoke_invitation(request).await.unwrap();
        delete().await.unwrap();
        assert_refused(delete().await, Code::NotFound, "NOT_FOUND");
        assert_refused(give(&house, &ada.id, "support").await, Code::InvalidArgument, "INVALID_ARGUMENT");
        assert_refused(give(&house, &ada.id, &role.id).await, Code::InvalidArgument, "INVALID_ARGUMENT");
        // Its name is free again, and its place taken by another: nobody has that one by accident.
        make(&house, "support", &["admin.users"]).await;
        assert_eq!(house.who(&ada.token).await.role, "viewer");
    }

    // R41
    async fn nobody_gives_what_they_lack(database: Database) {
        let house = House::start(database).await;
        let admin = house.join("admin@acme.test", "admin").await;
        let clerk = make(&house, "clerk", &["roles.manage", "admin.users", "members.read", "tenant.read"]).await;
        let ada = house.join("ada@acme.test", "clerk").await;
        let bob = house.join("bob@acme.test", "admin").await;
        let lacks = |missing: &str, result: Result<(), tonic::Status>| {
            let told = assert_refused(result, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
            assert_eq!(told.get("required_permission").map(String::as_str), Some(missing));
        };
        // An admin has all but what the owner keeps.
        lacks("tenant.delete", house.as_of(&admin.token).create_role(wanted("x1", &["tenant.delete"])).await.map(drop));
        lacks("keys.manage", house.as_of(&ada.token).create_role(wanted("x2", &["keys.manage"])).await.map(drop));
        lacks("audit.read", house.as_of(&ada.token).update_role(permissions_of(&clerk, &["roles.manage", "audit.read"])).await.map(drop));
        let give_as = |token: String, user: String, role: &'static str| {
            let mut tenancy = house.as_of(&token);
            async move {
                let request = UpdateMemberRoleRequest { user_id: user, role: role.into() };
                tenancy.update_member_role(request).await.map(drop)
            }
        };
        // Neither up nor down from what is above them.
        lacks("keys.read", give_as(ada.token.clone(), ada.id.clone(), "admin").await);
        lacks("keys.read", give_as(ada.token.clone(), bob.id.clone(), "clerk").await);
        let owner = give_as(admin.token.clone(), bob.id.clone(), "owner").await;
        assert_refused(owner, Code::InvalidArgument, "INVALID_ARGUMENT");
        // A key that is narrowed narrows what its owner can give with it.
        let narrow = doorward::pb::v1::CreateApiKeyRequest {
            display_name: "narrow".into(),
            scopes: vec!["roles.manage".into(), "admin.users".into()],
            ..Default::default()
        };
        let (_, secret) = house.world.create(narrow).await;
        lacks("keys.read", house.as_of(&secret).create_role(wanted("x3", &["keys.read"])).await.map(drop));
        for (name, permissions, field) in [
            ("owner", &["keys.read"] as &[&str], "name"),
            ("Operator", &["keys.read"], "name"),
            ("fine", &[], "permissions"),
            ("fine", &["keys.dream"], "permissions[0]"),
            ("fine", &["platform.tenants"], "permissions"),
        ] {
            let refused = house.tenancy().create_role(wanted(name, permissions)).await.unwrap_err();
            let fields = tonic_types::StatusExt::get_details_bad_request(&refused).unwrap().field_violations;
            assert_eq!(fields[0].field, field, "{name}: {refused:?}");
        }
        let roles = house.tenancy().list_roles(ListRolesRequest::default()).await.unwrap().into_inner().roles;
        let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["owner", "admin", "member", "viewer", "clerk"]);
    }
}

// R5, R41: what is taken away at one replica is gone at the other when the call returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_narrowed_is_narrowed_everywhere() {
    let house = House::start(Database::postgres().await).await;
    let there = Server::serve(&house.world.database, &house.mailbox.settings()).await;
    let role = make(&house, "support", &["members.read", "audit.read"]).await;
    let ada = house.join("ada@acme.test", "support").await;
    for round in 0..10 {
        let now: &[&str] = if round % 2 == 0 { &["members.read"] } else { &["members.read", "audit.read"] };
        house.tenancy().update_role(permissions_of(&role, now)).await.unwrap();
        let mut authn =
            crate::harness::client::authn(&there.api(), crate::harness::client::Metadata::bearer(&ada.token));
        let who = authn.who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal.unwrap();
        assert_eq!(who.permissions, now);
    }
}
