//! Is an export what the log was? Judged line by line, without a server.

use super::checkpoint::{Checkpoint, export_text};
use super::export::{self, End, Header, Line};
use super::merkle::{self, Frontier, Hash};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Opens signed notes.
pub trait Notes {
    /// Whether whoever verifies trusts this key (`name+id+key`).
    fn trusts(&self, key: &str) -> bool;

    /// What the note says, if this key signed it under that name and is trusted.
    fn open(&self, key: &str, name: &str, note: &str) -> Option<String>;
}

/// What an export was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What its header says, all of it found true.
    pub header: Header,
    /// The root of the log.
    pub root: Hash,
    /// Fields that were erased.
    pub erased: u64,
    /// Earlier checkpoints that agree.
    pub checkpoints: usize,
    /// The size of the checkpoint that was given, which agrees too.
    pub since: Option<u64>,
}

/// What is wrong with an export, and where it begins to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The first entry that is bad, or could be.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "index {index}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Broken {}

fn broken(index: Option<u64>, what: impl Into<String>) -> Broken {
    Broken { index, what: what.into() }
}

/// An export that is being read.
pub struct Reading<'a> {
    notes: &'a dyn Notes,
    since: Option<&'a str>,
    state: State,
    digest: Sha256,
}

enum State {
    Start,
    Entries(Box<Entries>),
    Ended(Box<Verdict>),
}

struct Entries {
    header: Header,
    tree: Frontier,
    /// Checkpoints to come, the smallest last.
    due: Vec<Checkpoint>,
    /// The checkpoint that was given.
    since: Option<Checkpoint>,
    agreed: usize,
    /// Every entry before this one is proven by a checkpoint on its way.
    sure: u64,
    erased: u64,
}

impl<'a> Reading<'a> {
    /// Begins. `since` is a checkpoint that somebody kept: the log must go on from it.
    pub fn new(notes: &'a dyn Notes, since: Option<&'a str>) -> Self {
        Self { notes, since, state: State::Start, digest: Sha256::new() }
    }

    /// The entry that comes next, once the header was read.
    pub fn due(&self) -> Option<u64> {
        match &self.state {
            State::Entries(entries) => Some(entries.tree.size()),
            State::Start | State::Ended(_) => None,
        }
    }

    /// Looks at the next line, without its line break.
    pub fn line(&mut self, line: &str) -> Result<(), Broken> {
        match &mut self.state {
            State::Start => self.state = State::Entries(Box::new(self.begin(line)?)),
            State::Entries(entries) if line.starts_with(r#"{"end":"#) => {
                let digest = Hash::from_bytes(self.digest.clone().finalize().into());
                let verdict = entries.end(self.notes, line, &digest)?;
                self.state = State::Ended(Box::new(verdict));
            }
            State::Entries(entries) => entries.take(line)?,
            State::Ended(_) => return Err(broken(None, "there are lines after the end")),
        }
        self.digest.update(line);
        self.digest.update(b"\n");
        Ok(())
    }

    /// The verdict over all lines.
    pub fn finish(self) -> Result<Verdict, Broken> {
        match self.state {
            State::Start => Err(broken(None, "the file is empty")),
            State::Entries(entries) => {
                Err(broken(Some(entries.tree.size()), "the file is truncated: its end is missing"))
            }
            State::Ended(verdict) => Ok(*verdict),
        }
    }

    fn begin(&self, line: &str) -> Result<Entries, Broken> {
        let header: Header = export::read(line).map_err(|what| broken(None, format!("the header {what}")))?;
        let wrong = |what: &str| broken(None, format!("the header {what}"));
        if header.dwaudit != export::VERSION {
            return Err(wrong("is of a version that this program does not know"));
        }
        if !self.notes.trusts(&header.vkey) {
            return Err(broken(
                None,
                "the file is signed by another key than the one that must have signed it",
            ));
        }
        if header.from > header.to || header.to > header.size || (header.from == header.to && header.size > 0)
        {
            return Err(wrong("names no range of the log"));
        }
        if !header.origin.ends_with(&format!("/{}", header.tenant)) {
            return Err(wrong("names the log of another tenant"));
        }
        let tree = Frontier::new(header.from, header.before.clone());
        let tree =
            tree.ok_or_else(|| wrong("has not as many hashes before the first entry as there must be"))?;
        let mut due = Vec::new();
        for note in &header.checkpoints {
            due.push(
                self.open(&header, note)
                    .ok_or_else(|| wrong("has a checkpoint that is not signed by its key"))?,
            );
        }
        due.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size));
        if due.iter().any(|checkpoint| checkpoint.size < header.from || checkpoint.size > header.to) {
            return Err(wrong("has a checkpoint of other entries"));
        }
        let since = self.since.map(|note| {
            self.open(&header, note).ok_or_else(|| {
                broken(None, "the checkpoint to go on from is not one of this log, signed by its key")
            })
        });
        let since = since.transpose()?;
        let mut entries = Entries { sure: header.from, header, tree, due, since, agreed: 0, erased: 0 };
        entries.compare()?;
        Ok(entries)
    }

    fn open(&self, header: &Header, note: &str) -> Option<Checkpoint> {
        opened(self.notes, header, note)
    }
}

fn opened(notes: &dyn Notes, header: &Header, note: &str) -> Option<Checkpoint> {
    let text = notes.open(&header.vkey, &header.origin, note)?;
    Checkpoint::parse(&text).filter(|checkpoint| checkpoint.origin == header.origin)
}

