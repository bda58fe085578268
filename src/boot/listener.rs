//! The accept loop: TLS, HTTP/1.1 and HTTP/2, bounds, and an orderly end.

use super::Deferred;
use super::gathering::Gathering;
use crate::guard::Peer;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use prometheus::IntGauge;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// How long a handshake, or the headers of a request, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often an idle connection is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Resets by a client that may wait before the connection is ended (rapid reset).
const MAX_PENDING_RESETS: usize = 64;

/// Streams that may be reset for what a client did wrong, in a connection's whole
/// life. Among them are honest ones: who is refused before their body has come
/// sends the rest of it to a stream that has ended. A proxy with many clients
/// behind one connection must not lose it for that.
const MAX_LOCAL_RESETS: usize = 100_000;

/// What one port allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections.
    pub connections: u32,
    /// Streams at once on a connection.
    pub streams: u32,
    /// Bytes of headers.
    pub header_bytes: u32,
    /// How long calls may still take at the end.
    pub drain: Duration,
}

/// A port that was bound.
pub struct Port {
    /// Its listener.
    pub listener: TcpListener,
    /// TLS, if it is on.
    pub tls: Option<TlsAcceptor>,
    /// What it allows.
    pub limits: Limits,
    /// Counts open connections.
    pub open: IntGauge,
}

impl Port {
    /// Binds an address.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        limits: Limits,
        open: IntGauge,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| anyhow::anyhow!("cannot listen on {address}: {error}"))?;
        Ok(Self { listener, tls, limits, open })
    }

    /// Serves until `stop`; then lets open calls end, within the limit.
    pub async fn serve<S, B>(self, service: S, stop: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let places = Arc::new(Semaphore::new(self.limits.connections as usize));
        let builder = Arc::new(builder(self.limits));
        let graceful = GracefulShutdown::new();
        while let Some((socket, peer, place)) = self.next(&places, &stop).await {
            let (builder, service, tls) = (Arc::clone(&builder), service.clone(), self.tls.clone());
            let watcher = graceful.watcher();
            let counted = Counted::new(self.open.clone());
            tokio::spawn(async move {
                let _held = (place, counted);
                let service = hyper_util::service::TowerToHyperService::new(WithPeer {
                    inner: service,
                    peer: Peer(peer),
                });
                match tls {
                    None => serve_one(&builder, socket, service, watcher).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(socket)).await {
                            serve_one(&builder, stream, service, watcher).await;
                        }
                    }
                }
            });
        }
        drop(self.listener);
        if tokio::time::timeout(self.limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("calls were still open at the end and were cut");
        }
    }

    /// The next connection; `None` at the end. A full house waits here, and
    /// new connections in the system's queue.
    async fn next(
        &self,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                accepted = async { (Arc::clone(places).acquire_owned().await, self.listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(place), Ok((socket, peer))) => {
                    if let Err(error) = socket.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    return Some((socket, peer, place));
                }
                (_, Err(error)) => {
                    // Out of descriptors, say: better in a moment.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (Err(_), _) => return None,
            }
        }
    }
}

async fn serve_one<IO, S, B>(
    builder: &auto::Builder<TokioExecutor>,
    io: IO,
    service: S,
    watcher: hyper_util::server::graceful::Watcher,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = builder.serve_connection(Gathering(TokioIo::new(io)), service);
    if let Err(error) = Deferred::new(watcher.watch(connection)).await {
        tracing::debug!(%error, "a connection ended");
    }
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024)
        .max_send_buf_size(1024 * 1024)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(PATIENCE);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size((limits.header_bytes as usize).max(64 * 1024))
        .keep_alive(true);
    builder
}

/// Tells each request who is at the other end.
#[derive(Clone)]
struct WithPeer<S> {
    inner: S,
    peer: Peer,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for WithPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}

/// Counts a connection for as long as it is open.
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
