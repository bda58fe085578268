//! `doorward login` and `doorward logout`: a person's session with a server, kept on this machine.

use crate::cli::Global;
use crate::cli::factor::{self, Code, Factor, TRIES};
use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::prompt;
use crate::cli::session::{Session, World};
use crate::cli::table::View;
use crate::client::login::{Login, LoginError, Logins, Tokens, is_over};
use crate::client::{Address, KEY_FILE_VARIABLE, KEY_VARIABLE, Presented, Repeat};
use crate::domain::reading::Reading;
use crate::pb::v1::complete_login_request::Factor as Sent;
use crate::pb::v1::{
    CompleteLoginRequest, CompleteLoginResponse, LoginRequest, LoginResponse, LoginUser, LogoutRequest,
    LogoutResponse, MfaRequired,
};
use clap::Args;
use tonic::Response;
use zeroize::Zeroize;

/// The header that names this device to later logins.
const DEVICE_HEADER: &str = "doorward-device-token";

const PASSWORD_OPTION: &str = "--password-stdin";

const LOGIN_HELP: &str = "\
Asks for what is not given: the e-mail address, the password, and a code of the
authenticator or a backup code if the account has a second factor. A password is
never given as an argument.

The tokens are kept in a file for each server that only you can read, below
$XDG_CONFIG_HOME/doorward or ~/.config/doorward, or in DOORWARD_LOGIN_FILE, and
are refreshed by themselves. Other verbs use them unless DOORWARD_API_KEY is set.

Examples:
  doorward login
  doorward login --email you@acme.example --tenant acme --totp 123456
  pass show doorward | doorward login --email you@acme.example --password-stdin
  doorward login --address auth.example.com:443 --output json | jq -r .tenant_id";

/// Help of `logout`.
pub const LOGOUT_HELP: &str = "\
Ends the session at the server, and forgets its tokens here, even if the session
was over already. What lets the server know this device again is kept.

Example:
  doorward logout";

/// Options of `login`.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_HELP)]
pub struct LoginArgs {
    /// Your e-mail address
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<String>,
    /// Take the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Code that your authenticator shows
    #[arg(long, value_name = "CODE", value_parser = Code::parse)]
    pub totp: Option<Code>,
}

/// What both ways of logging in end with.
struct Answer {
    access: String,
    refresh: String,
    expires_in: i32,
    user: Option<LoginUser>,
    device: Option<String>,
}

/// Logs in and keeps the tokens.
pub async fn run(args: LoginArgs, global: &Global, world: &mut World) -> Result<(), Failure> {
    prompt::possible(world, args.password_stdin, PASSWORD_OPTION)?;
    if world.terminal.is_none() && args.email.is_none() {
        return Err(Failure::Usage("standard input is no terminal; give --email".to_owned()));
    }
    let logins = Logins::locate(&Address::parse(&global.address)?, &*world.environment)?;
    // A place that cannot be written is found before there is a session to lose.
    drop(logins.lock(global.timeout).await?);
    let device = known_device(&logins)?;
    let mut session = Session::anonymous(global, world).await?;
    let request = request(&args, global, device, session.world)?;
    let (first, fresh_device) = first_step(&mut session, request).await?;
    let answer = match first.mfa_required {
        Some(required) => complete(&mut session, required).await?,
        None => Answer {
            access: first.access_token,
            refresh: first.refresh_token,
            expires_in: first.expires_in,
            user: first.user,
            device: fresh_device,
        },
    };
    keep(&mut session, &logins, answer).await
}

/// Ends the session and forgets the tokens.
pub async fn logout(global: &Global, world: &mut World) -> Result<(), Failure> {
    let logins = Logins::locate(&Address::parse(&global.address)?, &*world.environment)?;
    if tokens(&logins)?.is_none() {
        let text = format!("nobody is logged in at {} from here", global.address);
        return Ok(world.output.done(&LogoutResponse::default(), &text)?);
    }
    let mut session = Session::anonymous(global, world).await?;
    // Held throughout, so that no other process changes the token meanwhile.
    let lock = logins.lock(global.timeout).await?;
    let Some(tokens) = tokens(&logins)? else { return Ok(()) };
    let answer = match end(&mut session, &tokens).await {
        Ok(answer) => answer,
        Err(Failure::Refused(refusal)) if is_over(&refusal) => LogoutResponse::default(),
        Err(failure) => {
            let path = logins.path().display();
            session.world.output.note(&format!(
                "the login is kept, so that you can try again; to forget it without the server, remove {path}"
            ))?;
            return Err(failure);
        }
    };
    logins.forget(&lock)?;
    let text = format!("{} is logged out of {}", tokens.user.email, session.address());
    Ok(session.world.output.done(&answer, &text)?)
}

fn tokens(logins: &Logins) -> Result<Option<Tokens>, LoginError> {
    Ok(logins.read()?.and_then(|login| login.tokens))
}

async fn end(session: &mut Session<'_>, tokens: &Tokens) -> Result<LogoutResponse, Failure> {
    let client = session.client.authn();
    let end = session.call(Repeat::Safe, || {
        let request = LogoutRequest { refresh_token: tokens.refresh.expose().to_owned() };
        let mut client = client.clone();
        async move { client.logout(request).await }
    });
    end.await
}

