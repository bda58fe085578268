//! `doorward break-glass`: what a tenant can do about the emergency key.

use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::session::Session;
use crate::cli::table::View;
use crate::client::Repeat;
use crate::pb::v1::{CloseBreakGlassRequest, CloseBreakGlassResponse};
use clap::Subcommand;

const CLOSE_HELP: &str = "\
When the command returns, no server takes the master key in your tenant any more, and what was
open by it is cut. The same key opens no other access there for an hour.

Examples:
  doorward break-glass close
  doorward break-glass close --tenant acme --output json";

/// What to do about it.
#[derive(Debug, Subcommand)]
pub enum BreakGlassVerb {
    /// Close the emergency access that is open; nothing can be done by it once this returns
    #[command(after_help = CLOSE_HELP)]
    Close,
}

/// Runs a verb on break-glass.
pub async fn run(verb: BreakGlassVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        BreakGlassVerb::Close => close(session).await,
    }
}

async fn close(mut session: Session<'_>) -> Result<(), Failure> {
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.close_break_glass(CloseBreakGlassRequest {}).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

impl Shown for CloseBreakGlassResponse {
    const NAME: &'static str = "CloseBreakGlassResponse";

    fn view(&self) -> View {
        let closed =
            if self.grant_ids.is_empty() { "none was open".to_owned() } else { self.grant_ids.join(", ") };
        View::Fields(vec![("Closed", closed)])
    }
}
