//! How a call that was admitted is watched until its answer leaves.

use super::Guard;
use crate::app::Terms;
use crate::domain::changes::Revision;
use crate::domain::{Failure, Moment};
use crate::protocol::Side;
use crate::protocol::leash::{Alarm, Leash, Warden};
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a call goes on by.
pub enum Tether {
    /// Nothing: it asks for no credential, or changes something and runs to its end.
    Off,
    /// A call that has not had to wait: it is judged again if anything has
    /// changed since it was admitted.
    Quick {
        /// What has to stay true.
        terms: Terms,
        /// The last change that the judgement knew of.
        seen: Revision,
    },
    /// A call that waits, on a leash of its own.
    Waiting(Box<(Leash, Alarm)>),
    /// A stream, whose bodies are on the leash too.
    Stream(Arc<Leash>, Alarm),
}

impl Tether {
    /// The leash of a stream.
    pub fn leash(&self) -> Option<Arc<Leash>> {
        match self {
            Self::Stream(leash, _) => Some(Arc::clone(leash)),
            Self::Off | Self::Quick { .. } | Self::Waiting(_) => None,
        }
    }

    /// Whether the answer may leave. What has not waited and saw no change
    /// costs one atomic load.
    ///
    /// # Errors
    /// The credential has ended meanwhile.
    #[inline]
    pub fn release(&self, guard: &Guard) -> Result<(), Failure> {
        match self {
            Self::Off => Ok(()),
            Self::Quick { seen, .. } if guard.verifier.revision() == *seen => Ok(()),
            Self::Quick { terms, .. } => guard.still_good(terms, guard.clock.moment()),
            Self::Waiting(tied) => tied.0.pass(),
            Self::Stream(leash, _) => leash.pass(),
        }
    }

    /// Why a call that has no answer yet has to end, if it has; else the task
    /// is woken when it has.
    pub fn poll_end(&mut self, guard: &Arc<Guard>, cx: &mut Context<'_>) -> Poll<Failure> {
        if let Self::Quick { terms, .. } = self {
            match guard.tie(*terms) {
                Ok(Some(leash)) => *self = Self::Waiting(Box::new((leash, Alarm::default()))),
                // It is judged at its end.
                Ok(None) => return Poll::Pending,
                Err(failure) => return Poll::Ready(failure),
            }
        }
        match self {
            Self::Off | Self::Quick { .. } => Poll::Pending,
            Self::Waiting(tied) => {
                let (leash, alarm) = &mut **tied;
                leash.poll_end(Side::Answer, alarm, cx)
            }
            Self::Stream(leash, alarm) => leash.poll_end(Side::Answer, alarm, cx),
        }
    }
}

impl Guard {
    /// Ties what was admitted to its credential. `None` if too much is tied.
    ///
    /// # Errors
    /// The credential has ended meanwhile.
    pub fn tie(self: &Arc<Self>, terms: Terms) -> Result<Option<Leash>, Failure> {
        let Some(held) = self.verifier.register(terms) else { return Ok(None) };
        Leash::new(Arc::clone(self) as Arc<dyn Warden>, held).map(Some)
    }
}

impl Warden for Guard {
    fn moment(&self) -> Moment {
        self.clock.moment()
    }

    fn is_ready(&self, at: Moment) -> bool {
        self.verifier.is_ready(at)
    }

    fn still_good(&self, terms: &Terms, at: Moment) -> Result<(), Failure> {
        self.verifier.still_good(terms, at)
    }

    fn ended(&self) {
        self.metrics.streams_cut.inc();
    }
}
