//! `doorward.v1.TenancyService`.

use super::shapes::page;
use super::{open, reply, shapes, visit};
use crate::app::{App, Caller};
use crate::domain::paging::Page;
use crate::domain::{Failure, Refusal};
use crate::guard;
use crate::pb::v1 as pb;
use crate::pb::v1::tenancy_service_server::TenancyService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
pub struct Tenancy {
    pub(super) app: Arc<App>,
}

impl Tenancy {
    /// The service over this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn create(
        &self,
        caller: &Caller,
        wanted: pb::CreateTenantRequest,
    ) -> Result<pb::CreateTenantResponse, Failure> {
        let written = self.app.tenant_create(caller, shapes::new_tenant(&wanted)?).await?;
        let (tenant, owner) = &written.value;
        Ok(pb::CreateTenantResponse {
            tenant: Some(shapes::tenant(tenant)),
            owner_user_id: owner.to_string(),
            revision: written.revision.to_string(),
        })
    }

    async fn get(
        &self,
        caller: &Caller,
        wanted: pb::GetTenantRequest,
    ) -> Result<pb::GetTenantResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let tenant = self.app.tenant_get(caller, &wanted.id).await?;
        Ok(pb::GetTenantResponse { tenant: Some(shapes::tenant(&tenant)) })
    }

    async fn list(
        &self,
        caller: &Caller,
        wanted: pb::ListTenantsRequest,
    ) -> Result<pb::ListTenantsResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let page = page(wanted.page_size, &wanted.page_token, "tenants")?;
        let (tenants, more) = self.app.tenant_list(caller, page).await?;
        let last = tenants.last().filter(|_| more);
        Ok(pb::ListTenantsResponse {
            next_page_token: last
                .map(|last| Page::token(last.state.id.as_bytes(), "tenants"))
                .unwrap_or_default(),
            tenants: tenants.iter().map(shapes::tenant).collect(),
        })
    }

    async fn update(
        &self,
        caller: &Caller,
        wanted: pb::UpdateTenantRequest,
    ) -> Result<pb::UpdateTenantResponse, Failure> {
        let patch = shapes::tenant_patch(&wanted)?;
        let written = self.app.tenant_update(caller, &wanted.id, patch, wanted.etag).await?;
        let (tenant, revision) = (Some(shapes::tenant(&written.value)), written.revision.to_string());
        Ok(pb::UpdateTenantResponse { tenant, revision })
    }

    async fn suspend(
        &self,
        caller: &Caller,
        wanted: pb::SuspendTenantRequest,
    ) -> Result<pb::SuspendTenantResponse, Failure> {
        let reason = wanted.reason.chars().filter(|letter| !letter.is_control()).take(200).collect();
        let written = self.app.tenant_suspend(caller, needed(&wanted.id)?, reason).await?;
        let (tenant, revision) = (Some(shapes::tenant(&written.value)), written.revision.to_string());
        Ok(pb::SuspendTenantResponse { tenant, revision })
    }

    async fn resume(
        &self,
        caller: &Caller,
        wanted: pb::ResumeTenantRequest,
    ) -> Result<pb::ResumeTenantResponse, Failure> {
        let written = self.app.tenant_resume(caller, needed(&wanted.id)?).await?;
        let (tenant, revision) = (Some(shapes::tenant(&written.value)), written.revision.to_string());
        Ok(pb::ResumeTenantResponse { tenant, revision })
    }

    async fn delete(
        &self,
        caller: &Caller,
        wanted: pb::DeleteTenantRequest,
    ) -> Result<pb::DeleteTenantResponse, Failure> {
        let written = self.app.tenant_delete(caller, needed(&wanted.id)?, wanted.etag).await?;
        let (tenant, revision) = (Some(shapes::tenant(&written.value)), written.revision.to_string());
        Ok(pb::DeleteTenantResponse { tenant, revision })
    }

    async fn set_allowlist(
        &self,
        caller: &Caller,
        wanted: pb::SetIpAllowlistRequest,
    ) -> Result<pb::SetIpAllowlistResponse, Failure> {
        let written = self.app.allowlist_set(caller, shapes::allowlist(&wanted)?).await?;
        let (tenant, revision) = (Some(shapes::tenant(&written.value)), written.revision.to_string());
        Ok(pb::SetIpAllowlistResponse { tenant, revision })
    }
}

