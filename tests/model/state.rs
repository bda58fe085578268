//! What the world of the model is like at one moment.
//!
//! Times are relative (what is left of a proof, how long a writer has waited)
//! and stop at their bounds, so a finite number of states stands for any
//! number of ticks. Revisions are small: one revocation, one other change.

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub database: Database,
    pub writer: Writer,
    pub replicas: [Replica; 2],
    pub cache: Cache,
}

/// The one database, whichever machine is its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Database {
    pub log: Log,
    /// The last number given, where numbers are given at the beginning ([`super::Fault::SequenceTail`]).
    pub sequence: u8,
    pub revoke: Transaction,
    pub other: Transaction,
    /// The rows of each replica.
    pub rows: [Rows; 2],
    /// The head that the former primary had, once there is one.
    pub old_head: Option<u8>,
}

/// The change log: at most two entries, in the order of their commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Log(pub [Option<Entry>; 2]);

/// A change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    pub revision: u8,
    pub revokes: bool,
}

/// A transaction that makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transaction {
    Idle,
    /// It has its revision, and holds the head row.
    Open(u8),
    Done,
}

/// The rows of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rows {
    /// Of the process that runs.
    pub own: Row,
    /// Of one that died and was not yet reaped.
    pub orphan: Row,
    /// The reaper has decided to delete `own` ([`super::Fault::DeleteUnguarded`]).
    pub condemned: bool,
}

/// A member's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    None,
    Serving {
        acknowledged: u8,
    },
    /// Marked, that long ago.
    Draining {
        elapsed: u8,
    },
}

/// The one who revokes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writer {
    Idle,
    /// Has read the members too early ([`super::Fault::MembersBeforeCommit`]).
    Prepared {
        members: Members,
    },
    /// Has begun.
    Begun {
        elapsed: u8,
        members: Members,
    },
    /// Has committed and waits.
    Committed {
        revision: u8,
        elapsed: u8,
        members: Members,
    },
    /// Has told its caller that the key is revoked.
    Returned,
}

/// Whose rows the writer looks at: every one, or those of one early look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Members(pub Option<[bool; 2]>);

/// A replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replica {
    pub stage: Stage,
    pub known: Known,
    pub holder: Holder,
    pub grants: Granted,
    /// A stream that was opened with the key and has not been cut.
    pub stream: bool,
    /// The records of the next change are written, its streams not yet cut.
    pub cutting: bool,
    /// An entry that was read and is to be put in ([`super::Fault::FillWithoutRevision`]).
    pub fill: Option<bool>,
    /// Its machine sleeps ([`super::Fault::ClockStopsInSuspend`]).
    pub suspended: bool,
}

/// How far a replica has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Down,
    Fresh,
    Registered,
    /// Has read whether the key is revoked, and not yet the head ([`super::Fault::JoinSplitRead`]).
    HalfLoaded(bool),
    Serving,
    /// Serves no more, its row is draining.
    Leaving,
}

/// What a holder has in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Known {
    pub applied: u8,
    pub revoked: bool,
}

/// A lease and the renewal under way, by the holder's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Holder {
    pub proofs: [Option<Held>; 2],
    pub renewal: Renewal,
    /// Ticks for which its clock, having lost one, loses no other.
    pub steady: u8,
}

/// A proof, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Held {
    pub left: u8,
    pub need: u8,
}

/// A question for a new proof; `elapsed` since it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Renewal {
    #[default]
    None,
    Sent {
        elapsed: u8,
    },
    Answered {
        elapsed: u8,
        remaining: u8,
        need: u8,
    },
    Refused,
}

/// What a replica counts of the cache: under its connection and under one that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Granted {
    pub current: Option<Watcher>,
    pub former: Option<Watcher>,
}

/// One connection of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watcher {
    pub acknowledged: u8,
    /// For how long the cache may still answer.
    pub alive: u8,
}

/// The cache embedded in another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cache {
    /// The replica that it is connected to.
    pub attached: Option<u8>,
    pub known: Known,
    pub holder: Holder,
}

impl State {
    /// Before anything.
    pub fn first() -> Self {
        let rows = Rows { own: Row::None, orphan: Row::None, condemned: false };
        let database = Database {
            log: Log([None; 2]),
            sequence: 0,
            revoke: Transaction::Idle,
            other: Transaction::Idle,
            rows: [rows; 2],
            old_head: None,
        };
        let cache = Cache { attached: None, known: Known::default(), holder: Holder::default() };
        Self { database, writer: Writer::Idle, replicas: [Replica::fresh(); 2], cache }
    }
}

impl Replica {
    /// A process that has just started.
    pub fn fresh() -> Self {
        Self {
            stage: Stage::Fresh,
            known: Known::default(),
            holder: Holder::default(),
            grants: Granted::default(),
            stream: false,
            cutting: false,
            fill: None,
            suspended: false,
        }
    }
}

impl Log {
    /// The newest revision.
    pub fn head(self) -> u8 {
        self.entries().map(|entry| entry.revision).max().unwrap_or(0)
    }

    /// The revision of the revocation, once it is committed.
    pub fn revocation(self) -> Option<u8> {
        self.entries().find(|entry| entry.revokes).map(|entry| entry.revision)
    }

    /// The first entry that is newer.
    pub fn after(self, applied: u8) -> Option<Entry> {
        self.entries().filter(|entry| entry.revision > applied).min_by_key(|entry| entry.revision)
    }

    /// Appends.
    pub fn commit(&mut self, entry: Entry) {
        if let Some(free) = self.0.iter_mut().find(|entry| entry.is_none()) {
            *free = Some(entry);
        }
    }

    /// Loses the last entry.
    pub fn lose(&mut self) {
        if let Some(last) = self.0.iter_mut().rev().find(|entry| entry.is_some()) {
            *last = None;
        }
    }

    /// The same content, as one snapshot shows it.
    pub fn snapshot(self) -> Known {
        Known { applied: self.head(), revoked: self.revocation().is_some() }
    }

    fn entries(self) -> impl Iterator<Item = Entry> {
        self.0.into_iter().flatten()
    }
}
