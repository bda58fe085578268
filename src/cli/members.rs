//! `doorward member`: the people of the caller's tenant, and whose it is.

use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::paging::PageArgs;
use crate::cli::prompt;
use crate::cli::session::Session;
use crate::cli::table::{View, moment};
use crate::cli::tenants;
use crate::client::Repeat;
use crate::pb::v1::{
    ListMembersRequest, ListMembersResponse, Member, RemoveMemberRequest, RemoveMemberResponse,
    TransferOwnershipRequest, TransferOwnershipResponse, UpdateMemberRoleRequest, UpdateMemberRoleResponse,
    WhoAmIRequest,
};
use clap::{Args, Subcommand};

/// Members that are looked at for an address: as many as a tenant can have.
const PAGES: usize = 100;
const PAGE: i32 = 1_000;

const LIST_HELP: &str = "\
Examples:
  doorward member list
  doorward member list --all --output json | jq -r '.members[] | select(.role == \"admin\") | .email'";

const ROLE_HELP: &str = "\
ROLE is admin, member, viewer, or one of the tenant's own (`doorward role list`).
It holds for their next call. Nobody gives or takes a role that may do more than
they may themselves. Needs the permission admin.users.

Examples:
  doorward member role ada@acme.example viewer
  doorward member role user_01jabcdefghjkmnpqrstvwxyz0 billing";

const REMOVE_HELP: &str = "\
When the command returns, none of the person's keys and sessions of this tenant is
accepted any more. They do not come back: whoever is invited again begins anew.
Asks before it does so. Needs the permission admin.users.

Examples:
  doorward member remove ada@acme.example
  doorward member remove user_01jabcdefghjkmnpqrstvwxyz0 --yes";

const LEAVE_HELP: &str = "\
Ends your own membership, with your keys and sessions of this tenant, for good.
The owner hands the tenant over first (`doorward member transfer-ownership`).

Examples:
  doorward member leave
  doorward member leave --yes";

const TRANSFER_HELP: &str = "\
The member becomes the owner and you become an admin, at once; only they can give
it back. A tenant has exactly one owner at every moment. For the owner alone, with
a login of the last minutes: a key cannot do it.

Examples:
  doorward member transfer-ownership ada@acme.example
  doorward member transfer-ownership user_01jabcdefghjkmnpqrstvwxyz0 --yes";

/// What to do with members.
#[derive(Debug, Subcommand)]
pub enum MemberVerb {
    /// List the members of your tenant, newest first
    #[command(after_help = LIST_HELP)]
    List(PageArgs),
    /// Give a member another role
    #[command(after_help = ROLE_HELP)]
    Role(RoleArgs),
    /// End a membership, and the person's keys and sessions of this tenant
    #[command(after_help = REMOVE_HELP)]
    Remove(OneArgs),
    /// End your own membership
    #[command(after_help = LEAVE_HELP)]
    Leave(LeaveArgs),
    /// Make another member the owner of your tenant
    #[command(after_help = TRANSFER_HELP)]
    TransferOwnership(OneArgs),
}

/// Options of `member role`.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// The member's id, user_…, or e-mail address
    pub user: String,
    /// The role's name, or the id of one of the tenant's own
    pub role: String,
}

/// Names a member whom something befalls that is asked about.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The member's id, user_…, or e-mail address
    pub user: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Options of `member leave`.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Runs a verb on members.
pub async fn run(verb: MemberVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        MemberVerb::List(args) => tenants::members(args, session).await,
        MemberVerb::Role(args) => role(args, session).await,
        MemberVerb::Remove(args) => remove(args, session).await,
        MemberVerb::Leave(args) => leave(&args, session).await,
        MemberVerb::TransferOwnership(args) => transfer(args, session).await,
    }
}

