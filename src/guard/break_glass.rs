//! The master key at the door: `x-master-key`, `x-break-glass-reason` and
//! `x-tenant-id`.
//!
//! It ranks above every other credential (R2): where it is sent, others are not
//! looked at. What is checked at once is in memory; the one thing that waits is
//! the audit log, which has the call before its handler does.

use super::acts_for::acts_for;
use super::{Guard, Need, Peer, Policy};
use crate::app::break_glass::{BreakGlass, Knock, no_tenant};
use crate::app::{App, Caller};
use crate::domain::break_glass::{Stated, may_do};
use crate::domain::{Failure, GrantId, Reason, Refusal};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, Request};
use std::sync::Arc;

const MASTER_KEY: HeaderName = HeaderName::from_static("x-master-key");
const REASON: HeaderName = HeaderName::from_static("x-break-glass-reason");

/// Where the master key is on.
pub(super) struct Emergency(Arc<App>);

impl Guard {
    /// The same with the master key on, if the app has one.
    #[must_use]
    pub fn with_break_glass(self, app: &Arc<App>) -> Self {
        let emergency = app.break_glass.is_some().then(|| Emergency(Arc::clone(app)));
        Self { emergency, ..self }
    }

    /// Whether a call presents the master key where there is one.
    pub(super) fn breaks_glass(&self, headers: &HeaderMap, policy: Option<&Policy>) -> bool {
        let looks = policy.is_some_and(|policy| match policy.need {
            Need::Either | Need::Credential | Need::Permission(_) => true,
            Need::Nothing | Need::Visitor => false,
        });
        self.emergency.is_some() && looks && headers.contains_key(MASTER_KEY)
    }

    /// Looks at the key, the reason and the tenant; what it gives writes the
    /// call down, and opens a grant if none is open.
    ///
    /// # Errors
    /// What is wrong first: of what follows a wrong key nothing is told.
    pub(super) fn break_glass<B>(
        &self,
        request: &Request<B>,
        policy: &'static Policy,
    ) -> Result<BoxFuture<'static, Result<GrantId, Failure>>, Failure> {
        let off = Refusal::invalid_api_key;
        let app = self.emergency.as_ref().map(|emergency| Arc::clone(&emergency.0)).ok_or_else(off)?;
        let glass = app.break_glass.as_ref().ok_or_else(off)?;
        self.has_the_key(&app, glass, request)?;
        app.break_glass_knows()?;
        let knock = self.knock(&app, request, policy)?;
        glass.count_use(self.clock.moment().monotonic)?;
        let entering = async move {
            match &app.break_glass {
                Some(glass) => app.break_glass_enter(glass, &knock).await,
                None => Err(off().into()),
            }
        };
        Ok(entering.boxed())
    }

    fn has_the_key<B>(
        &self,
        app: &Arc<App>,
        glass: &BreakGlass,
        request: &Request<B>,
    ) -> Result<(), Refusal> {
        let headers = request.headers();
        let presented = only(headers, &MASTER_KEY)?.ok_or_else(Refusal::invalid_api_key)?;
        let address = self.address(headers, peer_of(request));
        let checked = glass.is_right(presented.as_bytes(), address, self.clock.moment().monotonic);
        let Err((refusal, is_heard)) = checked else { return Ok(()) };
        let correlation = self.correlation(headers);
        if is_heard {
            tracing::warn!(correlation.id = %correlation, "break-glass: a wrong master key was presented");
            let tenant = acts_for(headers).unwrap_or(None).map(str::to_owned);
            let app = Arc::clone(app);
            tokio::spawn(async move {
                app.break_glass_refused(tenant.as_deref(), address, &correlation).await;
            });
        }
        Err(refusal)
    }

    fn knock<B>(&self, app: &App, request: &Request<B>, policy: &'static Policy) -> Result<Knock, Refusal> {
        let headers = request.headers();
        let needed = |name: &'static str, what: &'static str| Refusal::invalid(name, what);
        let said = only(headers, &REASON)?.map(http::HeaderValue::to_str);
        let reason: Stated = match said {
            Some(Ok(reason)) => reason.parse().map_err(|bad: crate::domain::break_glass::BadReason| {
                Refusal::invalid("x-break-glass-reason", bad.to_string())
            })?,
            Some(Err(_)) => return Err(needed("x-break-glass-reason", "must be printable ASCII")),
            None => return Err(needed("x-break-glass-reason", "is needed with the master key")),
        };
        let named = acts_for(headers)?
            .ok_or_else(|| needed("x-tenant-id", "is needed with the master key, which opens one tenant"))?;
        let tenant = app.break_glass_tenant(named).ok_or_else(no_tenant)?;
        let address = self.address(headers, peer_of(request));
        Ok(Knock { tenant, reason, method: policy.method, address, correlation: self.correlation(headers) })
    }
}

/// What a grant makes must not outlast it.
pub(super) fn leaves_nothing_behind(caller: &Caller, policy: &Policy) -> Result<(), Refusal> {
    if caller.verified.credential.grant().is_none() || policy.audit.is_none_or(may_do) {
        return Ok(());
    }
    let message = "a break-glass grant can see, end and unlock; what it would give would outlast it";
    Err(Refusal::new(Reason::InsufficientPermissions, message).with("required_role", "admin"))
}

fn peer_of<B>(request: &Request<B>) -> Option<std::net::SocketAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}

/// The header's one value; see `protocol::credential`.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a http::HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        let message = "a break-glass header was sent more than once";
        return Err(Refusal::new(Reason::AmbiguousCredentials, message));
    }
    Ok(first)
}
