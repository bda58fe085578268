//! `doorward invitation`: invites people to the caller's tenant, and accepts.

use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::members;
use crate::cli::output::Shown;
use crate::cli::paging::PageArgs;
use crate::cli::prompt;
use crate::cli::repeat::id_or_fresh;
use crate::cli::session::{Session, World};
use crate::cli::table::{View, moment};
use crate::cli::values;
use crate::client::Repeat;
use crate::pb::v1::{
    AcceptInvitationRequest, AcceptInvitationResponse, CreateInvitationRequest, CreateInvitationResponse,
    Invitation, ListInvitationsRequest, ListInvitationsResponse, ResendInvitationRequest,
    ResendInvitationResponse, RevokeInvitationRequest, RevokeInvitationResponse,
};
use clap::{Args, Subcommand};
use uuid::Uuid;
use zeroize::Zeroizing;

const TOKEN_OPTION: &str = "--token-stdin";

const CREATE_HELP: &str = "\
The person gets a letter with a link that is good for seven days and for one use.
ROLE is admin, member, viewer, or one of the tenant's own (`doorward role list`);
nobody invites to a role that may do more than they may themselves. Needs the
permission admin.users.

Examples:
  doorward invitation create ada@acme.example --role member
  doorward invitation create bo@acme.example --role billing --output json | jq -r .invitation.id";

const LIST_HELP: &str = "\
Examples:
  doorward invitation list
  doorward invitation list --all --output json | jq -r '.invitations[].email'";

const RESEND_HELP: &str = "\
The new link is good for seven days; the one before ends.

Example:
  doorward invitation resend invitation_01jabcdefghjkmnpqrstvwxyz0";

const REVOKE_HELP: &str = "\
Whoever comes with the link from now on comes too late.

Example:
  doorward invitation revoke invitation_01jabcdefghjkmnpqrstvwxyz0";

const ACCEPT_HELP: &str = "\
Asks for the token, which is the end of the link in the letter, behind #token=. It
is never given as an argument.

Whoever has an account of the address logs in first (`doorward login`) and accepts
with that login. Whoever has none is asked twice for the password of a new one: 8
to 1,024 characters, not easily guessed. --new-account leaves a login of somebody
else that is kept here aside.

Examples:
  doorward invitation accept
  printf '%s\\n' \"$token\" | doorward invitation accept --token-stdin
  printf '%s\\n' \"$token\" \"$password\" | doorward invitation accept --new-account --token-stdin";

/// What to do with invitations.
#[derive(Debug, Subcommand)]
pub enum InvitationVerb {
    /// Invite whoever reads mail at an address
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// List the invitations that wait, newest first
    #[command(after_help = LIST_HELP)]
    List(PageArgs),
    /// Mail an invitation again, with a new link
    #[command(after_help = RESEND_HELP)]
    Resend(OneArgs),
    /// Take an invitation back
    #[command(after_help = REVOKE_HELP)]
    Revoke(OneArgs),
    /// Accept an invitation, with your login or with a new account
    #[command(after_help = ACCEPT_HELP)]
    Accept(AcceptArgs),
}

/// Options of `invitation create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// E-mail address of whoever is invited
    pub email: String,
    /// The role's name, or the id of one of the tenant's own
    #[arg(long, value_name = "ROLE")]
    pub role: String,
    /// UUID that makes a repetition safe; a fresh one if not given
    #[arg(long, value_name = "UUID", value_parser = values::request_id)]
    pub request_id: Option<Uuid>,
}

/// Names an invitation.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The invitation's id, invitation_…
    pub id: String,
}

/// Options of `invitation accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Take the link's token, and on a second line the password of a new account, from standard input
    #[arg(long)]
    pub token_stdin: bool,
    /// Make a new account, whoever is logged in here
    #[arg(long)]
    pub new_account: bool,
}

/// Runs a verb on invitations.
pub async fn run(verb: InvitationVerb, global: &Global, world: &mut World) -> Result<(), Failure> {
    match verb {
        InvitationVerb::Create(args) => create(args, Session::open(global, world).await?).await,
        InvitationVerb::List(args) => list(args, Session::open(global, world).await?).await,
        InvitationVerb::Resend(args) => resend(args, Session::open(global, world).await?).await,
        InvitationVerb::Revoke(args) => revoke(args, Session::open(global, world).await?).await,
        InvitationVerb::Accept(args) => {
            prompt::possible(world, args.token_stdin, TOKEN_OPTION)?;
            let session = if args.new_account {
                Session::anonymous(global, world).await?
            } else {
                Session::of_person(global, world).await?
            };
            accept(&args, session).await
        }
    }
}

