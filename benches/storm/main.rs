//! What a storm of logins does to checks.
//!
//! `cargo bench --bench storm` starts the server binary over SQLite, asks it about a key for some seconds, then again
//! while logins come in faster than they can be hashed, in turns, and compares the 99th percentiles. It also tells how
//! many logins were answered, refused for want of a place, and how the answers a second compare with argon2 alone
//! (`cargo bench --bench hashing` has that floor by itself).
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and has no outage that it could hide"
)]

use anyhow::{Context as _, Result};
use doorward::pb::v1::authn_service_client::AuthnServiceClient;
use doorward::pb::v1::{LoginRequest, VerifyCredentialRequest};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

/// Most that the 99th percentile may grow by.
const MAX_RATIO: f64 = 1.5;
/// Turns of calm and storm.
const TURNS: usize = 5;
/// How long each lasts.
const TURN: Duration = Duration::from_secs(3);
/// Checks a second, by one caller who waits for each answer.
const PACE: Duration = Duration::from_millis(1);
/// Logins that are under way at the same time.
const LOGINS: u64 = 64;

fn main() -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<ExitCode> {
    let directory = tempfile::tempdir()?;
    let (_server, address, key) = serve(directory.path())?;
    let channel = Endpoint::from_shared(address)?.connect().await?;
    let tally = Arc::new(Tally::default());
    let (mut calm, mut storm) = (Vec::new(), Vec::new());
    checks(&channel, &key, &mut Vec::new()).await?;
    for _ in 0..TURNS {
        checks(&channel, &key, &mut calm).await?;
        let blowing = Arc::new(AtomicBool::new(true));
        let logins: Vec<_> = (0..LOGINS)
            .map(|number| tokio::spawn(log_in(channel.clone(), number, blowing.clone(), tally.clone())))
            .collect();
        checks(&channel, &key, &mut storm).await?;
        blowing.store(false, Ordering::Relaxed);
        for login in logins {
            login.await??;
        }
    }
    let seconds = TURN.as_secs_f64() * f64::from(u32::try_from(TURNS)?);
    let rate = |count: &AtomicU32| f64::from(count.load(Ordering::Relaxed)) / seconds;
    println!(
        "logins a second: {:.0} hashed, {:.0} refused for want of a place",
        rate(&tally.hashed),
        rate(&tally.refused)
    );
    let (calm, storm) = (Percentiles::of(calm)?, Percentiles::of(storm)?);
    println!("checks in calm moments, µs: p50 {:.0}, p99 {:.0}", calm.half, calm.p99);
    println!("checks during the storm, µs: p50 {:.0}, p99 {:.0}", storm.half, storm.p99);
    let ratio = storm.p99 / calm.p99;
    let passed = ratio <= MAX_RATIO;
    println!("{} p99 during the storm: {ratio:.2} × (≤ {MAX_RATIO})", if passed { "PASS" } else { "FAIL" });
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Tally {
    hashed: AtomicU32,
    refused: AtomicU32,
}

struct Percentiles {
    half: f64,
    p99: f64,
}

impl Percentiles {
    fn of(mut micros: Vec<f64>) -> Result<Self> {
        micros.sort_by(f64::total_cmp);
        let at =
            |share: usize| micros.get(micros.len() * share / 100).copied().context("nothing was measured");
        Ok(Self { half: at(50)?, p99: at(99)? })
    }
}

/// Asks about a key again and again for one turn.
async fn checks(channel: &Channel, key: &str, into: &mut Vec<f64>) -> Result<()> {
    let mut client = AuthnServiceClient::new(channel.clone());
    let bearer: MetadataValue<_> = format!("Bearer {key}").parse()?;
    let end = Instant::now() + TURN;
    let mut next = tokio::time::interval(PACE);
    while Instant::now() < end {
        next.tick().await;
        let question = VerifyCredentialRequest { credential: key.to_owned(), ..Default::default() };
        let mut request = Request::new(question);
        request.metadata_mut().insert("authorization", bearer.clone());
        let begin = Instant::now();
        client.verify_credential(request).await?;
        into.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    Ok(())
}

/// Logs in with a wrong password again and again, each time as somebody else
/// from somewhere else, so that no delay for guessers holds it up.
async fn log_in(channel: Channel, number: u64, blowing: Arc<AtomicBool>, tally: Arc<Tally>) -> Result<()> {
    let mut client = AuthnServiceClient::new(channel);
    for round in 0.. {
        if !blowing.load(Ordering::Relaxed) {
            break;
        }
        let mut request = Request::new(LoginRequest {
            email: format!("nobody-{number}-{round}-{:?}@example.com", Instant::now().elapsed().as_nanos()),
            password: "not the password".into(),
            ..Default::default()
        });
        let from = format!("2001:db8:{number:x}:{:x}::1", round % 60_000);
        request.metadata_mut().insert("x-forwarded-for", from.parse()?);
        match client.login(request).await {
            Err(status) if status.code() == Code::Unauthenticated => {
                tally.hashed.fetch_add(1, Ordering::Relaxed)
            }
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                tally.refused.fetch_add(1, Ordering::Relaxed)
            }
            Err(status) => return Err(status.into()),
            Ok(_) => anyhow::bail!("nobody was let in"),
        };
    }
    Ok(())
}

/// A running server; killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            drop(self.0.wait());
        }
    }
}

/// Starts the binary, and gives its address and a key.
fn serve(directory: &std::path::Path) -> Result<(Server, String, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.args(["dev", "--json"]).current_dir(directory).stdout(Stdio::piped()).stderr(Stdio::null());
    for (name, value) in [
        ("DOORWARD_API__LISTEN", "127.0.0.1:0"),
        ("DOORWARD_OPS__LISTEN", "127.0.0.1:0"),
        ("DOORWARD_OTLP__GRPC_LISTEN", ""),
        ("DOORWARD_OTLP__HTTP_LISTEN", ""),
        ("DOORWARD_MAIL__TRANSPORT", "none"),
        ("DOORWARD_PROXIES__TRUSTED", "127.0.0.0/8"),
        ("DOORWARD_LOG__FILTER", "error"),
    ] {
        command.env(name, value);
    }
    let mut server = Server(command.spawn()?);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().context("the server has no output")?).read_line(&mut line)?;
    let told: serde_json::Value = serde_json::from_str(&line)?;
    let text = |name: &str| told.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let address = text("address").context("the server did not say where it listens")?;
    let key = text("api_key").context("the server did not give a key")?;
    Ok((server, address, key))
}
