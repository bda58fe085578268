//! The command line.

use clap::ValueEnum;
use std::path::PathBuf;

/// What to measure, how long, and which child this process is, if it is one.
#[derive(Debug, clap::Parser)]
#[command(
    name = "gateway",
    about = "Measures what an export costs Doorward, against servers that do less or more"
)]
pub struct Options {
    /// Scenarios to run; all of them when none is named.
    pub scenarios: Vec<Scenario>,
    /// Seconds that each row is measured in each round.
    #[arg(long, default_value_t = 1.5)]
    pub seconds: f64,
    /// Seconds of load before each measurement.
    #[arg(long, default_value_t = 0.4)]
    pub warm_up: f64,
    /// Rounds; every row is measured once in each.
    #[arg(long, default_value_t = 7)]
    pub rounds: usize,
    /// Connections to the server; on each one export is under way at a time.
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Spans in each export, of about 430 bytes.
    #[arg(long, default_value_t = 1_000)]
    pub spans: usize,
    /// An OpenTelemetry Collector built from `benches/gateway/collector/builder.yaml`, to compare with.
    #[arg(long, value_name = "PATH")]
    pub collector: Option<PathBuf>,
    /// Senders at once where memory is measured.
    #[arg(long, default_value_t = 1_000)]
    pub senders: usize,
    /// Exits with 0 also when a gate is missed.
    #[arg(long)]
    pub report_only: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Makes this process a server that the parent measures.
    #[arg(long, hide = true)]
    pub child: Option<Child>,
    /// The database of a Doorward.
    #[arg(long, hide = true)]
    pub database: Option<PathBuf>,
    /// Settings of a Doorward, as environment variables: `OTLP__BACKEND=sink`.
    #[arg(long = "set", hide = true)]
    pub settings: Vec<String>,
    /// Where a server passes exports on to.
    #[arg(long, hide = true)]
    pub upstream: Option<String>,
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
    /// Exports over gRPC that go nowhere: received only, by Doorward, and decoded with prost.
    Sink,
    /// The same over HTTP/1.1, protobuf-encoded.
    Http,
    /// Exports over gRPC that go on to a back end; with `--collector` also by a Collector.
    Forward,
    /// The same, compressed.
    Coded,
    /// Memory under many slow senders and decompression bombs.
    Memory,
}

/// The servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Child {
    /// Receives exports and answers.
    Receive,
    /// Receives, decodes, edits, encodes and answers.
    Prost,
    /// Receives, passes the bytes on, and answers with what the back end answered.
    Pass,
    /// Doorward as the binary runs it.
    Doorward,
}
