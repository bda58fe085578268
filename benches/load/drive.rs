//! Drives a server over several connections and reads what it cost.

use crate::cpu::cpu_time;
use crate::session::{Plan, Session, Tally};
use anyhow::{Context as _, Result, bail, ensure};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time;

/// How long, and over how many connections.
#[derive(Clone, Copy)]
pub struct Window {
    pub connections: usize,
    pub warm_up: Duration,
    pub length: Duration,
}

/// What one measurement saw.
#[derive(Clone, Copy)]
pub struct Sample {
    pub answers: u64,
    pub elapsed: Duration,
    /// CPU time of the server process, all threads, user and system.
    pub cpu: Duration,
    /// CPU time of this process.
    pub own_cpu: Duration,
}

/// Longest wait for the answers that are open when a measurement ends.
const DRAIN: Duration = Duration::from_secs(5);
const INBOX: usize = 256 * 1024;

/// Loads the server for the length of `window`. Fails if any answer is not a good one.
pub async fn measure(address: SocketAddr, process: u32, plan: Rc<Plan>, window: Window) -> Result<Sample> {
    let tally = Rc::new(Tally::default());
    let tasks = LocalSet::new();
    let mut connections = Vec::with_capacity(window.connections);
    for seed in 1..=window.connections {
        let session = Session::new(Rc::clone(&plan), Rc::clone(&tally), u64::try_from(seed)?);
        connections.push(tasks.spawn_local(connection(address, session)));
    }
    let sample = tasks.run_until(watch(&tally, process, window)).await?;
    tally.stop.set(true);
    let drained = time::timeout(
        DRAIN,
        tasks.run_until(async {
            for connection in connections {
                connection.await.context("a connection panicked")??;
            }
            anyhow::Ok(())
        }),
    );
    drained.await.context("answers are missing")??;
    let failures = tally.failures.get();
    ensure!(
        failures == 0,
        "{failures} answers beside {} good ones were refusals or errors",
        tally.answers.get()
    );
    ensure!(sample.answers > 0, "the server did not answer");
    Ok(sample)
}

async fn watch(tally: &Tally, process: u32, window: Window) -> Result<Sample> {
    time::sleep(window.warm_up).await;
    let (begin, cpu, own) = (Instant::now(), cpu_time(process)?, cpu_time(std::process::id())?);
    let answers = tally.answers.get();
    time::sleep(window.length).await;
    Ok(Sample {
        answers: tally.answers.get() - answers,
        elapsed: begin.elapsed(),
        cpu: cpu_time(process)?.saturating_sub(cpu),
        own_cpu: cpu_time(std::process::id())?.saturating_sub(own),
    })
}

async fn connection(address: SocketAddr, mut session: Session) -> Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut inbox = vec![0; INBOX];
    let mut filled = 0;
    loop {
        session.ask();
        socket.write_all(&session.out).await?;
        session.out.clear();
        if session.is_finished() {
            return Ok(());
        }
        let free = inbox.get_mut(filled..).unwrap_or_default();
        let read = socket.read(free).await?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        filled += read;
        let used = session.receive(inbox.get(..filled).unwrap_or_default())?;
        inbox.copy_within(used..filled, 0);
        filled -= used;
    }
}
