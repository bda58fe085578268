//! The command line.

use clap::ValueEnum;
use std::path::PathBuf;

/// What to measure, how long, and which child this process is, if it is one.
#[derive(Debug, clap::Parser)]
#[command(name = "load", about = "Measures what a call costs Doorward, against floors taken in the same run")]
pub struct Options {
    /// Scenarios to run; all of them when none is named.
    pub scenarios: Vec<Scenario>,
    /// Seconds that each row is measured in each round.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Seconds of load before each measurement.
    #[arg(long, default_value_t = 0.4)]
    pub warm_up: f64,
    /// Rounds; every row is measured once in each.
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Connections to the server.
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Calls in flight on each connection, for unary calls.
    #[arg(long, default_value_t = 16)]
    pub in_flight: usize,
    /// Keys that the database holds.
    #[arg(long, default_value_t = 100_000)]
    pub keys: u64,
    /// Keys among them that are asked about.
    #[arg(long, default_value_t = 1_000)]
    pub hot: usize,
    /// Keys that the database holds where the start is measured.
    #[arg(long, default_value_t = 1_000_000)]
    pub start_keys: u64,
    /// Exits with 0 also when a gate is missed.
    #[arg(long)]
    pub report_only: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Makes this process a server that the parent measures.
    #[arg(long, hide = true)]
    pub child: Option<Child>,
    /// The database of that server.
    #[arg(long, hide = true)]
    pub database: Option<PathBuf>,
}

impl Options {
    /// Whether `scenario` was asked for.
    pub fn wants(&self, scenario: Scenario) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&scenario)
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// An empty RPC on a stock tonic server.
    Stock,
    /// An empty RPC on Doorward's accept loop, and the emptiest that Doorward itself serves.
    Empty,
    /// `VerifyCredential`, and `WhoAmI` by many callers.
    Verify,
    /// `StreamVerifyCredentials`.
    Stream,
    /// From the start of the process until it is ready.
    Start,
}

/// The servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Child {
    /// `tonic::transport::Server` as it comes.
    Stock,
    /// Doorward as the binary runs it.
    Doorward,
}
