//! A running server: its ports, its tasks, and its end.

use super::ambient::{OsEntropy, SystemClock};
use super::ingest::{At, Opening};
use super::listener::{Limits, Port};
use super::panics::CatchPanic;
use super::stack::{self, Parts, Stack};
use super::tls;
use crate::app::{App, flush_uses};
use crate::config::Settings;
use crate::domain::{Clock, Entropy};
use crate::http as rest;
use crate::otlp;
use crate::secret::CsrfKey;
use anyhow::Context as _;
use futures_util::future::Either;
use http::{Request, Response};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic_health::server::HealthReporter;
use tower::Service;

/// How often it is looked whether a signing key is due, which is made a day
/// ahead, and what can be cleared away.
const TEND: Duration = Duration::from_mins(1);

/// How often it is looked whether an audit log is due for a checkpoint.
const SEAL: Duration = Duration::from_secs(5);

/// Audit logs that get checkpoints in one go.
const SEALS: usize = 200;

/// How often uses of keys are written down.
const FLUSH: Duration = Duration::from_secs(5);

/// How long leaving in order may take.
const LEAVE: Duration = Duration::from_secs(5);

/// How often readiness is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Where a server listens, ports filled in.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// gRPC and REST.
    pub api: SocketAddr,
    /// Health, readiness, metrics.
    pub ops: SocketAddr,
    /// OTLP over gRPC, if served.
    pub otlp_grpc: Option<SocketAddr>,
    /// OTLP over HTTP, if served.
    pub otlp_http: Option<SocketAddr>,
}

/// A running server.
pub struct Server {
    parts: Parts,
    addresses: Addresses,
    /// Stops the API and OTLP ports.
    stop: CancellationToken,
    /// Stops what has to outlive them: the probes.
    stop_last: CancellationToken,
    ports: TaskTracker,
    probes: TaskTracker,
    reporter: HealthReporter,
}

impl Server {
    /// Starts everything: the database first, then the ports.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        stack::every_method_has_a_policy()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let parts = stack::parts(&settings, clock, entropy).await?;
        Self::open(settings, parts).await
    }

    /// Opens the ports over parts that are there.
    pub async fn open(settings: Settings, parts: Parts) -> anyhow::Result<Self> {
        let acceptor =
            settings.tls.files().map(|(certificate, key)| tls::acceptor(certificate, key)).transpose()?;
        let limits = limits(&settings);
        let (stop, ports) = (CancellationToken::new(), TaskTracker::new());
        let (stop_last, probes) = (CancellationToken::new(), TaskTracker::new());

        let (reporter, health) = stack::health();
        let grpc = parts.stack(settings.api.reflection, health, |routes| routes)?;
        let opening = Opening {
            limits,
            tls: acceptor,
            open: parts.metrics.connections.clone(),
            ports: &ports,
            stop: &stop,
        };
        let api = opening.bind(settings.api.listen).await?;
        let api_at = api.listener.local_addr()?;
        let service = ApiService::new(grpc, &settings, &parts)?;
        ports.spawn(api.serve(CatchPanic(service), stop.clone()));

        let mut otlp = At::default();
        if settings.otlp.is_on() {
            let gate: Arc<dyn otlp::Gate> = Arc::clone(&parts.guard) as _;
            let metrics = Arc::clone(&parts.metrics);
            let (lines, meter) = (Arc::new(otlp::sink::Stdout), Arc::clone(&parts.app.usage.meter));
            let gateway = otlp::Gateway::new(&settings.otlp, gate, metrics, lines, meter)?;
            otlp = opening.serve(&settings, gateway).await?;
        }
        // Last: whoever is told that it is ready finds every port open.
        let ops = Port::bind(settings.ops.listen, None, limits, parts.metrics.connections.clone()).await?;
        let ops_at = ops.listener.local_addr()?;
        probes.spawn(ops.serve(probes_service(&parts), stop_last.clone()));
        let addresses = Addresses { api: api_at, ops: ops_at, otlp_grpc: otlp.grpc, otlp_http: otlp.http };
        stack::report(&reporter, true).await;
        let server = Self { parts, addresses, stop, stop_last, ports, probes, reporter };
        server.spawn_keepers();
        Ok(server)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Serves until SIGTERM or SIGINT, then ends in order.
    pub async fn run_until_told(self) {
        told_to_stop().await;
        tracing::info!("stopping: new calls are refused, open ones may end");
        self.stop().await;
        tracing::info!("stopped");
    }

    /// Ends in order: say so, stop taking calls, let open ones end, write down
    /// what is in memory only.
    pub async fn stop(self) {
        stack::report(&self.reporter, false).await;
        self.stop.cancel();
        self.parts.app.watches.stopping.cancel();
        self.ports.close();
        self.ports.wait().await;
        if let Err(error) = flush_uses(&self.parts.app, crate::domain::Timestamp::from_micros(0)).await {
            tracing::warn!(%error, "the last uses of keys were not written down");
        }
        if let Err(error) = self.parts.app.audit_refusals(self.parts.app.clock.now()).await {
            tracing::warn!(%error, "what was refused last was not written into the audit log");
        }
        if let Err(error) = self.parts.app.usage_flush().await {
            tracing::warn!(%error, "the last counts of use were not written down");
        }
        if let Err(error) = self.parts.app.ingest_flush().await {
            tracing::warn!(%error, "the last counts of telemetry were not written down");
        }
        let Parts { app, following, carrying, .. } = self.parts;
        carrying.finish(LEAVE).await;
        drop(following);
        match tokio::time::timeout(LEAVE, app.replica.leave(&app.store)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not leave in order; others wait for this replica's lease");
            }
            Err(_) => tracing::warn!("leaving took too long; others wait for this replica's lease"),
        }
        app.store.close().await;
        self.stop_last.cancel();
        self.probes.close();
        self.probes.wait().await;
    }

    fn spawn_keepers(&self) {
        let stop = self.stop.clone();
        let app = Arc::clone(&self.parts.app);
        self.ports.spawn(stop.clone().run_until_cancelled_owned(keep_uses(Arc::clone(&app))));
        self.ports.spawn(stop.clone().run_until_cancelled_owned(keep_in_order(Arc::clone(&app))));
        self.ports.spawn(stop.clone().run_until_cancelled_owned(keep_sealed(Arc::clone(&app))));
        self.ports.spawn(stop.clone().run_until_cancelled_owned(crate::jobs::keep_up(Arc::clone(&app))));
        let (metrics, reporter) = (Arc::clone(&self.parts.metrics), self.reporter.clone());
        self.ports.spawn(stop.run_until_cancelled_owned(async move {
            let mut serving = true;
            loop {
                tokio::time::sleep(LOOK).await;
                let at = app.clock.moment();
                metrics.view_keys.set(i64::try_from(app.replica.view.len()).unwrap_or(i64::MAX));
                metrics
                    .view_applied
                    .set(i64::try_from(app.replica.view.applied().number()).unwrap_or(i64::MAX));
                let remaining = app.replica.remaining(at.monotonic).as_millis();
                metrics.lease_remaining.set(i64::try_from(remaining).unwrap_or(i64::MAX));
                let fresh = app.verifier.is_ready(at);
                if fresh != serving {
                    serving = fresh;
                    stack::report(&reporter, serving).await;
                }
            }
        }));
    }
}

