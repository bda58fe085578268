//! Who is let in to export: what the gateway asks of whoever judges credentials.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use crate::app::Terms;
use crate::domain::{Correlation, Failure, Fault, Timestamp};
use crate::guard::{Admitted, Denied, Guard, Policy as Method};
use crate::protocol::leash::{Leash, Warden};

/// Judges who sends, by the headers alone. The [`Guard`] does.
pub trait Gate: Send + Sync {
    /// Lets a request to this method in, or refuses it.
    ///
    /// # Errors
    /// The refusal, ready to be written.
    fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        method: &Method,
    ) -> Result<Admitted, Denied>;

    /// What to wait for before a sender who was refused is asked to go: their
    /// key may have been made elsewhere a moment ago. `None`: nothing.
    fn catch_up(&self, denied: &Denied, headers: &HeaderMap)
    -> Option<BoxFuture<'static, Result<(), Fault>>>;

    /// Whether a sender who was let in still would be.
    ///
    /// # Errors
    /// They would not, or it cannot be known now.
    fn still_good(&self, terms: &Terms) -> Result<(), Failure>;

    /// Ties a request that waits to its credential; `None` if too many wait.
    ///
    /// # Errors
    /// As [`Gate::still_good`].
    fn tie(self: Arc<Self>, terms: Terms) -> Result<Option<Leash>, Failure>;

    /// The time of day.
    fn now(&self) -> Timestamp;

    /// The request's correlation id.
    fn correlation(&self, headers: &HeaderMap) -> Correlation;

    /// A failure as it is told, counted and logged.
    fn deny(&self, failure: Failure, correlation: Correlation) -> Denied;
}

impl Gate for Guard {
    fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        method: &Method,
    ) -> Result<Admitted, Denied> {
        Self::admit(self, headers, peer, method)
    }

    fn catch_up(
        &self,
        denied: &Denied,
        headers: &HeaderMap,
    ) -> Option<BoxFuture<'static, Result<(), Fault>>> {
        let failure = Failure::from(denied.refusal.clone());
        self.may_be_new(&failure, headers).then(|| Self::catch_up(self).boxed())
    }

    fn still_good(&self, terms: &Terms) -> Result<(), Failure> {
        Warden::still_good(self, terms, self.moment())
    }

    fn tie(self: Arc<Self>, terms: Terms) -> Result<Option<Leash>, Failure> {
        Self::tie(&self, terms)
    }

    fn now(&self) -> Timestamp {
        self.moment().wall
    }

    fn correlation(&self, headers: &HeaderMap) -> Correlation {
        Self::correlation(self, headers)
    }

    fn deny(&self, failure: Failure, correlation: Correlation) -> Denied {
        Self::deny(self, failure, correlation)
    }
}
