//! What is asked of Doorward: nothing, one credential a call, or many over one stream.

use crate::answer::Answer;
use crate::frames::HeaderBlocks;
use crate::options::Options;
use crate::session::{Plan, Shape};
use anyhow::{Context as _, Result, ensure};
use doorward::pb::v1::authn_service_client::AuthnServiceClient;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{StreamVerifyCredentialsRequest, VerifyCredentialRequest};
use prost::Message;
use std::net::SocketAddr;
use tonic::Request;
use tonic::metadata::MetadataValue;

const UNARY: &str = "/doorward.v1.AuthnService/VerifyCredential";
const STREAM: &str = "/doorward.v1.AuthnService/StreamVerifyCredentials";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const WHO_AM_I: &str = "/doorward.v1.AuthnService/WhoAmI";

/// The keys of a run, in plain text.
pub struct Keys {
    /// Who asks.
    pub caller: String,
    /// Who is asked about.
    pub hot: Vec<String>,
}

/// `VerifyCredential`, about another hot key in each call.
pub fn unary(keys: &Keys, options: &Options) -> Result<Plan> {
    let bodies = keys.hot.iter().map(|key| framed(&question(key))).collect::<Result<_>>()?;
    Ok(plan(UNARY, Some(&keys.caller), bodies, Shape::Unary, Answer::Principal, options.in_flight))
}

/// `StreamVerifyCredentials`, `in_flight` questions at a time on each of the streams.
pub fn stream(keys: &Keys, in_flight: usize, shape: Shape) -> Result<Plan> {
    let tagged = |(at, key): (usize, &String)| {
        framed(&StreamVerifyCredentialsRequest { tag: u64::try_from(at)? + 1, request: Some(question(key)) })
    };
    let bodies = keys.hot.iter().enumerate().map(tagged).collect::<Result<_>>()?;
    Ok(plan(STREAM, Some(&keys.caller), bodies, shape, Answer::TaggedPrincipal, in_flight))
}

/// The health service's `Check`: the emptiest RPC that the server itself offers, past the same layers.
pub fn health(options: &Options) -> Plan {
    plan(HEALTH, None, vec![vec![0; 5]], Shape::Unary, Answer::Serving, options.in_flight)
}

/// `WhoAmI`, by another hot key in each call: what the guard costs when callers change.
pub fn callers(keys: &Keys, options: &Options) -> Plan {
    let callers = keys.hot.iter().map(|key| crate::frames::bearer_literal(key)).collect();
    Plan {
        callers,
        ..plan(WHO_AM_I, None, vec![vec![0; 5]], Shape::Unary, Answer::Principal, options.in_flight)
    }
}

/// Asks with an ordinary client about a good key and about one that is none.
pub async fn check(address: SocketAddr, keys: &Keys) -> Result<()> {
    let bearer: MetadataValue<_> = format!("Bearer {}", keys.caller).parse()?;
    let mut client = AuthnServiceClient::connect(format!("http://{address}")).await?;
    let mut ask = async |key: &str| {
        let mut request = Request::new(question(key));
        request.metadata_mut().insert("authorization", bearer.clone());
        let answer = client.verify_credential(request).await.context("the caller is refused")?;
        anyhow::Ok(answer.into_inner().outcome)
    };
    let good = keys.hot.first().context("there are no hot keys")?;
    let outcome = ask(good).await?;
    ensure!(matches!(outcome, Some(Outcome::Principal(_))), "a good key is refused: {outcome:?}");
    // The right form, but the last character of its checksum is another one.
    let bad = good.strip_suffix('0').map_or_else(|| replace_last(good, '0'), |rest| format!("{rest}1"));
    let outcome = ask(&bad).await?;
    ensure!(matches!(outcome, Some(Outcome::Denial(_))), "a bad key is taken");
    Ok(())
}

fn plan(
    path: &str,
    caller: Option<&str>,
    bodies: Vec<Vec<u8>>,
    shape: Shape,
    answer: Answer,
    in_flight: usize,
) -> Plan {
    Plan { headers: HeaderBlocks::new(path, caller), callers: Vec::new(), bodies, shape, answer, in_flight }
}

fn question(key: &str) -> VerifyCredentialRequest {
    VerifyCredentialRequest { credential: key.to_owned(), ..VerifyCredentialRequest::default() }
}

/// The message after its length, as gRPC sends it.
fn framed(message: &impl Message) -> Result<Vec<u8>> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&u32::try_from(message.encoded_len())?.to_be_bytes());
    message.encode(&mut bytes)?;
    Ok(bytes)
}

fn replace_last(text: &str, last: char) -> String {
    let mut changed: String = text.chars().collect();
    changed.pop();
    changed.push(last);
    changed
}
