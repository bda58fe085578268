//! `doorward session`: lists and ends the caller's sessions.

use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::paging::PageArgs;
use crate::cli::session::Session;
use crate::cli::table::{View, moment};
use crate::client::Repeat;
use crate::pb::v1::{
    ListSessionsRequest, ListSessionsResponse, RevokeAllSessionsRequest, RevokeAllSessionsResponse,
    RevokeSessionRequest, RevokeSessionResponse, Session as Listed,
};
use clap::{Args, Subcommand};

/// The largest page of sessions that a server gives.
const MAX_PAGE: i32 = 200;

const HEADERS: &[&str] = &["ID", "DEVICE", "ADDRESS", "CREATED", "LAST SEEN", "EXPIRES", "BY", "THIS ONE"];

const LIST_HELP: &str = "\
Examples:
  doorward session list
  doorward session list --all --output json | jq -r '.sessions[] | select(.current | not) | .id'";

const REVOKE_HELP: &str = "\
When the command returns, no server accepts the session's tokens any more.

Example:
  doorward session revoke session_01jabcdefghjkmnpqrstvwxyz0";

const REVOKE_ALL_HELP: &str = "\
When the command returns, no server accepts the tokens of any of them any more.
Without --keep-current you are logged out here too.

Examples:
  doorward session revoke-all --keep-current
  doorward session revoke-all";

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum SessionVerb {
    /// List your sessions, the latest first
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// End one of your sessions, everywhere, before the command returns
    #[command(after_help = REVOKE_HELP)]
    Revoke(RevokeArgs),
    /// End all of your sessions
    #[command(after_help = REVOKE_ALL_HELP)]
    RevokeAll(RevokeAllArgs),
}

/// Options of `session list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Options of `session revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The session's id, session_…
    pub id: String,
}

/// Options of `session revoke-all`.
#[derive(Debug, Args)]
pub struct RevokeAllArgs {
    /// Leave the session that this command uses
    #[arg(long)]
    pub keep_current: bool,
}

/// Runs a verb on sessions.
pub async fn run(verb: SessionVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        SessionVerb::List(args) => list(args, session).await,
        SessionVerb::Revoke(args) => revoke(args, session).await,
        SessionVerb::RevokeAll(args) => revoke_all(&args, session).await,
    }
}

async fn list(args: ListArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let page_size = args.page.page_size.min(MAX_PAGE);
    let request = ListSessionsRequest { page_size, ..<_>::default() };
    let client = session.client.authn();
    let ask = |page_token| {
        let (mut client, request) = (client.clone(), ListSessionsRequest { page_token, ..request.clone() });
        async move { client.list_sessions(request).await }
    };
    args.page.show(&mut session, ask).await
}

async fn revoke(args: RevokeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let client = session.client.authn();
    let request = RevokeSessionRequest { id: args.id };
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.revoke_session(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, &format!("{} has ended everywhere", request.id))?)
}

async fn revoke_all(args: &RevokeAllArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let client = session.client.authn();
    let keep_current = args.keep_current;
    // A repetition after a lost answer would be refused together with its own session.
    let repeat = if keep_current { Repeat::Safe } else { Repeat::Never };
    let answer = session.call(repeat, || {
        let mut client = client.clone();
        async move { client.revoke_all_sessions(RevokeAllSessionsRequest { keep_current }).await }
    });
    let answer = answer.await?;
    if !keep_current {
        session.leave().await?;
    }
    let text = format!("{} sessions have ended everywhere", answer.revoked_count);
    Ok(session.world.output.done(&answer, &text)?)
}

impl Shown for ListSessionsResponse {
    const NAME: &'static str = "ListSessionsResponse";

    fn view(&self) -> View {
        View::Rows { headers: HEADERS, rows: self.sessions.iter().map(row).collect(), empty: "no sessions" }
    }
}

impl Shown for RevokeSessionResponse {
    const NAME: &'static str = "RevokeSessionResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for RevokeAllSessionsResponse {
    const NAME: &'static str = "RevokeAllSessionsResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Ended", self.revoked_count.to_string()), ("Revision", self.revision.clone())])
    }
}

fn row(session: &Listed) -> Vec<String> {
    vec![
        session.id.clone(),
        session.device.clone(),
        session.address.clone(),
        moment(session.create_time.as_ref()),
        moment(session.last_seen_time.as_ref()),
        moment(session.expire_time.as_ref()),
        session.auth_methods.join(","),
        if session.current { "yes".to_owned() } else { String::new() },
    ]
}
