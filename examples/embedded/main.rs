//! A small gRPC service that checks its callers' keys in its own process.
//!
//! It needs no database and no call to Doorward on the way of a request: the
//! embedded layer keeps a copy of the keys that it may see, and holds a lease
//! on it. Revoke a key, and when the revocation returns, this service refuses
//! it too, and streams that were opened with it have ended.
//!
//! Start a Doorward in one terminal and note the API key that it prints:
//!
//! ```text
//! cargo run -- dev
//! ```
//!
//! Start this service in another, with that key as its own credential (a key
//! with the one permission `credentials.verify` is what a real service uses):
//!
//! ```text
//! DOORWARD_API_KEY=dw_live_… cargo run --example embedded --no-default-features --features client
//! ```
//!
//! In a third, make a key, open a stream with it, and revoke it meanwhile:
//!
//! ```text
//! cargo run -- key create guest
//! grpcurl -plaintext -import-path examples/embedded -proto ticker.proto \
//!     -H "authorization: Bearer dw_live_…" 127.0.0.1:7500 doorward.example.v1.TickerService/Tick
//! cargo run -- key revoke key_…
//! ```
//!
//! The stream ends with `UNAUTHENTICATED` before the revocation returns. Stop
//! Doorward instead, and within one lease calls end with `UNAVAILABLE`: what
//! cannot be known is never taken for good.
#![expect(clippy::print_stdout, reason = "it tells people where it listens")]

mod ticker {
    #![allow(missing_docs, clippy::all, clippy::pedantic)]
    tonic::include_proto!("doorward.example.v1");
}

use doorward::client::embedded::{Embedded, EmbeddedLayer, Permission, Verified};
use doorward::client::{Address, Presented};
use futures_util::{Stream, StreamExt};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use ticker::ticker_service_server::{TickerService, TickerServiceServer};
use ticker::{GreetRequest, GreetResponse, TickRequest, TickResponse};
use tokio_stream::wrappers::IntervalStream;
use tonic::transport::Server;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Request, Response, Status};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str, otherwise: &str| std::env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let doorward = Address::parse(&setting("DOORWARD_ADDRESS", "127.0.0.1:7400"))?;
    let listen: SocketAddr = setting("LISTEN", "127.0.0.1:7500").parse()?;

    // This service's own credential, from DOORWARD_API_KEY or the file that DOORWARD_API_KEY_FILE names.
    let key = Presented::from_environment(&|name| std::env::var_os(name))?;
    let embedded = Embedded::connect(&doorward, &key).await?;
    // Not needed: until there is a lease, checks ask the server. But a service that is
    // wrongly set up should say so at its start.
    embedded.ready(Duration::from_secs(10)).await?;

    let guard = EmbeddedLayer::new(embedded)
        // Every method asks for a good key. This one asks for a permission, too.
        .require("/doorward.example.v1.TickerService/Tick", Permission::TENANT_READ)
        // Keys can be confined to networks, so the layer has to know where a call comes from.
        .peer(|extensions| {
            let address = extensions.get::<TcpConnectInfo>()?.remote_addr()?;
            Some(address.ip())
        });

    println!("listening on {listen}");
    Server::builder().layer(guard).add_service(TickerServiceServer::new(Ticker)).serve(listen).await?;
    Ok(())
}

/// The service itself knows nothing of keys: who got here has been checked.
struct Ticker;

#[tonic::async_trait]
impl TickerService for Ticker {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let caller = caller(&request)?;
        let tenant = caller.principal.slug().map_or("somewhere", |slug| slug.as_str());
        let name = caller.principal.email.as_ref().map_or("a machine", |email| email.as_str());
        Ok(Response::new(GreetResponse { greeting: format!("Hello, {name} of {tenant}.") }))
    }

    type TickStream = Pin<Box<dyn Stream<Item = Result<TickResponse, Status>> + Send>>;

    /// Knows nothing of revocation either: the layer ends the stream.
    async fn tick(&self, _request: Request<TickRequest>) -> Result<Response<Self::TickStream>, Status> {
        let every = tokio::time::interval(Duration::from_millis(100));
        let ticks = IntervalStream::new(every).enumerate();
        let answers = ticks.map(|(number, _)| Ok(TickResponse { number: number as u64 + 1 }));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Whom the layer found the caller to be.
fn caller<T>(request: &Request<T>) -> Result<&Verified, Status> {
    request.extensions().get().ok_or_else(|| Status::internal("the service runs without its guard"))
}
