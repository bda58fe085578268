//! Asks about secrets by questions on a stream.
use super::{about, judged, within};
use crate::cluster::Replica;
use crate::history::{Entry, Op};
use crate::run::Run;
use doorward::pb::v1::StreamVerifyCredentialsRequest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Questions that may wait for their answers.
const OUTSTANDING: usize = 256;
/// How long a stream may stay open, so that many are opened.
const LIFE: Duration = Duration::from_secs(20);
/// The pause before a stream is opened again.
const AGAIN: Duration = Duration::from_millis(50);

/// Keeps a stream of questions open to one replica.
pub async fn work(run: Arc<Run>, replica: Arc<Replica>, stream: u64) {
    let mut opened = 0;
    while run.pause(AGAIN).await {
        opened += 1;
        session(&run, &replica, stream + 1_000 * opened).await;
    }
}

type Open = Mutex<HashMap<u64, Entry>>;

async fn session(run: &Arc<Run>, replica: &Replica, stream: u64) {
    let open: Arc<Open> = Arc::default();
    let (questions, outgoing) = mpsc::channel(OUTSTANDING);
    let asking = tokio::spawn(ask(run.clone(), replica.index, open.clone(), questions, stream));
    let ended = read(run, replica, &open, outgoing).await;
    asking.abort();
    // Whoever was still asking has left all there is by now.
    let _ = asking.await;
    let unanswered = std::mem::take(&mut *open.lock().unwrap());
    for entry in unanswered.into_values() {
        run.history.add(judged(run, entry, Err(ended.clone())));
    }
}

/// Asks at its share of the rate.
async fn ask(
    run: Arc<Run>,
    replica: u8,
    open: Arc<Open>,
    questions: mpsc::Sender<StreamVerifyCredentialsRequest>,
    stream: u64,
) {
    let mut random = run.random(stream);
    let share = run.options.rate / 2 / u32::from(run.options.replicas);
    let pace = Duration::from_secs(1) / share.max(1);
    for tag in 1.. {
        tokio::time::sleep(pace).await;
        if open.lock().unwrap().len() >= OUTSTANDING {
            continue;
        }
        let now = run.history.now();
        let Some(credential) = run.book.pick(now, &mut random) else { continue };
        let wide = random.percent(30);
        let request = StreamVerifyCredentialsRequest { tag, request: Some(about(&credential.secret, wide)) };
        let entry = Entry { wide, ..Entry::new(Op::Ask, replica, credential.subject, run.history.now()) };
        open.lock().unwrap().insert(tag, entry);
        if questions.send(request).await.is_err() {
            return;
        }
    }
}

/// Reads answers until the stream ends, and says how it ended.
async fn read(
    run: &Run,
    replica: &Replica,
    open: &Open,
    outgoing: mpsc::Receiver<StreamVerifyCredentialsRequest>,
) -> Status {
    let reading = async {
        let mut authn = replica.authn(&run.cluster.owner);
        let request = within(LIFE, ReceiverStream::new(outgoing));
        let mut answers = authn.stream_verify_credentials(request).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let entry = open.lock().unwrap().remove(&answer.tag);
            if let Some(entry) = entry {
                run.history.add(judged(run, entry, Ok(answer.response)));
            }
        }
        Ok::<_, Status>(())
    };
    tokio::select! {
        ended = reading => ended.err().unwrap_or_else(|| Status::unknown("the stream ended")),
        () = tokio::time::sleep(LIFE) => Status::cancelled("long enough"),
        () = run.stop.cancelled() => Status::cancelled("the campaign ends"),
    }
}
