//! Drives a server over several connections and reads what it cost.

use crate::cpu::cpu_time;
use crate::plan::Plan;
use crate::upload::{self, Tally};
use anyhow::{Context as _, Result, bail, ensure};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};
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
}

/// Longest wait for the answers that are open when a measurement ends.
const DRAIN: Duration = Duration::from_secs(10);

/// Loads the server for the length of `window`. Fails if any answer is not a good one.
pub async fn measure(address: SocketAddr, process: u32, plan: Rc<Plan>, window: Window) -> Result<Sample> {
    let tally = Rc::new(Tally::default());
    let tasks = LocalSet::new();
    let mut connections = JoinSet::new();
    for _ in 0..window.connections {
        connections.spawn_local_on(upload::run(address, Rc::clone(&plan), Rc::clone(&tally)), &tasks);
    }
    let measured = async {
        let sample = tokio::select! {
            sample = watch(&tally, process, window) => sample?,
            Some(ended) = connections.join_next() => {
                ended.context("a connection panicked")??;
                bail!("a connection ended early");
            }
        };
        tally.stop.set(true);
        let drained = time::timeout(DRAIN, async {
            while let Some(connection) = connections.join_next().await {
                connection.context("a connection panicked")??;
            }
            anyhow::Ok(())
        });
        drained.await.context("answers are missing")??;
        anyhow::Ok(sample)
    };
    let sample = tasks.run_until(measured).await?;
    ensure!(sample.answers > 0, "the server did not answer");
    Ok(sample)
}

async fn watch(tally: &Tally, process: u32, window: Window) -> Result<Sample> {
    time::sleep(window.warm_up).await;
    let (begin, cpu, answers) = (Instant::now(), cpu_time(process)?, tally.answers.get());
    time::sleep(window.length).await;
    Ok(Sample {
        answers: tally.answers.get() - answers,
        elapsed: begin.elapsed(),
        cpu: cpu_time(process)?.saturating_sub(cpu),
    })
}
