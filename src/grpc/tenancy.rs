//! `doorward.v1.TenancyService`.

use super::shapes::page;
use super::{open, reply, shapes};
use crate::app::{App, Caller};
use crate::domain::paging::Page;
use crate::domain::{Failure, Refusal};
use crate::pb::v1 as pb;
use crate::pb::v1::tenancy_service_server::TenancyService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
pub struct Tenancy {
    app: Arc<App>,
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

    async fn members(
        &self,
        caller: &Caller,
        wanted: pb::ListMembersRequest,
    ) -> Result<pb::ListMembersResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let page = page(wanted.page_size, &wanted.page_token, "members")?;
        let (members, more) = self.app.member_list(caller, page).await?;
        let last = members.last().filter(|_| more);
        let next_page_token =
            last.map(|last| Page::token(last.user.as_bytes(), "members")).unwrap_or_default();
        let members = members.iter().map(|member| pb::Member {
            user_id: member.user.to_string(),
            email: member.email.as_str().to_owned(),
            role: member.role.name().to_owned(),
            create_time: Some(shapes::from_time(member.create_time)),
        });
        Ok(pb::ListMembersResponse { members: members.collect(), next_page_token })
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
        let (caller, _) = open(request)?;
        reply(&caller.correlation, Ok(pb::ListRolesResponse { roles: shapes::roles() }))
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
}

/// Stopping and starting a tenant names it; there is no tenant by default.
fn needed(id: &str) -> Result<&str, Refusal> {
    if id.is_empty() || id == "-" { Err(Refusal::invalid("id", "is needed")) } else { Ok(id) }
}
