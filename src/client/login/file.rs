//! The file of a login: private, replaced as a whole, and locked while it is changed.

use super::form::{self, MAX_FILE};
use super::{Login, LoginError};
use crate::client::address::Address;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

/// Names the file that holds the login, for whatever server.
pub const LOGIN_FILE_VARIABLE: &str = "DOORWARD_LOGIN_FILE";

const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Any right of the group or of others.
const OTHERS: u32 = 0o077;
/// The right of the group or of others to replace files in a folder.
const OTHERS_WRITE: u32 = 0o022;
/// In such a folder files can be replaced by their owners alone.
const STICKY: u32 = 0o1000;

/// How often a lock that is held is tried again.
const LOCK_STEP: Duration = Duration::from_millis(20);

/// Where the login of one server is kept.
#[derive(Clone, Debug)]
pub struct Logins {
    path: PathBuf,
    origin: String,
}

/// The right to change the file, for as long as it is held. Other processes wait.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

impl Logins {
    /// Finds the place for the login of `address`: the file that
    /// `DOORWARD_LOGIN_FILE` names, or one for each server below
    /// `$XDG_CONFIG_HOME/doorward` or `~/.config/doorward`. `lookup` is the
    /// environment; a variable that is empty counts as not set.
    pub fn locate(address: &Address, lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, LoginError> {
        let origin = origin(address);
        let set = |name| lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = set(LOGIN_FILE_VARIABLE) {
            return Ok(Self { path, origin });
        }
        // The XDG specification has relative paths ignored.
        let config = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let config = config.or_else(|| Some(set("HOME")?.join(".config"))).ok_or(LoginError::NoPlace)?;
        Ok(Self { path: config.join("doorward").join(file_name(&origin)), origin })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the login; `None` if there is none for this server. A file that
    /// others could have read, or could have put there, is refused.
    pub fn read(&self) -> Result<Option<Login>, LoginError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(self.failed(cause)),
        };
        let metadata = file.metadata().map_err(|cause| self.failed(cause))?;
        self.is_private(&metadata)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE + 1));
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(|cause| self.failed(cause))?;
        if bytes.len() > MAX_FILE {
            return Err(self.malformed("it is longer than 32 KiB".to_owned()));
        }
        form::read(&bytes, &self.origin).map_err(|fault| self.malformed(fault))
    }

    /// Puts a login in the place of the old one: whoever reads sees one of them,
    /// whole, after a crash too. With nothing left to keep the file is removed.
    pub fn write(&self, _lock: &Lock, login: &Login) -> Result<(), LoginError> {
        if login.tokens.is_none() && login.device.is_none() {
            return self.remove();
        }
        let bytes = form::write(login, &self.origin).map_err(|cause| self.failed(cause))?;
        self.replace(&bytes).map_err(|cause| self.failed(cause))
    }

    /// Forgets the tokens. The device token stays.
    pub fn forget(&self, lock: &Lock) -> Result<(), LoginError> {
        match self.read()? {
            Some(login) => self.write(lock, &Login { tokens: None, ..login }),
            None => Ok(()),
        }
    }

    /// Makes the folder if need be and takes the lock, or gives up after `limit`.
    pub async fn lock(&self, limit: Duration) -> Result<Lock, LoginError> {
        self.make_folder()?;
        let path = self.beside(".lock");
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
        let file = open.map_err(|cause| LoginError::File { path: path.clone(), cause })?;
        let end = Instant::now() + limit;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::Error(cause)) => return Err(LoginError::File { path, cause }),
                Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                    return Err(LoginError::Busy { path, after: limit });
                }
                Err(TryLockError::WouldBlock) => sleep(LOCK_STEP).await,
            }
        }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        }
    }

    /// The file's path with something at its end.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn make_folder(&self) -> Result<(), LoginError> {
        let folder = self.folder();
        let failed = |cause| LoginError::File { path: folder.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
        self.is_guarded()
    }

    fn is_private(&self, metadata: &Metadata) -> Result<(), LoginError> {
        if !metadata.is_file() {
            return Err(self.malformed("it is not a file".to_owned()));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(LoginError::Foreign { path: self.path.clone() });
        }
        if metadata.mode() & OTHERS != 0 {
            return Err(LoginError::Open { path: self.path.clone(), mend: "600" });
        }
        self.is_guarded()
    }

    /// Whether nobody else can put another file in the place of this one.
    fn is_guarded(&self) -> Result<(), LoginError> {
        let path = self.folder();
        let failed = |cause| LoginError::File { path: path.to_owned(), cause };
        let mode = std::fs::metadata(path).map_err(failed)?.mode();
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            return Err(LoginError::Open { path: path.to_owned(), mend: "700" });
        }
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let number = getrandom::u64().map_err(|cause| io::Error::other(cause.to_string()))?;
        let draft = self.beside(&format!(".{number:016x}.tmp"));
        let written = write_new(&draft, bytes).and_then(|()| std::fs::rename(&draft, &self.path));
        if let Err(cause) = written {
            // The first failure is what counts; a draft that never came to be cannot be removed.
            let _ = std::fs::remove_file(&draft);
            return Err(cause);
        }
        File::open(self.folder())?.sync_all()
    }

    fn remove(&self) -> Result<(), LoginError> {
        match std::fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(self.failed(cause)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn failed(&self, cause: io::Error) -> LoginError {
        LoginError::File { path: self.path.clone(), cause }
    }

    fn malformed(&self, fault: String) -> LoginError {
        LoginError::Malformed { path: self.path.clone(), fault }
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The server in one spelling: scheme, host in lower case, and the port written out.
fn origin(address: &Address) -> String {
    let uri = address.uri();
    let port = uri.port_u16().unwrap_or(if address.is_encrypted() { 443 } else { 80 });
    let scheme = if address.is_encrypted() { "https" } else { "http" };
    format!("{scheme}://{}:{port}", uri.host().unwrap_or("").to_ascii_lowercase())
}

/// A name that every file system takes. Two origins may share one; the file says whose it is.
fn file_name(origin: &str) -> OsString {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    let name: String =
        origin.replace("://", "-").chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    let mut name = OsStr::new(&name).to_owned();
    name.push(".json");
    name
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
