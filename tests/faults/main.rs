//! The fault campaign: real replicas, a real database, faults of every kind, and a judge.
//!
//! `cargo test --test faults -- --minutes 30 --faults all` starts PostgreSQL and several `doorward serve` processes,
//! each reaching the database through a proxy of its own. Actors make, narrow, rotate and revoke keys and check them
//! all the while, the nemesis breaks things, and every operation is written down with the times of its invocation and
//! its return. When all is over the history is judged: nothing may have been accepted that was asked after the
//! revocation had returned, nothing good may have been refused, nothing acknowledged may be lost.
#![expect(
    clippy::disallowed_methods,
    reason = "a test may read clocks, and may drop an error that it expects"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "the judge looks for the few answers that are wrong")]
#![cfg(test)]

mod actors;
mod cluster;
#[expect(unused, reason = "the integration tests use the rest")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod history;
mod judge;
mod nemesis;
mod options;
mod random;
mod report;
mod run;
mod scenarios;

use clap::Parser as _;
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    if !options.is_meant() {
        return ExitCode::SUCCESS;
    }
    judge::selftest::run();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(scenarios::play(options))
}
