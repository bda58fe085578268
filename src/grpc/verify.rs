//! Checks of credentials: one, a batch, a stream. The busiest methods, so they
//! pass by the generated code: requests are decoded, answers written by hand.

use super::{MAX_REQUEST, deadline, unary, wire};
use crate::app::{App, Caller, Demand};
use crate::domain::{Failure, Permission, Reason, Refusal, TenantId};
use crate::guard::{self, Admits};
use crate::pb::v1 as pb;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::{Either, ready};
use futures_util::{FutureExt, Stream, StreamExt};
use http::{Request, Response};
use prost::Message;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, StreamingService};
use tonic::{Status, Streaming};
use tower::Service;

/// Credentials that one batch may ask about.
const MAX_BATCH: usize = 1000;

const ONE: &str = "/doorward.v1.AuthnService/VerifyCredential";
const MANY: &str = "/doorward.v1.AuthnService/BatchVerifyCredentials";
const STREAM: &str = "/doorward.v1.AuthnService/StreamVerifyCredentials";

/// Tag of `BatchVerifyCredentialsResponse.responses` and of `tag` and
/// `response` in a stream's answer.
const RESPONSES: u8 = 1 << 3 | 2;
const TAG: u8 = 1 << 3;
const RESPONSE: u8 = 2 << 3 | 2;

/// Answers checks.
#[derive(Clone)]
pub struct Checks {
    app: Arc<App>,
}

impl Checks {
    /// Checks over this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// The app.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// One check; its answer goes after what is in `out`.
    pub async fn one(
        &self,
        caller: &Caller,
        asked: &pb::VerifyCredentialRequest,
        out: &mut BytesMut,
    ) -> Result<(), Status> {
        if !asked.min_revision.is_empty() {
            // Boxed: the wait is rare and its future large.
            self.wait(caller, asked).boxed().await?;
        }
        let sure = self.check(caller, asked, Look::First, out).map_err(|failure| told(caller, failure))?;
        if !sure {
            self.catch_up(caller).boxed().await?;
            self.check(caller, asked, Look::Last, out).map_err(|failure| told(caller, failure))?;
        }
        Ok(())
    }

    async fn catch_up(&self, caller: &Caller) -> Result<(), Status> {
        self.app.verifier.catch_up().await.map_err(|fault| told(caller, fault.into()))
    }

    /// Many checks; their answers go after what is in `out`.
    pub async fn many(
        &self,
        caller: &Caller,
        asked: &pb::BatchVerifyCredentialsRequest,
        out: &mut BytesMut,
    ) -> Result<(), Status> {
        if asked.requests.len() > MAX_BATCH {
            let refusal = Refusal::invalid("requests", format!("must be at most {MAX_BATCH}"));
            return Err(guard::status(&refusal));
        }
        let mut answer = BytesMut::with_capacity(wire::USUAL);
        for (at, one) in asked.requests.iter().enumerate() {
            self.wait(caller, one).await?;
            answer.clear();
            let refused = |failure| told(caller, within(failure, at));
            if !self.check(caller, one, Look::First, &mut answer).map_err(refused)? {
                self.catch_up(caller).await?;
                self.check(caller, one, Look::Last, &mut answer).map_err(refused)?;
            }
            wire::put_nested(out, RESPONSES, &answer);
        }
        Ok(())
    }

    /// An answer for each question of a stream, encoded. The guard ends it when
    /// the caller's own credential does.
    pub fn stream(
        self,
        caller: Caller,
        asked: Streaming<pb::StreamVerifyCredentialsRequest>,
    ) -> impl Stream<Item = Result<Bytes, Status>> + Send {
        let asker = Arc::new(Asker { checks: self, caller });
        asked.then(move |question| match question {
            Ok(question) if waits(&question) => {
                let asker = Arc::clone(&asker);
                Either::Right(
                    async move {
                        let asked = question.request.as_ref().unwrap_or(&NOTHING);
                        asker.checks.wait(&asker.caller, asked).await?;
                        asker.surely(&question).await
                    }
                    .boxed(),
                )
            }
            Ok(question) => {
                if let Some(answer) = asker.next(&question, Look::First).transpose() {
                    return Either::Left(ready(answer));
                }
                let asker = Arc::clone(&asker);
                Either::Right(async move { asker.surely(&question).await }.boxed())
            }
            Err(status) => Either::Left(ready(Err(status))),
        })
    }

    async fn wait(&self, caller: &Caller, asked: &pb::VerifyCredentialRequest) -> Result<(), Status> {
        if asked.min_revision.is_empty() {
            return Ok(());
        }
        self.app.at_least(&asked.min_revision).await.map_err(|failure| told(caller, failure))
    }

