//! Faults of all kinds, one or two at a time; or none at all.
use super::campaign;
use crate::cluster::Cluster;
use crate::harness::postgres::Postgres;
use crate::nemesis;
use crate::options::Options;
use crate::run::Run;
use std::process::ExitCode;
use std::sync::Arc;

/// Plays it.
pub async fn play(options: Options) -> ExitCode {
    let postgres = Arc::new(tokio::task::spawn_blocking(Postgres::start).await.unwrap());
    let port = postgres.port();
    let cluster = Cluster::start(postgres, port, &options).await;
    campaign(cluster, options, trouble).await
}

/// Random faults until it is time for calm; nothing but the time if that was asked for.
pub async fn trouble(run: Arc<Run>) {
    if run.options.calm {
        run.calm_down.cancelled().await;
    } else {
        nemesis::haunt(&run).await;
    }
}
