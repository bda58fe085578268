//! The ports of OTLP.

use super::listener::{Limits, Port};
use super::panics::CatchPanic;
use crate::config::Settings;
use crate::otlp::{Gateway, GrpcService, HttpService};
use prometheus::IntGauge;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How ports are bound and served.
pub struct Opening<'a> {
    /// What they bear.
    pub limits: Limits,
    /// TLS, if it is on.
    pub tls: Option<TlsAcceptor>,
    /// Counts open connections.
    pub open: IntGauge,
    /// Has the ports' tasks.
    pub ports: &'a TaskTracker,
    /// Stops them.
    pub stop: &'a CancellationToken,
}

/// Where OTLP is served, over gRPC and over HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct At {
    /// Over gRPC.
    pub grpc: Option<SocketAddr>,
    /// Over HTTP.
    pub http: Option<SocketAddr>,
}

impl Opening<'_> {
    /// Binds one port.
    pub async fn bind(&self, address: SocketAddr) -> anyhow::Result<Port> {
        Port::bind(address, self.tls.clone(), self.limits, self.open.clone()).await
    }

    /// Serves this gateway on the addresses of the settings.
    pub async fn serve(&self, settings: &Settings, gateway: Gateway) -> anyhow::Result<At> {
        let gateway = Arc::new(gateway);
        let mut at = At::default();
        if let Some(address) = settings.otlp.grpc_listen.0 {
            let port = self.bind(address).await?;
            at.grpc = Some(port.listener.local_addr()?);
            let service = CatchPanic(GrpcService::new(Arc::clone(&gateway)));
            self.ports.spawn(port.serve(service, self.stop.clone()));
        }
        if let Some(address) = settings.otlp.http_listen.0 {
            let port = self.bind(address).await?;
            at.http = Some(port.listener.local_addr()?);
            self.ports.spawn(port.serve(CatchPanic(HttpService::new(gateway)), self.stop.clone()));
        }
        Ok(at)
    }
}
