//! The floor that everybody ships: tonic's own server with its defaults.

use crate::{child, echo::Echo};
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// Serves the empty RPC until the parent goes away.
pub async fn serve() -> Result<()> {
    let incoming = TcpIncoming::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .map_err(|error| anyhow::anyhow!("cannot listen: {error}"))?
        .with_nodelay(Some(true));
    child::announce(&[incoming.local_addr()?])?;
    Server::builder().add_service(Echo).serve_with_incoming_shutdown(incoming, child::parent_gone()).await?;
    Ok(())
}
