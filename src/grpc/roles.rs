//! Roles as messages, and what is asked of them.

use super::shapes::{self, from_time, mask, names, to_request_id};
use super::tenancy::Tenancy;
use crate::app::Caller;
use crate::app::roles::{NewRole, role_etag};
use crate::domain::refusal::Faults;
use crate::domain::roles::{CustomRole, RolePatch};
use crate::domain::{Failure, Permission, Permissions, Refusal, RoleId};
use crate::pb::v1 as pb;

/// Characters of a role's description.
const MAX_DESCRIPTION: usize = 200;

impl Tenancy {
    pub(super) async fn roles(
        &self,
        caller: &Caller,
        asked: pb::ListRolesRequest,
    ) -> Result<pb::ListRolesResponse, Failure> {
        self.app.at_least(&asked.min_revision).await?;
        let own = self.app.role_list(caller).await?;
        let roles = shapes::built_in_roles().chain(own.iter().map(shown)).collect();
        Ok(pb::ListRolesResponse { roles })
    }

    pub(super) async fn create_one_role(
        &self,
        caller: &Caller,
        wanted: pb::CreateRoleRequest,
    ) -> Result<pb::CreateRoleResponse, Failure> {
        let written = self.app.role_create(caller, new_role(&wanted)?).await?;
        let (role, revision) = (Some(shown(&written.value)), written.revision.to_string());
        Ok(pb::CreateRoleResponse { role, revision })
    }

    pub(super) async fn update_one_role(
        &self,
        caller: &Caller,
        wanted: pb::UpdateRoleRequest,
    ) -> Result<pb::UpdateRoleResponse, Failure> {
        let (id, patch) = (role_id(&wanted.id)?, patch(&wanted)?);
        let written = self.app.role_update(caller, id, patch, wanted.etag).await?;
        let (role, revision) = (Some(shown(&written.value)), written.revision.to_string());
        Ok(pb::UpdateRoleResponse { role, revision })
    }

    pub(super) async fn delete_one_role(
        &self,
        caller: &Caller,
        wanted: pb::DeleteRoleRequest,
    ) -> Result<pb::DeleteRoleResponse, Failure> {
        let written = self.app.role_delete(caller, role_id(&wanted.id)?).await?;
        Ok(pb::DeleteRoleResponse { revision: written.revision.to_string() })
    }
}

fn new_role(wanted: &pb::CreateRoleRequest) -> Result<NewRole, Refusal> {
    let mut faults = Faults::default();
    let name = faults.take("name", wanted.name.parse());
    let description = description(&mut faults, &wanted.description);
    let permissions = permissions(&mut faults, &wanted.permissions);
    let request_id = to_request_id(&mut faults, &wanted.request_id);
    faults.check()?;
    let name = name.ok_or_else(|| Refusal::invalid("name", "is needed"))?;
    Ok(NewRole { name, description, permissions, request_id })
}

fn patch(wanted: &pb::UpdateRoleRequest) -> Result<RolePatch, Refusal> {
    let mut faults = Faults::default();
    let paths = mask(&mut faults, wanted.update_mask.as_ref(), &["name", "description", "permissions"]);
    let mut patch = RolePatch::default();
    if paths.contains("name") {
        patch.name = faults.take("name", wanted.name.parse());
    }
    if paths.contains("description") {
        patch.description = Some(description(&mut faults, &wanted.description));
    }
    if paths.contains("permissions") {
        patch.permissions = Some(permissions(&mut faults, &wanted.permissions));
    }
    faults.check().map(|()| patch)
}

fn description(faults: &mut Faults, text: &str) -> String {
    if text.chars().count() > MAX_DESCRIPTION || text.chars().any(char::is_control) {
        faults.add(
            "description",
            format!("must be at most {MAX_DESCRIPTION} characters, none of them control"),
        );
    }
    text.to_owned()
}

/// At least one: a role that may do nothing is a mistake.
fn permissions(faults: &mut Faults, names: &[String]) -> Permissions {
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        found.extend(faults.take(format!("permissions[{at}]"), name.parse::<Permission>()));
    }
    if names.is_empty() {
        faults.add("permissions", "must name at least one; ListPermissions has them all");
    }
    let found: Permissions = found.into_iter().collect();
    if found.has(Permission::PLATFORM_TENANTS) || found.has(Permission::PLATFORM_VERIFY) {
        faults.add("permissions", "platform permissions belong to operators alone");
    }
    found
}

fn role_id(text: &str) -> Result<RoleId, Refusal> {
    text.parse().map_err(|bad: crate::domain::ids::BadId| Refusal::invalid("id", bad.to_string()))
}

fn shown(role: &CustomRole) -> pb::Role {
    pb::Role {
        id: role.state.id.to_string(),
        name: role.state.name.to_string(),
        description: role.description.clone(),
        permissions: names(role.state.permissions),
        built_in: false,
        etag: role_etag(role),
        create_time: Some(from_time(role.create_time)),
        update_time: Some(from_time(role.update_time)),
    }
}
