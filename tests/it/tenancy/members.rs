//! Members: removed at once and for good, or gone by themselves.
use super::house::{House, Person};
use crate::cut::Open;
use crate::harness::client::assert_refused;
use crate::harness::{Database, on_both};
use crate::people::person::{has_ended, refused};
use doorward::pb::v1::{CreateApiKeyRequest, RemoveMemberRequest, UpdateMemberRoleRequest};
use tonic::{Code, Status};

async fn remove(house: &House, by: &str, user: &str) -> Result<(u32, u32), Status> {
    let request = RemoveMemberRequest { user_id: user.into() };
    let told = house.as_of(by).remove_member(request).await?.into_inner();
    Ok((told.keys_revoked, told.sessions_revoked))
}

/// A key of the person's own.
async fn key_of(house: &House, person: &Person) -> String {
    let request = CreateApiKeyRequest { display_name: "own".into(), ..Default::default() };
    house.world.keys_as(&person.token).create_api_key(request).await.unwrap().into_inner().secret
}

on_both! {
    // R43
    async fn a_member_who_is_removed_is_out_at_once_with_all_they_had(database: Database) {
        let house = House::start(database).await;
        let ada = house.join("ada@acme.test", "admin").await;
        let (key, second) = (key_of(&house, &ada).await, house.log_in(&ada.email).await);
        let open = Open::over(house.world.authn_as(&ada.token)).await;
        let by_key = Open::over(house.world.authn_as(&key)).await;
        assert_eq!(remove(&house, &house.owner.access, &ada.id).await.unwrap(), (1, 2));
        has_ended(&house.world, &ada.token).await;
        has_ended(&house.world, &second.access).await;
        assert_eq!(refused(&house.world, &key).await.as_deref(), Some("INVALID_API_KEY"));
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        by_key.ends(Code::Unauthenticated, "INVALID_API_KEY").await;
        let again = remove(&house, &house.owner.access, &ada.id).await;
        assert_refused(again, Code::NotFound, "NOT_FOUND");
        // Invited again they begin anew: nothing of before comes to life.
        let (_, token) = house.invite(&ada.email, "viewer").await;
        let refused_without = house.accept(&token).await;
        assert_refused(refused_without, Code::Unauthenticated, "CREDENTIALS_MISSING");
        assert_eq!(refused(&house.world, &key).await.as_deref(), Some("INVALID_API_KEY"));
        has_ended(&house.world, &ada.token).await;
    }

    // R43
    async fn a_member_leaves_and_the_owner_stays(database: Database) {
        let house = House::start(database).await;
        let ada = house.join("ada@acme.test", "viewer").await;
        let bob = house.join("bob@acme.test", "viewer").await;
        let told = assert_refused(remove(&house, &ada.token, &bob.id).await, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(told["required_permission"], "admin.users");
        remove(&house, &ada.token, &ada.id).await.unwrap();
        has_ended(&house.world, &ada.token).await;
        let owner = house.who(&house.owner.access).await.user_id;
        let told = remove(&house, &house.owner.access, &owner).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        let request = UpdateMemberRoleRequest { user_id: owner, role: "viewer".into() };
        let told = house.tenancy().update_member_role(request).await;
        assert_refused(told, Code::FailedPrecondition, "FAILED_PRECONDITION");
        assert_eq!(house.members().await.len(), 2);
    }

    // R5: what was begun with a permission ends with it.
    async fn a_weaker_role_cuts_what_needed_the_stronger(database: Database) {
        let house = House::start(database).await;
        let ada = house.join("ada@acme.test", "admin").await;
        let open = Open::over(house.world.authn_as(&ada.token)).await;
        let request = UpdateMemberRoleRequest { user_id: ada.id.clone(), role: "viewer".into() };
        let shown = house.tenancy().update_member_role(request).await.unwrap().into_inner().member.unwrap();
        assert_eq!((shown.role.as_str(), shown.email.as_str()), ("viewer", ada.email.as_str()));
        open.ends(Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS").await;
        assert_eq!(house.who(&ada.token).await.role, "viewer");
    }
}
