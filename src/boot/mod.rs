//! The composition root: from settings to a running server.

mod ambient;
mod bootstrap;
mod deferred;
mod dev;
mod doctor;
mod gathering;
mod ingest;
mod jobs;
mod lab;
mod listener;
mod log;
mod panics;
mod people;
mod server;
mod stack;
mod tls;
mod vault;

pub use crate::otlp::LabTenant;
pub use ambient::{OsEntropy, SystemClock};
pub use bootstrap::bootstrap;
pub use deferred::Deferred;
pub use dev::{Dev, OWNER, dev};
pub use doctor::{Finding, Verdict, doctor};
pub use jobs::{JobTold, jobs_list, jobs_run};
pub use lab::{Lab, lab};
pub use listener::{Limits, Port};
pub use log::start as start_log;
pub use server::{Addresses, Server};
pub use stack::{Parts, parts};
pub use vault::{Rotation, vault_needs, vault_rotate};

use crate::config::Settings;
use crate::domain::Entropy;
use crate::store::Store;

/// Brings the database to this version's schema; gives how many steps it took.
pub async fn migrate(settings: &Settings) -> anyhow::Result<usize> {
    Ok(Store::new(&settings.database)?.migrate().await?)
}

/// Begins a new era of the change log, after the database was set back: every
/// replica loads it anew and answers again.
pub async fn new_era(settings: &Settings) -> anyhow::Result<()> {
    let store = Store::new(&settings.database)?;
    store.migrate().await?;
    let mut era = [0; 8];
    OsEntropy.fill(&mut era);
    store.begin_era(&format!("{:016x}", u64::from_be_bytes(era))).await?;
    Ok(())
}

/// Serves until the process is told to stop.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let server = Server::start(settings).await?;
    let at = server.addresses();
    tracing::info!(api = %at.api, ops = %at.ops, otlp.grpc = ?at.otlp_grpc, otlp.http = ?at.otlp_http, "ready");
    server.run_until_told().await;
    Ok(())
}
