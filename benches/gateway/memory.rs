//! What the server's memory rises to under many slow senders, and under decompression bombs.

use crate::child::{Cores, Server};
use crate::options::Options;
use crate::payload::{self, Coding};
use crate::report::verdict;
use crate::sender::{Outcome, Parcel, Sender};
use crate::town;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use std::fs;
use std::time::Duration;
use tokio::task::JoinSet;

/// Bytes that one export may have, `otlp.max_body_bytes`.
const MAX_BODY: usize = 4 << 20;
/// Bytes that all exports may have together, `otlp.max_in_flight_bytes`.
const MAX_IN_FLIGHT: usize = 64 << 20;
/// What a connection with an export under way may cost besides, in bytes: its buffers, its tasks, and what the allocator
/// has not yet given back.
const PER_CONNECTION: usize = 192 << 10;
/// Bytes of an export that is longer than allowed once it is decompressed.
const BOMB: usize = 64 << 20;

/// What all senders do at once.
struct Case {
    name: &'static str,
    /// Each sender sends one of these.
    parcels: Vec<Parcel>,
    /// Whether some must be accepted, and all others asked to come again.
    honest: bool,
}

/// Sends everything and judges what the server's memory rose to.
pub async fn measure(options: &Options) -> Result<bool> {
    let secrets = town::secrets(u64::try_from(options.senders)?)?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("doorward.db");
    town::seed::seed(&path, &secrets).await?;
    let settings = [
        "OTLP__BACKEND=sink".to_owned(),
        format!("OTLP__MAX_BODY_BYTES={MAX_BODY}"),
        format!("OTLP__MAX_IN_FLIGHT_BYTES={MAX_IN_FLIGHT}"),
    ];
    let server = Server::doorward(&path, Cores::All, &settings)?;
    let idle = status(server.id(), "VmRSS")?;
    let bound = idle + MAX_IN_FLIGHT + options.senders * PER_CONNECTION;
    println!(
        "memory: {:.1} MB at rest, of one export {:.1} MB, of all {:.1} MB, {} senders: at most {:.1} MB",
        mega(idle),
        mega(MAX_BODY),
        mega(MAX_IN_FLIGHT),
        options.senders,
        mega(bound)
    );
    let mut passed = true;
    for case in cases()? {
        let mut senders = Vec::new();
        for secret in &secrets {
            senders.push(Sender::connect(server.address(0)?, secret.reveal()).await?);
        }
        let connected = status(server.id(), "VmRSS")?;
        // The peak begins anew (proc(5), `clear_refs`).
        fs::write(format!("/proc/{}/clear_refs", server.id()), "5")?;
        let outcomes = case.run(senders).await?;
        let peak = status(server.id(), "VmHWM")?;
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let (accepted, later) = (count(Outcome::Accepted), count(Outcome::Later));
        let (refused, broken) = (count(Outcome::Refused), count(Outcome::Broken));
        println!(
            "{}: {:.1} MB connected, {:.1} MB at most; {accepted} accepted, {later} asked to come again, \
             {refused} refused for good, {broken} without an answer",
            case.name,
            mega(connected),
            mega(peak)
        );
        let answered = broken == 0 && (!case.honest || (accepted > 0 && later > 0 && refused == 0));
        passed &= verdict(peak <= bound, &format!("{}: within the bound", case.name));
        passed &= verdict(answered, &format!("{}: answered as they have to be", case.name));
    }
    Ok(passed)
}

impl Case {
    async fn run(&self, senders: Vec<Sender>) -> Result<Vec<Outcome>> {
        let mut tasks = JoinSet::new();
        for (at, sender) in senders.into_iter().enumerate() {
            let parcel = self.parcels.get(at % self.parcels.len()).context("nothing to send")?.clone();
            tasks.spawn(sender.send(parcel));
        }
        Ok(tasks.join_all().await)
    }
}

fn cases() -> Result<Vec<Case>> {
    /// Spans of an export of about 400 kB, and of one almost as large as is allowed.
    const SPANS: [usize; 2] = [1_000, 9_000];
    let [usual, large] = SPANS.map(|spans| Bytes::from(payload::batch(spans)));
    anyhow::ensure!(large.len() < MAX_BODY, "the large export is too large");
    let slow = |bytes: &Bytes| Parcel {
        bytes: bytes.clone(),
        coding: Coding::Identity,
        piece: bytes.len() / 100,
        pause: Duration::from_millis(50),
    };
    let mut bombs = Vec::new();
    for size in [MAX_BODY - 1_024, BOMB] {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let bytes = Bytes::from(coding.pack(&payload::bomb(size))?);
            bombs.push(Parcel { piece: bytes.len(), bytes, coding, pause: Duration::ZERO });
        }
    }
    Ok(vec![
        Case { name: "slow, 400 kB each", parcels: vec![slow(&usual)], honest: true },
        Case { name: "slow, 4 MB each", parcels: vec![slow(&large)], honest: true },
        Case { name: "bombs", parcels: bombs, honest: false },
    ])
}

/// A size that the kernel tells of a process, in bytes.
fn status(process: u32, name: &str) -> Result<usize> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.context("the kernel does not tell")?.trim().trim_end_matches(" kB");
    Ok(kilobytes.trim().parse::<usize>()? * 1024)
}

fn mega(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from) / 1e6
}
