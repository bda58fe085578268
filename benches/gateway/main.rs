//! Measures what an export costs Doorward's OTLP gateway, against servers that do less or more.
//!
//! `cargo bench --bench gateway -- [scenario …] [--seconds N] [--rounds N] [--collector PATH]` starts each server as a
//! child process, sends it batches of 1,000 spans with a raw HTTP/2 generator, and reads the CPU time that the child
//! used. Rows are interleaved over the rounds, so that a busy machine falls on all of them alike; figures are medians,
//! ratios are medians of the ratios within a round. `docs/performance.md` explains the figures.
//!
//! A Collector to compare with is built by OpenTelemetry's own builder:
//! `go run go.opentelemetry.io/collector/cmd/builder@v0.159.0 --config benches/gateway/collector/builder.yaml
//! --output-path DIRECTORY` leaves it at `DIRECTORY/otelcol`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and has no outage that it could hide"
)]

mod child;
#[path = "../load/cpu.rs"]
mod cpu;
mod doorward_server;
mod drive;
#[path = "../load/frames.rs"]
#[expect(dead_code, reason = "this bench has one caller")]
mod frames;
mod memory;
mod options;
mod payload;
mod plan;
mod raw;
mod report;
mod rows;
mod sender;
mod servants;
#[path = "../town/mod.rs"]
#[expect(dead_code, reason = "this bench has few keys")]
mod town;
mod upload;

use anyhow::Result;
use clap::Parser as _;
use options::{Options, Scenario};
use std::process::ExitCode;

/// The allocator of the server binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    match options.child {
        Some(child) => child::serve(child, &options),
        None => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(&options))
        }
    }
}

/// Runs all chosen scenarios and judges them.
async fn measure(options: &Options) -> Result<ExitCode> {
    let mut passed = true;
    if options.wants(Scenario::Memory) {
        passed = memory::measure(options).await?;
    }
    if options.scenarios.iter().any(|scenario| *scenario != Scenario::Memory) || options.scenarios.is_empty()
    {
        child::leave_first_core();
        let mut bench = rows::Bench::start(options).await?;
        println!(
            "{} rounds of {} s for each row, {} connections, exports of {} spans and {} bytes",
            options.rounds,
            options.seconds,
            options.connections,
            options.spans,
            bench.plain()
        );
        for round in 0..options.rounds {
            bench.round(round, options).await?;
        }
        passed &= report::print(&bench);
    }
    Ok(if passed || options.report_only { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
