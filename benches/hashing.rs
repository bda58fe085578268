//! Measures the hashing pool beside Argon2id alone, on as many threads, in turn.
//!
//! `cargo bench --bench hashing` first runs rounds of both, one after the other, and prints the median of what the pool
//! reaches of the other's throughput, then times single hashes: in memory that is used again, in fresh memory, and the
//! estimate of a password's strength.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use anyhow::{Result, ensure};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use criterion::Criterion;
use doorward::app::hashing::{HashingOptions, HashingPool};
use doorward::boot::{OsEntropy, SystemClock};
use doorward::secret::{Cost, Known, Password, Workspace};
use doorward::telemetry::Metrics;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The allocator of the server binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pairs of rounds; the median is told.
const ROUNDS: usize = 11;
/// Length of a round.
const ROUND: Duration = Duration::from_secs(1);
/// Least that the pool may reach of Argon2id alone.
const MIN_RATIO: f64 = 0.95;
/// Logins that ask at once, for each thread.
const CLIENTS: usize = 4;

fn main() -> Result<ExitCode> {
    let mut criterion = Criterion::default().configure_from_args();
    // No lower priority than that of the threads that it is compared with.
    let options = HashingOptions { nice: 0, ..HashingOptions::default() };
    let ratio = ratio(options)?;
    single(&mut criterion, options.cost())?;
    criterion.final_summary();
    let passed = ratio >= MIN_RATIO;
    println!("{} pool over argon2 alone: {ratio:.3} (≥ {MIN_RATIO})", if passed { "ok  " } else { "FAIL" });
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The median of what the pool reaches of Argon2id alone.
fn ratio(options: HashingOptions) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let metrics = Arc::new(Metrics::new()?);
    let clock = Arc::new(SystemClock::default());
    let pool = Arc::new(HashingPool::start(options, clock, Arc::new(OsEntropy), metrics)?);
    let threads = options.threads();
    let mut ratios = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let alone = alone(threads, options.cost())?;
        let pooled = runtime.block_on(pooled(&pool, threads * CLIENTS))?;
        println!("argon2 alone {alone:.1}/s, pool {pooled:.1}/s, {threads} threads");
        // The first round warms up.
        if round > 0 {
            ratios.push(pooled / alone);
        }
    }
    ratios.sort_by(f64::total_cmp);
    ratios.get(ROUNDS / 2).copied().ok_or_else(|| anyhow::anyhow!("no rounds"))
}

/// Hashes a second by threads that do nothing else, in memory that each keeps.
fn alone(threads: usize, cost: Cost) -> Result<f64> {
    let begun = Instant::now();
    let hashes: Result<u32, argon2::Error> = thread::scope(|scope| {
        let each: Vec<_> = (0..threads).map(|_| scope.spawn(|| hash_for(cost, begun))).collect();
        each.into_iter().map(|thread| thread.join().unwrap_or(Err(argon2::Error::OutOfMemory))).sum()
    });
    Ok(f64::from(hashes?) / begun.elapsed().as_secs_f64())
}

fn hash_for(cost: Cost, begun: Instant) -> Result<u32, argon2::Error> {
    let (argon2, mut blocks) = bare(cost)?;
    let mut hashes = 0;
    while begun.elapsed() < ROUND {
        let mut tag = [0; 32];
        argon2.hash_password_into_with_memory(
            b"correct horse battery",
            b"sixteen bytes...",
            &mut tag,
            &mut blocks,
        )?;
        black_box(tag);
        hashes += 1;
    }
    Ok(hashes)
}

fn bare(cost: Cost) -> Result<(Argon2<'static>, Vec<Block>), argon2::Error> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32))?;
    let blocks = vec![Block::new(); params.block_count()];
    Ok((Argon2::new(Algorithm::Argon2id, Version::V0x13, params), blocks))
}

/// Hashes a second by the pool, asked by so many tasks.
async fn pooled(pool: &Arc<HashingPool>, clients: usize) -> Result<f64> {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut hashes = 0_u32;
                while begun.elapsed() < ROUND {
                    pool.hash(password()?).await?;
                    hashes += 1;
                }
                anyhow::Ok(hashes)
            })
        })
        .collect();
    let mut hashes = 0;
    for task in tasks {
        hashes += task.await??;
    }
    ensure!(hashes > 0, "no hash in a round");
    Ok(f64::from(hashes) / begun.elapsed().as_secs_f64())
}

fn password() -> Result<Password> {
    Ok(Password::presented("correct horse battery".to_owned())?)
}

/// What one hash takes, and what surrounds it.
fn single(criterion: &mut Criterion, cost: Cost) -> Result<()> {
    let (argon2, mut blocks) = bare(cost)?;
    let (text, salt) = (b"correct horse battery", b"sixteen bytes...");
    let mut tag = [0; 32];
    criterion.bench_function("argon2/memory used again", |bench| {
        bench.iter(|| argon2.hash_password_into_with_memory(text, salt, &mut tag, &mut blocks));
    });
    criterion.bench_function("argon2/fresh memory", |bench| {
        bench.iter(|| argon2.hash_password_into(text, salt, &mut tag));
    });
    let (mut workspace, typed) = (Workspace::new(cost), password()?);
    criterion.bench_function("workspace/hash", |bench| bench.iter(|| workspace.hash(&typed, &OsEntropy)));
    criterion.bench_function("workspace/wipe", |bench| bench.iter(|| workspace.wipe()));
    criterion.bench_function("canonical/21 characters", |bench| bench.iter(password));
    let known = Known::of(["ada.lovelace@example.com", "Analytical Engines"]);
    for (name, text) in [
        ("words", "correct horse battery staple".to_owned()),
        ("leet", "p@55w0rd4$$!1|".repeat(5)),
        ("dates", "1.2.19990102/3-4".repeat(4)),
        ("repeats", "abcabdabeabfabgabh".repeat(4)),
        ("1024 random", "x7Q!z9#kLw2&Vb5*".repeat(64)),
    ] {
        let typed = Password::presented(text)?;
        criterion.bench_function(&format!("strength/{name}"), |bench| {
            bench.iter(|| black_box(&typed).withstand_guessing(&known));
        });
    }
    Ok(())
}
