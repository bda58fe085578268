//! An RPC that does nothing: empty message in, empty message out. What remains is the cost of the server itself.

use crate::answer::Answer;
use crate::frames::HeaderBlocks;
use crate::options::Options;
use crate::session::{Plan, Shape};
use anyhow::{Context as _, Result};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// The path of the RPC.
pub const PATH: &str = "/doorward.bench.Echo/Empty";

/// Serves [`PATH`], in the form that tonic's generated services have.
#[derive(Clone, Copy)]
pub struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "doorward.bench.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(ProstCodec::<(), ()>::default()).unary(Empty, request).await) })
    }
}

/// Calls the RPC in a closed loop.
pub fn plan(options: &Options) -> Plan {
    Plan {
        headers: HeaderBlocks::new(PATH, None),
        callers: Vec::new(),
        bodies: vec![vec![0; 5]],
        shape: Shape::Unary,
        answer: Answer::Empty,
        in_flight: options.in_flight,
    }
}

/// Calls the RPC once with tonic's own client.
pub async fn call(address: SocketAddr) -> Result<()> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let codec = ProstCodec::<(), ()>::default();
    let answer = client.unary(Request::new(()), http::uri::PathAndQuery::from_static(PATH), codec).await;
    answer.context("the empty RPC fails")?;
    Ok(())
}

struct Empty;

impl UnaryService<()> for Empty {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}
