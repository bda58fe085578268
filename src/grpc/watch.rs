//! `WatchRevocations`: the app's stream as messages.

use super::verify::told;
use crate::app::watch::{Asked, Open, Told, Watch};
use crate::app::{App, Caller};
use crate::domain::changes::{BadRevision, Change, Revision};
use crate::domain::{Failure, Refusal};
use crate::pb::v1 as pb;
use crate::protocol::times::from_duration;
use crate::protocol::{profiles, states};
use crate::secret::Forms;
use futures_util::{Stream, StreamExt, TryStreamExt};
use pb::watch_revocations_request::Action;
use pb::watch_revocations_response::Event;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

/// How long a watcher may take to open its stream.
const OPENING: Duration = Duration::from_secs(10);

/// What a watcher is told.
pub type Answers = Pin<Box<dyn Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

/// Serves one watcher, in a task of its own that ends with either side.
pub fn watch(app: &Arc<App>, caller: &Caller, asked: Streaming<pb::WatchRevocationsRequest>) -> Answers {
    let (watch, events) = app.watch(caller);
    tokio::spawn(serve(watch, asked));
    let (forms, caller) = (Arc::clone(&app.forms), caller.clone());
    let answers = ReceiverStream::new(events).map(move |event| match event {
        Ok(event) => Ok(message(event, &forms)),
        Err(failure) => Err(told(&caller, failure)),
    });
    Box::pin(answers)
}

async fn serve(watch: Watch, mut asked: Streaming<pb::WatchRevocationsRequest>) {
    let first = timeout(OPENING, asked.message()).await;
    let open = match first {
        Ok(Ok(Some(pb::WatchRevocationsRequest { action: Some(Action::Open(open)) }))) => opened(open),
        Ok(Ok(None) | Err(_)) => return,
        Ok(Ok(Some(_))) | Err(_) => {
            Err(Refusal::invalid("action", "`open` must be the first message of the stream"))
        }
    };
    match open {
        Ok(open) => {
            let actions = asked.map_err(|status| transport(&status)).and_then(|one| async { action(one) });
            watch.run(open, actions).await;
        }
        Err(refusal) => watch.refuse(refusal).await,
    }
}

fn opened(open: pb::WatchOpen) -> Result<Open, Refusal> {
    let given = !open.revision.is_empty();
    let revision = given.then(|| revision("open.revision", &open.revision)).transpose()?;
    Ok(Open { era: open.era, revision })
}

fn action(asked: pb::WatchRevocationsRequest) -> Result<Asked, Failure> {
    match asked.action {
        Some(Action::Renew(renew)) => Ok(Asked::Renew(renew.number)),
        Some(Action::Acknowledge(it)) => {
            Ok(Asked::Acknowledge(revision("acknowledge.revision", &it.revision)?))
        }
        Some(Action::Open(_)) => Err(Refusal::invalid("open", "must be the first message only").into()),
        None => Err(Refusal::invalid("action", "is needed").into()),
    }
}

fn revision(field: &'static str, text: &str) -> Result<Revision, Refusal> {
    text.parse().map_err(|error: BadRevision| Refusal::invalid(field, error.to_string()))
}

fn transport(status: &Status) -> Failure {
    tracing::debug!(%status, "a watcher's stream broke");
    Refusal::invalid("action", "cannot be read").into()
}

fn message(event: Told, forms: &Forms) -> pb::WatchRevocationsResponse {
    let event = match event {
        Told::Terms { era, default_per_minute, renew } => Event::Terms(pb::WatchTerms {
            era,
            profiles: profiles::from_forms(forms),
            default_per_minute,
            renew_interval: Some(from_duration(renew)),
        }),
        Told::Begin => Event::SnapshotBegin(pb::WatchSnapshotBegin {}),
        Told::Part(part) => Event::SnapshotItems(pb::WatchSnapshotItems { states: told_states(&part) }),
        Told::End(revision) => Event::SnapshotEnd(pb::WatchSnapshotEnd { revision: revision.to_string() }),
        Told::Change(revision, changes) => {
            Event::Change(pb::WatchChange { revision: revision.to_string(), states: told_states(&changes) })
        }
        Told::Lease { number, revision, remaining } => Event::Lease(pb::WatchLease {
            number,
            revision: revision.to_string(),
            remaining: Some(from_duration(remaining)),
        }),
        Told::Reset => Event::Reset(pb::WatchReset {}),
    };
    pb::WatchRevocationsResponse { event: Some(event) }
}

fn told_states(changes: &[Change]) -> Vec<pb::WatchedState> {
    changes.iter().filter_map(states::from_change).collect()
}
