//! Holds a stream that a key authenticated which will be revoked, and calls with that key.
use super::{about, answered, remark_if_odd, told, within};
use crate::cluster::Replica;
use crate::history::{Entry, Op, Outcome};
use crate::random::Random;
use crate::run::{Credential, Run};
use doorward::pb::v1::{StreamVerifyCredentialsRequest, WhoAmIRequest};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Between two questions on the stream.
const PACE: Duration = Duration::from_millis(30);
/// Between two calls of the key's own, and before the stream is opened again.
const BETWEEN: Duration = Duration::from_millis(60);
/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// The longest that one stream is held.
const LIFE: Duration = Duration::from_mins(1);
/// Questions that may wait for their answers.
const OUTSTANDING: usize = 64;

/// Uses the secret until it is refused for good.
pub async fn hold(run: Arc<Run>, credential: Credential, stream: u64) {
    let calling = call(run.clone(), credential.clone(), run.random(7_000_000 + stream));
    let mut random = run.random(8_000_000 + stream);
    let streaming = async {
        while run.pause(BETWEEN).await {
            let replica = run.living(&mut random).clone();
            if session(&run, &replica, &credential).await == Outcome::Bad && run.book.is_dead(&credential) {
                return;
            }
        }
    };
    tokio::join!(calling, streaming);
}

async fn call(run: Arc<Run>, credential: Credential, mut random: Random) {
    let mut refusals = 0;
    // A few times more after the first refusal, at other replicas.
    while refusals < 10 && run.pause(BETWEEN).await {
        let replica = run.living(&mut random);
        let entry = Entry::new(Op::OwnCall, replica.index, credential.subject, run.history.now());
        let mut authn = replica.authn(&credential.secret);
        let answer = tokio::time::timeout(DEADLINE, authn.who_am_i(within(DEADLINE, WhoAmIRequest {}))).await;
        let outcome = match answer {
            Ok(Ok(_)) => Outcome::Accepted,
            Ok(Err(status)) => {
                remark_if_odd(&run, &entry, &status);
                told(&status)
            }
            Err(_) => Outcome::Unknown,
        };
        refusals += u32::from(outcome == Outcome::Bad);
        run.history.add(entry.with(outcome));
    }
}

/// When each question was asked that has no answer yet, by its tag.
type Open = Mutex<HashMap<u64, u64>>;

/// One stream, from its opening to its end.
async fn session(run: &Arc<Run>, replica: &Replica, credential: &Credential) -> Outcome {
    let open: Arc<Open> = Arc::default();
    let (questions, outgoing) = mpsc::channel(OUTSTANDING);
    let asking = tokio::spawn(ask(run.clone(), open.clone(), questions, u64::from(credential.subject.0)));
    let entry = Entry::new(Op::OwnStream, replica.index, credential.subject, run.history.now());
    let reading = async {
        let mut authn = replica.authn(&credential.secret);
        let mut answers = authn.stream_verify_credentials(ReceiverStream::new(outgoing)).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let Some(at) = open.lock().unwrap().remove(&answer.tag) else { continue };
            let question = Entry::new(Op::OwnMessage, replica.index, credential.subject, at);
            // Whatever is said about the secret asked about: answering accepts the one that asks.
            let outcome =
                if answered(answer.response).is_answer() { Outcome::Accepted } else { Outcome::Unknown };
            run.history.add(question.with(outcome));
        }
        Ok::<_, Status>(())
    };
    let outcome = tokio::select! {
        ended = reading => ended.map_or_else(
            |status| {
                remark_if_odd(run, &entry, &status);
                told(&status)
            },
            |()| Outcome::Unknown,
        ),
        () = tokio::time::sleep(LIFE) => Outcome::Unknown,
        () = run.stop.cancelled() => Outcome::Unknown,
    };
    asking.abort();
    run.history.add(entry.with(outcome));
    outcome
}

async fn ask(
    run: Arc<Run>,
    open: Arc<Open>,
    questions: mpsc::Sender<StreamVerifyCredentialsRequest>,
    stream: u64,
) {
    let mut random = run.random(9_000_000 + stream);
    for tag in 1.. {
        tokio::time::sleep(PACE).await;
        if open.lock().unwrap().len() >= OUTSTANDING {
            continue;
        }
        let Some(credential) = run.book.good(&mut random) else { return };
        let request = Some(about(&credential.secret, false));
        open.lock().unwrap().insert(tag, run.history.now());
        if questions.send(StreamVerifyCredentialsRequest { tag, request }).await.is_err() {
            return;
        }
    }
}
