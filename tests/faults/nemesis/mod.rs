//! Breaks things, and mends them again.

pub mod database;
mod link;
mod process;

use crate::cluster::Replica;
use crate::harness::proxy::Mode;
use crate::random::Random;
use crate::run::Run;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Faults that may be there at once.
const AT_ONCE: u64 = 2;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A replica is stopped in its tracks for a while.
    Freeze,
    /// The same on a slow link, so that it wakes up to answers which have grown old, and gets the next ones late.
    Drowse,
    /// A replica is killed and started again.
    Kill,
    /// A replica ends in order, and a new one starts in the middle of a revocation.
    Newcomer,
    /// The link to the database holds all bytes back, and delivers them late.
    HoldLink,
    /// The link is lost without a word, and what was open with it.
    LoseLink,
    /// The link is cut.
    CutLink,
    /// Every second connection of the link holds its bytes back.
    HalfLink,
    /// Requests go through, answers come late or never.
    MuteLink,
    /// The same again and again, with what is late let through in between.
    StutterLink,
    /// The link is slow.
    SlowLink,
    /// The link is so slow that an answer takes nearly a lease, for long.
    LateLink,
    /// Every process of PostgreSQL is killed.
    KillDatabase,
    /// Every process of PostgreSQL is stopped in its tracks for a while.
    FreezeDatabase,
    /// Sessions are ended by an administrator.
    EndSessions,
    /// The database takes no writes.
    ReadOnly,
    /// Somebody sits on the row that every mutation needs.
    LockHead,
    /// Other programs want the processors too.
    BurnCpu,
}

/// What a fault befalls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Replica,
    Database,
    Machine,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Freeze,
        Self::Drowse,
        Self::Kill,
        Self::Newcomer,
        Self::HoldLink,
        Self::LoseLink,
        Self::CutLink,
        Self::HalfLink,
        Self::MuteLink,
        Self::StutterLink,
        Self::SlowLink,
        Self::LateLink,
        Self::KillDatabase,
        Self::FreezeDatabase,
        Self::EndSessions,
        Self::ReadOnly,
        Self::LockHead,
        Self::BurnCpu,
    ];

    /// What it is called in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Drowse => "drowse",
            Self::Kill => "kill",
            Self::Newcomer => "newcomer",
            Self::HoldLink => "hold-link",
            Self::LoseLink => "lose-link",
            Self::CutLink => "cut-link",
            Self::HalfLink => "half-link",
            Self::MuteLink => "mute-link",
            Self::StutterLink => "stutter-link",
            Self::SlowLink => "slow-link",
            Self::LateLink => "late-link",
            Self::KillDatabase => "kill-database",
            Self::FreezeDatabase => "freeze-database",
            Self::EndSessions => "end-sessions",
            Self::ReadOnly => "read-only",
            Self::LockHead => "lock-head",
            Self::BurnCpu => "burn-cpu",
        }
    }

    fn target(self) -> Target {
        match self {
            Self::Freeze
            | Self::Drowse
            | Self::Kill
            | Self::Newcomer
            | Self::HoldLink
            | Self::LoseLink
            | Self::CutLink
            | Self::HalfLink
            | Self::MuteLink
            | Self::StutterLink
            | Self::SlowLink
            | Self::LateLink => Target::Replica,
            Self::KillDatabase
            | Self::FreezeDatabase
            | Self::EndSessions
            | Self::ReadOnly
            | Self::LockHead => Target::Database,
            Self::BurnCpu => Target::Machine,
        }
    }
}

/// Lets faults strike until `run.calm_down`, and ends when all is mended.
pub async fn haunt(run: &Arc<Run>) {
    let database = Arc::new(Mutex::new(()));
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (run, database) = (run.clone(), database.clone());
        lanes.spawn(async move {
            let mut random = run.random(500 + lane);
            // The second is away most of the time, so that there are single faults too.
            let rest = if lane == 0 { 300..2_500 } else { 1_000..8_000 };
            while !run.calm_down.is_cancelled() {
                calm(&run, random.millis(rest.clone())).await;
                strike_once(&run, &database, &mut random).await;
            }
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended.unwrap();
    }
}

async fn strike_once(run: &Run, database: &Mutex<()>, random: &mut Random) {
    let fault = *random.one(&run.options.faults.0);
    let time = random.millis(run.options.lease_ms / 10..run.options.lease_ms * 3);
    match fault.target() {
        _ if run.calm_down.is_cancelled() => {}
        Target::Replica => {
            let replica = random.one(&run.cluster.replicas).clone();
            let Ok(_struck) = replica.struck.try_lock() else { return };
            let from = run.history.now();
            strike_replica(run, fault, &replica, random, time).await;
            run.history.add_strike(fault.name(), format!("replica {}", replica.index), from);
        }
        Target::Database => {
            let Ok(_struck) = database.try_lock() else { return };
            let from = run.history.now();
            database::strike(run, fault, random, time).await;
            run.history.add_strike(fault.name(), "database".into(), from);
        }
        Target::Machine => {
            let from = run.history.now();
            process::burn(run, time).await;
            run.history.add_strike(fault.name(), "machine".into(), from);
        }
    }
}

async fn strike_replica(run: &Run, fault: Fault, replica: &Replica, random: &mut Random, time: Duration) {
    match fault {
        Fault::Freeze => process::freeze(run, replica, time).await,
        Fault::Drowse => process::drowse(run, replica, random).await,
        Fault::Kill => process::kill(run, replica, time).await,
        Fault::Newcomer => process::newcomer(run, replica).await,
        Fault::HoldLink => link::spoil(run, replica, Mode::Hold, random.percent(30), time).await,
        Fault::LoseLink => link::spoil(run, replica, Mode::Hole, false, time).await,
        Fault::CutLink => link::spoil(run, replica, Mode::Cut, false, time).await,
        Fault::HalfLink => link::spoil(run, replica, Mode::HoldHalf, false, time * 2).await,
        Fault::StutterLink => link::stutter(run, replica, random).await,
        Fault::MuteLink => link::spoil(run, replica, Mode::Mute, random.percent(50), time).await,
        Fault::SlowLink => {
            let delay = random.millis(50..300);
            link::spoil(run, replica, Mode::Slow(delay), false, time * 2).await;
        }
        Fault::LateLink => {
            let lease = run.options.lease_ms;
            let delay = random.millis(lease * 38 / 100..lease * 46 / 100);
            let time = random.millis(lease * 3..lease * 7);
            link::spoil(run, replica, Mode::Slow(delay), false, time).await;
        }
        _ => {}
    }
}

/// Sleeps, less if faults are to end.
async fn calm(run: &Run, time: Duration) {
    let _ = tokio::time::timeout(time, run.calm_down.cancelled()).await;
}
