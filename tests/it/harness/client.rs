//! gRPC clients with a credential, and what a refusal must look like.
use bytes::{Buf, BufMut};
use doorward::pb::v1::audit_service_client::AuditServiceClient;
use doorward::pb::v1::authn_service_client::AuthnServiceClient;
use doorward::pb::v1::keys_service_client::KeysServiceClient;
use doorward::pb::v1::tenancy_service_client::TenancyServiceClient;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::HashMap;
use std::time::Duration;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::InterceptedService;
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

/// `google.rpc.ErrorInfo.domain` of every refusal.
const DOMAIN: &str = "doorward.dev";
/// The longest that any call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose every call carries the same metadata.
pub type Link = InterceptedService<Channel, Metadata>;
pub type Authn = AuthnServiceClient<Link>;
pub type Keys = KeysServiceClient<Link>;
pub type Audit = AuditServiceClient<Link>;
pub type Tenancy = TenancyServiceClient<Link>;

/// Metadata that is added to every call; a name given twice is sent twice.
#[derive(Clone, Default)]
pub struct Metadata(Vec<(AsciiMetadataKey, String)>);

impl Metadata {
    /// No credential.
    pub fn none() -> Self {
        Self::default()
    }

    /// A Bearer credential.
    pub fn bearer(credential: &str) -> Self {
        Self::none().and("authorization", &format!("Bearer {credential}"))
    }

    /// One pair more.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.parse().unwrap(), value.to_owned()));
        self
    }

    /// Puts them into the metadata of a call that no [`Link`] makes.
    pub fn add_to(&self, metadata: &mut MetadataMap) {
        for (name, value) in &self.0 {
            metadata.append(name.clone(), value.parse().unwrap());
        }
    }
}

impl Interceptor for Metadata {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.add_to(request.metadata_mut());
        Ok(request)
    }
}

/// A connection to `host:port`, made when it is first used.
pub fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect_lazy()
}

/// A client for keys.
pub fn keys(address: &str, metadata: Metadata) -> Keys {
    KeysServiceClient::with_interceptor(channel(address), metadata)
}

/// A client for keys that leaves a deadline to the server alone, where tonic's own connection gives
/// up by itself the moment that the deadline passes.
pub fn patient_keys(
    address: &str,
    metadata: Metadata,
) -> KeysServiceClient<InterceptedService<Client<HttpConnector, tonic::body::Body>, Metadata>> {
    let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let origin = format!("http://{address}").parse().unwrap();
    KeysServiceClient::with_origin(InterceptedService::new(http, metadata), origin)
}

/// A client for checks.
pub fn authn(address: &str, metadata: Metadata) -> Authn {
    AuthnServiceClient::with_interceptor(channel(address), metadata)
}

/// A client for the audit log.
pub fn audit(address: &str, metadata: Metadata) -> Audit {
    AuditServiceClient::with_interceptor(channel(address), metadata)
}

/// A client for tenants.
pub fn tenancy(address: &str, metadata: Metadata) -> Tenancy {
    TenancyServiceClient::with_interceptor(channel(address), metadata)
}

/// Calls a method by its path with bytes that nothing has looked at.
pub async fn raw(
    address: &str,
    metadata: &Metadata,
    path: &str,
    body: Vec<u8>,
) -> Result<Response<Vec<u8>>, Status> {
    let mut client = tonic::client::Grpc::new(channel(address));
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = Request::new(body);
    metadata.add_to(request.metadata_mut());
    client.unary(request, path.parse().unwrap(), Bytes).await
}

/// Asserts that a call was refused as the contract's table says, and gives back the metadata of `ErrorInfo`.
#[track_caller]
pub fn assert_refused<T>(result: Result<T, Status>, code: Code, reason: &str) -> HashMap<String, String> {
    let status = result.err().unwrap_or_else(|| panic!("accepted, {reason} wanted"));
    assert!(status.metadata().contains_key("x-correlation-id"), "{status:?}");
    assert_told(&status, code, reason)
}

/// The same for the end of a stream, whose correlation id came with its beginning.
#[track_caller]
pub fn assert_told(status: &Status, code: Code, reason: &str) -> HashMap<String, String> {
    assert_eq!(status.code(), code, "{reason} wanted: {status:?}");
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, DOMAIN), "{status:?}");
    assert!(!status.message().is_empty());
    info.metadata
}

/// Passes messages through as they are.
#[derive(Clone, Copy)]
pub struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
