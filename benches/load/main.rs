//! Measures what a call costs Doorward, against floors taken in the same run.
//!
//! `cargo bench --bench load -- [scenario …] [--seconds N] [--rounds N]` starts each server as a child process, drives
//! it with a raw HTTP/2 generator that costs far less than the server, and reads the CPU time that the child used.
//! Scenarios are interleaved over the rounds, so that a busy machine falls on all of them alike; figures are medians,
//! ratios are medians of the ratios within a round. `docs/performance.md` explains the figures.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and has no outage that it could hide"
)]

mod answer;
mod child;
mod cpu;
mod doorward_server;
mod drive;
mod echo;
mod frames;
mod options;
mod report;
mod rows;
mod session;
mod stock;
#[path = "../town/mod.rs"]
mod town;
mod verify;

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
    child::leave_first_core();
    let mut bench = rows::Bench::start(options).await?;
    println!(
        "{} rounds of {} s for each row, {} connections",
        options.rounds, options.seconds, options.connections
    );
    bench.check_answers().await?;
    for round in 0..options.rounds {
        bench.round(round, options).await?;
    }
    bench.check_answers().await?;
    if options.wants(Scenario::Start) {
        bench.measure_starts(options).await?;
    }
    let passed = report::print(&bench);
    Ok(if passed || options.report_only { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
