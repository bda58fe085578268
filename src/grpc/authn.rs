//! `doorward.v1.AuthnService`.

use super::verify::Checks;
use super::{open, reply, watch, wire};
use crate::guard;
use crate::pb::v1 as pb;
use crate::pb::v1::authn_service_server::AuthnService;
use bytes::BytesMut;
use futures_util::Stream;
use futures_util::StreamExt;
use prost::Message;
use std::pin::Pin;
use tonic::{Request, Response, Status, Streaming};

/// The service. Checks are served by [`super::WithChecks`] on their quick way;
/// the same methods here serve whoever mounts the service by itself.
pub struct Authn {
    checks: Checks,
}

impl Authn {
    /// The service over these checks.
    pub fn new(checks: Checks) -> Self {
        Self { checks }
    }
}

#[tonic::async_trait]
impl AuthnService for Authn {
    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let (caller, _) = open(request)?;
        let principal = Some(wire::principal(&caller.verified));
        reply(&caller.correlation, Ok(pb::WhoAmIResponse { principal }))
    }

    async fn verify_credential(
        &self,
        request: Request<pb::VerifyCredentialRequest>,
    ) -> Result<Response<pb::VerifyCredentialResponse>, Status> {
        let (caller, asked) = open(request)?;
        let mut out = BytesMut::new();
        self.checks.one(&caller, &asked, &mut out).await?;
        Ok(Response::new(decoded(out.freeze())?))
    }

    async fn batch_verify_credentials(
        &self,
        request: Request<pb::BatchVerifyCredentialsRequest>,
    ) -> Result<Response<pb::BatchVerifyCredentialsResponse>, Status> {
        let (caller, asked) = open(request)?;
        let mut out = BytesMut::new();
        self.checks.many(&caller, &asked, &mut out).await?;
        Ok(Response::new(decoded(out.freeze())?))
    }

    type StreamVerifyCredentialsStream =
        Pin<Box<dyn Stream<Item = Result<pb::StreamVerifyCredentialsResponse, Status>> + Send>>;

    async fn stream_verify_credentials(
        &self,
        request: Request<Streaming<pb::StreamVerifyCredentialsRequest>>,
    ) -> Result<Response<Self::StreamVerifyCredentialsStream>, Status> {
        let caller = guard::caller(&request)?.clone();
        let answers = self.checks.clone().stream(caller, request.into_inner());
        Ok(Response::new(Box::pin(answers.map(|answer| decoded(answer?)))))
    }

    type WatchRevocationsStream = watch::Answers;

    async fn watch_revocations(
        &self,
        request: Request<Streaming<pb::WatchRevocationsRequest>>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let caller = guard::caller(&request)?.clone();
        Ok(Response::new(watch::watch(self.checks.app(), &caller, request.into_inner())))
    }
}

fn decoded<T: Message + Default>(bytes: bytes::Bytes) -> Result<T, Status> {
    T::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}
