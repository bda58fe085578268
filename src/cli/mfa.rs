//! `doorward mfa`: sets up and removes the second factor.

use crate::cli::factor::{self, Code, Factor, TRIES};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Shown};
use crate::cli::session::Session;
use crate::cli::table::View;
use crate::cli::{prompt, qr};
use crate::client::Repeat;
use crate::pb::v1::disable_totp_request::Factor as Sent;
use crate::pb::v1::{
    ConfirmTotpRequest, ConfirmTotpResponse, DisableTotpRequest, DisableTotpResponse, EnrollTotpRequest,
    EnrollTotpResponse, RegenerateBackupCodesRequest, RegenerateBackupCodesResponse,
};
use clap::{Args, Subcommand};
use zeroize::{Zeroize, Zeroizing};

const BACKUP_WARNING: &str = "These are your backup codes. Each stands in for the authenticator once. They are shown this once; keep them safe:";

const ENROLL_HELP: &str = "\
Shows a secret, as text, as a URI and as a QR code to scan, and asks for a code
that the authenticator then shows. With that the second factor counts, and the
backup codes are shown, once. With --output json, or where standard input is no
terminal, nothing is asked: confirm with `doorward mfa confirm`.

Examples:
  doorward mfa enroll
  secret=$(doorward mfa enroll --output json | jq -r .secret)";

const CONFIRM_HELP: &str = "\
Examples:
  doorward mfa confirm
  doorward mfa confirm --totp 123456 --output json | jq -r '.backup_codes[]'";

const DISABLE_HELP: &str = "\
Needs a code of the authenticator or a backup code. The backup codes end too.

Examples:
  doorward mfa disable
  doorward mfa disable --totp 123456";

const BACKUP_CODES_HELP: &str = "\
Needs a code of the authenticator. The old backup codes end.

Examples:
  doorward mfa backup-codes
  doorward mfa backup-codes --totp 123456 > backup-codes.txt";

/// What to do with the second factor.
#[derive(Debug, Subcommand)]
pub enum MfaVerb {
    /// Set up an authenticator, with a QR code to scan
    #[command(after_help = ENROLL_HELP)]
    Enroll(EnrollArgs),
    /// Confirm an authenticator by its code and show the backup codes, once
    #[command(after_help = CONFIRM_HELP)]
    Confirm(CodeArgs),
    /// Remove the authenticator and the backup codes
    #[command(after_help = DISABLE_HELP)]
    Disable(CodeArgs),
    /// Replace the backup codes and show the new ones, once
    #[command(after_help = BACKUP_CODES_HELP)]
    BackupCodes(CodeArgs),
}

/// Options of `mfa enroll`.
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// Take the password, if the server wants it, from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// Options of the verbs that need a code.
#[derive(Debug, Args)]
pub struct CodeArgs {
    /// Code that the authenticator shows; asked for if not given
    #[arg(long, value_name = "CODE", value_parser = Code::parse)]
    pub totp: Option<Code>,
}

/// Runs a verb on the second factor.
pub async fn run(verb: MfaVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        MfaVerb::Enroll(args) => enroll(&args, session).await,
        MfaVerb::Confirm(args) => confirm(&args, session).await,
        MfaVerb::Disable(args) => disable(&args, session).await,
        MfaVerb::BackupCodes(args) => backup_codes(&args, session).await,
    }
}

async fn enroll(args: &EnrollArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let mut begun = match begin(&mut session, "").await {
        Err(failure) if wants_password(&failure, &session, args) => {
            let option = "--password-stdin";
            let password = prompt::secret(session.world, "Password: ", args.password_stdin, option)?;
            begin(&mut session, &password).await?
        }
        done => done?,
    };
    let shown = show(&mut session, &begun);
    for secret in [&mut begun.secret, &mut begun.otpauth_uri, &mut begun.qr_svg] {
        secret.zeroize();
    }
    shown?;
    if session.world.output.format() == Format::Json || session.world.terminal.is_none() {
        return Ok(session.world.output.note("to make it count: doorward mfa confirm --totp CODE")?);
    }
    confirm(&CodeArgs { totp: None }, session).await
}

/// The server wants the password unless the login was a moment ago.
fn wants_password(failure: &Failure, session: &Session<'_>, args: &EnrollArgs) -> bool {
    factor::is_wrong(failure) && (session.world.terminal.is_some() || args.password_stdin)
}

