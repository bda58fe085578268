//! Why something was not done: refused, or cannot be known now.
//!
//! *Absent* is `Option`, *refused* is [`Refusal`], *cannot know now* is
//! [`Fault`]. They meet only in [`Failure`], and none turns into another.

use super::clock::Timestamp;
use super::limits::Rate;
use super::permission::Permission;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// The stable reason of a refusal, on every surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described where it is public: ErrorReason in errors.proto")]
pub enum Reason {
    CredentialsMissing,
    InvalidApiKey,
    ApiKeyExpired,
    InvalidToken,
    TokenExpired,
    AmbiguousCredentials,
    InsufficientPermissions,
    FeatureNotLicensed,
    MfaRequired,
    IpNotAllowed,
    TenantMismatch,
    TenantSuspended,
    NotFound,
    RateLimitExceeded,
    QuotaExceeded,
    PayloadTooLarge,
    BackendUnavailable,
    InvalidArgument,
    EtagMismatch,
    AlreadyExists,
    FailedPrecondition,
    Unimplemented,
    DeadlineExceeded,
    Internal,
    InvalidLogin,
    SessionRevoked,
}

/// How a reason is told on each surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// `ErrorInfo.reason` and `error.code`.
    pub name: &'static str,
    /// The number of `google.rpc.Code`.
    pub grpc: i32,
    /// The HTTP status.
    pub http: u16,
    /// The number of `doorward.v1.ErrorReason`.
    pub number: i32,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 26] = [
        Self::CredentialsMissing,
        Self::InvalidApiKey,
        Self::ApiKeyExpired,
        Self::InvalidToken,
        Self::TokenExpired,
        Self::AmbiguousCredentials,
        Self::InsufficientPermissions,
        Self::FeatureNotLicensed,
        Self::MfaRequired,
        Self::IpNotAllowed,
        Self::TenantMismatch,
        Self::TenantSuspended,
        Self::NotFound,
        Self::RateLimitExceeded,
        Self::QuotaExceeded,
        Self::PayloadTooLarge,
        Self::BackendUnavailable,
        Self::InvalidArgument,
        Self::EtagMismatch,
        Self::AlreadyExists,
        Self::FailedPrecondition,
        Self::Unimplemented,
        Self::DeadlineExceeded,
        Self::Internal,
        Self::InvalidLogin,
        Self::SessionRevoked,
    ];

    /// The one table from reasons to statuses.
    pub const fn told(self) -> Told {
        let (name, grpc, http, number) = match self {
            Self::CredentialsMissing => ("CREDENTIALS_MISSING", 16, 401, 1),
            Self::InvalidApiKey => ("INVALID_API_KEY", 16, 401, 2),
            Self::ApiKeyExpired => ("API_KEY_EXPIRED", 16, 401, 3),
            Self::InvalidToken => ("INVALID_TOKEN", 16, 401, 4),
            Self::TokenExpired => ("TOKEN_EXPIRED", 16, 401, 5),
            Self::AmbiguousCredentials => ("AMBIGUOUS_CREDENTIALS", 16, 401, 6),
            Self::InsufficientPermissions => ("INSUFFICIENT_PERMISSIONS", 7, 403, 7),
            Self::FeatureNotLicensed => ("FEATURE_NOT_LICENSED", 7, 403, 8),
            Self::MfaRequired => ("MFA_REQUIRED", 16, 401, 9),
            Self::IpNotAllowed => ("IP_NOT_ALLOWED", 7, 403, 10),
            Self::TenantMismatch => ("TENANT_MISMATCH", 7, 403, 11),
            Self::TenantSuspended => ("TENANT_SUSPENDED", 7, 403, 12),
            Self::NotFound => ("NOT_FOUND", 5, 404, 13),
            Self::RateLimitExceeded => ("RATE_LIMIT_EXCEEDED", 8, 429, 14),
            Self::QuotaExceeded => ("QUOTA_EXCEEDED", 8, 429, 15),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", 8, 413, 16),
            Self::BackendUnavailable => ("BACKEND_UNAVAILABLE", 14, 503, 17),
            Self::InvalidArgument => ("INVALID_ARGUMENT", 3, 400, 18),
            Self::EtagMismatch => ("ETAG_MISMATCH", 10, 409, 19),
            Self::AlreadyExists => ("ALREADY_EXISTS", 6, 409, 20),
            Self::FailedPrecondition => ("FAILED_PRECONDITION", 9, 400, 21),
            Self::Unimplemented => ("UNIMPLEMENTED", 12, 501, 22),
            Self::DeadlineExceeded => ("DEADLINE_EXCEEDED", 4, 504, 23),
            Self::Internal => ("INTERNAL", 13, 500, 24),
            Self::InvalidLogin => ("INVALID_LOGIN", 16, 401, 25),
            Self::SessionRevoked => ("SESSION_REVOKED", 16, 401, 26),
        };
        Told { name, grpc, http, number }
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, such as `allowed_networks[2]`.
    pub field: Cow<'static, str>,
    /// What is wrong and what would be right.
    pub description: Cow<'static, str>,
}