impl Entries {
    fn take(&mut self, line: &str) -> Result<(), Broken> {
        let due = self.tree.size();
        let wrong = |what: String| broken(Some(due), what);
        if due >= self.header.to {
            return Err(wrong("there are more entries than the header says".into()));
        }
        let line: Line = export::read(line).map_err(|what| wrong(format!("the line {what}")))?;
        if line.entry.idx != due {
            let found = line.entry.idx;
            return Err(wrong(format!(
                "entry {found} is in its place: entries were removed, moved or added"
            )));
        }
        if line.entry.v != super::entry::VERSION {
            return Err(wrong("the entry is of a version that this program does not know".into()));
        }
        if line.entry.tenant != self.header.tenant {
            return Err(wrong("the entry is of another tenant".into()));
        }
        let text = line.entry.to_text().map_err(|error| wrong(error.to_string()))?;
        if Hash::of_leaf(text.as_bytes()) != line.leaf {
            return Err(wrong("the entry was changed".into()));
        }
        if let Some(field) = line.wrong_field() {
            return Err(wrong(format!("the field `{field}` is not what the entry committed to")));
        }
        self.erased += line.entry.commitments.len().saturating_sub(line.fields.len()) as u64;
        self.tree.push(line.leaf);
        self.compare()
    }

    /// Compares the root so far with the checkpoints of this size.
    fn compare(&mut self) -> Result<(), Broken> {
        let size = self.tree.size();
        let differs = |sure| {
            let last = size.saturating_sub(1);
            broken(
                Some(sure),
                format!("an entry from here to {last} is not what the checkpoint of {size} entries has"),
            )
        };
        let mut met = false;
        while let Some(checkpoint) = self.due.pop_if(|due| due.size == size) {
            if checkpoint.root != self.tree.root() {
                return Err(differs(self.sure));
            }
            self.agreed += 1;
            met = true;
        }
        if let Some(since) = self.since.as_ref().filter(|since| since.size == size) {
            if since.root != self.tree.root() {
                return Err(differs(self.sure));
            }
            met = true;
        }
        if met {
            self.sure = size;
        }
        Ok(())
    }

    fn end(&mut self, notes: &dyn Notes, line: &str, digest: &Hash) -> Result<Verdict, Broken> {
        let header = &self.header;
        let End { end } = export::read(line).map_err(|what| broken(None, format!("the end {what}")))?;
        let entries = header.to - header.from;
        if self.tree.size() != header.to || end.entries != entries {
            return Err(broken(Some(self.tree.size()), "entries are missing at the end"));
        }
        let checkpoint = opened(notes, header, &end.checkpoint);
        let checkpoint = checkpoint
            .ok_or_else(|| broken(None, "the last checkpoint is not one of this log, signed by its key"))?;
        if checkpoint.size != header.size {
            return Err(broken(None, "the last checkpoint is of another size than the header says"));
        }
        let root = self.root().ok_or_else(|| {
            broken(None, "the header has not as many hashes after the last entry as there must be")
        })?;
        if root != checkpoint.root {
            let what = "an entry from here on is not what the last checkpoint has";
            return Err(broken(Some(self.sure), what));
        }
        let sealed = notes.open(&header.vkey, &header.origin, &end.seal);
        if sealed != Some(export_text(&header.origin, entries, digest)) {
            return Err(broken(
                Some(header.from),
                "a line was changed, removed or added: the seal over the file does not fit",
            ));
        }
        self.goes_on(&root)?;
        Ok(Verdict {
            header: header.clone(),
            root,
            erased: self.erased,
            checkpoints: self.agreed,
            since: self.since.as_ref().map(|since| since.size),
        })
    }

    fn root(&self) -> Option<Hash> {
        let Header { size, from, to, after, .. } = &self.header;
        if *size == 0 {
            return after.is_empty().then(Hash::of_nothing);
        }
        let spans = merkle::around(*size, &(*from..*to)).into_iter().filter(|span| span.start >= *to);
        let spans: Vec<_> = spans.collect();
        (spans.len() == after.len())
            .then(|| self.tree.clone().root_with(spans.into_iter().zip(after.iter().copied())))?
    }

    /// The log must go on from the checkpoint that was given.
    fn goes_on(&self, root: &Hash) -> Result<(), Broken> {
        let (header, Some(since)) = (&self.header, &self.since) else { return Ok(()) };
        if since.size > header.size {
            let what = format!(
                "the log was cut: it had {} entries at the checkpoint that was given, and has {} now",
                since.size, header.size
            );
            return Err(broken(Some(header.size), what));
        }
        if (header.from..=header.to).contains(&since.size) {
            // Compared when the entries came to it.
            return Ok(());
        }
        let path =
            header.since.as_ref().filter(|proof| proof.size == since.size).map(|proof| proof.path.as_slice());
        let path = path.ok_or_else(|| {
            let what = format!(
                "the file does not prove that the log goes on from the checkpoint of {} entries: export it with --since",
                since.size
            );
            broken(None, what)
        })?;
        if merkle::is_consistent(since.size, &since.root, header.size, root, path) {
            return Ok(());
        }
        Err(broken(
            Some(0),
            "the log is not the one that had the checkpoint that was given: it was rewritten",
        ))
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
