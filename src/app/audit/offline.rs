//! Judging an export without a server.

use crate::domain::audit::export::MAX_LINE;
use crate::domain::audit::verdict::{Broken, Notes, Reading, Verdict};
use crate::domain::reading::Reading as _;
use crate::secret::NoteVerifier;
use std::io::{self, BufRead, Read};

/// Why an export was not found true.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableExport {
    /// It is not what the log was.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Judges an export. `key` is the key that must have signed it; without one it
/// is the file's own that is used. `since` is a checkpoint that somebody kept.
pub fn verify(
    file: &mut dyn BufRead,
    key: Option<NoteVerifier>,
    since: Option<&str>,
) -> Result<Verdict, UnreadableExport> {
    let keys = Keys(key);
    let mut reading = Reading::new(&keys, since);
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        if (&mut *file).take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(reading.finish()?);
        }
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).readable());
        let broken = || Broken { index: reading.due(), what: "the line is cut, too long, or no text".into() };
        let text = text.ok_or_else(broken)?;
        reading.line(text)?;
    }
}

struct Keys(Option<NoteVerifier>);

impl Notes for Keys {
    fn trusts(&self, key: &str) -> bool {
        let Ok(key) = key.parse::<NoteVerifier>() else { return false };
        self.0.as_ref().is_none_or(|trusted| trusted.is_key_of(&key))
    }

    fn open(&self, key: &str, name: &str, note: &str) -> Option<String> {
        let Ok(key) = key.parse::<NoteVerifier>() else { return None };
        if key.name() != name || self.0.as_ref().is_some_and(|trusted| !trusted.is_key_of(&key)) {
            return None;
        }
        key.open(note).map(str::to_owned)
    }
}
