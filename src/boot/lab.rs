//! A lab: the OTLP gateway alone, without keys, on this machine alone.
//!
//! There is no setting that turns keys off in a server that has them. A lab is another program run: it opens no
//! database and no API, so there is no key that it could take.

use super::ambient::{OsEntropy, SystemClock};
use super::ingest::{At, Opening};
use super::listener::Port;
use super::server::{limits, told_to_stop};
use super::tls;
use crate::config::Settings;
use crate::http::Probes;
use crate::otlp::sink::Stdout;
use crate::otlp::{Gateway, LabTenant};
use crate::store::Options;
use crate::telemetry::Metrics;
use http::Request;
use hyper::body::Incoming;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often the log says again what this is.
const REMIND: Duration = Duration::from_mins(5);

/// A lab that runs.
pub struct Lab {
    /// Where it takes telemetry.
    pub otlp: At,
    /// Where it tells of itself.
    pub ops: SocketAddr,
    /// Of the OTLP addresses.
    pub scheme: &'static str,
    stop: CancellationToken,
    ports: TaskTracker,
}

/// Starts one; what names no tenant is `default`'s.
///
/// # Errors
/// The settings belong to a server with keys, or it would be reached from elsewhere, or a port is taken.
pub async fn lab(mut settings: Settings, default: LabTenant) -> anyhow::Result<Lab> {
    if !settings.otlp.has_default() {
        settings.otlp.backend = "sink".into();
    }
    has_no_keys(&settings)?;
    is_on_loopback(&settings)?;
    let metrics = Arc::new(Metrics::new()?);
    let (stop, ports) = (CancellationToken::new(), TaskTracker::new());
    let files = settings.tls.files();
    let opening = Opening {
        limits: limits(&settings),
        tls: files.map(|(certificate, key)| tls::acceptor(certificate, key)).transpose()?,
        open: metrics.connections.clone(),
        ports: &ports,
        stop: &stop,
    };
    let clock = Arc::new(SystemClock::default());
    let gateway =
        Gateway::lab(&settings.otlp, default, clock, &OsEntropy, Arc::clone(&metrics), Arc::new(Stdout))?;
    let otlp = opening.serve(&settings, gateway).await?;
    let port = Port::bind(settings.ops.listen, None, opening.limits, opening.open.clone()).await?;
    let ops = port.listener.local_addr()?;
    let probes = Probes::new(Vec::new, move || metrics.text());
    let service = tower::service_fn(move |request: Request<Incoming>| ready(Ok(probes.answer(&request))));
    ports.spawn(port.serve(service, stop.clone()));
    ports.spawn(stop.clone().run_until_cancelled_owned(remind()));
    let scheme = if files.is_some() { "https" } else { "http" };
    Ok(Lab { otlp, ops, scheme, stop, ports })
}

impl Lab {
    /// Serves until SIGTERM or SIGINT.
    pub async fn run_until_told(self) {
        told_to_stop().await;
        self.stop.cancel();
        self.ports.close();
        self.ports.wait().await;
    }
}

/// The log must say it, whoever comes later.
async fn remind() {
    loop {
        tracing::warn!("LAB MODE: no keys are asked for, and senders name their tenant themselves");
        tokio::time::sleep(REMIND).await;
    }
}

fn has_no_keys(settings: &Settings) -> anyhow::Result<()> {
    let has_database = settings.database.url.reveal() != Options::default().url.reveal();
    anyhow::ensure!(
        !has_database && settings.keys.pepper.is_none() && settings.break_glass.master_key.is_none(),
        "these are the settings of a server with keys (database.url, keys.pepper or break_glass is set); \
         a lab has none of them: start it with settings of its own"
    );
    Ok(())
}

fn is_on_loopback(settings: &Settings) -> anyhow::Result<()> {
    let otlp = [settings.otlp.grpc_listen.0, settings.otlp.http_listen.0];
    let here = |address: &SocketAddr| address.ip().is_loopback();
    anyhow::ensure!(
        otlp.iter().flatten().all(here) && here(&settings.ops.listen),
        "a lab listens on this machine alone: otlp.grpc_listen, otlp.http_listen and ops.listen must be loopback addresses"
    );
    anyhow::ensure!(
        otlp.iter().any(Option::is_some),
        "a lab without otlp.grpc_listen and otlp.http_listen serves nothing"
    );
    Ok(())
}
