//! A watcher that looks at every message.
use crate::harness::World;
use crate::harness::client::{Metadata, authn};
use doorward::pb::v1::watch_revocations_request::Action;
use doorward::pb::v1::watch_revocations_response::Event;
use doorward::pb::v1::watched_state::State;
use doorward::pb::v1::{
    WatchOpen, WatchRenew, WatchRevocationsRequest, WatchRevocationsResponse, WatchedState,
};
use prost::Message;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream.
pub struct Watching {
    sender: mpsc::Sender<WatchRevocationsRequest>,
    events: Streaming<WatchRevocationsResponse>,
}

/// What a watcher was shown.
#[derive(Default)]
pub struct Seen {
    pub snapshot: bool,
    states: Vec<WatchedState>,
}

impl Seen {
    /// Every text in every state: what `Debug` hides, too.
    pub fn all(&self) -> String {
        let encoded = self.states.iter().flat_map(Message::encode_to_vec).collect::<Vec<_>>();
        String::from_utf8_lossy(&encoded).into_owned()
    }

    fn has_key(&self, id: &str) -> bool {
        self.states.iter().any(|state| matches!(&state.state, Some(State::Key(key)) if key.id == id))
    }
}

impl Watching {
    /// A stream on which nothing was said yet.
    pub async fn raw(world: &World, credential: &str) -> Self {
        let (sender, requests) = mpsc::channel(16);
        let mut authn = authn(&world.server.api(), Metadata::bearer(credential));
        let events = authn.watch_revocations(ReceiverStream::new(requests)).await.unwrap().into_inner();
        Self { sender, events }
    }

    pub async fn open(world: &World, credential: &str, open: WatchOpen) -> Self {
        let watching = Self::raw(world, credential).await;
        watching.send(Some(Action::Open(open))).await;
        watching
    }

    /// A stream from the beginning.
    pub async fn begin(world: &World, credential: &str) -> Self {
        Self::open(world, credential, WatchOpen::default()).await
    }

    pub async fn send(&self, action: Option<Action>) {
        // The other end may have ended the stream already.
        let _ = self.sender.send(WatchRevocationsRequest { action }).await;
    }

    pub async fn next(&mut self) -> Result<Event, Status> {
        let next = timeout(PATIENCE, self.events.message()).await.expect("nothing comes");
        next?.ok_or_else(|| Status::ok("ended"))?.event.ok_or_else(|| Status::internal("no event"))
    }

    /// Reads to the end of the snapshot; gives era and revision.
    pub async fn snapshot(&mut self, seen: &mut Seen) -> (String, String) {
        let mut era = None;
        loop {
            match self.next().await.unwrap() {
                Event::Terms(terms) => era = Some(terms.era),
                Event::SnapshotBegin(_) => seen.snapshot = true,
                Event::SnapshotItems(items) => seen.states.extend(items.states),
                Event::SnapshotEnd(end) => return (era.expect("no terms"), end.revision),
                other @ (Event::Change(_) | Event::Lease(_) | Event::Reset(_)) => {
                    panic!("{other:?} before the snapshot's end")
                }
            }
        }
    }

    /// Reads until a key is shown.
    pub async fn until_key(&mut self, id: &str, seen: &mut Seen) {
        while !seen.has_key(id) {
            match self.next().await.unwrap() {
                Event::Change(change) => seen.states.extend(change.states),
                Event::SnapshotBegin(_) => seen.snapshot = true,
                Event::SnapshotItems(items) => seen.states.extend(items.states),
                Event::Terms(_) | Event::SnapshotEnd(_) | Event::Lease(_) => {}
                Event::Reset(_) => panic!("a reset before the key"),
            }
        }
    }

    /// Takes a lease.
    pub async fn renew(&mut self, number: u64) {
        self.send(Some(Action::Renew(WatchRenew { number }))).await;
        while !matches!(self.next().await.unwrap(), Event::Lease(lease) if lease.number == number) {}
    }

    /// Reads to the end, which has to come soon.
    pub async fn ends(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(status) => return status,
            }
        }
    }
}
