//! `doorward email`: proves that an address is the caller's.

use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::prompt;
use crate::cli::session::{Session, World};
use crate::cli::table::View;
use crate::client::Repeat;
use crate::pb::v1::{
    RequestEmailVerificationRequest, RequestEmailVerificationResponse, VerifyEmailRequest,
    VerifyEmailResponse,
};
use clap::{Args, Subcommand};

const VERIFY_HELP: &str = "\
First without an option, which sends a link to your address; then with
--token-stdin and the token of the link, for which you need not be logged in.

Examples:
  doorward email verify
  doorward email verify --token-stdin
  printf '%s\\n' \"$token\" | doorward email verify --token-stdin";

/// What to do with the address.
#[derive(Debug, Subcommand)]
pub enum EmailVerb {
    /// Prove that your e-mail address is yours, by a link sent there
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
}

/// Options of `email verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Take the token of the link from the first line of standard input
    #[arg(long)]
    pub token_stdin: bool,
}

/// Runs a verb on the address.
pub async fn run(verb: EmailVerb, global: &Global, world: &mut World) -> Result<(), Failure> {
    match verb {
        EmailVerb::Verify(VerifyArgs { token_stdin: true }) => {
            verify(Session::anonymous(global, world).await?).await
        }
        EmailVerb::Verify(VerifyArgs { token_stdin: false }) => {
            send_link(Session::open(global, world).await?).await
        }
    }
}

async fn send_link(mut session: Session<'_>) -> Result<(), Failure> {
    let client = session.client.authn();
    let answer = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.request_email_verification(RequestEmailVerificationRequest {}).await }
    });
    let answer = answer.await?;
    let text = "a link is on its way to your address; then: doorward email verify --token-stdin";
    Ok(session.world.output.done(&answer, text)?)
}

async fn verify(mut session: Session<'_>) -> Result<(), Failure> {
    let token = prompt::secret(session.world, "Token of the link: ", true, "--token-stdin")?;
    let client = session.client.authn();
    let answer = session.call(Repeat::Never, || {
        let request = VerifyEmailRequest { token: token.trim().to_owned() };
        let mut client = client.clone();
        async move { client.verify_email(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, "the address is verified")?)
}

impl Shown for RequestEmailVerificationResponse {
    const NAME: &'static str = "RequestEmailVerificationResponse";

    fn view(&self) -> View {
        View::Fields(Vec::new())
    }
}

impl Shown for VerifyEmailResponse {
    const NAME: &'static str = "VerifyEmailResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}
