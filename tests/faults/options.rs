//! What the campaign can be told.
use crate::nemesis::Fault;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Drives real replicas through faults and judges what they answered.
///
/// Exit code 0: no promise was broken. 1: one was; the seed, the first breach of each kind and what happened around
/// it are printed. Any other: the campaign itself could not be run.
#[derive(Parser, Clone, Debug)]
#[command(name = "faults", bin_name = "cargo test --test faults --")]
pub struct Options {
    /// How long faults are injected, in minutes; one minute if neither this nor `--seconds` is given.
    #[arg(long, conflicts_with = "seconds")]
    minutes: Option<f64>,
    /// The same in seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Replicas to run.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub replicas: u8,
    /// Decides which faults strike when; from the clock if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// The faults to inject, with commas between them, or `all`.
    #[arg(long, default_value = "all", value_parser = faults)]
    pub faults: Faults,
    /// No faults at all, to see what a calm day looks like.
    #[arg(long)]
    pub calm: bool,
    /// What is played.
    #[arg(long, value_enum, default_value_t = Scenario::Random)]
    pub scenario: Scenario,
    /// `coherence.lease_ms` of the replicas.
    #[arg(long, default_value_t = 1000)]
    pub lease_ms: u64,
    /// How long after the last fault a replica may take to accept again, in milliseconds; a lease and 4 s if not
    /// given.
    #[arg(long)]
    recovery_ms: Option<u64>,
    /// Checks a second that all clients together aim at.
    #[arg(long, default_value_t = 600)]
    pub rate: u32,
    /// Actors that make, narrow, rotate and revoke keys.
    #[arg(long, default_value_t = 3)]
    pub makers: u8,
    /// Where the history is written; without it, a file that is kept only if a promise was broken.
    #[arg(long)]
    pub history: Option<PathBuf>,
    /// Switches a protection off in the replicas: return-at-commit, no-lease, expiry-from-receive or sequence-tail.
    /// Only a binary built with the feature `sabotage` knows them.
    #[arg(long)]
    pub sabotage: Option<String>,
    /// Turns the verdict on stale acceptances round: exit code 0 only if some were found.
    #[arg(long)]
    pub expect_stale: bool,
    /// A setting of the replicas besides those that the campaign makes, such as `database.write_connections=2`.
    #[arg(long = "set", value_name = "SETTING=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// What `cargo test WORD` asks for; the campaign runs only if its name has it.
    #[arg(hide = true)]
    filter: Option<String>,
    /// Taken and not needed: for other test programs.
    #[arg(long, hide = true)]
    nocapture: bool,
    /// What `cargo test -- --skip WORD` leaves out.
    #[arg(long, hide = true)]
    skip: Vec<String>,
}

/// A list of faults.
#[derive(Clone, Debug)]
pub struct Faults(pub Vec<Fault>);

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Faults of all kinds, one or two at a time.
    Random,
    /// Fail-over to a synchronous standby; the old primary comes back to life later.
    Failover,
    /// The database's disk is full for a while; needs root.
    DiskFull,
    /// The random faults, with pgbouncer in between, which keeps sessions.
    Pgbouncer,
}

impl Options {
    /// Whether it is this program that was asked for.
    pub fn is_meant(&self) -> bool {
        let named = |word: &String| "faults".contains(word.as_str());
        self.filter.as_ref().is_none_or(named) && !self.skip.iter().any(named)
    }

    /// How long faults are injected.
    pub fn duration(&self) -> Duration {
        match (self.minutes, self.seconds) {
            (Some(minutes), _) => Duration::from_secs_f64(minutes * 60.0),
            (None, Some(seconds)) => Duration::from_secs(seconds),
            (None, None) => Duration::from_mins(1),
        }
    }

    /// The seed, made once if none was given.
    pub fn settle_seed(&mut self) -> u64 {
        *self.seed.get_or_insert_with(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        })
    }

    /// `coherence.lease_ms`.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// How long after the last fault a replica may take to accept again.
    pub fn recovery(&self) -> Duration {
        Duration::from_millis(self.recovery_ms.unwrap_or(self.lease_ms + 4000))
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| name.contains('.'));
    let (name, value) = pair.ok_or("must be SECTION.NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn faults(text: &str) -> Result<Faults, String> {
    if text == "all" {
        return Ok(Faults(Fault::ALL.to_vec()));
    }
    let named = |name: &str| {
        let found = Fault::ALL.iter().copied().find(|fault| fault.name() == name);
        let known = || Fault::ALL.map(Fault::name).join(", ");
        found.ok_or_else(|| format!("no fault is called `{name}`; there are {}", known()))
    };
    text.split(',').map(named).collect::<Result<_, _>>().map(Faults)
}
