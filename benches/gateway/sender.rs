//! One of many senders: a connection, and an export that comes in pieces.

use crate::payload::Coding;
use crate::servants::EXPORT;
use anyhow::Result;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// A connection that has sent nothing so far.
pub struct Sender {
    key: String,
    connection: SendRequest<UnsyncBoxBody<Bytes, Infallible>>,
}

/// What is sent, and how fast.
#[derive(Clone)]
pub struct Parcel {
    /// The export, compressed if it is.
    pub bytes: Bytes,
    pub coding: Coding,
    /// Bytes that are sent at once.
    pub piece: usize,
    /// The wait after each piece.
    pub pause: Duration,
}

/// What became of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted,
    /// Refused, with the time after which it may be sent again.
    Later,
    /// Refused for good.
    Refused,
    /// Not answered.
    Broken,
}

impl Sender {
    /// Connects.
    pub async fn connect(address: SocketAddr, key: &str) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        let (connection, rest) = handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
        tokio::spawn(rest);
        Ok(Self { key: key.to_owned(), connection })
    }

    /// Sends one export.
    pub async fn send(self, parcel: Parcel) -> Outcome {
        self.attempt(parcel).await.unwrap_or(Outcome::Broken)
    }

    async fn attempt(mut self, parcel: Parcel) -> Result<Outcome> {
        let request = Request::post(format!("http://127.0.0.1{EXPORT}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-encoding", parcel.coding.name())
            .header("authorization", format!("Bearer {}", self.key))
            .body(body(parcel)?)?;
        let response = self.connection.send_request(request).await?;
        if let Some(outcome) = read(response.headers()) {
            return Ok(outcome);
        }
        let body = response.into_body().collect().await?;
        Ok(body.trailers().and_then(read).unwrap_or(Outcome::Broken))
    }
}

fn body(parcel: Parcel) -> Result<UnsyncBoxBody<Bytes, Infallible>> {
    let mut prefix = BytesMut::new();
    prefix.put_u8(u8::from(parcel.coding != Coding::Identity));
    prefix.put_u32(u32::try_from(parcel.bytes.len())?);
    let pieces = stream::unfold((prefix.freeze(), parcel), |(now, mut parcel)| async move {
        if now.is_empty() {
            return None;
        }
        tokio::time::sleep(parcel.pause).await;
        let next = parcel.bytes.split_to(parcel.piece.min(parcel.bytes.len()));
        Some((Ok(Frame::data(now)), (next, parcel)))
    });
    Ok(StreamBody::new(pieces).boxed_unsync())
}

/// What headers or trailers say.
fn read(headers: &HeaderMap) -> Option<Outcome> {
    let status = headers.get("grpc-status")?;
    let later = headers.contains_key("google.rpc.retryinfo-bin");
    Some(match status.as_bytes() {
        b"0" => Outcome::Accepted,
        _ if later => Outcome::Later,
        _ => Outcome::Refused,
    })
}