async fn create(args: CreateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request_id = id_or_fresh(args.request_id)?;
    let request = CreateInvitationRequest { email: args.email, role: args.role, request_id };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.create_invitation(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn list(args: PageArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = ListInvitationsRequest { page_size: args.page_size, ..<_>::default() };
    let client = session.client.tenancy();
    let ask = |page_token| {
        let (mut client, request) =
            (client.clone(), ListInvitationsRequest { page_token, ..request.clone() });
        async move { client.list_invitations(request).await }
    };
    args.show(&mut session, ask).await
}

/// Once: every repetition would be a letter more.
async fn resend(args: OneArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = ResendInvitationRequest { id: args.id };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Never, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.resend_invitation(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

/// Once: a repetition would find no such invitation.
async fn revoke(args: OneArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = RevokeInvitationRequest { id: args.id };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Never, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.revoke_invitation(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, "the invitation is taken back; its link is of no use any more")?)
}

async fn accept(args: &AcceptArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let piped = args.token_stdin;
    let person = session.person().map(|who| who.email.clone());
    if let Some(email) = &person {
        session.world.output.note(&format!("accepting as {email}, who is logged in here"))?;
    }
    let token = prompt::secret(session.world, "Token of the link: ", piped, TOKEN_OPTION)?;
    let password = match &person {
        Some(_) => Zeroizing::default(),
        None => prompt::new_password(session.world, piped, TOKEN_OPTION)?,
    };
    let client = session.client.tenancy();
    // The token works once: a repetition after a lost answer would be refused.
    let answer = session.call(Repeat::Never, || {
        let request =
            AcceptInvitationRequest { token: token.trim().to_owned(), password: password.to_string() };
        let mut client = client.clone();
        async move { client.accept_invitation(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, &welcome(&answer))?)
}

fn welcome(answer: &AcceptInvitationResponse) -> String {
    let member = answer.member.clone().unwrap_or_default();
    let (slug, email, role) = (&answer.tenant_slug, member.email, member.role);
    format!(
        "{email} is a member of {slug} now, as {role}; log in with: doorward login --email {email} --tenant {slug}"
    )
}

impl Shown for CreateInvitationResponse {
    const NAME: &'static str = "CreateInvitationResponse";

    fn view(&self) -> View {
        View::Fields(self.invitation.as_ref().map_or_else(Vec::new, fields))
    }
}

impl Shown for ResendInvitationResponse {
    const NAME: &'static str = "ResendInvitationResponse";

    fn view(&self) -> View {
        View::Fields(self.invitation.as_ref().map_or_else(Vec::new, fields))
    }
}

impl Shown for ListInvitationsResponse {
    const NAME: &'static str = "ListInvitationsResponse";

    fn view(&self) -> View {
        let row = |one: &Invitation| {
            let (made, end) = (moment(one.create_time.as_ref()), moment(one.expire_time.as_ref()));
            vec![one.id.clone(), one.email.clone(), one.role.clone(), one.invited_by.clone(), made, end]
        };
        View::Rows {
            headers: &["ID", "E-MAIL", "ROLE", "INVITED BY", "CREATED", "LINK ENDS"],
            rows: self.invitations.iter().map(row).collect(),
            empty: "no invitations wait",
        }
    }
}

impl Shown for RevokeInvitationResponse {
    const NAME: &'static str = "RevokeInvitationResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for AcceptInvitationResponse {
    const NAME: &'static str = "AcceptInvitationResponse";

    fn view(&self) -> View {
        let mut all = vec![("Tenant", self.tenant_slug.clone()), ("Tenant id", self.tenant_id.clone())];
        all.extend(self.member.as_ref().map_or_else(Vec::new, members::fields));
        View::Fields(all)
    }
}

fn fields(invitation: &Invitation) -> Vec<(&'static str, String)> {
    vec![
        ("Id", invitation.id.clone()),
        ("E-mail", invitation.email.clone()),
        ("Role", invitation.role.clone()),
        ("Invited by", invitation.invited_by.clone()),
        ("Created", moment(invitation.create_time.as_ref())),
        ("Link ends", moment(invitation.expire_time.as_ref())),
    ]
}