    /// The check itself; false, and nothing written, if a second look could
    /// find more. What is wrong with the credential is part of the answer; what
    /// is wrong with the question is a failure.
    fn check(
        &self,
        caller: &Caller,
        asked: &pb::VerifyCredentialRequest,
        look: Look,
        out: &mut BytesMut,
    ) -> Result<bool, Failure> {
        let demand = demand(caller, asked)?;
        let verifier = &self.app.verifier;
        let outcome = match verifier.check(&asked.credential, &demand, self.app.clock.moment()) {
            Ok(verified) => Ok(verified),
            Err(Failure::Refused(refusal)) => {
                let unknown = matches!(
                    refusal.reason,
                    Reason::InvalidApiKey | Reason::SessionRevoked | Reason::InvalidToken
                );
                let first = look == Look::First;
                if unknown && first && verifier.may_be_new(&asked.credential, self.app.clock.now()) {
                    return Ok(false);
                }
                Err(refusal)
            }
            Err(fault @ Failure::Fault(_)) => return Err(fault),
        };
        wire::put_response(out, &outcome, verifier.revision());
        Ok(true)
    }
}

/// Whether an unknown key may be looked at once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    First,
    /// Everything that was committed before the question is known.
    Last,
}

/// The asking end of a stream.
struct Asker {
    checks: Checks,
    caller: Caller,
}

impl Asker {
    /// The answer, if need be after a second look.
    async fn surely(&self, question: &pb::StreamVerifyCredentialsRequest) -> Result<Bytes, Status> {
        if let Some(answer) = self.next(question, Look::First)? {
            return Ok(answer);
        }
        self.checks.catch_up(&self.caller).await?;
        Ok(self.next(question, Look::Last)?.unwrap_or_default())
    }

    /// The answer; `None` if a second look could find more.
    fn next(
        &self,
        question: &pb::StreamVerifyCredentialsRequest,
        look: Look,
    ) -> Result<Option<Bytes>, Status> {
        let (checks, caller) = (&self.checks, &self.caller);
        let asked = question.request.as_ref().unwrap_or(&NOTHING);
        let mut answer = BytesMut::with_capacity(wire::USUAL);
        match checks.check(caller, asked, look, &mut answer) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // A faulty question gets its answer; the stream goes on.
            Err(Failure::Refused(refusal)) => {
                wire::put_response(&mut answer, &Err(refusal), checks.app.verifier.revision());
            }
            Err(fault @ Failure::Fault(_)) => return Err(told(caller, fault)),
        }
        let mut out = BytesMut::with_capacity(answer.len() + 16);
        if question.tag != 0 {
            out.put_u8(TAG);
            prost::encoding::encode_varint(question.tag, &mut out);
        }
        wire::put_nested(&mut out, RESPONSE, &answer);
        Ok(Some(out.freeze()))
    }
}

/// A question about nothing.
static NOTHING: pb::VerifyCredentialRequest = pb::VerifyCredentialRequest {
    credential: String::new(),
    peer_address: String::new(),
    required_permission: String::new(),
    required_feature: String::new(),
    require_mfa: false,
    tenant_id: String::new(),
    cost: 0,
    min_revision: String::new(),
};

fn waits(question: &pb::StreamVerifyCredentialsRequest) -> bool {
    question.request.as_ref().is_some_and(|asked| !asked.min_revision.is_empty())
}

fn demand<'a>(caller: &Caller, asked: &'a pb::VerifyCredentialRequest) -> Result<Demand<'a>, Refusal> {
    let text = |text: &'a str| (!text.is_empty()).then_some(text);
    let peer = text(&asked.peer_address).map(str::parse::<IpAddr>).transpose();
    let permission = text(&asked.required_permission).map(str::parse::<Permission>).transpose();
    let only: Option<TenantId> = (!caller.may(Permission::PLATFORM_VERIFY)).then(|| caller.tenant());
    Ok(Demand {
        peer: peer.map_err(|error| Refusal::invalid("peer_address", error.to_string()))?,
        permission: permission.map_err(|error| Refusal::invalid("required_permission", error.to_string()))?,
        feature: text(&asked.required_feature),
        mfa: asked.require_mfa,
        enrolling: false,
        tenant: text(&asked.tenant_id),
        only,
        cost: Some(asked.cost.max(1)),
    })
}

fn within(failure: Failure, at: usize) -> Failure {
    let Failure::Refused(mut refusal) = failure else { return failure };
    for violation in &mut refusal.violations {
        violation.field = format!("requests[{at}].{}", violation.field).into();
    }
    Failure::Refused(refusal)
}