async fn keep_uses(app: Arc<App>) {
    let mut since = app.clock.now();
    loop {
        tokio::time::sleep(FLUSH).await;
        match flush_uses(&app, since).await {
            Ok(now) => since = now,
            Err(error) => tracing::warn!(%error, "uses of keys were not written down; trying again"),
        }
        // Of its own: what was taken out of the view is not lost when the server is told to stop.
        let flushing = tokio::spawn({
            let app = Arc::clone(&app);
            async move { app.usage_flush().await.and(app.ingest_flush().await) }
        });
        if let Ok(Err(error)) = flushing.await {
            tracing::warn!(%error, "counts of use were not written down; trying again");
        }
    }
}

async fn keep_in_order(app: Arc<App>) {
    loop {
        tokio::time::sleep(TEND).await;
        if let Err(error) = app.tend_signing_keys().await {
            tracing::warn!(%error, "the signing keys were not looked after; trying again");
        }
        if let Err(error) = app.audit_refusals(app.clock.now()).await {
            tracing::warn!(%error, "what was refused was not written into the audit log");
        }
        if let Err(error) = app.tidy().await {
            tracing::warn!(%error, "what is over was not cleared away; trying again");
        }
        if let Err(error) = app.usage_spikes().await {
            tracing::warn!(%error, "the use of keys was not looked at; trying again");
        }
    }
}

async fn keep_sealed(app: Arc<App>) {
    loop {
        tokio::time::sleep(SEAL).await;
        if let Err(error) = app.audit_seal(app.clock.now(), SEALS).await {
            tracing::warn!(%error, "audit logs got no checkpoints; trying again");
        }
    }
}

/// What every port bears.
pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        connections: settings.api.max_connections,
        streams: settings.api.max_streams,
        header_bytes: settings.api.max_header_bytes,
        drain: Duration::from_millis(settings.api.drain_ms),
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn probes_service(
    parts: &Parts,
) -> impl Service<
    Request<Incoming>,
    Response = Response<http_body_util::Full<bytes::Bytes>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let (app, metrics) = (Arc::clone(&parts.app), Arc::clone(&parts.metrics));
    let readiness = move || {
        let fresh = app.verifier.is_ready(app.clock.moment());
        if fresh { Vec::new() } else { vec!["the database does not answer".to_owned()] }
    };
    let probes = rest::Probes::new(readiness, move || metrics.text());
    tower::service_fn(move |request: Request<Incoming>| std::future::ready(Ok(probes.answer(&request))))
}

/// gRPC and REST on one port.
#[derive(Clone)]
struct ApiService(Arc<Surfaces>);

/// Behind one pointer, for the service is cloned for every request.
struct Surfaces {
    grpc: Stack,
    rest: rest::Transcoder<Stack>,
}

impl ApiService {
    fn new(grpc: Stack, settings: &Settings, parts: &Parts) -> anyhow::Result<Self> {
        let clock = Arc::clone(&parts.app.clock);
        let csrf = CsrfKey::of(&parts.app.pepper).context("the key of CSRF tokens cannot be made")?;
        let app = Arc::clone(&parts.app);
        let besides = rest::Besides { keys: Box::new(move || app.jwks()), csrf };
        let (options, entropy) = (settings.http.clone(), &*parts.app.entropy);
        let rest = rest::Transcoder::new(grpc.clone(), options, clock, entropy, besides)?;
        Ok(Self(Arc::new(Surfaces { grpc, rest })))
    }
}

/// Not boxed: every call passes here.
type Answering = Either<
    <Stack as Service<Request<Incoming>>>::Future,
    <rest::Transcoder<Stack> as Service<Request<Incoming>>>::Future,
>;

impl Service<Request<Incoming>> for ApiService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        match rest::surface(&request) {
            rest::Surface::Grpc => Either::Left(self.0.grpc.clone().call(request)),
            rest::Surface::Http => Either::Right(self.0.rest.clone().call(request)),
        }
    }
}
