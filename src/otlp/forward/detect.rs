//! How a back end speaks, where neither its URL nor a setting tells: it is asked once, before the first export.
//!
//! The question is how a connection of HTTP/2 starts (RFC 9113, section 3.4). A gRPC server must answer with its own
//! SETTINGS; a server of HTTP/1.1 refuses the strange request in words or closes. Nothing of a sender is in it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::grpc::GrpcBackend;
use super::http::HttpBackend;
use super::{Access, BadTarget, Batch, CONNECT_TIMEOUT, verdict};
use crate::domain::Failure;
use crate::otlp::Protocol;
use crate::otlp::response::Export;

/// How long a back end has to answer the question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The preface of HTTP/2 and an empty SETTINGS frame.
const QUESTION: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Bytes of the answer that tell: a frame's length and type, or the name of HTTP/1.
const TELLING: u64 = 4;
/// The type of a SETTINGS frame (RFC 9113, section 6.5).
const SETTINGS: u8 = 4;

/// A back end without TLS that is asked how it speaks.
#[derive(Debug)]
pub struct UnknownBackend {
    host: String,
    port: u16,
    grpc: GrpcBackend,
    http: HttpBackend,
    /// Set once, for the life of the process.
    known: OnceLock<Protocol>,
    /// What was heard last. Held while asking, so that exports that come meanwhile wait for the same answer.
    heard: Mutex<Heard>,
    /// How often was asked.
    rounds: AtomicU64,
}

/// What a back end says when asked.
#[derive(Clone, Debug)]
enum Heard {
    /// How it speaks.
    Protocol(Protocol),
    /// Nothing that tells. That may be a server of HTTP/1.1, or a proxy before a server that is not up yet.
    Nothing,
    /// There is no connection.
    Away(Arc<io::Error>),
}

impl UnknownBackend {
    /// A back end at this scheme, which must be `http`, and authority.
    pub fn new(url: &Uri, access: &Access) -> Result<Self, BadTarget> {
        let host = url.host().ok_or(BadTarget::Unreadable)?;
        Ok(Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_u16().unwrap_or(80),
            grpc: GrpcBackend::new(url, access)?,
            http: HttpBackend::new(url, access)?,
            known: OnceLock::new(),
            heard: Mutex::new(Heard::Nothing),
            rounds: AtomicU64::new(0),
        })
    }

    /// Hands a batch over and waits for the acknowledgement, after having asked how if that is not known.
    ///
    /// A back end that said nothing gets the batch over HTTP, and is asked again next time unless it took it: what
    /// is remembered must be certain, as only a restart would correct it.
    pub async fn export(&self, batch: Batch, timeout: Duration) -> Result<Export, Failure> {
        if self.protocol().await? == Protocol::Grpc {
            return self.grpc.export(batch, timeout).await;
        }
        let taken = self.http.export(batch).await?;
        self.remember(Protocol::Http);
        Ok(taken)
    }

    async fn protocol(&self) -> Result<Protocol, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(*known);
        }
        match self.hear().await {
            Heard::Protocol(protocol) => {
                self.remember(protocol);
                Ok(protocol)
            }
            Heard::Nothing => Ok(Protocol::Http),
            Heard::Away(error) => Err(verdict::unreachable(error)),
        }
    }

    /// Asks, or waits for the answer to whoever is asking now. Who gives up while asking leaves it to the next.
    async fn hear(&self) -> Heard {
        let round = self.rounds.load(Ordering::Acquire);
        let mut heard = self.heard.lock().await;
        if self.rounds.load(Ordering::Acquire) == round {
            *heard = self.connect_and_ask().await;
            self.rounds.fetch_add(1, Ordering::Release);
        }
        heard.clone()
    }

    async fn connect_and_ask(&self) -> Heard {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => ask(stream).await,
            Ok(Err(error)) => Heard::Away(Arc::new(error)),
            Err(late) => Heard::Away(Arc::new(late.into())),
        }
    }

    fn remember(&self, protocol: Protocol) {
        if self.known.set(protocol).is_ok() {
            tracing::info!(
                ?protocol,
                host = self.host,
                port = self.port,
                "the OTLP back end's protocol is known"
            );
        }
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Heard {
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(QUESTION).await?;
        stream.take(TELLING).read_to_end(&mut answer).await
    };
    // A server of HTTP/1.1 may well reset the connection, before or after it said something.
    let end = timeout(ANSWER_TIMEOUT, asked).await;
    tracing::debug!(?end, ?answer, "asked the OTLP back end how it speaks");
    match answer.as_slice() {
        b"HTTP" => Heard::Protocol(Protocol::Http),
        [_, _, _, SETTINGS] => Heard::Protocol(Protocol::Grpc),
        _ => Heard::Nothing,
    }
}

#[cfg(test)]
mod tests;
