//! Calls by name: requests from JSON by the descriptors, answers as bytes.
use super::Outcome;
use crate::harness::client::{self, Bytes, Metadata};
use doorward::pb;
use futures_util::stream::{self, StreamExt};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use std::sync::LazyLock;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(pb::DESCRIPTORS).unwrap());

/// Every method of Doorward's own.
pub fn methods() -> impl Iterator<Item = MethodDescriptor> {
    let services = POOL.services().filter(|service| service.full_name().starts_with("doorward."));
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// A method as gRPC names it.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The method of that path.
pub fn method(path: &str) -> MethodDescriptor {
    methods().find(|method| self::path(method) == path).unwrap_or_else(|| panic!("no method {path}"))
}

/// A connection to a server.
pub struct Door(Channel);

/// What came back.
#[derive(Debug)]
pub struct Got {
    /// The first message, as it was sent.
    pub message: Result<Vec<u8>, Status>,
    /// The same as text, where it can be read.
    pub text: String,
}

impl Door {
    /// To `host:port`.
    pub fn of(address: &str) -> Self {
        Self(client::channel(address))
    }

    /// Calls a method with a body of proto3 JSON. Of a stream the first answer counts.
    pub async fn call(&self, path: &str, body: &Value, metadata: &Metadata) -> Got {
        let method = method(path);
        let request = DynamicMessage::deserialize(method.input(), body)
            .unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        let message = self.send(path, request.encode_to_vec(), metadata, method.is_client_streaming()).await;
        let text = match &message {
            Ok(bytes) => shown(&method, bytes),
            Err(status) => format!("{status:?} {:?}", status.get_error_details()),
        };
        Got { message, text }
    }

    async fn send(
        &self,
        path: &str,
        body: Vec<u8>,
        metadata: &Metadata,
        streams: bool,
    ) -> Result<Vec<u8>, Status> {
        let mut client = tonic::client::Grpc::new(self.0.clone());
        client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        // Whoever streams keeps their side open: some methods end with it.
        let rest = if streams { stream::pending().boxed() } else { stream::empty().boxed() };
        let mut request = Request::new(stream::iter([body]).chain(rest));
        metadata.add_to(request.metadata_mut());
        let mut answer = client.streaming(request, path.parse().unwrap(), Bytes).await?.into_inner();
        answer.message().await?.ok_or_else(|| Status::unknown("it ended without an answer"))
    }
}

impl Got {
    /// What it came to; none for a failure that is no refusal of ours.
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.message {
            Ok(_) => Some(Outcome::Done),
            Err(status) => known(status.code(), &status.get_details_error_info()?.reason),
        }
    }

    /// The answer as JSON; it must have been given.
    pub fn json(&self) -> Value {
        assert!(self.message.is_ok(), "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }
}

fn known(code: Code, reason: &str) -> Option<Outcome> {
    use doorward::domain::Reason;
    let names = Reason::ALL.iter().map(|reason| reason.told().name);
    names.into_iter().find(|name| *name == reason).map(|name| Outcome::Refused(code, name))
}

fn shown(method: &MethodDescriptor, bytes: &[u8]) -> String {
    let options =
        prost_reflect::SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let mut text = Vec::new();
    let mut to = serde_json::Serializer::new(&mut text);
    let message = DynamicMessage::decode(method.output(), bytes).unwrap();
    message.serialize_with_options(&mut to, &options).unwrap();
    String::from_utf8(text).unwrap()
}