#[tonic::async_trait]
impl TenancyService for Tenancy {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Result<Response<pb::CreateTenantResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.create(&caller, wanted).await)
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Result<Response<pb::GetTenantResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.get(&caller, wanted).await)
    }

    async fn list_tenants(
        &self,
        request: Request<pb::ListTenantsRequest>,
    ) -> Result<Response<pb::ListTenantsResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.list(&caller, wanted).await)
    }

    async fn update_tenant(
        &self,
        request: Request<pb::UpdateTenantRequest>,
    ) -> Result<Response<pb::UpdateTenantResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.update(&caller, wanted).await)
    }

    async fn suspend_tenant(
        &self,
        request: Request<pb::SuspendTenantRequest>,
    ) -> Result<Response<pb::SuspendTenantResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.suspend(&caller, wanted).await)
    }

    async fn resume_tenant(
        &self,
        request: Request<pb::ResumeTenantRequest>,
    ) -> Result<Response<pb::ResumeTenantResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.resume(&caller, wanted).await)
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.members(&caller, wanted).await)
    }

    async fn list_roles(
        &self,
        request: Request<pb::ListRolesRequest>,
    ) -> Result<Response<pb::ListRolesResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.roles(&caller, wanted).await)
    }

    async fn list_permissions(
        &self,
        request: Request<pb::ListPermissionsRequest>,
    ) -> Result<Response<pb::ListPermissionsResponse>, Status> {
        let (caller, _) = open(request)?;
        reply(&caller.correlation, Ok(pb::ListPermissionsResponse { permissions: shapes::permissions() }))
    }

    async fn set_ip_allowlist(
        &self,
        request: Request<pb::SetIpAllowlistRequest>,
    ) -> Result<Response<pb::SetIpAllowlistResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.set_allowlist(&caller, wanted).await)
    }

    async fn close_break_glass(
        &self,
        request: Request<pb::CloseBreakGlassRequest>,
    ) -> Result<Response<pb::CloseBreakGlassResponse>, Status> {
        let (caller, _) = open(request)?;
        reply(&caller.correlation, super::break_glass::close(&self.app, &caller).await)
    }

    async fn delete_tenant(
        &self,
        request: Request<pb::DeleteTenantRequest>,
    ) -> Result<Response<pb::DeleteTenantResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.delete(&caller, wanted).await)
    }

    async fn update_member_role(
        &self,
        request: Request<pb::UpdateMemberRoleRequest>,
    ) -> Result<Response<pb::UpdateMemberRoleResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.update_role_of(&caller, wanted).await)
    }

    async fn remove_member(
        &self,
        request: Request<pb::RemoveMemberRequest>,
    ) -> Result<Response<pb::RemoveMemberResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.remove(&caller, wanted).await)
    }

    async fn transfer_ownership(
        &self,
        request: Request<pb::TransferOwnershipRequest>,
    ) -> Result<Response<pb::TransferOwnershipResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.transfer(&caller, wanted).await)
    }

    async fn create_invitation(
        &self,
        request: Request<pb::CreateInvitationRequest>,
    ) -> Result<Response<pb::CreateInvitationResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.invite(&caller, wanted).await)
    }

    async fn list_invitations(
        &self,
        request: Request<pb::ListInvitationsRequest>,
    ) -> Result<Response<pb::ListInvitationsResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.invitations(&caller, wanted).await)
    }

    async fn resend_invitation(
        &self,
        request: Request<pb::ResendInvitationRequest>,
    ) -> Result<Response<pb::ResendInvitationResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.resend(&caller, wanted).await)
    }

    async fn revoke_invitation(
        &self,
        request: Request<pb::RevokeInvitationRequest>,
    ) -> Result<Response<pb::RevokeInvitationResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.uninvite(&caller, wanted).await)
    }

    async fn create_role(
        &self,
        request: Request<pb::CreateRoleRequest>,
    ) -> Result<Response<pb::CreateRoleResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.create_one_role(&caller, wanted).await)
    }

    async fn update_role(
        &self,
        request: Request<pb::UpdateRoleRequest>,
    ) -> Result<Response<pb::UpdateRoleResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.update_one_role(&caller, wanted).await)
    }

    async fn delete_role(
        &self,
        request: Request<pb::DeleteRoleRequest>,
    ) -> Result<Response<pb::DeleteRoleResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.delete_one_role(&caller, wanted).await)
    }

    async fn accept_invitation(
        &self,
        request: Request<pb::AcceptInvitationRequest>,
    ) -> Result<Response<pb::AcceptInvitationResponse>, Status> {
        let caller = guard::caller(&request).cloned();
        let (visitor, wanted) = visit(request)?;
        let told = match &caller {
            Ok(caller) => self.accept(Some(caller), &visitor, wanted).await,
            Err(_nobody) => self.accept(None, &visitor, wanted).await,
        };
        reply(&visitor.correlation, told)
    }
}

/// Stopping and starting a tenant names it; there is no tenant by default.
fn needed(id: &str) -> Result<&str, Refusal> {
    if id.is_empty() || id == "-" { Err(Refusal::invalid("id", "is needed")) } else { Ok(id) }
}
