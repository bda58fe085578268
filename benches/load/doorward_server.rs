//! Doorward as the binary runs it, and beside it the empty RPC on the same accept loop.

use crate::{child, echo::Echo};
use anyhow::{Context as _, Result};
use doorward::boot::{Limits, Port, Server};
use doorward::config::{Settings, load};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Serves over the database at `path` until the parent goes away.
pub async fn serve(path: &Path) -> Result<()> {
    let settings = settings(path)?;
    let limits = Limits {
        connections: settings.api.max_connections,
        streams: settings.api.max_streams,
        header_bytes: settings.api.max_header_bytes,
        drain: Duration::from_millis(settings.api.drain_ms),
    };
    let server = Server::start(settings).await?;
    let open = server.parts().metrics.connections.clone();
    let port = Port::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None, limits, open).await?;
    child::announce(&[server.addresses().api, port.listener.local_addr()?])?;
    tokio::spawn(port.serve(Routes::new(Echo).prepare(), CancellationToken::new()));
    child::parent_gone().await;
    Ok(())
}

/// The defaults, on ports of the system's choice and without OTLP.
fn settings(path: &Path) -> Result<Settings> {
    let database = format!("sqlite://{}", path.to_str().context("the path is not text")?);
    let variables = [
        ("DOORWARD_DATABASE_URL", database.as_str()),
        ("DOORWARD_API__LISTEN", "127.0.0.1:0"),
        ("DOORWARD_OPS__LISTEN", "127.0.0.1:0"),
        ("DOORWARD_OTLP__GRPC_LISTEN", ""),
        ("DOORWARD_OTLP__HTTP_LISTEN", ""),
    ];
    Ok(load(None, variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))?)
}
