//! Follows the server: keeps the mirror in step and its lease alive.

use super::Shared;
use super::mirror::Mirror;
use crate::domain::changes::Revision;
use crate::domain::lease::Lease;
use crate::domain::{Clock, Reason, Refusal};
use crate::pb::v1 as pb;
use crate::protocol::times::to_duration;
use crate::protocol::{Unreadable, profiles, states};
use crate::secret::Forms;
use crate::view::{View, Writer};
use pb::watch_revocations_request::Action;
use pb::watch_revocations_response::Event;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Until the first answer of a stream has to come.
const OPENING: Duration = Duration::from_secs(10);

/// A server that says nothing for so long is given up, and the stream opened anew.
const SILENCE: Duration = Duration::from_secs(10);

/// The least time between two renewals, however many checks wait for one.
const GAP: Duration = Duration::from_millis(5);

/// The bounds of the renewal interval that a server can ask for.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(30));

/// Pauses before a stream is opened anew.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Renewals whose answers are still waited for.
const MOST_RENEWALS: usize = 64;

/// Messages to the server that wait to be sent.
const BACKLOG: usize = 256;

/// The largest message that is taken from the server.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the stream broke: {}", .0.message())]
    Broken(#[from] Status),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the server said nothing for too long")]
    Silent,
    #[error("the server ended the stream")]
    Ended,
    #[error("the server asks to start over")]
    Reset,
    #[error("messages came in an order that means nothing")]
    Disorder,
    #[error("the connection takes nothing more")]
    Stuck,
}

/// The one who follows.
pub struct Follower {
    shared: Arc<Shared>,
    lease: Lease,
    copy: Option<Copied>,
    terms: Option<Terms>,
    /// The number and the sending of each renewal that was not answered yet.
    renewals: VecDeque<(u64, u64)>,
    number: u64,
    /// Whether the stream has come so far that a later failure is a new one.
    went_well: bool,
}

/// A copy that is complete, or about to be.
struct Copied {
    mirror: Arc<Mirror>,
    writer: Writer,
    applied: Option<Revision>,
}

/// What holds for a stream.
struct Terms {
    era: String,
    forms: Forms,
    default_per_minute: u32,
    interval: Duration,
}

