//! Measures the check of a key inside the process, and the memory of the view.
//!
//! `cargo bench --bench check` first loads 1,000,000 keys and prints what each takes, then times the check at three
//! sizes beside its floors: the SHA-256 of 48 bytes, without which no key can be looked up, and the copy of an answer.
//! `hot` asks about 1,000 keys in turn, `any` about every key there is, in an order without pattern.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and has no outage that it could hide"
)]

#[path = "check/embedded.rs"]
mod embedded;
#[path = "check/tokens.rs"]
mod tokens;
mod town;

use anyhow::{Context as _, Result, ensure};
use criterion::Criterion;
use doorward::app::{Demand, Verified, Verifier};
use doorward::boot::{OsEntropy, SystemClock};
use doorward::domain::Clock as _;
use doorward::domain::changes::Change;
use doorward::replica::{self, Following, Replica};
use doorward::secret::{Minted, Pepper, sha256};
use doorward::store::Store;
use doorward::view::View;
use std::fs;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use town::seed;

/// The allocator of the server binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MOST_KEYS: u64 = 1_000_000;
const GATED_SIZE: u64 = 100_000;
const SIZES: [u64; 3] = [1_000, GATED_SIZE, MOST_KEYS];
const HOT: u64 = 1_000;
/// Most that a key may take of the view, in bytes, with [`MOST_KEYS`].
const MAX_BYTES: u64 = 200;
/// Most that the check of a hot key may take, in ns, with [`GATED_SIZE`].
const MAX_NANOS: f64 = 250.0;

fn main() -> Result<ExitCode> {
    let mut criterion = Criterion::default().configure_from_args();
    floors(&mut criterion);
    let mut passed = memory()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    for size in SIZES {
        let secrets = town::secrets(size)?;
        let house = runtime.block_on(House::open(&secrets))?;
        let hot = texts(&secrets, town::scattered(size).take(usize::try_from(HOT)?));
        let any = texts(&secrets, town::scattered(size));
        drop(secrets);
        if size == GATED_SIZE {
            let nanos = median_nanos(&hot, |text| house.check(text))?;
            passed &=
                verdict(nanos <= MAX_NANOS, &format!("check at {size} keys, ns: {nanos:.0} (≤ {MAX_NANOS})"));
        }
        checks(&mut criterion, &house, size, &hot, "hot");
        checks(&mut criterion, &house, size, &any, "any");
    }
    passed &= embedded::measure(&mut criterion)?;
    passed &= tokens::measure(&mut criterion)?;
    criterion.final_summary();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Loads a view alone and reads what it takes.
fn memory() -> Result<bool> {
    let secrets = town::secrets(MOST_KEYS)?;
    let before = resident()?;
    let view = filled(&secrets)?;
    let bytes = resident()?.saturating_sub(before) / MOST_KEYS;
    ensure!(view.len() == MOST_KEYS, "the view holds {} keys of {MOST_KEYS}", view.len());
    Ok(verdict(
        bytes <= MAX_BYTES,
        &format!("view of {MOST_KEYS} keys, bytes a key: {bytes} (≤ {MAX_BYTES})"),
    ))
}

/// A view of the keys of `secrets`, and of all who go with them.
fn filled(secrets: &[Minted]) -> Result<Arc<View>> {
    let keys = u64::try_from(secrets.len())?;
    let people = keys.div_ceil(town::KEYS_OF_USER);
    let (view, mut writer) = View::with_room_for(secrets.len(), usize::try_from(people)?);
    for number in 0..keys.div_ceil(town::KEYS_OF_TENANT) {
        writer.apply(Change::Tenant(town::tenant(number)?));
    }
    for number in 0..people {
        writer.apply(Change::User(town::user(number)?));
        writer.apply(Change::Member(town::member(number)));
    }
    for (number, secret) in (0..).zip(secrets) {
        writer.apply(Change::Key(Box::new(town::key(number, secret.digest()))));
    }
    Ok(view)
}

/// What nothing can be faster than.
fn floors(criterion: &mut Criterion) {
    let key = [b'k'; 48];
    criterion.bench_function("floor/sha256 of 48 bytes", |bench| bench.iter(|| sha256(black_box(&key))));
    let (answer, mut copy) = ([1_u8; 140], [0_u8; 140]);
    criterion.bench_function("floor/copy of 140 bytes", |bench| {
        bench.iter(|| black_box(&mut copy).copy_from_slice(black_box(&answer)));
    });
}

fn checks(criterion: &mut Criterion, house: &House, size: u64, texts: &[String], which: &str) {
    let mut texts = texts.iter().cycle();
    criterion.bench_function(&format!("check/{which}/{size}"), |bench| {
        bench.iter(|| texts.next().and_then(|text| house.check(black_box(text))));
    });
}

/// A verifier over a database of its own.
struct House {
    verifier: Verifier,
    clock: Arc<SystemClock>,
    _following: Following,
    _directory: TempDir,
}

impl House {
    /// Seeds a database with the keys of `secrets` and loads it.
    async fn open(secrets: &[Minted]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("doorward.db");
        seed::seed(&path, secrets).await?;
        let clock = Arc::new(SystemClock::default());
        let store = Store::new(&seed::options(&path))?;
        let options = replica::Options { lease_ms: 60_000 };
        let (replica, following) =
            Replica::start(&store, Arc::clone(&clock) as _, Arc::new(OsEntropy), options).await?;
        let pepper = Pepper::new(vec![0; Pepper::MIN].into()).context("the pepper is too short")?;
        let tokens = Arc::new(doorward::app::tokens::Tokens::new(<_>::default(), None));
        let verifier = Verifier::new(replica, Arc::new(town::forms()), pepper, tokens, 0);
        Ok(Self { verifier, clock, _following: following, _directory: directory })
    }

    /// Parses, digests, looks up, admits and counts: `None` if any of these refuses.
    fn check(&self, text: &str) -> Option<Verified> {
        let demand = Demand { cost: Some(1), ..Demand::default() };
        self.verifier
            .check(text, &demand, self.clock.moment())
            .ok()
            .filter(|verified| verified.rate.is_some())
    }
}

/// The median over many passes of what the check of one of `texts` takes, in ns.
fn median_nanos(texts: &[String], check: impl Fn(&str) -> Option<Verified>) -> Result<f64> {
    const PASSES: usize = 501;
    let mut passes = Vec::with_capacity(PASSES);
    for _ in 0..PASSES {
        let begin = Instant::now();
        for text in texts {
            black_box(check(black_box(text)).context("a good key is refused")?);
        }
        passes.push(begin.elapsed().as_secs_f64() * 1e9 / f64::from(u32::try_from(texts.len())?));
    }
    passes.sort_by(f64::total_cmp);
    passes.get(PASSES / 2).copied().context("there are no passes")
}

fn texts(secrets: &[Minted], numbers: impl Iterator<Item = u64>) -> Vec<String> {
    let secret = |number| usize::try_from(number).ok().and_then(|at| secrets.get(at));
    numbers.filter_map(secret).map(|secret| secret.reveal().to_owned()).collect()
}

fn verdict(passed: bool, text: &str) -> bool {
    println!("{} {text}", if passed { "PASS" } else { "FAIL" });
    passed
}

/// Memory of this process that is in RAM, in bytes.
fn resident() -> Result<u64> {
    const PAGE: u64 = 4096;
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).context("statm has no second number")?.parse()?;
    Ok(pages * PAGE)
}
