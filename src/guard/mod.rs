//! The guard: what stands between the network and every handler.
//!
//! For each call: find the one credential, check it, look up what the method
//! asks for, and either refuse or hand the handler a [`Caller`]. Whatever
//! happens, the answer carries the correlation id, and the tenant and the rate
//! limit once they are known.

mod acts_for;
mod answer;
mod break_glass;
pub mod deadline;
mod interceptor;
mod layer;
mod peer;
mod policy;
mod status;
mod tether;

pub use crate::protocol::{ERROR_DOMAIN, explain, status};
pub use answer::{Answer, Denied};
pub use interceptor::{caller, interceptor, visitor};
pub use layer::{Admits, GuardLayer, Guarded};
pub use peer::{Options, Peer};
pub use policy::{Charge, METHODS, Need, Policy};

use crate::app::people::Visitor;
use crate::app::{Caller, Demand, Verifier};
use crate::domain::correlation::Correlations;
use crate::domain::keys::KeyKind;
use crate::domain::{Clock, Correlation, Entropy, Failure, Fault, GrantId, Permission, Reason, Refusal};
use crate::protocol::credential;
use crate::telemetry::Metrics;
use http::HeaderMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Admits or refuses calls.
pub struct Guard {
    verifier: Arc<Verifier>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    calls: layer::Calls,
    peers: peer::Peers,
    correlations: Correlations,
    emergency: Option<break_glass::Emergency>,
}

/// A call that was admitted.
#[derive(Debug)]
pub struct Admitted {
    /// Who makes it.
    pub caller: Caller,
    /// What goes into the answer's headers.
    pub answer: Answer,
}

impl Guard {
    /// A guard over this verifier.
    pub fn new(
        verifier: Arc<Verifier>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        metrics: Arc<Metrics>,
        options: &Options,
    ) -> Self {
        let mut process = [0; 8];
        entropy.fill(&mut process);
        let correlations = Correlations::new(u64::from_be_bytes(process));
        let calls = layer::Calls::new(&metrics);
        let peers = peer::Peers::new(options);
        Self { verifier, clock, metrics, calls, peers, correlations, emergency: None }
    }

