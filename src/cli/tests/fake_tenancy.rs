//! The fake server's `TenancyService`: every method notes its request and gives a fixed answer.

use super::fake::{Answer, Fake, tenant};
use crate::pb::v1::tenancy_service_server::TenancyService;
use crate::pb::v1::*;
use tonic::{Request, Response};

macro_rules! answers {
    ($($method:ident($request:ident) -> $answer:ident { $($field:ident: $value:expr),* };)*) => {
        #[tonic::async_trait]
        impl TenancyService for Fake {
            /// Two pages of one member each.
            async fn list_members(&self, request: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
                let (members, next) = match self.note("ListMembers", request).await?.page_token.as_str() {
                    "" => (vec![owner()], "second".to_owned()),
                    _ => (vec![member()], String::new()),
                };
                Ok(Response::new(ListMembersResponse { members, next_page_token: next }))
            }

            $(async fn $method(&self, request: Request<$request>) -> Answer<$answer> {
                self.note(stringify!($request).trim_end_matches("Request"), request).await?;
                #[allow(clippy::needless_update, reason = "some answers have no other field")]
                Ok(Response::new($answer { $($field: $value,)* ..Default::default() }))
            })*
        }
    };
}

fn revision() -> String {
    "1".to_owned()
}

fn built_in() -> Role {
    Role { name: "admin".to_owned(), built_in: true, ..Role::default() }
}

fn role() -> Role {
    Role {
        id: "role_1".to_owned(),
        name: "billing".to_owned(),
        permissions: vec!["keys.read".to_owned()],
        ..Role::default()
    }
}

fn owner() -> Member {
    Member {
        user_id: "user_1".to_owned(),
        email: "o@acme.example".to_owned(),
        role: "owner".to_owned(),
        ..Member::default()
    }
}

fn member() -> Member {
    Member {
        user_id: "user_2".to_owned(),
        email: "ada@example.com".to_owned(),
        role: "member".to_owned(),
        ..Member::default()
    }
}

fn invitation() -> Invitation {
    Invitation {
        id: "invitation_1".to_owned(),
        email: "ada@example.com".to_owned(),
        role: "member".to_owned(),
        ..Invitation::default()
    }
}

answers! {
    create_tenant(CreateTenantRequest) -> CreateTenantResponse { tenant: Some(tenant()), owner_user_id: "user_1".to_owned(), revision: revision() };
    get_tenant(GetTenantRequest) -> GetTenantResponse { tenant: Some(tenant()) };
    list_tenants(ListTenantsRequest) -> ListTenantsResponse { tenants: vec![tenant()] };
    update_tenant(UpdateTenantRequest) -> UpdateTenantResponse { tenant: Some(tenant()), revision: revision() };
    suspend_tenant(SuspendTenantRequest) -> SuspendTenantResponse { tenant: Some(tenant()), revision: revision() };
    resume_tenant(ResumeTenantRequest) -> ResumeTenantResponse { tenant: Some(tenant()), revision: revision() };
    delete_tenant(DeleteTenantRequest) -> DeleteTenantResponse { tenant: Some(tenant()), revision: revision() };
    update_member_role(UpdateMemberRoleRequest) -> UpdateMemberRoleResponse { member: Some(member()), revision: revision() };
    remove_member(RemoveMemberRequest) -> RemoveMemberResponse { revision: revision(), keys_revoked: 2, sessions_revoked: 1 };
    transfer_ownership(TransferOwnershipRequest) -> TransferOwnershipResponse { revision: revision() };
    create_invitation(CreateInvitationRequest) -> CreateInvitationResponse { invitation: Some(invitation()), revision: revision() };
    list_invitations(ListInvitationsRequest) -> ListInvitationsResponse { invitations: vec![invitation()] };
    resend_invitation(ResendInvitationRequest) -> ResendInvitationResponse { invitation: Some(invitation()), revision: revision() };
    revoke_invitation(RevokeInvitationRequest) -> RevokeInvitationResponse { revision: revision() };
    accept_invitation(AcceptInvitationRequest) -> AcceptInvitationResponse { tenant_slug: "acme".to_owned(), member: Some(member()), revision: revision() };
    list_roles(ListRolesRequest) -> ListRolesResponse { roles: vec![built_in(), role()] };
    create_role(CreateRoleRequest) -> CreateRoleResponse { role: Some(role()), revision: revision() };
    update_role(UpdateRoleRequest) -> UpdateRoleResponse { role: Some(role()), revision: revision() };
    delete_role(DeleteRoleRequest) -> DeleteRoleResponse { revision: revision() };
    list_permissions(ListPermissionsRequest) -> ListPermissionsResponse { permissions: vec![Permission { name: "keys.read".to_owned(), description: "See keys.".to_owned() }] };
    close_break_glass(CloseBreakGlassRequest) -> CloseBreakGlassResponse { grant_ids: vec!["grant_1".to_owned()], revision: revision() };
    set_ip_allowlist(SetIpAllowlistRequest) -> SetIpAllowlistResponse { tenant: Some(tenant()), revision: revision() };
}
