//! What went wrong, what to do about it, and the exit code.

use crate::cli::output::Output;
use crate::client::login::{LoginError, NotFresh};
use crate::client::{AddressError, ConnectError, CredentialError, Refusal};
use crate::pb::v1::ErrorReason;
use std::io;
use tonic::{Code, Status};

/// Refused or failed.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;

const REASON_PREFIX: &str = "ERROR_REASON_";

/// Why a verb did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or standard input is wrong.
    #[error("{0}")]
    Usage(String),
    /// The address is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no credential to send.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The kept login cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server said no, or did not answer.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The answer could not be written.
    #[error("the answer could not be written: {0}")]
    Write(#[from] io::Error),
    /// The answer lacks what every answer of its kind has.
    #[error("the server's answer has no {0}; is it of another version?")]
    Incomplete(&'static str),
    /// This machine could not do its part.
    #[error("{0}")]
    Local(String),
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Address(_) => USAGE,
            Self::Credential(_)
            | Self::Login(_)
            | Self::Connect(_)
            | Self::Refused(_)
            | Self::Write(_)
            | Self::Incomplete(_)
            | Self::Local(_) => FAILED,
        }
    }

    /// Writes the failure to standard error. A reader that has hung up is not told.
    pub fn report(&self, output: &mut Output) {
        if matches!(self, Self::Write(cause) if cause.kind() == io::ErrorKind::BrokenPipe) {
            return;
        }
        // Where standard error is gone too, the exit code is all that is left.
        let _ = output.error(&self.lines());
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Refused(refusal) => refusal_lines(refusal),
            Self::Connect(ConnectError::Unreachable { cause, .. }) if cause.contains("certificate") => vec![
                self.to_string(),
                "next: use the name that is in the certificate; if its issuer is your own, name it in SSL_CERT_FILE"
                    .to_owned(),
            ],
            Self::Connect(ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. }) => vec![
                self.to_string(),
                "next: check --address (DOORWARD_ADDRESS) and that the server runs; `doorward dev` starts one here"
                    .to_owned(),
            ],
            Self::Connect(ConnectError::Tls(_)) => vec![
                self.to_string(),
                "next: install the platform's certificates, or name a bundle in SSL_CERT_FILE".to_owned(),
            ],
            Self::Usage(_)
            | Self::Address(_)
            | Self::Credential(_)
            | Self::Login(_)
            | Self::Connect(ConnectError::Credential(_))
            | Self::Write(_)
            | Self::Incomplete(_)
            | Self::Local(_) => vec![self.to_string()],
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(Refusal::from(status)))
    }
}

impl From<NotFresh> for Failure {
    fn from(error: NotFresh) -> Self {
        match error {
            NotFresh::Login(error) => Self::Login(error),
            NotFresh::Over(refusal) | NotFresh::Refused(refusal) => Self::Refused(Box::new(refusal)),
            other @ (NotFresh::LoggedOut | NotFresh::Incomplete) => Self::Local(other.to_string()),
        }
    }
}

fn refusal_lines(refusal: &Refusal) -> Vec<String> {
    let mut lines = vec![refusal.message.clone()];
    lines.push(match &refusal.reason {
        Some(reason) => format!("reason: {reason}"),
        None => format!("status: {:?}", refusal.code),
    });
    lines.extend(refusal.fields.iter().map(|one| format!("{}: {}", one.field, one.fault)));
    lines.extend(refusal.metadata.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("next: {}", hint(refusal)));
    lines.extend(refusal.correlation_id.iter().map(|id| format!("correlation id: {id}")));
    lines
}

fn hint(refusal: &Refusal) -> &'static str {
    let name = refusal.reason.as_deref().map(|reason| format!("{REASON_PREFIX}{reason}"));
    match name.and_then(|name| ErrorReason::from_str_name(&name)) {
        Some(reason) => hint_for_reason(reason),
        None => hint_for_code(refusal.code),
    }
}