async fn begin(session: &mut Session<'_>, password: &str) -> Result<EnrollTotpResponse, Failure> {
    let client = session.client.authn();
    let call = session.call(Repeat::Never, || {
        let request = EnrollTotpRequest { password: password.to_owned() };
        let mut client = client.clone();
        async move { client.enroll_totp(request).await }
    });
    call.await
}

fn show(session: &mut Session<'_>, begun: &EnrollTotpResponse) -> Result<(), Failure> {
    let output = &mut session.world.output;
    output.show(begun)?;
    if output.format() == Format::Json {
        return Ok(());
    }
    match qr::draw(&begun.otpauth_uri, output.is_coloured()) {
        Some(code) => Ok(output.result(&code)?),
        None => Ok(output.note("the URI is too long for a QR code; type the secret instead")?),
    }
}

async fn confirm(args: &CodeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let mut tried = 1;
    let answer = loop {
        let code = factor::code(session.world, args.totp.as_ref())?;
        match confirm_by(&mut session, &code).await {
            Err(failure) if factor::is_wrong(&failure) && args.totp.is_none() && tried < TRIES => {
                session.world.output.note(&failure.to_string())?;
                tried += 1;
            }
            done => break done?,
        }
    };
    let codes = answer.backup_codes.clone();
    session.world.output.note("the second factor counts from now on")?;
    show_codes(&mut session, &answer, codes)
}

async fn confirm_by(session: &mut Session<'_>, code: &Code) -> Result<ConfirmTotpResponse, Failure> {
    let client = session.client.authn();
    let call = session.call(Repeat::Never, || {
        let request = ConfirmTotpRequest { code: code.expose().to_owned() };
        let mut client = client.clone();
        async move { client.confirm_totp(request).await }
    });
    call.await
}

async fn disable(args: &CodeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let factor = match factor::either(session.world, args.totp.as_ref())? {
        Factor::Totp(code) => Sent::TotpCode(code.expose().to_owned()),
        Factor::Backup(code) => Sent::BackupCode(code.to_string()),
    };
    let request = DisableTotpRequest { factor: Some(factor) };
    let client = session.client.authn();
    let answer = session.call(Repeat::Never, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.disable_totp(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.done(&answer, "the second factor is removed, and the backup codes have ended")?)
}

async fn backup_codes(args: &CodeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let code = factor::code(session.world, args.totp.as_ref())?;
    let client = session.client.authn();
    let answer = session.call(Repeat::Never, || {
        let request = RegenerateBackupCodesRequest {
            totp_code: code.expose().to_owned(),
            ..RegenerateBackupCodesRequest::default()
        };
        let mut client = client.clone();
        async move { client.regenerate_backup_codes(request).await }
    });
    let answer = answer.await?;
    let codes = answer.backup_codes.clone();
    show_codes(&mut session, &answer, codes)
}

/// Shows the codes, a line each. Codes that cannot be written are lost, so the
/// failure says how to get others.
fn show_codes<T: Shown>(session: &mut Session<'_>, answer: &T, codes: Vec<String>) -> Result<(), Failure> {
    let output = &mut session.world.output;
    let written = match output.format() {
        Format::Json => output.show(answer),
        Format::Table => {
            let codes = Zeroizing::new(codes);
            let text = Zeroizing::new(codes.join("\n") + "\n");
            output.note(BACKUP_WARNING).and_then(|()| output.result(&text))
        }
    };
    written.map_err(|cause| {
        Failure::Local(format!(
            "the backup codes could not be written ({cause}); get others with `doorward mfa backup-codes`"
        ))
    })
}

impl Shown for EnrollTotpResponse {
    const NAME: &'static str = "EnrollTotpResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Secret", self.secret.clone()), ("URI", self.otpauth_uri.clone())])
    }
}

impl Shown for ConfirmTotpResponse {
    const NAME: &'static str = "ConfirmTotpResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for RegenerateBackupCodesResponse {
    const NAME: &'static str = "RegenerateBackupCodesResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}

impl Shown for DisableTotpResponse {
    const NAME: &'static str = "DisableTotpResponse";

    fn view(&self) -> View {
        View::Fields(vec![("Revision", self.revision.clone())])
    }
}
