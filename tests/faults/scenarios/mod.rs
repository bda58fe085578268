//! What can be played, and the frame that all have in common.

mod disk_full;
mod failover;
mod pgbouncer;
mod random;
mod tables;

use crate::actors;
use crate::cluster::Cluster;
use crate::history::Recorder;
use crate::judge::{self, Breach, Kind, Limits};
use crate::options::{Options, Scenario};
use crate::report::Report;
use crate::run::Run;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How often the state of things is printed.
const PROGRESS: Duration = Duration::from_secs(5);
/// How long everybody may take to come to an end.
const FAREWELL: Duration = Duration::from_secs(15);
/// How long after its credential's end a stream may be seen open, without faults.
const CUT: Duration = Duration::from_millis(500);

/// Plays the scenario that was asked for, and judges it.
pub async fn play(mut options: Options) -> ExitCode {
    let seed = options.settle_seed();
    println!("seed {seed}, {} replicas, {} s", options.replicas, options.duration().as_secs());
    match options.scenario {
        Scenario::Random => random::play(options).await,
        Scenario::Failover => failover::play(options).await,
        Scenario::DiskFull => disk_full::play(options).await,
        Scenario::Pgbouncer => pgbouncer::play(options).await,
    }
}

/// Actors on a cluster, while `nemesis` does what it does until `run.calm_down`; then the verdict.
async fn campaign<N: Future<Output = ()>>(
    cluster: Cluster,
    options: Options,
    nemesis: impl FnOnce(Arc<Run>) -> N,
) -> ExitCode {
    let path = history_path(&options);
    let history = Recorder::new(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let run = Arc::new(Run::new(cluster, history, options));
    let mut actors = actors::start(&run).await;
    let watching = tokio::spawn(watch(run.clone()));
    nemesis(run.clone()).await;
    println!("faults are over; the replicas have {} ms to recover", run.options.recovery().as_millis());
    actors::settle(&run).await;
    run.stop.cancel();
    let ended = tokio::time::timeout(FAREWELL, async {
        while let Some(actor) = actors.join_next().await {
            actor.unwrap();
        }
    });
    assert!(ended.await.is_ok(), "some actors do not end");
    actors::sweep(&run).await;
    watching.abort();
    let tables = tables::read(&run.cluster).await;
    if tables.is_none() {
        println!("the tables cannot be read");
    }
    verdict(&run, tables.as_ref(), path).await
}

/// Prints how far it is, ends the faults when their time is over, and notes replicas that end by themselves.
async fn watch(run: Arc<Run>) {
    let mut tick = tokio::time::interval(PROGRESS);
    let ending = tokio::time::sleep(run.options.duration());
    tokio::pin!(ending);
    loop {
        tokio::select! {
            () = &mut ending, if !run.calm_down.is_cancelled() => run.calm_down.cancel(),
            _ = tokio::signal::ctrl_c() => run.calm_down.cancel(),
            _ = tick.tick() => {
                let (operations, mutations, faults) = run.history.counts();
                println!(
                    "[{:4} s] {operations} operations, {mutations} mutations, {faults} faults",
                    run.history.now() / 1_000_000
                );
                for replica in &run.cluster.replicas {
                    if replica.has_died() {
                        run.history.add_death(replica.index);
                        println!("replica {} ended by itself:\n{}", replica.index, replica.log_tail().await);
                        replica.start(&run.stop).await;
                    }
                }
            }
        }
    }
}

async fn verdict(run: &Run, tables: Option<&judge::Tables>, path: PathBuf) -> ExitCode {
    let options = &run.options;
    let history = run.history.finish();
    let limits = Limits { recovery: options.recovery(), cut: CUT + options.lease() };
    let breaches = judge::judge(&history, tables, limits);
    let report =
        Report { options, seed: options.clone().settle_seed(), history: &history, breaches: &breaches };
    report.print_breaches();
    report.print();
    if tables.is_some() && passes(options, &breaches) {
        let verdict = if options.expect_stale {
            "stale acceptances found, as they should be"
        } else {
            "all promises kept"
        };
        println!("\n{verdict}");
        if options.history.is_none() {
            let _ = std::fs::remove_file(path);
        }
        return ExitCode::SUCCESS;
    }
    for replica in &run.cluster.replicas {
        println!("\n--- the end of the log of replica {} ---\n{}", replica.index, replica.log_tail().await);
    }
    let verdict = if options.expect_stale { "NOTHING STALE FOUND" } else { "NOT KEPT" };
    println!("\n{verdict}: {} breaches; the history is in {}", breaches.len(), path.display());
    ExitCode::FAILURE
}

fn passes(options: &Options, breaches: &[Breach]) -> bool {
    if options.expect_stale {
        return breaches.iter().any(|breach| breach.kind == Kind::Stale);
    }
    breaches.is_empty()
}

fn history_path(options: &Options) -> PathBuf {
    let seed = options.clone().settle_seed();
    let usual = || std::env::temp_dir().join(format!("doorward-faults-{seed}-{}.tsv", std::process::id()));
    options.history.clone().unwrap_or_else(usual)
}
