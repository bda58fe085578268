//! The credential that calls carry.

use arc_swap::ArcSwapOption;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use zeroize::Zeroizing;

/// Holds the key itself.
pub const KEY_VARIABLE: &str = "DOORWARD_API_KEY";
/// Names a file that holds the key.
pub const KEY_FILE_VARIABLE: &str = "DOORWARD_API_KEY_FILE";

/// The longest credential that is taken, in bytes: far above any key, enough for a token.
const MAX_CREDENTIAL: usize = 8 * 1024;
/// The same with a line break and one byte more, which shows that there is too much.
const MAX_READ: usize = MAX_CREDENTIAL + 3;

/// Why there is no credential to send.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Neither variable is set.
    #[error(
        "no credential: log in with `doorward login`, or set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file that holds a key"
    )]
    Missing,
    /// Both variables are set, so nobody can tell which one is meant.
    #[error("both {KEY_VARIABLE} and {KEY_FILE_VARIABLE} are set; unset one of them")]
    Both,
    /// The file cannot be read.
    #[error("{KEY_FILE_VARIABLE} names {path}, which cannot be read: {cause}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Empty, too long, or with characters that no credential has.
    #[error("the credential is not one: {0}")]
    Malformed(&'static str),
    /// Cannot be sent in a header.
    #[error("the tenant has characters that no id or slug has")]
    Tenant,
}

/// A credential as it is presented: wiped when dropped, never shown.
#[derive(Clone)]
pub struct Presented(Zeroizing<String>);

impl Presented {
    /// Takes a key or a token of 1 to 8,192 visible ASCII characters.
    pub fn new(text: String) -> Result<Self, CredentialError> {
        let text = Zeroizing::new(text);
        if text.is_empty() {
            return Err(CredentialError::Malformed("it is empty"));
        }
        if text.len() > MAX_CREDENTIAL {
            return Err(CredentialError::Malformed("it is longer than 8,192 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialError::Malformed(
                "it has a space, a line break or a character that is not ASCII",
            ));
        }
        Ok(Self(text))
    }

    /// Takes the credential from `DOORWARD_API_KEY` or from the file that
    /// `DOORWARD_API_KEY_FILE` names; a variable that is empty counts as not
    /// set. `lookup` is the environment, such as `&|name| std::env::var_os(name)`.
    pub fn from_environment(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, CredentialError> {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        match (set(KEY_VARIABLE), set(KEY_FILE_VARIABLE)) {
            (None, None) => Err(CredentialError::Missing),
            (Some(_), Some(_)) => Err(CredentialError::Both),
            (Some(key), None) => match key.into_string() {
                Ok(text) => Self::new(text),
                Err(_not_unicode) => Err(CredentialError::Malformed("it is not text")),
            },
            (None, Some(path)) => Self::from_file(&PathBuf::from(path)),
        }
    }

    /// Reads a credential to the end of a file or of standard input; one line
    /// break at the end is not part of it. The outer error is the source's.
    pub fn read(source: impl Read) -> std::io::Result<Result<Self, CredentialError>> {
        // Room for everything at once: a buffer that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_READ));
        source.take(MAX_READ as u64).read_to_string(&mut text)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(Self::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
    }

    /// The text, for a digest or a header. It is not to be stored or shown.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn from_file(path: &std::path::Path) -> Result<Self, CredentialError> {
        let unreadable = |cause| CredentialError::File { path: path.display().to_string(), cause };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        Self::read(file).map_err(unreadable)?
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented([redacted])")
    }
}

/// Sets the credential, the tenant and the deadline on each call. The credential
/// can be replaced, for all clones at once.
#[derive(Clone)]
pub struct Attach {
    authorization: Arc<ArcSwapOption<MetadataValue<Ascii>>>,
    tenant: Option<MetadataValue<Ascii>>,
    deadline: Option<Duration>,
}

impl Attach {
    /// Prepares the headers of every later call.
    pub fn new(
        credential: Option<&Presented>,
        tenant: Option<&str>,
        deadline: Duration,
    ) -> Result<Self, CredentialError> {
        let authorization = credential.map(bearer).transpose()?;
        let tenant = tenant.map(MetadataValue::try_from).transpose();
        let tenant = tenant.map_err(|_unsaid: InvalidMetadataValue| CredentialError::Tenant)?;
        let authorization = Arc::new(ArcSwapOption::from_pointee(authorization));
        Ok(Self { authorization, tenant, deadline: Some(deadline) })
    }

    /// Has calls that begin from now on carry another credential, those of clones too.
    pub fn replace(&self, credential: &Presented) -> Result<(), CredentialError> {
        self.authorization.store(Some(Arc::new(bearer(credential)?)));
        Ok(())
    }

    /// The same for calls that need no credential and are meant for no tenant.
    #[must_use]
    pub fn without_credential(&self) -> Self {
        Self { authorization: Arc::default(), tenant: None, deadline: self.deadline }
    }

