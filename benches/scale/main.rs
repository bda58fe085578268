//! What ten thousand tenants cost, against ten.
//!
//! `cargo bench --bench scale` makes two databases, of 10 and of 10,000 tenants with 100 keys each, starts a server over
//! each, and asks both in turns: checks of keys of all tenants, and pages of one tenant's keys after another's. The
//! figure is CPU time of the server process for each answer; ratios are medians of the ratios within a round.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and has no outage that it could hide"
)]

#[path = "../load/cpu.rs"]
mod cpu;
mod house;
#[path = "../town/mod.rs"]
mod town;

use anyhow::{Context as _, Result};
use house::{House, Kind};
use std::process::ExitCode;

/// The allocator of the server binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEW: u64 = 10;
const MANY: u64 = 10_000;
/// Turns of each kind of question.
const ROUNDS: usize = 9;
/// Most that a check may cost with many tenants, of what it costs with few.
const MAX_CHECK: f64 = 1.2;
/// The same for a page of keys.
const MAX_LIST: f64 = 1.2;
/// Most that a key may take of the start, in µs.
const MAX_START: f64 = 15.0;

fn main() -> Result<ExitCode> {
    if let Some(database) = std::env::var_os(house::DATABASE) {
        house::serve(database.as_ref())?;
        return Ok(ExitCode::SUCCESS);
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<ExitCode> {
    let (mut few, mut many) = (House::open(FEW).await?, House::open(MANY).await?);
    let keys = |house: &House| house.keys();
    let a_key = many.start.saturating_sub(few.start).as_secs_f64() * 1e6 / (keys(&many) - keys(&few));
    println!("start with {} keys: {:.2} s", keys(&few), few.start.as_secs_f64());
    println!("start with {} keys: {:.2} s", keys(&many), many.start.as_secs_f64());
    let mut passed =
        verdict(a_key <= MAX_START, &format!("start, µs for each further key: {a_key:.1} (≤ {MAX_START})"));
    for (kind, name, most) in [(Kind::Check, "check", MAX_CHECK), (Kind::List, "list of 50 keys", MAX_LIST)] {
        let (mut costs, mut ratios) = ((Vec::new(), Vec::new()), Vec::new());
        // The first round warms both up.
        for round in 0..=ROUNDS {
            let (with_few, with_many) = (few.ask(kind).await?, many.ask(kind).await?);
            if round > 0 {
                costs.0.push(with_few);
                costs.1.push(with_many);
                ratios.push(with_many / with_few);
            }
        }
        let (with_few, with_many) = (middle(costs.0)?, middle(costs.1)?);
        println!("{name}: {with_few:.1} µs with {FEW} tenants, {with_many:.1} µs with {MANY}");
        let ratio = middle(ratios)?;
        passed &= verdict(ratio <= most, &format!("{name}, ratio: {ratio:.3} (≤ {most})"));
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn middle(mut values: Vec<f64>) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().context("nothing was measured")
}

fn verdict(passed: bool, text: &str) -> bool {
    println!("{} {text}", if passed { "PASS" } else { "FAIL" });
    passed
}
