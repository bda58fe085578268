//! Those who use the replicas, and write down what they are told.

mod asker;
mod checker;
mod closing;
mod holder;
mod maker;

pub use closing::{settle, sweep};

use crate::history::{Entry, Outcome};
use crate::run::Run;
use doorward::pb::v1::verify_credential_response::Outcome as Answer;
use doorward::pb::v1::{ErrorReason, VerifyCredentialRequest, VerifyCredentialResponse};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// The permission that narrowing takes away.
const EXTRA: &str = "tenant.read";
/// What every key keeps: enough to ask on a stream of its own.
const KEPT: [&str; 2] = ["keys.read", "credentials.verify"];
/// Keys that live from the beginning to the end.
const LASTING: u32 = 12;
/// Clients that check one secret after the other.
const CHECKERS: u64 = 4;

/// Starts everybody; they end with `run.stop`.
pub async fn start(run: &Arc<Run>) -> JoinSet<()> {
    for number in 0..LASTING {
        maker::make_lasting(run, number).await;
    }
    let mut actors = JoinSet::new();
    for number in 0..u64::from(run.options.makers) {
        actors.spawn(maker::work(run.clone(), 100 + number));
    }
    for number in 0..CHECKERS {
        actors.spawn(checker::work(run.clone(), 200 + number));
    }
    for replica in &run.cluster.replicas {
        actors.spawn(checker::wait_patiently(run.clone(), replica.clone(), 300 + u64::from(replica.index)));
        actors.spawn(asker::work(run.clone(), replica.clone(), 400 + u64::from(replica.index)));
    }
    actors
}

/// A request with a deadline, told to the server too.
fn within<T>(time: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(time);
    request
}

/// A question about a secret.
fn about(secret: &str, wide: bool) -> VerifyCredentialRequest {
    let required_permission = if wide { EXTRA.to_owned() } else { String::new() };
    VerifyCredentialRequest { credential: secret.to_owned(), required_permission, ..Default::default() }
}

/// What an answer says about the secret asked about.
fn answered(answer: Option<VerifyCredentialResponse>) -> Outcome {
    match answer.and_then(|answer| answer.outcome) {
        Some(Answer::Principal(principal)) if principal.permissions.iter().any(|name| name == EXTRA) => {
            Outcome::AcceptedWide
        }
        Some(Answer::Principal(_)) => Outcome::Accepted,
        Some(Answer::Denial(denial)) => match denial.reason() {
            ErrorReason::InsufficientPermissions => Outcome::Lacks,
            ErrorReason::BackendUnavailable => Outcome::Unavailable,
            _ => Outcome::Bad,
        },
        None => Outcome::Odd,
    }
}

/// What a status says about the credential that the call presented.
fn told(status: &Status) -> Outcome {
    // Doorward says why; what says nothing was made up by the client or by the connection's end.
    let said = status.get_details_error_info().is_some();
    match status.code() {
        Code::Unauthenticated => Outcome::Bad,
        Code::PermissionDenied => Outcome::Lacks,
        Code::Unavailable if said => Outcome::Unavailable,
        Code::DeadlineExceeded | Code::Cancelled | Code::Unavailable => Outcome::Unknown,
        _ if said => Outcome::Odd,
        _ => Outcome::Unknown,
    }
}

/// The entry of a check by the owner, whose own credential may be what was refused.
fn judged(run: &Run, entry: Entry, answer: Result<Option<VerifyCredentialResponse>, Status>) -> Entry {
    match answer {
        Ok(answer) => entry.with(answered(answer)),
        Err(status) => match told(&status) {
            refused @ (Outcome::Bad | Outcome::Lacks) => {
                Entry { subject: crate::history::OWNER, wide: false, ..entry }.with(refused)
            }
            outcome => {
                remark_if_odd(run, &entry, &status);
                entry.with(outcome)
            }
        },
    }
}

fn remark_if_odd(run: &Run, entry: &Entry, status: &Status) {
    if told(status) == Outcome::Odd {
        run.history.remark(format!("{:?} at replica {}: {status:?}", entry.op, entry.replica));
    }
}