fn hint_for_reason(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::CredentialsMissing => {
            "log in with `doorward login`, or set DOORWARD_API_KEY, or DOORWARD_API_KEY_FILE to a file that holds a key"
        }
        ErrorReason::InvalidApiKey => {
            "check that DOORWARD_API_KEY is the whole key, of this server, and not revoked; `doorward key create` makes a new one"
        }
        ErrorReason::ApiKeyExpired => {
            "make a new key, or have somebody move the end with `doorward key update --expires`"
        }
        ErrorReason::InvalidToken | ErrorReason::TokenExpired => {
            "log in again: doorward login; for the token of a link, have another sent"
        }
        ErrorReason::SessionRevoked => "log in again: doorward login",
        ErrorReason::InvalidLogin => {
            "check the address, the password and the code; `doorward password reset --email` sends a link to set a new password"
        }
        ErrorReason::AmbiguousCredentials => {
            "send one credential only; a proxy on the way may be adding another"
        }
        ErrorReason::InsufficientPermissions => {
            "use a key whose owner has the permission and whose scopes include it; `doorward whoami` shows what this one may do"
        }
        ErrorReason::FeatureNotLicensed => "ask the operator to license the feature for the tenant",
        ErrorReason::MfaRequired => {
            "log in anew with a second factor (`doorward login`; `doorward mfa enroll` sets one up); an API key cannot give one"
        }
        ErrorReason::IpNotAllowed => {
            "call from an allowed network, or have the key's (`doorward key update --network`) or the tenant's (`doorward tenant allowlist`) changed from one"
        }
        ErrorReason::TenantMismatch => "leave out --tenant (DOORWARD_TENANT), or use a key of that tenant",
        ErrorReason::TenantSuspended => "ask the operator to end the suspension (`doorward tenant resume`)",
        ErrorReason::NotFound => {
            "check the id: `doorward key list --show-revoked` or `doorward tenant list` shows those of your tenant"
        }
        ErrorReason::RateLimitExceeded => {
            "wait as long as `retry_after` says (in seconds), or have the key's --rate-limit raised"
        }
        ErrorReason::QuotaExceeded => {
            "waiting does not help: remove what is no longer needed, or have the quota raised"
        }
        ErrorReason::PayloadTooLarge => "send less at once",
        ErrorReason::BackendUnavailable => {
            "try again in a few seconds; if it stays, the server has lost its database (see /ready on its ops port)"
        }
        ErrorReason::InvalidArgument => "correct what is named above; --help has examples",
        ErrorReason::EtagMismatch => {
            "somebody changed it meanwhile: get it again, look, and use its new etag"
        }
        ErrorReason::AlreadyExists => {
            "choose another name, or use the one that exists; a --request-id is good for one call only"
        }
        ErrorReason::FailedPrecondition => "its state does not allow this; get it and see what it is now",
        ErrorReason::Unimplemented => "the server is older than this command; bring both to the same version",
        ErrorReason::DeadlineExceeded => {
            "look whether it happened after all, then repeat with the same --request-id and a longer --timeout"
        }
        ErrorReason::Internal | ErrorReason::Unspecified => {
            "give the correlation id to the operator: the server's log has the cause"
        }
    }
}

/// For answers without a reason of ours: from this side, or from something in between.
fn hint_for_code(code: Code) -> &'static str {
    match code {
        Code::Unavailable | Code::Cancelled => {
            "check that the server runs and that the address is its API port; then try again"
        }
        Code::DeadlineExceeded => hint_for_reason(ErrorReason::DeadlineExceeded),
        Code::Unimplemented => {
            "check that the address is the API port (7400 by default) of a server of this version"
        }
        Code::Ok
        | Code::Unknown
        | Code::Internal
        | Code::DataLoss
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => {
            "the answer is not Doorward's: check the address, its scheme (http or https), and what stands between"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn refusal(reason: Option<&str>, code: Code) -> Refusal {
        let mut refusal = Refusal::from(Status::new(code, "No."));
        refusal.reason = reason.map(str::to_owned);
        refusal
    }

    #[test]
    fn every_reason_has_a_hint_of_its_own() {
        let generic = hint_for_code(Code::Unknown);
        let mut seen = BTreeSet::new();
        for number in 1..=26 {
            let reason = ErrorReason::try_from(number).unwrap();
            let name = reason.as_str_name().strip_prefix(REASON_PREFIX).unwrap();
            let hint = hint(&refusal(Some(name), Code::Unknown));
            assert_ne!(hint, generic, "{name}");
            seen.insert(hint);
        }
        assert!(ErrorReason::try_from(27).is_err(), "a new reason needs a row here");
        assert_eq!(seen.len(), 25, "only the two token reasons share a hint");
    }

    #[test]
    fn a_refusal_says_all_that_is_known() {
        let mut refusal = refusal(Some("INSUFFICIENT_PERMISSIONS"), Code::PermissionDenied);
        refusal.metadata.insert("required_permission".into(), "keys.manage".into());
        refusal.correlation_id = Some("c-1".into());
        let lines = Failure::Refused(Box::new(refusal)).lines();
        assert_eq!(
            lines[..3],
            ["No.", "reason: INSUFFICIENT_PERMISSIONS", "required_permission: keys.manage"]
        );
        assert!(lines[3].starts_with("next: use a key"));
        assert_eq!(lines[4], "correlation id: c-1");
    }

    #[test]
    fn a_bad_certificate_is_not_taken_for_an_absent_server() {
        let lines = |cause: &str| {
            let unreachable =
                ConnectError::Unreachable { address: "https://a:1".into(), cause: cause.into() };
            Failure::from(unreachable).lines()
        };
        assert!(lines("invalid peer certificate: UnknownIssuer")[1].contains("SSL_CERT_FILE"));
        assert!(lines("Connection refused")[1].contains("doorward dev"));
    }

    #[test]
    fn an_unknown_reason_falls_back_to_the_status() {
        let unknown = refusal(Some("LATER_INVENTED"), Code::Unavailable);
        assert_eq!(hint(&unknown), hint_for_code(Code::Unavailable));
        let lines = refusal_lines(&refusal(None, Code::Unimplemented));
        assert_eq!(lines[1], "status: Unimplemented");
    }

    #[test]
    fn wrong_usage_has_its_own_exit_code() {
        assert_eq!(Failure::Usage("x".into()).exit_code(), 2);
        assert_eq!(Failure::from(AddressError::Surplus).exit_code(), 2);
        assert_eq!(Failure::from(CredentialError::Missing).exit_code(), 1);
        assert_eq!(Failure::from(Status::not_found("")).exit_code(), 1);
    }
}