/// A definite no, with what the caller needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// The same for people; tells nothing that the caller may not know.
    pub message: Cow<'static, str>,
    /// `ErrorInfo.metadata`.
    pub metadata: Vec<(&'static str, String)>,
    /// For [`Reason::InvalidArgument`]: every field at fault.
    pub violations: Vec<Violation>,
    /// When trying again can help.
    pub retry_after: Option<Duration>,
    /// The key's rate limit, where one was looked at.
    pub rate: Option<Rate>,
}

impl Refusal {
    /// A refusal with nothing more to say than this.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            retry_after: None,
            rate: None,
        }
    }

    /// Adds an entry of `ErrorInfo.metadata`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.metadata.push((name, value.to_string()));
        self
    }

    /// No credential where one is needed.
    pub fn credentials_missing() -> Self {
        let message = "no credential: send `authorization: Bearer KEY` or `x-api-key: KEY`";
        Self::new(Reason::CredentialsMissing, message)
    }

    /// Malformed, unknown and revoked keys, told apart to nobody.
    pub fn invalid_api_key() -> Self {
        Self::new(Reason::InvalidApiKey, "the API key is not valid")
    }

    /// A session that has ended, or is not known.
    pub fn session_revoked() -> Self {
        Self::new(Reason::SessionRevoked, "the session has ended; log in again")
    }

    /// A break-glass grant that was closed or is over.
    pub fn grant_over() -> Self {
        Self::new(Reason::SessionRevoked, "the break-glass grant is over")
    }

    /// A credential of a tenant that is suspended.
    pub fn tenant_suspended() -> Self {
        Self::new(Reason::TenantSuspended, "the tenant is suspended")
    }

    /// A key past its expiry.
    pub fn api_key_expired(at: Timestamp) -> Self {
        Self::new(Reason::ApiKeyExpired, "the API key has expired").with("expires_at", at)
    }

    /// A permission is missing.
    pub fn lacks(permission: Permission) -> Self {
        let message = format!("the permission `{}` is needed", permission.name());
        Self::new(Reason::InsufficientPermissions, message).with("required_permission", permission.name())
    }

    /// The rate limit is used up.
    pub fn rate_limited(rate: Rate) -> Self {
        let seconds = rate.retry_after.as_secs_f64().ceil();
        let message =
            format!("the key's rate limit of {} requests a minute is used up; wait {seconds} s", rate.limit);
        let refusal = Self::new(Reason::RateLimitExceeded, message).with("retry_after", seconds);
        Self { retry_after: Some(rate.retry_after), rate: Some(rate), ..refusal }
    }

    /// No such object in the caller's tenant, whatever other tenants have.
    pub fn not_found(what: &'static str) -> Self {
        Self::new(Reason::NotFound, format!("no such {what}"))
    }

    /// One field is wrong.
    pub fn invalid(field: impl Into<Cow<'static, str>>, description: impl Into<Cow<'static, str>>) -> Self {
        Self::violations(vec![Violation { field: field.into(), description: description.into() }])
    }

    /// These fields are wrong.
    pub fn violations(violations: Vec<Violation>) -> Self {
        let message = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect::<Vec<_>>()
            .join("; ");
        Self { violations, ..Self::new(Reason::InvalidArgument, message) }
    }

    /// An object of that name is there already.
    pub fn already_exists(what: &'static str) -> Self {
        Self::new(Reason::AlreadyExists, format!("{what} exists already"))
    }
}

/// The answer cannot be known now; asking again may help.
#[derive(Debug, thiserror::Error)]
#[error("cannot be known now: {cause}")]
pub struct Fault {
    /// For the log, never for the caller.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

impl Fault {
    /// What callers are told to wait.
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// A fault with this cause.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: cause.into() }
    }

    /// What the caller is told, whatever the cause.
    pub fn told(&self) -> Refusal {
        let message = "the service cannot answer this now; try again shortly";
        Refusal { retry_after: Some(Self::RETRY_AFTER), ..Refusal::new(Reason::BackendUnavailable, message) }
    }
}

/// Either kind of not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A definite no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not to be known now.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Gathers every field at fault, so that the caller hears of all at once.
#[derive(Debug, Default)]
pub struct Faults(Vec<Violation>);

impl Faults {
    /// Notes that a field is wrong.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, description: impl Into<Cow<'static, str>>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// The value, or `None` after noting what is wrong with the field.
    pub fn take<T, E: ToString>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// Refuses if any field is wrong.
    pub fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::violations(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_told_in_its_own_words() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.told().name).collect();
        let mut numbers: Vec<_> = Reason::ALL.iter().map(|reason| reason.told().number).collect();
        names.sort_unstable();
        names.dedup();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((names.len(), numbers.len()), (Reason::ALL.len(), Reason::ALL.len()));
        assert!(names.iter().all(|name| name.len() <= 63 && !name.ends_with('_')));
    }

    #[test]
    fn an_outage_never_looks_like_a_bad_credential() {
        let told = Fault::new("link down").told();
        assert_eq!(told.reason.told().grpc, 14);
        assert_eq!(told.reason.told().http, 503);
        assert!(!told.message.contains("link down"));
    }
}