/// A failure as a status. A fault is logged here, once.
pub fn told(caller: &Caller, failure: Failure) -> Status {
    guard::status(&guard::explain(failure, &caller.correlation))
}

/// Serves checks itself and passes on everything else.
#[derive(Clone)]
pub struct WithChecks<S> {
    checks: Checks,
    rest: S,
}

impl<S> WithChecks<S> {
    /// Checks before this service.
    pub fn new(checks: Checks, rest: S) -> Self {
        Self { checks, rest }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S, B> Admits<B> for WithChecks<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.rest.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>, caller: Option<Caller>) -> Answering {
        let Some(caller) = caller else { return self.pass_on(request) };
        match request.uri().path() {
            ONE => one(self.checks.clone(), caller, request.into_body()),
            MANY => {
                let limit = deadline::limit(request.headers());
                Box::pin(deadline::within(limit, many(self.checks.clone(), caller, request.into_body())))
            }
            STREAM => {
                let method = Questions(self.checks.clone());
                request.extensions_mut().insert(caller);
                Box::pin(async move { Ok(grpc().streaming(method, request).await) })
            }
            _ => {
                request.extensions_mut().insert(caller);
                self.pass_on(request)
            }
        }
    }
}

impl<S> WithChecks<S> {
    fn pass_on<B>(&mut self, request: Request<B>) -> Answering
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
        S::Future: Send + 'static,
    {
        let limit = deadline::limit(request.headers());
        Box::pin(deadline::within(limit, self.rest.call(request)))
    }
}

fn one<B>(checks: Checks, caller: Caller, body: B) -> Answering
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    Box::pin(async move {
        let mut out = unary::buffer(wire::USUAL);
        let answer = match unary::read(body).await.and_then(decoded::<pb::VerifyCredentialRequest>) {
            Ok(asked) => checks.one(&caller, &asked, &mut out).await,
            Err(refusal) => Err(guard::status(&refusal)),
        };
        Ok(unary::respond(answer.map(|()| out)))
    })
}

fn many<B>(checks: Checks, caller: Caller, body: B) -> Answering
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Send,
{
    Box::pin(async move {
        let mut out = unary::buffer(wire::USUAL);
        let answer = match unary::read(body).await.and_then(decoded::<pb::BatchVerifyCredentialsRequest>) {
            Ok(asked) => checks.many(&caller, &asked, &mut out).await,
            Err(refusal) => Err(guard::status(&refusal)),
        };
        Ok(unary::respond(answer.map(|()| out)))
    })
}

fn decoded<T: Message + Default>(bytes: Bytes) -> Result<T, Refusal> {
    T::decode(bytes).map_err(|error| {
        tracing::debug!(%error, "a request cannot be decoded");
        Refusal::invalid("request", "is not a message of this method")
    })
}

fn grpc<T: Message + Default + 'static>() -> Grpc<Written<T>> {
    Grpc::new(Written(PhantomData)).max_decoding_message_size(MAX_REQUEST)
}

struct Questions(Checks);

impl StreamingService<pb::StreamVerifyCredentialsRequest> for Questions {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Self::ResponseStream>, Status>> + Send>>;
    fn call(
        &mut self,
        request: tonic::Request<Streaming<pb::StreamVerifyCredentialsRequest>>,
    ) -> Self::Future {
        let checks = self.0.clone();
        Box::pin(async move {
            let caller = guard::caller(&request)?.clone();
            let answers: Self::ResponseStream = Box::pin(checks.stream(caller, request.into_inner()));
            Ok(tonic::Response::new(answers))
        })
    }
}

/// Decodes requests with prost; answers are encoded already.
struct Written<T>(PhantomData<T>);

impl<T: Message + Default + 'static> Codec for Written<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = Copied;
    type Decoder = Decoded<T>;

    fn encoder(&mut self) -> Copied {
        Copied
    }

    fn decoder(&mut self) -> Decoded<T> {
        Decoded(PhantomData)
    }
}

struct Copied;

impl Encoder for Copied {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    /// Answers that are ready together leave in one frame.
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(16 * 1024, 16 * 1024)
    }
}

struct Decoded<T>(PhantomData<T>);

impl<T: Message + Default> Decoder for Decoded<T> {
    type Item = T;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let decoded = T::decode(from);
        decoded.map(Some).map_err(|error| {
            tracing::debug!(%error, "a question cannot be decoded");
            guard::status(&Refusal::invalid("request", "is not a message of this method"))
        })
    }
}
