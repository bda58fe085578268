//! What ties a stream or a waiting call to the credential that opened it.

use crate::domain::{Failure, Moment, Timestamp};
use crate::view::{Held, Side, Terms};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// The longest sleep before the clock is looked at again: the time of day can
/// be set.
const LOOK: Duration = Duration::from_secs(30);

/// How soon to look again when a new expiry is only half applied.
const MOMENT: Duration = Duration::from_millis(5);

/// Who judges what goes on.
pub trait Warden: Send + Sync {
    /// Both clocks now.
    fn moment(&self) -> Moment;

    /// Whether anything may be answered at this moment.
    fn is_ready(&self, at: Moment) -> bool;

    /// Whether what was begun under these terms may go on.
    ///
    /// # Errors
    /// It may not; [`Failure::Fault`] if that cannot be known now.
    fn still_good(&self, terms: &Terms, at: Moment) -> Result<(), Failure>;

    /// Hears of everything that was ended because its credential was; once each.
    fn ended(&self);
}

/// The tie itself. Dropping it lets go.
pub struct Leash {
    held: Held,
    warden: Arc<dyn Warden>,
    ended: AtomicBool,
}

/// Rings when the credential expires. Each side that waits has its own.
#[derive(Default)]
pub struct Alarm {
    set_for: Option<Timestamp>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Leash {
    /// Ties what was registered, and judges it once more: a change may have
    /// been applied between the first judgement and the registration.
    ///
    /// # Errors
    /// It may not go on.
    pub fn new(warden: Arc<dyn Warden>, held: Held) -> Result<Self, Failure> {
        warden.still_good(held.terms(), warden.moment())?;
        Ok(Self { held, warden, ended: AtomicBool::new(false) })
    }

    /// Whether something may pass now: no change has cut it, the credential has
    /// not expired, and the view may answer. Costs two atomic loads and a
    /// reading of the clock.
    ///
    /// # Errors
    /// It may not, and must be ended.
    pub fn pass(&self) -> Result<(), Failure> {
        if let Some(told) = self.held.is_cut() {
            return Err(self.end(told.clone().into()));
        }
        let at = self.warden.moment();
        if at.wall < self.held.expire() && self.warden.is_ready(at) {
            return Ok(());
        }
        self.warden.still_good(self.held.terms(), at).map_err(|failure| self.end(failure))
    }

    /// Why it has to end, if it has; else the task is woken when it has. A
    /// lapse of the lease ends nothing by itself: nothing passes, and it may be
    /// over before anything wants to.
    pub fn poll_end(&self, side: Side, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<Failure> {
        if let Poll::Ready(told) = self.held.poll_cut(side, cx) {
            return Poll::Ready(self.end(told.into()));
        }
        alarm.poll(self, cx).map(|failure| self.end(failure))
    }

    /// Waits until it has to end.
    pub async fn end_of(&self, side: Side) -> Failure {
        let mut alarm = Alarm::default();
        std::future::poll_fn(|cx| self.poll_end(side, &mut alarm, cx)).await
    }

    fn end(&self, failure: Failure) -> Failure {
        if matches!(failure, Failure::Refused(_)) && !self.ended.swap(true, Ordering::Relaxed) {
            self.warden.ended();
        }
        failure
    }
}

impl Alarm {
    fn poll(&mut self, leash: &Leash, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            let expire = leash.held.expire();
            if expire == Timestamp::NEVER {
                self.sleep = None;
                return Poll::Pending;
            }
            if self.set_for != Some(expire) {
                (self.set_for, self.sleep) = (Some(expire), None);
            }
            let Some(sleep) = &mut self.sleep else {
                let wait = match until(leash, expire) {
                    Ok(wait) => wait,
                    Err(failure) => return Poll::Ready(failure),
                };
                self.sleep = Some(Box::pin(tokio::time::sleep(wait)));
                continue;
            };
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
    }
}

/// How long to sleep, or why there is nothing to wait for any more.
fn until(leash: &Leash, expire: Timestamp) -> Result<Duration, Failure> {
    let at = leash.warden.moment();
    if at.wall < expire {
        return Ok(expire.since(at.wall).min(LOOK));
    }
    match leash.warden.still_good(leash.held.terms(), at) {
        Err(Failure::Refused(refusal)) => Err(refusal.into()),
        // It cannot be known, and nothing passes; or another expiry is about to be told.
        Err(Failure::Fault(_)) | Ok(()) => Ok(MOMENT),
    }
}

#[cfg(test)]
#[path = "leash_tests.rs"]
mod tests;
