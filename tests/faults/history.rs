//! What was asked, answered and broken, on one clock.
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// Odd things that are kept in words.
const REMARKS: usize = 20;

/// A secret that was issued; a key gets another one when it is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(pub u32);

/// The owner's key, which every client but those with a key of their own presents.
pub const OWNER: Subject = Subject(0);

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// A key was made.
    Create,
    /// A permission was taken from a key.
    Narrow,
    /// A key got a new secret, the old one dying at once.
    Rotate,
    /// A key was revoked.
    Revoke,
    /// Somebody asked about the secret, by `VerifyCredential`.
    Verify,
    /// The same by a question on a stream.
    Ask,
    /// The secret authenticated a call of its own.
    OwnCall,
    /// The secret authenticated a stream; this is one question on it and its answer.
    OwnMessage,
    /// Such a stream, from its opening to its end.
    OwnStream,
    /// A check after all faults were over.
    Final,
}

impl Op {
    /// Whether it reduces rights or makes some.
    pub fn is_mutation(self) -> bool {
        matches!(self, Self::Create | Self::Narrow | Self::Rotate | Self::Revoke)
    }

    /// Whether its acceptance says that the secret is good.
    pub fn is_check(self) -> bool {
        !self.is_mutation() && self != Self::OwnStream
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A mutation was acknowledged.
    Done,
    /// The secret was accepted, without the permission that narrowing takes away.
    Accepted,
    /// It was accepted with that permission.
    AcceptedWide,
    /// It was said to be bad.
    Bad,
    /// It was said to lack the permission.
    Lacks,
    /// The server said that it cannot know now.
    Unavailable,
    /// No answer: a deadline, a lost connection, an end without a word.
    Unknown,
    /// An answer that neither an outage nor the state of a key explains.
    Odd,
}

impl Outcome {
    /// Whether it is an answer about the secret.
    pub fn is_answer(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Unknown | Self::Odd)
    }

    /// Whether the secret was accepted.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::AcceptedWide)
    }
}

/// One operation. Times are microseconds since the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub sent: u64,
    pub returned: u64,
    pub subject: Subject,
    /// The secret that a rotation made.
    pub made: Option<Subject>,
    pub op: Op,
    pub replica: u8,
    /// Whether the permission was asked for that narrowing takes away; of a key that is made, whether it has it.
    pub wide: bool,
    pub outcome: Outcome,
}

/// What a revocation's receipt said.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    pub sent: u64,
    pub returned: u64,
    pub acknowledged: u32,
    pub expired: u32,
    pub streams_cut: u32,
}

/// One fault, from its cause to the cause's end.
#[derive(Clone, Debug)]
pub struct Strike {
    pub fault: &'static str,
    pub target: String,
    pub from: u64,
    pub to: u64,
}

/// Everything that happened.
#[derive(Default, Clone)]
pub struct History {
    /// The number of the key that each subject is a secret of.
    pub subjects: Vec<u32>,
    /// The ids of keys.
    pub keys: Vec<String>,
    pub entries: Vec<Entry>,
    pub receipts: Vec<Receipt>,
    pub strikes: Vec<Strike>,
    /// Replicas that ended by themselves, and when.
    pub deaths: Vec<(u8, u64)>,
    /// What was odd, in words.
    pub remarks: Vec<String>,
    /// When the last fault was over, and when the last check was made.
    pub healed: u64,
    pub end: u64,
}

/// Writes the history, in memory and to a file.
pub struct Recorder {
    start: Instant,
    state: Mutex<(History, BufWriter<File>)>,
}

impl Recorder {
    /// An empty history that begins now.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 16, File::create(path)?);
        writeln!(file, "sent_us\treturned_us\top\treplica\tsubject\twide\toutcome")?;
        Ok(Self { start: Instant::now(), state: Mutex::new((History::default(), file)) })
    }

    /// Microseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }

    /// A secret of a key that is not known yet.
    pub fn new_key(&self, id: &str) -> Subject {
        self.with(|history| {
            let key = u32::try_from(history.keys.len()).unwrap();
            history.keys.push(id.to_owned());
            history.subjects.push(key);
            last(&history.subjects)
        })
    }

    /// A further secret of the same key.
    pub fn new_secret(&self, of: Subject) -> Subject {
        self.with(|history| {
            let key = history.subjects[of.0 as usize];
            history.subjects.push(key);
            last(&history.subjects)
        })
    }

    /// Something that was asked at `entry.sent` and is answered now.
    pub fn add(&self, mut entry: Entry) {
        let mut state = self.state.lock().unwrap();
        entry.returned = self.now();
        let (history, file) = &mut *state;
        let _ = writeln!(file, "{entry}");
        history.entries.push(entry);
    }

    /// The receipt of a revocation.
    pub fn add_receipt(&self, receipt: Receipt) {
        self.with(|history| history.receipts.push(receipt));
    }

    /// A fault that began at `from` and is over now.
    pub fn add_strike(&self, fault: &'static str, target: String, from: u64) {
        let to = self.now();
        let mut state = self.state.lock().unwrap();
        let _ = writeln!(state.1, "{from}\t{to}\tfault\t{fault}\t{target}\t\t");
        state.0.strikes.push(Strike { fault, target, from, to });
    }

    /// A replica that ended by itself.
    pub fn add_death(&self, replica: u8) {
        let now = self.now();
        self.with(|history| history.deaths.push((replica, now)));
    }

    /// Something odd, in words; only the first few are kept.
    pub fn remark(&self, text: String) {
        self.with(|history| {
            if history.remarks.len() < REMARKS {
                history.remarks.push(text);
            }
        });
    }

    /// Faults are over now.
    pub fn healed(&self) {
        let now = self.now();
        self.with(|history| history.healed = now);
    }

    /// Operations, mutations and faults so far.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.with(|history| {
            let mutations = history.entries.iter().filter(|entry| entry.op.is_mutation()).count();
            (history.entries.len(), mutations, history.strikes.len())
        })
    }

    /// Ends the history and gives it away.
    pub fn finish(&self) -> History {
        let end = self.now();
        let mut state = self.state.lock().unwrap();
        let _ = state.1.flush();
        let mut history = std::mem::take(&mut state.0);
        history.end = end;
        history
    }

    fn with<T>(&self, act: impl FnOnce(&mut History) -> T) -> T {
        act(&mut self.state.lock().unwrap().0)
    }
}

impl Entry {
    /// An entry that is not answered yet.
    pub fn new(op: Op, replica: u8, subject: Subject, sent: u64) -> Self {
        Self {
            sent,
            returned: sent,
            subject,
            made: None,
            op,
            replica,
            wide: false,
            outcome: Outcome::Unknown,
        }
    }

    /// With what came of it.
    pub fn with(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, returned, op, replica, subject, wide, outcome, made } = self;
        let made = made.map(|made| format!(" made {}", made.0)).unwrap_or_default();
        write!(f, "{sent}\t{returned}\t{op:?}\t{replica}\t{}\t{wide}\t{outcome:?}{made}", subject.0)
    }
}

fn last(subjects: &[u32]) -> Subject {
    Subject(u32::try_from(subjects.len() - 1).unwrap())
}
