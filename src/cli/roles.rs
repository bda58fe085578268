//! `doorward role` and `doorward permission`: what roles may do.

use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::repeat::{id_or_fresh, with_etag};
use crate::cli::session::Session;
use crate::cli::table::{View, moment};
use crate::cli::values;
use crate::client::Repeat;
use crate::pb::v1::{
    CreateRoleRequest, CreateRoleResponse, DeleteRoleRequest, DeleteRoleResponse, ListPermissionsRequest,
    ListPermissionsResponse, ListRolesRequest, ListRolesResponse, Role, UpdateRoleRequest,
    UpdateRoleResponse,
};
use clap::{ArgGroup, Args, Subcommand};
use prost_types::FieldMask;
use uuid::Uuid;

/// What ids of roles begin with, and no name does.
const ID: &str = "role_";

const LIST_HELP: &str = "\
Examples:
  doorward role list
  doorward role list --output json | jq '.roles[] | select(.built_in | not)'";

const SHOW_HELP: &str = "\
Examples:
  doorward role show admin
  doorward role show billing --output json | jq -r '.permissions[]'";

const CREATE_HELP: &str = "\
Nobody makes a role that may do what they may not. `doorward permission list` has
every permission. Needs the permission roles.manage.

Examples:
  doorward role create billing --permission usage.read --permission members.read
  doorward role create auditor --permission audit.read --description 'Reads the audit log.'";

const UPDATE_HELP: &str = "\
Only what is given is changed; permissions that are given replace the old ones.
It holds for the next call of everybody who has the role. Needs the permission
roles.manage.

Examples:
  doorward role update billing --permission usage.read
  doorward role update role_01jabcdefghjkmnpqrstvwxyz0 --name accounts --etag '\"3\"'";

const DELETE_HELP: &str = "\
Only a role that nobody has and nobody is invited to. Needs the permission
roles.manage.

Example:
  doorward role delete billing";

const PERMISSIONS_HELP: &str = "\
Examples:
  doorward permission list
  doorward permission list --output json | jq -r '.permissions[].name'";

/// What to do with roles.
#[derive(Debug, Subcommand)]
pub enum RoleVerb {
    /// List the roles, those that come with Doorward first
    #[command(after_help = LIST_HELP)]
    List,
    /// Show one role and what it may do
    #[command(after_help = SHOW_HELP)]
    Show(OneArgs),
    /// Make a role of your own from permissions
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// Change a role of your own for everybody who has it
    #[command(after_help = UPDATE_HELP)]
    Update(UpdateArgs),
    /// Delete a role of your own that nobody has
    #[command(after_help = DELETE_HELP)]
    Delete(OneArgs),
}

/// What to do with permissions.
#[derive(Debug, Subcommand)]
pub enum PermissionVerb {
    /// List every permission that there is
    #[command(after_help = PERMISSIONS_HELP)]
    List,
}

/// Names a role.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The role's name or id
    #[arg(value_name = "ROLE")]
    pub role: String,
}

/// Options of `role create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A name: 2 to 40 lower-case letters, digits, hyphens and underscores
    pub name: String,
    /// Something that it may do; repeatable
    #[arg(long = "permission", value_name = "PERMISSION", required = true)]
    pub permissions: Vec<String>,
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true)]
    pub description: String,
    /// UUID that makes a repetition safe; a fresh one if not given
    #[arg(long, value_name = "UUID", value_parser = values::request_id)]
    pub request_id: Option<Uuid>,
}

/// Options of `role update`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct UpdateArgs {
    /// The role.
    #[command(flatten)]
    pub one: OneArgs,
    /// Another name
    #[arg(long, group = "change")]
    pub name: Option<String>,
    /// What it is for
    #[arg(long, group = "change")]
    pub description: Option<String>,
    /// Something that it may do, in place of all that it may now; repeatable
    #[arg(long = "permission", value_name = "PERMISSION", group = "change")]
    pub permissions: Vec<String>,
    /// Change it only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,
}

/// Runs a verb on roles.
pub async fn run(verb: RoleVerb, mut session: Session<'_>) -> Result<(), Failure> {
    match verb {
        RoleVerb::List => {
            let answer = list(&mut session).await?;
            Ok(session.world.output.show(&answer)?)
        }
        RoleVerb::Show(args) => {
            let role = found(&args.role, &mut session).await?;
            Ok(session.world.output.show(&role)?)
        }
        RoleVerb::Create(args) => create(args, session).await,
        RoleVerb::Update(args) => update(args, session).await,
        RoleVerb::Delete(args) => delete(args, session).await,
    }
}