    /// The same for streams, which go on for as long as they can.
    #[must_use]
    pub fn without_deadline(self) -> Self {
        Self { deadline: None, ..self }
    }
}

impl Interceptor for Attach {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &*self.authorization.load() {
            request.metadata_mut().insert("authorization", MetadataValue::clone(value));
        }
        if let Some(value) = &self.tenant {
            request.metadata_mut().insert("x-tenant-id", value.clone());
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        Ok(request)
    }
}

impl fmt::Debug for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attach")
            .field("credential", &self.authorization.load().is_some())
            .field("tenant", &self.tenant)
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// RFC 6750 section 2.1. Sensitive, so that HTTP/2 keeps it out of its header table.
fn bearer(credential: &Presented) -> Result<MetadataValue<Ascii>, CredentialError> {
    let text = Zeroizing::new(format!("Bearer {}", credential.expose()));
    let value = MetadataValue::try_from(text.as_str());
    let mut value = value.map_err(|_unsaid: InvalidMetadataValue| {
        CredentialError::Malformed("it cannot be sent in a header")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const SECRET: &str = "dw_live_planted0planted0planted0";

    fn from(pairs: &[(&str, &str)]) -> Result<Presented, CredentialError> {
        let lookup =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        Presented::from_environment(&lookup)
    }

    #[test]
    fn exactly_one_variable_is_taken() {
        assert!(matches!(from(&[]), Err(CredentialError::Missing)));
        assert!(matches!(from(&[(KEY_VARIABLE, "")]), Err(CredentialError::Missing)));
        assert!(matches!(from(&[(KEY_VARIABLE, "a"), (KEY_FILE_VARIABLE, "b")]), Err(CredentialError::Both)));
        assert_eq!(from(&[(KEY_VARIABLE, SECRET), (KEY_FILE_VARIABLE, "")]).unwrap().expose(), SECRET);
    }

    #[test]
    fn a_file_may_end_in_one_line_break() {
        for (content, good) in [("", true), ("\n", true), ("\r\n", true), ("\n\n", false), (" ", false)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            write!(file, "{SECRET}{content}").unwrap();
            let found = from(&[(KEY_FILE_VARIABLE, file.path().to_str().unwrap())]);
            assert_eq!(found.is_ok_and(|key| key.expose() == SECRET), good, "{content:?}");
        }
        let missing = from(&[(KEY_FILE_VARIABLE, "/nonexistent/key")]).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/key"), "{missing}");
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused_without_an_echo() {
        for text in [String::new(), format!("{SECRET} x"), format!("{SECRET}ö"), SECRET.repeat(300)] {
            let error = Presented::new(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("planted"));
        }
        assert!(Presented::new("a".repeat(8192)).is_ok());
        assert!(Presented::new("a".repeat(8193)).is_err());
        assert!(Presented::read(std::io::repeat(b'a')).unwrap().is_err());
    }

    #[test]
    fn nothing_shows_the_credential() {
        let key = Presented::new(SECRET.to_owned()).unwrap();
        let attach = Attach::new(Some(&key), None, Duration::from_secs(1)).unwrap();
        let sent = attach.clone().call(Request::new(())).unwrap();
        let shown = format!("{key:?} {attach:?} {:?}", sent.metadata());
        assert!(!shown.contains("planted"), "{shown}");
    }

    #[test]
    fn headers_are_set_as_asked() {
        let key = Presented::new(SECRET.to_owned()).unwrap();
        let mut attach = Attach::new(Some(&key), Some("acme"), Duration::from_secs(7)).unwrap();
        let sent = attach.call(Request::new(())).unwrap();
        let authorization = sent.metadata().get("authorization").unwrap();
        assert_eq!(authorization.to_str().unwrap(), format!("Bearer {SECRET}"));
        assert!(authorization.is_sensitive());
        assert_eq!(sent.metadata().get("x-tenant-id").unwrap(), "acme");
        assert_eq!(sent.metadata().get("grpc-timeout").unwrap(), "7000000u");

        let mut bare = Attach::new(None, None, Duration::from_secs(7)).unwrap();
        let sent = bare.call(Request::new(())).unwrap();
        assert!(
            sent.metadata().get("authorization").is_none() && sent.metadata().get("x-tenant-id").is_none()
        );
        assert!(matches!(Attach::new(None, Some("a\nb"), Duration::ZERO), Err(CredentialError::Tenant)));
    }

    #[test]
    fn a_replaced_credential_reaches_every_clone() {
        let key = Presented::new(SECRET.to_owned()).unwrap();
        let attach = Attach::new(Some(&key), Some("acme"), Duration::from_secs(7)).unwrap();
        let (mut clone, mut bare) = (attach.clone(), attach.without_credential());
        attach.replace(&Presented::new("other".to_owned()).unwrap()).unwrap();
        let sent = clone.call(Request::new(())).unwrap();
        let authorization = sent.metadata().get("authorization").unwrap();
        assert_eq!((authorization.to_str().unwrap(), authorization.is_sensitive()), ("Bearer other", true));
        let sent = bare.call(Request::new(())).unwrap();
        assert!(
            sent.metadata().get("authorization").is_none() && sent.metadata().get("x-tenant-id").is_none()
        );
        assert_eq!(sent.metadata().get("grpc-timeout").unwrap(), "7000000u");
    }
}
