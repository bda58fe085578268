//! An OTLP back end over gRPC.

mod carrier;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::Uri;
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use self::carrier::Carrier;
use super::{Access, BadTarget, Batch, CONNECT_TIMEOUT, MAX_RESPONSE, USER_AGENT, verdict};
use crate::domain::Failure;
use crate::otlp::response::Export;

/// How often an idle connection is asked whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long it has to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A channel to the back end.
#[derive(Clone, Debug)]
pub struct GrpcBackend {
    channel: Channel,
    headers: Option<Arc<HeaderMap>>,
}

impl GrpcBackend {
    /// A channel to this scheme and authority, which connects when it is used.
    pub fn new(url: &Uri, access: &Access) -> Result<Self, BadTarget> {
        let tls = |error: tonic::transport::Error| BadTarget::Tls(error.to_string());
        let mut endpoint = Endpoint::from(url.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .http2_adaptive_window(true)
            .user_agent(USER_AGENT)
            .map_err(tls)?;
        if url.scheme_str() == Some("https") {
            endpoint = {
                let config = ClientTlsConfig::new();
                let config = match access.authorities {
                    None => config.with_native_roots(),
                    Some(_) => config.trust_anchors(access.roots()?.roots),
                };
                endpoint.tls_config(config).map_err(tls)?
            };
        }
        Ok(Self { channel: endpoint.connect_lazy(), headers: access.headers.clone() })
    }

    /// Hands a batch over and waits for the acknowledgement.
    pub async fn export(&self, batch: Batch, timeout: Duration) -> Result<Export, Failure> {
        let path = PathAndQuery::from_static(batch.signal.grpc_path());
        let metadata = MetadataMap::from_headers(batch.headers(self.headers.as_deref()));
        let mut request = Request::from_parts(metadata, tonic::Extensions::default(), Carried);
        request.set_timeout(timeout);
        let carrier = Carrier::new(self.channel.clone(), batch.body);
        let mut client = Grpc::new(carrier).max_decoding_message_size(MAX_RESPONSE);
        client.ready().await.map_err(verdict::unreachable)?;
        match client.unary(request, path, Raw).await {
            Ok(response) => Ok(Export::read(response.into_inner())),
            Err(status) => Err(refused(status)),
        }
    }
}

/// A status without a source was sent by the back end; one with a source tells of the way there.
fn refused(status: Status) -> Failure {
    if std::error::Error::source(&status).is_some() {
        return verdict::unreachable(status);
    }
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    verdict::of_grpc(status.code(), status.message(), wait)
}

/// Stands for the message, which the [`Carrier`] has.
#[derive(Clone, Copy, Debug)]
struct Carried;

/// Answers as bytes, not decoded; requests are not encoded either.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Carried;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Carried;
    type Error = Status;

    fn encode(&mut self, Carried: Carried, _out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}