async fn role(args: RoleArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let user_id = member_id(args.user, &mut session).await?;
    let request = UpdateMemberRoleRequest { user_id, role: args.role };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.update_member_role(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn remove(args: OneArgs, mut session: Session<'_>) -> Result<(), Failure> {
    prompt::possible(session.world, args.yes, "--yes")?;
    let user_id = member_id(args.user.clone(), &mut session).await?;
    let question = format!("{} leaves the tenant, and their keys and sessions end for good.", args.user);
    prompt::confirm(session.world, &question, "yes", args.yes)?;
    let answer = end(user_id, &mut session).await?;
    let text = format!("{} is no member any more; {}", args.user, ended(&answer));
    Ok(session.world.output.done(&answer, &text)?)
}

async fn leave(args: &LeaveArgs, mut session: Session<'_>) -> Result<(), Failure> {
    prompt::possible(session.world, args.yes, "--yes")?;
    let client = session.client.authn();
    let me = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.who_am_i(WhoAmIRequest {}).await }
    });
    let me = me.await?.principal.ok_or(Failure::Incomplete("principal"))?;
    if me.user_id.is_empty() {
        return Err(Failure::Local(
            "this key is no person's, so it is no member that could leave".to_owned(),
        ));
    }
    let question =
        format!("You, {}, leave {}, and your keys and sessions end for good.", me.email, me.tenant_slug);
    prompt::confirm(session.world, &question, "yes", args.yes)?;
    let answer = end(me.user_id, &mut session).await?;
    session.leave().await?;
    let text = format!("you have left {}; {}", me.tenant_slug, ended(&answer));
    Ok(session.world.output.done(&answer, &text)?)
}

async fn transfer(args: OneArgs, mut session: Session<'_>) -> Result<(), Failure> {
    prompt::possible(session.world, args.yes, "--yes")?;
    let user_id = member_id(args.user.clone(), &mut session).await?;
    let question =
        format!("{} becomes the owner and you become an admin; only they can give it back.", args.user);
    prompt::confirm(session.world, &question, "yes", args.yes)?;
    let client = session.client.tenancy();
    // A repetition after a lost answer would be refused, for the caller is the owner no more.
    let answer = session.call(Repeat::Never, || {
        let (mut client, user_id) = (client.clone(), user_id.clone());
        async move { client.transfer_ownership(TransferOwnershipRequest { user_id }).await }
    });
    let answer = answer.await?;
    let text = format!("{} is the owner now, and you are an admin", args.user);
    Ok(session.world.output.done(&answer, &text)?)
}

/// Ends a membership, once: a repetition would find no such member.
async fn end(user_id: String, session: &mut Session<'_>) -> Result<RemoveMemberResponse, Failure> {
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Never, || {
        let (mut client, user_id) = (client.clone(), user_id.clone());
        async move { client.remove_member(RemoveMemberRequest { user_id }).await }
    });
    answer.await
}

fn ended(answer: &RemoveMemberResponse) -> String {
    format!("keys ended: {}, sessions ended: {}", answer.keys_revoked, answer.sessions_revoked)
}

/// The id of whoever is named; an address is looked up among the members.
async fn member_id(named: String, session: &mut Session<'_>) -> Result<String, Failure> {
    if !named.contains('@') {
        return Ok(named);
    }
    let client = session.client.tenancy();
    let mut request = ListMembersRequest { page_size: PAGE, ..ListMembersRequest::default() };
    for _ in 0..PAGES {
        let page = session.call(Repeat::Safe, || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.list_members(request).await }
        });
        let page = page.await?;
        let found = page.members.into_iter().find(|member| member.email.eq_ignore_ascii_case(named.trim()));
        if let Some(member) = found {
            return Ok(member.user_id);
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    Err(Failure::Local(format!("{named} is no member of this tenant; `doorward member list` has them all")))
}

impl Shown for ListMembersResponse {
    const NAME: &'static str = "ListMembersResponse";

    fn view(&self) -> View {
        let rows = self.members.iter().map(|member| {
            let since = moment(member.create_time.as_ref());
            vec![member.user_id.clone(), member.email.clone(), member.role.clone(), since]
        });
        View::Rows {
            headers: &["USER", "E-MAIL", "ROLE", "SINCE"],
            rows: rows.collect(),
            empty: "no members",
        }
    }
}

impl Shown for UpdateMemberRoleResponse {
    const NAME: &'static str = "UpdateMemberRoleResponse";

    fn view(&self) -> View {
        View::Fields(self.member.as_ref().map_or_else(Vec::new, fields))
    }
}

impl Shown for RemoveMemberResponse {
    const NAME: &'static str = "RemoveMemberResponse";

    fn view(&self) -> View {
        View::Fields(vec![
            ("Keys ended", self.keys_revoked.to_string()),
            ("Sessions ended", self.sessions_revoked.to_string()),
            ("Revision", self.revision.clone()),
        ])
    }
}

impl Shown for TransferOwnershipResponse {
    const NAME: &'static str = "TransferOwnershipResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

/// What is told of a member.
pub fn fields(member: &Member) -> Vec<(&'static str, String)> {
    vec![
        ("User", member.user_id.clone()),
        ("E-mail", member.email.clone()),
        ("Role", member.role.clone()),
        ("Since", moment(member.create_time.as_ref())),
    ]
}
