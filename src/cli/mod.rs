//! The command line: client verbs, which speak gRPC to a server, and server
//! verbs, which are one.
//!
//! A client verb is a file named after its noun. It turns its options into a
//! request, makes the call through [`session`], and hands the answer to
//! [`output`]; whatever goes wrong is a [`failure`], with a hint and an exit code.

pub mod audit;
pub mod break_glass;
pub mod completions;
pub mod email;
pub mod factor;
pub mod failure;
pub mod invitations;
pub mod keys;
pub mod login;
pub mod members;
pub mod mfa;
pub mod output;
pub mod paging;
pub mod password;
pub mod prompt;
pub mod provider_keys;
mod qr;
pub mod repeat;
pub mod roles;
pub mod server;
pub mod session;
pub mod sessions;
pub mod table;
pub mod tenants;
mod told;
pub mod values;
pub mod vault;
pub mod whoami;

use clap::{Args, Parser, Subcommand};
use failure::Failure;
use output::{Format, Output};
use session::{Session, World};
use std::process::ExitCode;
use std::time::Duration;

const AFTER_HELP: &str = "\
Credential (client verbs), the first that there is:
  DOORWARD_API_KEY       the key, or
  DOORWARD_API_KEY_FILE  a file that holds it; a key is never given as an argument
  doorward login         the login that is kept for the server (DOORWARD_LOGIN_FILE names its file)

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 64 bad configuration

Examples:
  doorward dev                               a server on this machine, with a tenant and keys
  doorward login --email you@acme.example    log in as a person
  doorward whoami                            who the key or the login stands for
  doorward key create ci --scope keys.read   a key that may only read keys
  doorward invitation create ada@acme.example --role member   somebody more in your tenant
  doorward key list --output json | jq -r '.api_keys[].id'";

/// Identity for services: who is this, for which tenant, and may they?
#[derive(Debug, Parser)]
#[command(name = "doorward", version, after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Options of every client verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every client verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Client options")]
pub struct Global {
    /// Server: https://host:port, http://host:port, or host:port (https unless on this machine)
    #[arg(
        long,
        global = true,
        env = "DOORWARD_ADDRESS",
        default_value = "http://127.0.0.1:7400",
        value_name = "ADDRESS"
    )]
    pub address: String,
    /// How answers are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Tenant to act for or to log in to, by id or slug, if there are several
    #[arg(long, global = true, env = "DOORWARD_TENANT", value_name = "TENANT")]
    pub tenant: Option<String>,
    /// How long a call may take, retries included, such as 10s or 1m
    #[arg(long, global = true, env = "DOORWARD_TIMEOUT", default_value = "10s", value_parser = values::timeout, value_name = "DURATION")]
    pub timeout: Duration,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in as a person, and keep the login on this machine
    Login(login::LoginArgs),
    /// End the session of the login, and forget it here
    #[command(after_help = login::LOGOUT_HELP)]
    Logout,
    /// Show who the credential stands for and what it may do
    #[command(after_help = whoami::AFTER_HELP)]
    Whoami,
    /// Make, list, change, rotate, revoke and import API keys
    #[command(subcommand)]
    Key(keys::KeyVerb),
    /// Set, list, delete and fetch the tenant's keys of other providers
    #[command(subcommand)]
    ProviderKey(provider_keys::ProviderKeyVerb),
    /// List and end your sessions
    #[command(subcommand)]
    Session(sessions::SessionVerb),
    /// Set up and remove your second factor
    #[command(subcommand)]
    Mfa(mfa::MfaVerb),
    /// Change your password, or set a forgotten one anew
    #[command(subcommand)]
    Password(password::PasswordVerb),
    /// Prove that your e-mail address is yours
    #[command(subcommand)]
    Email(email::EmailVerb),
    /// Make and manage tenants, their members and their networks
    #[command(subcommand)]
    Tenant(tenants::TenantVerb),
    /// List, promote and remove the people of your tenant, leave it, hand it over
    #[command(subcommand)]
    Member(members::MemberVerb),
    /// Invite people to your tenant, and accept an invitation
    #[command(subcommand)]
    Invitation(invitations::InvitationVerb),
    /// Make and manage your tenant's own roles
    #[command(subcommand)]
    Role(roles::RoleVerb),
    /// See what roles and keys can be allowed
    #[command(subcommand)]
    Permission(roles::PermissionVerb),
    /// Read, export and judge the audit log
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// Close the emergency access to your tenant
    #[command(subcommand)]
    BreakGlass(break_glass::BreakGlassVerb),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Verbs that are the server.
    #[command(flatten)]
    Server(server::ServerVerb),
}

/// Runs a parsed command line and gives the process's exit code.
pub async fn run(cli: Cli) -> ExitCode {
    let environment = |name: &str| std::env::var_os(name);
    let plain = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut world = World {
        output: Output::stdio(cli.global.output, plain),
        environment: Box::new(environment),
        input: Box::new(std::io::stdin()),
        terminal: prompt::terminal(),
        now: present(),
    };
    let done = match cli.command {
        Command::Server(verb) => match Box::pin(server::run(verb)).await {
            Ok(code) => return code,
            Err(cause) => Err(Failure::Local(format!("{cause:#}"))),
        },
        client @ (Command::Login(_)
        | Command::Logout
        | Command::Whoami
        | Command::Key(_)
        | Command::ProviderKey(_)
        | Command::Session(_)
        | Command::Mfa(_)
        | Command::Password(_)
        | Command::Email(_)
        | Command::Tenant(_)
        | Command::Member(_)
        | Command::Invitation(_)
        | Command::Role(_)
        | Command::Permission(_)
        | Command::Audit(_)
        | Command::BreakGlass(_)
        | Command::Completions(_)) => execute(client, &cli.global, &mut world).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut world.output);
            ExitCode::from(failure.exit_code())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a client verb reads the clock")]
fn present() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

async fn execute(command: Command, global: &Global, world: &mut World) -> Result<(), Failure> {
    match command {
        Command::Completions(args) => completions::run(&args, &mut world.output),
        Command::Login(args) => login::run(args, global, world).await,
        Command::Logout => login::logout(global, world).await,
        Command::Session(verb) => sessions::run(verb, Session::open(global, world).await?).await,
        Command::Mfa(verb) => mfa::run(verb, Session::open(global, world).await?).await,
        Command::Password(verb) => password::run(verb, global, world).await,
        Command::Email(verb) => email::run(verb, global, world).await,
        Command::Whoami => whoami::run(Session::open(global, world).await?).await,
        Command::Key(verb) => keys::run(verb, Session::open(global, world).await?).await,
        Command::ProviderKey(verb) => provider_keys::run(verb, Session::open(global, world).await?).await,
        Command::Audit(verb) => audit::run(verb, global, world).await,
        Command::BreakGlass(verb) => break_glass::run(verb, Session::open(global, world).await?).await,
        Command::Tenant(verb) => tenants::run(verb, Session::open(global, world).await?).await,
        Command::Member(verb) => members::run(verb, Session::open(global, world).await?).await,
        Command::Invitation(verb) => invitations::run(verb, global, world).await,
        Command::Role(verb) => roles::run(verb, Session::open(global, world).await?).await,
        Command::Permission(verb) => roles::permissions(verb, Session::open(global, world).await?).await,
        Command::Server(_) => Err(Failure::Local("a server verb is not a client verb".to_owned())),
    }
}

#[cfg(test)]
mod tests;