impl Follower {
    /// A follower that keeps this in step.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lease: Lease::default(),
            copy: None,
            terms: None,
            renewals: VecDeque::new(),
            number: 0,
            went_well: false,
        }
    }

    /// Follows for ever, one stream after the other.
    pub async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let end = match self.stream().await {
                Ok(never) => match never {},
                Err(end) => end,
            };
            failures = if self.went_well { 1 } else { failures.saturating_add(1) };
            self.went_well = false;
            if matches!(end, End::Reset | End::Unreadable(_) | End::Disorder) {
                self.forget();
            }
            if failures == 1 {
                tracing::warn!(error = %end, "doorward cannot be followed; checks end with the lease");
            }
            self.shared.ended(&end.to_string());
            sleep(pause(failures)).await;
        }
    }

    async fn stream(&mut self) -> Result<std::convert::Infallible, End> {
        self.renewals.clear();
        let (sender, requests) = mpsc::channel(BACKLOG);
        send(&sender, Action::Open(self.opening()))?;
        let mut client = self.shared.client.watching().max_decoding_message_size(MAX_MESSAGE);
        let opened = timeout(OPENING, client.watch_revocations(ReceiverStream::new(requests))).await;
        let mut events = opened.map_err(|_elapsed| End::Silent)??.into_inner();
        let mut due = Instant::now() + OPENING;
        let (mut last, mut heard) = (Instant::now(), Instant::now());
        let shared = Arc::clone(&self.shared);
        loop {
            tokio::select! {
                event = events.message() => {
                    heard = Instant::now();
                    let event = event?.ok_or(End::Ended)?;
                    let is_loaded = self.take(event.event.ok_or(End::Disorder)?, &sender)?;
                    if is_loaded {
                        due = Instant::now();
                    }
                }
                () = sleep_until(due) => {
                    self.renew(&sender)?;
                    last = Instant::now();
                    due = last + self.interval();
                }
                () = sleep_until(heard + SILENCE) => return Err(End::Silent),
                // Somebody waits for a fresh answer.
                () = shared.nudge.notified(), if self.is_complete() => due = due.min(last + GAP),
            }
        }
    }

    fn opening(&self) -> pb::WatchOpen {
        let applied = self.copy.as_ref().and_then(|copy| copy.applied);
        match (applied, &self.terms) {
            (Some(revision), Some(terms)) => {
                pb::WatchOpen { era: terms.era.clone(), revision: revision.to_string() }
            }
            _ => pb::WatchOpen::default(),
        }
    }

    fn is_complete(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.applied.is_some())
    }

    fn interval(&self) -> Duration {
        self.terms.as_ref().map_or(OPENING, |terms| terms.interval)
    }

    /// Asks for a lease. The clock is read first: what is granted counts from then.
    fn renew(&mut self, sender: &mpsc::Sender<pb::WatchRevocationsRequest>) -> Result<(), End> {
        if !self.is_complete() {
            return Ok(());
        }
        self.number += 1;
        if self.renewals.len() == MOST_RENEWALS {
            self.renewals.pop_front();
        }
        self.renewals.push_back((self.number, self.shared.clock.moment().monotonic));
        send(sender, Action::Renew(pb::WatchRenew { number: self.number }))
    }

    /// Takes an event. True if from now on a lease should be asked for.
    fn take(
        &mut self,
        event: Event,
        sender: &mpsc::Sender<pb::WatchRevocationsRequest>,
    ) -> Result<bool, End> {
        match event {
            Event::Terms(told) => {
                self.agree(told)?;
                Ok(self.is_complete())
            }
            Event::SnapshotBegin(pb::WatchSnapshotBegin {}) => {
                self.begin()?;
                Ok(false)
            }
            Event::SnapshotItems(part) => {
                self.apply(part.states)?;
                Ok(false)
            }
            Event::SnapshotEnd(end) => {
                self.reached(revision(&end.revision)?, sender)?;
                let copy = self.copy.as_ref().ok_or(End::Disorder)?;
                self.shared.install(&copy.mirror);
                Ok(true)
            }
            Event::Change(change) => {
                let revision = revision(&change.revision)?;
                if !self.is_complete() {
                    return Err(End::Disorder);
                }
                self.apply(change.states)?;
                self.reached(revision, sender)?;
                Ok(false)
            }
            Event::Lease(lease) => {
                self.granted(&lease)?;
                Ok(false)
            }
            Event::Reset(pb::WatchReset {}) => Err(End::Reset),
        }
    }

    fn agree(&mut self, told: pb::WatchTerms) -> Result<(), End> {
        let interval = told.renew_interval.and_then(to_duration).ok_or(Unreadable("renew_interval"))?;
        let terms = Terms {
            era: told.era,
            forms: profiles::to_forms(&told.profiles)?,
            default_per_minute: told.default_per_minute,
            interval: interval.clamp(INTERVALS.0, INTERVALS.1),
        };
        let is_other = self.terms.as_ref().is_none_or(|before| {
            before.forms.profiles() != terms.forms.profiles()
                || before.default_per_minute != terms.default_per_minute
        });
        if let Some(copy) = self.copy.as_mut().filter(|_| is_other) {
            // The same copy, read in another way; the lease on it goes over.
            copy.mirror.lend(0);
            let view = Arc::clone(&copy.mirror.view);
            copy.mirror = Arc::new(Mirror::new(
                view,
                terms.forms.clone(),
                terms.default_per_minute,
                Arc::clone(&self.shared.clock),
            ));
            self.shared.install(&copy.mirror);
        }
        self.terms = Some(terms);
        self.publish();
        Ok(())
    }

    /// Starts over with an empty copy. What the old one opened ends.
    fn begin(&mut self) -> Result<(), End> {
        self.forget();
        let terms = self.terms.as_ref().ok_or(End::Disorder)?;
        let (view, writer) = View::with_room_for(1024, 256);
        let mirror = Arc::new(Mirror::new(
            view,
            terms.forms.clone(),
            terms.default_per_minute,
            Arc::clone(&self.shared.clock),
        ));
        self.copy = Some(Copied { mirror, writer, applied: None });
        Ok(())
    }

    /// Gives up the copy and the lease on it.
    fn forget(&mut self) {
        self.lease.lost();
        if let Some(copy) = self.copy.take() {
            copy.mirror.lend(0);
            let refusal = Refusal::new(Reason::BackendUnavailable, "what was known has to be learnt anew");
            copy.mirror.view.cut_all(&refusal);
        }
    }

    fn apply(&mut self, states: Vec<pb::WatchedState>) -> Result<(), End> {
        let copy = self.copy.as_mut().ok_or(End::Disorder)?;
        for state in states {
            copy.writer.apply(states::to_change(state)?);
        }
        Ok(())
    }

    /// Everything up to the revision is in full effect here, cuts included;
    /// only then it is acknowledged.
    fn reached(
        &mut self,
        revision: Revision,
        sender: &mpsc::Sender<pb::WatchRevocationsRequest>,
    ) -> Result<(), End> {
        self.advance(revision)?;
        send(sender, Action::Acknowledge(pb::WatchAcknowledge { revision: revision.to_string() }))
    }

    fn advance(&mut self, revision: Revision) -> Result<(), End> {
        let copy = self.copy.as_mut().ok_or(End::Disorder)?;
        if copy.applied.is_none_or(|applied| applied < revision) {
            copy.applied = Some(revision);
            copy.writer.advance(revision);
            self.lease.settle(revision);
        }
        self.publish();
        Ok(())
    }

    fn granted(&mut self, told: &pb::WatchLease) -> Result<(), End> {
        let revision = revision(&told.revision)?;
        let remaining = told.remaining.and_then(to_duration).ok_or(Unreadable("remaining"))?;
        if !self.is_complete() {
            return Err(End::Disorder);
        }
        let Some((_, sent)) = self.renewals.iter().find(|(number, _)| *number == told.number).copied() else {
            return Ok(());
        };
        self.renewals.retain(|(number, _)| *number > told.number);
        let remaining = u64::try_from(remaining.as_micros()).unwrap_or(0);
        self.lease.granted(sent, remaining, revision);
        // Whatever of it concerns this copy was sent before, and is applied.
        self.advance(revision)?;
        self.shared.renewed(sent);
        if !self.went_well {
            tracing::debug!(%revision, "doorward is followed");
        }
        self.went_well = true;
        Ok(())
    }

    /// Makes the lease known to those who check.
    fn publish(&self) {
        let Some(Copied { mirror, applied: Some(applied), .. }) = &self.copy else { return };
        mirror.lend(self.lease.until(*applied).unwrap_or(0));
    }
}

impl Drop for Follower {
    /// Nobody keeps the copy in step any more.
    fn drop(&mut self) {
        self.forget();
    }
}

fn send(sender: &mpsc::Sender<pb::WatchRevocationsRequest>, action: Action) -> Result<(), End> {
    let request = pb::WatchRevocationsRequest { action: Some(action) };
    sender.try_send(request).map_err(|_full| End::Stuck)
}

fn revision(text: &str) -> Result<Revision, Unreadable> {
    text.parse().map_err(|_unsaid: crate::domain::changes::BadRevision| Unreadable("revision"))
}

/// Longer with each failure, and never the same for all.
fn pause(failures: u32) -> Duration {
    let whole = PAUSES.0.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSES.1);
    let share = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    whole.mul_f64(0.5 + 0.5 * share)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
