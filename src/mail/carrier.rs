//! The ways a letter can go.

use super::message::{message, random_name};
use super::options::{Options, Transport};
use super::smtp::{BadSmtp, Failed, Server};
use super::{BadMail, message};
use crate::domain::letters::Letter;
use crate::domain::{Clock, Entropy};
use lettre::message::Mailbox;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who letters are from where nobody gets them.
const NOBODY: &str = "Doorward <doorward@doorward.invalid>";

/// Letters that a folder may hold.
const MAX_FILES: usize = 10_000;

/// What became of a letter that was carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// It arrived.
    Delivered,
    /// There is nowhere for it to go.
    Discarded,
}

/// Carries letters one way.
pub struct Carrier {
    way: Way,
    from: Mailbox,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

enum Way {
    Smtp(Server),
    Folder(PathBuf),
    Log,
    Nowhere,
}

impl Carrier {
    /// The way that the options say.
    pub fn new(options: &Options, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, BadMail> {
        let from = message::sender(options.from.as_deref().unwrap_or(NOBODY))?;
        let way = match options.transport {
            Transport::Smtp => {
                let url = options.smtp_url.as_ref().ok_or(BadSmtp::Unreadable)?;
                Way::Smtp(Server::new(url, options)?)
            }
            Transport::File => {
                DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
                Way::Folder(options.folder.clone())
            }
            Transport::Log => Way::Log,
            Transport::None => Way::Nowhere,
        };
        Ok(Self { way, from, clock, entropy })
    }

    /// Carries a letter, once.
    pub async fn carry(&self, letter: &Letter) -> Result<Carried, Failed> {
        match &self.way {
            Way::Smtp(server) => server.send(self.message(letter)?).await?,
            Way::Folder(folder) => self.file(folder, letter).await?,
            Way::Log => show(letter),
            Way::Nowhere => return Ok(Carried::Discarded),
        }
        Ok(Carried::Delivered)
    }

    fn message(&self, letter: &Letter) -> Result<lettre::Message, Failed> {
        message(letter, &self.from, self.clock.now(), &*self.entropy).map_err(|error| {
            tracing::debug!(%error, "a letter cannot be written");
            Failed { again: false, why: "its address cannot be written to", code: None }
        })
    }

    async fn file(&self, folder: &Path, letter: &Letter) -> Result<(), Failed> {
        let text = self.message(letter)?.formatted();
        let name = format!("{:020}-{}", self.clock.now().micros(), random_name(&*self.entropy));
        let folder = folder.to_owned();
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &text)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| {
            tracing::warn!(%error, "mail.folder cannot be written to");
            Failed { again: true, why: "mail.folder cannot be written to", code: None }
        })
    }
}

/// A file for its owner's eyes alone; it has its name once it is whole.
fn write(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    if std::fs::read_dir(folder)?.take(MAX_FILES).count() >= MAX_FILES {
        return Err(io::Error::other(format!("there are {MAX_FILES} letters in it; remove some")));
    }
    let part = folder.join(format!("{name}.part"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(part, folder.join(format!("{name}.eml")))
}

/// Shows the letter, link and all. That is what this way is for.
fn show(letter: &Letter) {
    tracing::warn!(
        mail.to = letter.to().as_str(),
        mail.subject = letter.subject(),
        "no mail is sent, for mail.transport is `log`; this letter would have been:\n{}",
        letter.text()
    );
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixed, letter};
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use std::os::unix::fs::PermissionsExt;

    fn into(folder: &Path) -> Carrier {
        let options = Options { transport: Transport::File, folder: folder.to_owned(), ..Options::default() };
        Carrier::new(&options, Arc::new(Fixed), Arc::new(Counting::default())).unwrap()
    }

    #[tokio::test]
    async fn a_letter_in_a_folder_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("mail");
        let carrier = into(&folder);
        for _ in 0..2 {
            assert_eq!(carrier.carry(&letter("abc")).await, Ok(Carried::Delivered));
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!((mode(&file), file.extension().unwrap().to_str()), (0o600, Some("eml")));
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.starts_with("From: Doorward") && text.contains("#token=abc\r\n"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_or_full_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("mail");
        let carrier = into(&folder);
        for number in 0..MAX_FILES {
            std::fs::write(folder.join(number.to_string()), "").unwrap();
        }
        assert!(carrier.carry(&letter("abc")).await.unwrap_err().again);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(carrier.carry(&letter("abc")).await.unwrap_err().again);
    }

    #[tokio::test]
    async fn nowhere_is_said_to_be_nowhere() {
        let carrier =
            Carrier::new(&Options::default(), Arc::new(Fixed), Arc::new(Counting::default())).unwrap();
        assert_eq!(carrier.carry(&letter("abc")).await, Ok(Carried::Discarded));
    }
}