/// Runs a verb on permissions.
pub async fn permissions(verb: PermissionVerb, mut session: Session<'_>) -> Result<(), Failure> {
    let PermissionVerb::List = verb;
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.list_permissions(ListPermissionsRequest {}).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn create(args: CreateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request_id = id_or_fresh(args.request_id)?;
    let CreateArgs { name, permissions, description, .. } = args;
    let request = CreateRoleRequest { name, description, permissions, request_id };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.create_role(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn update(args: UpdateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let id = own_id(&args.one.role, &mut session).await?;
    let request = update_request(id, args);
    let client = session.client.tenancy();
    let answer = session.call(with_etag(&request.etag), || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.update_role(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn delete(args: OneArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let id = own_id(&args.role, &mut session).await?;
    let client = session.client.tenancy();
    // A repetition after a lost answer would find no such role.
    let answer = session.call(Repeat::Never, || {
        let (mut client, id) = (client.clone(), id.clone());
        async move { client.delete_role(DeleteRoleRequest { id }).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, &format!("the role {} is gone", args.role))?)
}

async fn list(session: &mut Session<'_>) -> Result<ListRolesResponse, Failure> {
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.list_roles(ListRolesRequest::default()).await }
    });
    answer.await
}

/// The role of that name or id.
async fn found(named: &str, session: &mut Session<'_>) -> Result<Role, Failure> {
    let roles = list(session).await?.roles;
    let found = roles.into_iter().find(|role| role.name == named || (role.id == named && !named.is_empty()));
    found
        .ok_or_else(|| Failure::Local(format!("there is no role {named}; `doorward role list` has them all")))
}

/// The id of one of the tenant's own roles; a name is looked up.
async fn own_id(named: &str, session: &mut Session<'_>) -> Result<String, Failure> {
    if named.starts_with(ID) {
        return Ok(named.to_owned());
    }
    let role = found(named, session).await?;
    if role.built_in {
        let text = format!("{named} comes with Doorward and stays as it is; make a role of your own");
        return Err(Failure::Local(text));
    }
    Ok(role.id)
}

fn update_request(id: String, args: UpdateArgs) -> UpdateRoleRequest {
    let changed = [
        ("name", args.name.is_some()),
        ("description", args.description.is_some()),
        ("permissions", !args.permissions.is_empty()),
    ];
    let paths = changed.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
    UpdateRoleRequest {
        id,
        update_mask: Some(FieldMask { paths }),
        name: args.name.unwrap_or_default(),
        description: args.description.unwrap_or_default(),
        permissions: args.permissions,
        etag: args.etag.unwrap_or_default(),
    }
}

impl Shown for ListRolesResponse {
    const NAME: &'static str = "ListRolesResponse";

    fn view(&self) -> View {
        let row = |role: &Role| {
            let many = role.permissions.len().to_string();
            vec![role.name.clone(), role.id.clone(), many, role.description.clone()]
        };
        View::Rows {
            headers: &["NAME", "ID", "PERMISSIONS", "DESCRIPTION"],
            rows: self.roles.iter().map(row).collect(),
            empty: "no roles",
        }
    }
}

impl Shown for Role {
    const NAME: &'static str = "Role";

    fn view(&self) -> View {
        View::Fields(fields(self))
    }
}

impl Shown for CreateRoleResponse {
    const NAME: &'static str = "CreateRoleResponse";

    fn view(&self) -> View {
        View::Fields(self.role.as_ref().map_or_else(Vec::new, fields))
    }
}

impl Shown for UpdateRoleResponse {
    const NAME: &'static str = "UpdateRoleResponse";

    fn view(&self) -> View {
        View::Fields(self.role.as_ref().map_or_else(Vec::new, fields))
    }
}

impl Shown for DeleteRoleResponse {
    const NAME: &'static str = "DeleteRoleResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for ListPermissionsResponse {
    const NAME: &'static str = "ListPermissionsResponse";

    fn view(&self) -> View {
        let rows = self.permissions.iter().map(|one| vec![one.name.clone(), one.description.clone()]);
        View::Rows { headers: &["NAME", "ALLOWS"], rows: rows.collect(), empty: "no permissions" }
    }
}

fn fields(role: &Role) -> Vec<(&'static str, String)> {
    let permissions =
        if role.permissions.is_empty() { "none".to_owned() } else { role.permissions.join(" ") };
    vec![
        ("Name", role.name.clone()),
        ("Id", role.id.clone()),
        ("Description", role.description.clone()),
        ("Permissions", permissions),
        ("Comes with Doorward", if role.built_in { "yes" } else { "no" }.to_owned()),
        ("Created", moment(role.create_time.as_ref())),
        ("Updated", moment(role.update_time.as_ref())),
        ("Etag", role.etag.clone()),
    ]
}
