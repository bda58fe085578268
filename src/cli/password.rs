//! `doorward password`: changes a password, or sets a forgotten one anew.

use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::prompt;
use crate::cli::session::{Session, World};
use crate::cli::table::View;
use crate::client::Repeat;
use crate::pb::v1::{
    ChangePasswordRequest, ChangePasswordResponse, RequestPasswordResetRequest, RequestPasswordResetResponse,
    ResetPasswordRequest, ResetPasswordResponse,
};
use clap::{ArgGroup, Args, Subcommand};

const PASSWORD_OPTION: &str = "--password-stdin";
const TOKEN_OPTION: &str = "--token-stdin";

const CHANGE_HELP: &str = "\
Asks for the password so far, and twice for the new one: 8 to 1,024 characters,
not easily guessed. Your other sessions end; this one goes on.

Examples:
  doorward password change
  printf '%s\\n' \"$old\" \"$new\" | doorward password change --password-stdin";

const RESET_HELP: &str = "\
First with --email, which sends a link to the address if there is such a person;
then with --token-stdin and the token of the link, which sets a new password and
ends all sessions. The second factor is still asked for at the next login.

Examples:
  doorward password reset --email you@acme.example
  doorward password reset --token-stdin
  printf '%s\\n' \"$token\" \"$new\" | doorward password reset --token-stdin";

/// What to do with the password.
#[derive(Debug, Subcommand)]
pub enum PasswordVerb {
    /// Change your password, and end your other sessions
    #[command(after_help = CHANGE_HELP)]
    Change(ChangeArgs),
    /// Set a forgotten password anew, by a link sent to your address
    #[command(after_help = RESET_HELP)]
    Reset(ResetArgs),
}

/// Options of `password change`.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Take the password so far and the new one from two lines of standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// Options of `password reset`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("step").required(true))]
pub struct ResetArgs {
    /// Address to send a link to
    #[arg(long, value_name = "EMAIL", group = "step")]
    pub email: Option<String>,
    /// Take the link's token and the new password from two lines of standard input
    #[arg(long, group = "step")]
    pub token_stdin: bool,
}

/// Runs a verb on passwords.
pub async fn run(verb: PasswordVerb, global: &Global, world: &mut World) -> Result<(), Failure> {
    match verb {
        PasswordVerb::Change(args) => {
            prompt::possible(world, args.password_stdin, PASSWORD_OPTION)?;
            change(&args, Session::open(global, world).await?).await
        }
        PasswordVerb::Reset(ResetArgs { email: Some(email), .. }) => {
            send_link(email, Session::anonymous(global, world).await?).await
        }
        PasswordVerb::Reset(ResetArgs { email: None, .. }) => {
            reset(Session::anonymous(global, world).await?).await
        }
    }
}

async fn change(args: &ChangeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let piped = args.password_stdin;
    let current = prompt::secret(session.world, "Password so far: ", piped, PASSWORD_OPTION)?;
    let new = prompt::new_password(session.world, piped, PASSWORD_OPTION)?;
    let client = session.client.authn();
    let answer = session.call(Repeat::Never, || {
        let request =
            ChangePasswordRequest { current_password: current.to_string(), new_password: new.to_string() };
        let mut client = client.clone();
        async move { client.change_password(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, "the password is changed, and your other sessions have ended")?)
}

async fn send_link(email: String, mut session: Session<'_>) -> Result<(), Failure> {
    let request = RequestPasswordResetRequest { email };
    let client = session.client.authn();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.request_password_reset(request).await }
    });
    let answer = answer.await?;
    let text = format!(
        "if {} is known, a link is on its way; then: doorward password reset --token-stdin",
        request.email
    );
    Ok(session.world.output.done(&answer, &text)?)
}

async fn reset(mut session: Session<'_>) -> Result<(), Failure> {
    let token = prompt::secret(session.world, "Token of the link: ", true, TOKEN_OPTION)?;
    let new = prompt::new_password(session.world, true, TOKEN_OPTION)?;
    let client = session.client.authn();
    let answer = session.call(Repeat::Never, || {
        let request = ResetPasswordRequest { token: token.trim().to_owned(), new_password: new.to_string() };
        let mut client = client.clone();
        async move { client.reset_password(request).await }
    });
    let answer = answer.await?;
    let text = "the password is set, and all sessions have ended; log in with: doorward login";
    Ok(session.world.output.done(&answer, text)?)
}

impl Shown for ChangePasswordResponse {
    const NAME: &'static str = "ChangePasswordResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for RequestPasswordResetResponse {
    const NAME: &'static str = "RequestPasswordResetResponse";

    fn view(&self) -> View {
        View::Fields(Vec::new())
    }
}

impl Shown for ResetPasswordResponse {
    const NAME: &'static str = "ResetPasswordResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}