    /// Judges a call by its headers alone, before any of its body is read.
    ///
    /// # Errors
    /// The refusal, with what goes into its headers.
    pub fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        policy: &Policy,
    ) -> Result<Admitted, Denied> {
        let correlation = self.correlation(headers);
        match self.judge(headers, peer, policy, &correlation, None) {
            Ok(caller) => {
                self.metrics.accepted.inc();
                let answer = Answer::to(&caller);
                Ok(Admitted { caller, answer })
            }
            Err(failure) => Err(self.deny(failure, correlation)),
        }
    }

    /// Whether a call that was refused for its credential is worth a second
    /// look: a key that was made elsewhere a moment ago is not known here yet.
    pub fn may_be_new(&self, failure: &Failure, headers: &HeaderMap) -> bool {
        let Failure::Refused(refusal) = failure else { return false };
        let found = credential::find(headers, |text| self.verifier.kind(text));
        let unknown =
            matches!(refusal.reason, Reason::InvalidApiKey | Reason::SessionRevoked | Reason::InvalidToken);
        unknown && found.is_ok_and(|text| self.verifier.may_be_new(text, self.clock.now()))
    }

    /// Waits until everything that was committed before the call is known here.
    pub fn catch_up(&self) -> impl Future<Output = Result<(), Fault>> + Send + 'static {
        let verifier = Arc::clone(&self.verifier);
        async move { verifier.catch_up().await }
    }

    /// The call's correlation id: the caller's if it is well-formed, else a new one.
    pub fn correlation(&self, headers: &HeaderMap) -> Correlation {
        let sent = headers.get("x-correlation-id").or_else(|| headers.get("x-request-id"));
        sent.and_then(|sent| Correlation::parse(sent.as_bytes())).unwrap_or_else(|| self.correlations.next())
    }

    /// The address that a request really comes from.
    pub fn address(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Option<IpAddr> {
        self.peers.address(headers, peer?.ip())
    }

    /// A refusal as it is told, counted and, if it is our fault, logged.
    pub fn deny(&self, failure: Failure, correlation: Correlation) -> Denied {
        let refusal = match &failure {
            Failure::Refused(refusal) => {
                self.metrics.refused.with_label_values(&[refusal.reason.told().name]).inc();
                refusal.clone()
            }
            Failure::Fault(_) => {
                self.metrics.unknown.inc();
                explain(failure, &correlation)
            }
        };
        Denied { answer: Answer::about(correlation, &refusal), refusal }
    }

    /// Whether a call may be made by anybody and is made by nobody in particular.
    fn is_visit(&self, policy: &Policy, headers: &HeaderMap) -> bool {
        let is_missing = || {
            let found = credential::find(headers, |text| self.verifier.kind(text));
            found.is_err_and(|refusal| refusal.reason == Reason::CredentialsMissing)
        };
        policy.need == Need::Visitor || (policy.need == Need::Either && is_missing())
    }

    fn visitor(&self, headers: &HeaderMap, peer: Option<SocketAddr>, correlation: &Correlation) -> Visitor {
        let agent = headers.get(http::header::USER_AGENT).map(|agent| agent.to_str());
        let agent = match agent {
            Some(Ok(agent)) => agent.chars().take(MAX_AGENT).collect(),
            Some(Err(_)) | None => String::new(),
        };
        Visitor {
            correlation: correlation.clone(),
            address: self.address(headers, peer),
            deadline: self.deadline(headers),
            agent,
        }
    }

    /// When whoever asks stops waiting, on the boot-time clock (µs).
    fn deadline(&self, headers: &HeaderMap) -> Option<u64> {
        let wait = u64::try_from(deadline::asked(headers)?.as_micros()).unwrap_or(u64::MAX);
        Some(self.clock.moment().monotonic.saturating_add(wait))
    }

    fn judge(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        policy: &Policy,
        correlation: &Correlation,
        entered: Option<GrantId>,
    ) -> Result<Caller, Failure> {
        let presented = match entered {
            Some(_) => "",
            None => credential::find(headers, |text| self.verifier.kind(text))?,
        };
        let at = self.clock.moment();
        let address = self.address(headers, peer);
        // A grant is for the tenant that was named when it was entered.
        let looks = policy.honours_tenant_header() && entered.is_none();
        let acts_for = if looks { acts_for::acts_for(headers)? } else { None };
        // Whoever acts for another tenant needs the permission there.
        let permission = policy.need.permission().filter(|_| acts_for.is_none());
        let (cost, enrolling) = (policy.charge.cost(), policy.enrols);
        let demand = Demand { peer: address, permission, cost, enrolling, ..Demand::default() };
        let mut verified = match entered {
            Some(grant) => self.verifier.check_grant(grant, &demand, at)?,
            None => self.verifier.check(presented, &demand, at)?,
        };
        let mut home = None;
        if let Some(tenant) = acts_for {
            let before = verified.principal.tenant();
            verified = self.verifier.act_for(verified, tenant, address, enrolling)?;
            home = (before != verified.principal.tenant()).then_some(before);
        }
        let deadline = policy
            .audit
            .and_then(|_| deadline::asked(headers))
            .map(|wait| at.monotonic.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)));
        let caller = Caller { verified, home, correlation: correlation.clone(), address, deadline };
        if let Some(permission) = policy.need.permission() {
            caller.must(permission)?;
        }
        keep_to_ingest(&caller, policy)?;
        break_glass::leaves_nothing_behind(&caller, policy)?;
        Ok(caller)
    }
}

/// Characters of a user agent that are looked at.
const MAX_AGENT: usize = 300;

/// An ingest key sends telemetry and does nothing else (R13).
fn keep_to_ingest(caller: &Caller, policy: &Policy) -> Result<(), Refusal> {
    let ingest = caller.verified.principal.kind == KeyKind::Ingest;
    if ingest && policy.need.permission() != Some(Permission::INGEST_WRITE) {
        let message = "an ingest key sends telemetry and does nothing else";
        return Err(Refusal::new(Reason::InsufficientPermissions, message).with("required_role", "member"));
    }
    Ok(())
}