/// The device token of an earlier login. A file that is no login is about to be
/// replaced; one that others can get at is not to be used.
fn known_device(logins: &Logins) -> Result<Option<Presented>, LoginError> {
    match logins.read() {
        Ok(login) => Ok(login.and_then(|login| login.device)),
        Err(LoginError::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn request(
    args: &LoginArgs,
    global: &Global,
    device: Option<Presented>,
    world: &mut World,
) -> Result<LoginRequest, Failure> {
    let email = match &args.email {
        Some(email) => email.clone(),
        None => prompt::ask(world, "E-mail address: ", "--email EMAIL")?.trim().to_owned(),
    };
    let password = prompt::secret(world, "Password: ", args.password_stdin, PASSWORD_OPTION)?;
    Ok(LoginRequest {
        email,
        password: password.to_string(),
        tenant_id: global.tenant.clone().unwrap_or_default(),
        totp_code: args.totp.as_ref().map_or_else(String::new, |code| code.expose().to_owned()),
        device_token: device.map_or_else(String::new, |token| token.expose().to_owned()),
        device_name: device_name(),
    })
}

/// What the list of sessions calls this device.
fn device_name() -> String {
    let system = rustix::system::uname();
    format!("doorward on {}", system.nodename().to_string_lossy())
}

/// A login is made once: a code counts once, and a session nobody knows of is not to be left behind.
async fn first_step(
    session: &mut Session<'_>,
    mut request: LoginRequest,
) -> Result<(LoginResponse, Option<String>), Failure> {
    let client = session.client.authn();
    let call = session.call(Repeat::Never, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.login(request).await.map(with_device) }
    });
    let answer = call.await;
    request.password.zeroize();
    answer
}

/// Gives the second factor: the option of `login` went with the first step, so it is asked for here.
async fn complete(session: &mut Session<'_>, required: MfaRequired) -> Result<Answer, Failure> {
    if !required.methods.iter().any(|method| matches!(method.as_str(), "totp" | "backup_code")) {
        let methods = required.methods.join(", ");
        return Err(Failure::Local(format!(
            "the second factor must be one of {methods}; this cannot give it"
        )));
    }
    if session.world.terminal.is_none() {
        let text = "the account has a second factor; give its code with --totp CODE";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut tried = 1;
    loop {
        let factor = match factor::either(session.world, None)? {
            Factor::Totp(code) => Sent::TotpCode(code.expose().to_owned()),
            Factor::Backup(code) => Sent::BackupCode(code.to_string()),
        };
        let request = CompleteLoginRequest { challenge: required.challenge.clone(), factor: Some(factor) };
        match second_step(session, request).await {
            Ok((answer, device)) => {
                return Ok(Answer {
                    access: answer.access_token,
                    refresh: answer.refresh_token,
                    expires_in: answer.expires_in,
                    user: answer.user,
                    device,
                });
            }
            Err(failure) if factor::is_wrong(&failure) && tried < TRIES => {
                session.world.output.note(&failure.to_string())?;
                tried += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
}

async fn second_step(
    session: &mut Session<'_>,
    request: CompleteLoginRequest,
) -> Result<(CompleteLoginResponse, Option<String>), Failure> {
    let client = session.client.authn();
    let call = session.call(Repeat::Never, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.complete_login(request).await.map(with_device) }
    });
    call.await
}

/// Takes the device token out of the metadata.
fn with_device<T>(response: Response<T>) -> Response<(T, Option<String>)> {
    let bytes = response.metadata().get(DEVICE_HEADER).map(|value| value.as_bytes().to_vec());
    let device = bytes.and_then(|bytes| String::from_utf8(bytes).readable());
    Response::new((response.into_inner(), device))
}

async fn keep(session: &mut Session<'_>, logins: &Logins, answer: Answer) -> Result<(), Failure> {
    let now = session.now();
    let user = answer.user.clone();
    let tokens = Tokens::new(answer.access, answer.refresh, answer.expires_in, answer.user, now);
    let (Some(tokens), Some(user)) = (tokens, user) else {
        return Err(Failure::Incomplete("tokens"));
    };
    let lock = logins.lock(session.client.deadline()).await?;
    let device = match answer.device.map(Presented::new) {
        Some(Ok(fresh)) => Some(fresh),
        // Without one the login is as good, so one that is no token is none.
        Some(Err(_)) | None => known_device(logins)?,
    };
    logins.write(&lock, &Login { tokens: Some(tokens), device })?;
    drop(lock);
    let world = &mut *session.world;
    world.output.show(&user)?;
    world.output.note(&format!("the login is kept in {}", logins.path().display()))?;
    for name in [KEY_VARIABLE, KEY_FILE_VARIABLE] {
        if (world.environment)(name).is_some_and(|value| !value.is_empty()) {
            world.output.note(&format!("note: {name} is set, and is used instead of the login"))?;
        }
    }
    Ok(())
}

impl Shown for LoginUser {
    const NAME: &'static str = "LoginUser";

    fn view(&self) -> View {
        View::Fields(vec![
            ("E-mail", self.email.clone()),
            ("Id", self.id.clone()),
            ("Tenant", self.tenant_id.clone()),
            ("Role", self.role.clone()),
        ])
    }
}

impl Shown for LogoutResponse {
    const NAME: &'static str = "LogoutResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}
