//! Fail-over to a synchronous standby, while the old primary is stopped in its tracks and comes back to life later.
use super::campaign;
use crate::cluster::{Cluster, connect};
use crate::harness::postgres::Postgres;
use crate::harness::proxy::Mode;
use crate::nemesis::database::order;
use crate::options::Options;
use crate::run::Run;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
/// How long a link stays cut when it is led elsewhere.
const SWITCH: Duration = Duration::from_millis(50);

/// Plays it: calm, fail-over, calm, until the time is over.
pub async fn play(options: Options) -> ExitCode {
    let first = Arc::new(tokio::task::spawn_blocking(Postgres::start).await.unwrap());
    let port = first.port();
    let cluster = Cluster::start(first, port, &options).await;
    campaign(cluster, options, trouble).await
}

async fn trouble(run: Arc<Run>) {
    let mut random = run.random(900);
    while !run.calm_down.is_cancelled() {
        let Some(standby) = with_standby(&run).await else { return };
        tokio::time::sleep(random.millis(1_000..3_000)).await;
        let from = run.history.now();
        let old = run.cluster.primary();
        order(&old, Postgres::freeze).await;
        tokio::time::sleep(random.millis(50..run.options.lease_ms * 2)).await;
        promote(&run, &standby).await;
        lead_to(&run, &standby, random.percent(50)).await;
        run.history.add_strike("failover", "database".into(), from);
        // The old primary goes on as if nothing had been, with the sessions that were open; some replicas still have
        // their links to it. Nothing it says may count.
        let from = run.history.now();
        order(&old, Postgres::thaw).await;
        tokio::time::sleep(random.millis(500..run.options.lease_ms * 3)).await;
        for replica in &run.cluster.replicas {
            relink(&replica.proxy).await;
        }
        run.history.add_strike("old-primary", "database".into(), from);
        tokio::time::sleep(random.millis(2_000..5_000)).await;
        tokio::task::spawn_blocking(move || drop(old)).await.unwrap();
    }
}

/// A standby of the primary, which from then on waits for it at every commit.
async fn with_standby(run: &Run) -> Option<Arc<Postgres>> {
    let primary = run.cluster.primary();
    let made = primary.clone();
    let standby = tokio::task::spawn_blocking(move || Arc::new(Postgres::standby_of(&made))).await.unwrap();
    let statement = "ALTER SYSTEM SET synchronous_standby_names = 'standby'";
    run.cluster.sql(statement, &run.stop).await?;
    let client = run.cluster.sql("SELECT pg_reload_conf()", &run.stop).await?;
    let end = Instant::now() + PATIENCE;
    let query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
    while client.query_one(query, &[]).await.is_ok_and(|row| row.get::<_, i64>(0) == 0) {
        assert!(Instant::now() < end, "the standby does not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some(standby)
}

/// Makes a primary of the standby. It inherits the demand for a standby of its own, which nobody could meet.
async fn promote(run: &Run, standby: &Arc<Postgres>) {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(client) = connect(standby.port(), &run.cluster.name).await {
            let _ = client.batch_execute("SELECT pg_promote(true, 10)").await;
            let alone = client.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await;
            if alone.is_ok() && client.batch_execute("SELECT pg_reload_conf()").await.is_ok() {
                return;
            }
        }
        assert!(Instant::now() < end, "the standby cannot be promoted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Leads the replicas to the new primary; with `linger`, the first keeps the links that it has for a while.
async fn lead_to(run: &Run, standby: &Arc<Postgres>, linger: bool) {
    run.cluster.promote(standby.clone());
    for replica in run.cluster.replicas.iter().skip(usize::from(linger)) {
        relink(&replica.proxy).await;
    }
}

async fn relink(proxy: &crate::harness::proxy::Proxy) {
    proxy.set(Mode::Cut);
    tokio::time::sleep(SWITCH).await;
    proxy.set(Mode::Pass);
}
