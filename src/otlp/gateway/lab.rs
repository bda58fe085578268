//! Lab mode: no keys, this machine alone, and whoever sends says in a resource attribute whose data it is. For trying
//! out what stands behind, never for what has to be told apart safely.
//!
//! A gateway is of one sort for good. One with keys has no lab in it ([`Gateway::new`]), one that is a lab has no way to
//! look at a key ([`Gateway::lab`]), and a request that brings one is refused, so that nobody takes a lab for the real
//! thing.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use thiserror::Error;

use super::{Gate, Gateway, Parcel, Sender};
use crate::app::{Caller, Terms, Verified};
use crate::domain::correlation::Correlations;
use crate::domain::ingest::Ingested;
use crate::domain::keys::{Environment, KeyKind};
use crate::domain::principal::{Home, Principal, Standing, Title};
use crate::domain::{
    Clock, Correlation, CredentialId, Digest, Failure, Fault, KeyId, Permissions, Reason, Refusal, TenantId,
    Timestamp,
};
use crate::guard::{Admitted, Answer, Denied, Policy as Method, explain};
use crate::otlp::Signal;
use crate::otlp::forward::Batch;
use crate::otlp::message::claims::{BadClaim, Claimed, by_tenant, is_name};
use crate::otlp::prepare::{Prepared, malformed};
use crate::otlp::response::{Export, Partial};
use crate::protocol::leash::Leash;

/// What every answer of a lab says.
pub const WARNING: &str = "LAB MODE: no key was asked for, and the sender named the tenant itself";

/// Headers that carry credentials, besides those that were brought into `authorization` already.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "x-master-key"];
/// Headers by which it is known that a request came through a proxy.
const PROXIED: [&str; 3] = ["x-forwarded-for", "forwarded", "via"];

/// The tenant of what names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabTenant(Box<str>);

impl std::fmt::Display for LabTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that back ends would not take.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a tenant's name must have 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first")]
pub struct BadLabTenant;

impl FromStr for LabTenant {
    type Err = BadLabTenant;

    fn from_str(text: &str) -> Result<Self, BadLabTenant> {
        if is_name(text.as_bytes()) { Ok(Self(text.into())) } else { Err(BadLabTenant) }
    }
}

/// What makes a gateway a lab.
pub(super) struct Lab {
    pub(super) attribute: Box<str>,
    pub(super) default: LabTenant,
}

/// Lets in whoever is on this machine and has no key.
pub(super) struct LabGate {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) correlations: Correlations,
}

impl Gate for LabGate {
    fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        _method: &Method,
    ) -> Result<Admitted, Denied> {
        let correlation = self.correlation(headers);
        match welcome(headers, peer) {
            Ok(()) => {
                let answer = Answer::anonymous(correlation.clone());
                Ok(Admitted { caller: nobody(correlation), answer })
            }
            Err(refusal) => Err(self.deny(refusal.into(), correlation)),
        }
    }

    fn catch_up(&self, _: &Denied, _: &HeaderMap) -> Option<BoxFuture<'static, Result<(), Fault>>> {
        None
    }

    fn still_good(&self, _: &Terms) -> Result<(), Failure> {
        Ok(())
    }

    fn tie(self: Arc<Self>, _: Terms) -> Result<Option<Leash>, Failure> {
        Ok(None)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn correlation(&self, headers: &HeaderMap) -> Correlation {
        let sent = headers.get("x-correlation-id").and_then(|sent| Correlation::parse(sent.as_bytes()));
        sent.unwrap_or_else(|| self.correlations.next())
    }

    fn deny(&self, failure: Failure, correlation: Correlation) -> Denied {
        let refusal = explain(failure, &correlation);
        Denied { answer: Answer::about(correlation, &refusal), refusal }
    }
}

fn welcome(headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), Refusal> {
    if CREDENTIALS.iter().any(|name| headers.contains_key(*name)) {
        let message =
            "this is a lab, which takes no keys: leave the key out, or send to a server that has keys";
        return Err(Refusal::new(Reason::InvalidArgument, message));
    }
    let here = peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback());
    if !here || PROXIED.iter().any(|name| headers.contains_key(*name)) {
        return Err(Refusal::new(Reason::IpNotAllowed, "a lab takes what is sent on its own machine only"));
    }
    Ok(())
}

/// The caller of a lab: nobody, who may nothing.
fn nobody(correlation: Correlation) -> Caller {
    let none = Permissions::of(&[]);
    let principal = Principal {
        home: Arc::new(Home::new(TenantId::from_bytes([0; 16]), None)),
        kind: KeyKind::Ingest,
        standing: Standing::Gone,
        user: None,
        email: None,
        title: Title::Stranger,
        permissions: none,
        written: OnceLock::new(),
    };
    let verified = Verified {
        digest: Digest::from_words([0; 4]),
        principal: Arc::new(principal),
        credential: CredentialId::Key(KeyId::from_bytes([0; 16])),
        login: None,
        environment: Environment::Test,
        scopes: none,
        permissions: none,
        expire: Timestamp::NEVER,
        previous: false,
        rate: None,
    };
    Caller { verified, home: None, correlation, address: None, deadline: None }
}

impl Gateway {
    /// As with keys, but for whose data it is: each tenant's part goes by itself. Of several parts some may have
    /// arrived when one fails.
    pub(super) async fn pass_on_in_lab(
        &self,
        lab: &Lab,
        sender: &Sender,
        parcel: Parcel,
        sent: &mut Ingested,
    ) -> Result<Export, Failure> {
        let Parcel { signal, packed, mut held, deadline } = parcel;
        let body = self.budget.unpack(signal, packed, &mut held)?;
        // Told apart, and spliced.
        held.take(body.len().saturating_mul(2))?;
        let timeout = deadline.map_or(self.forward_timeout, |deadline| deadline.min(self.forward_timeout));
        let mut all = Export::default();
        for part in by_tenant(&body, &lab.attribute, &lab.default.0).map_err(refused)? {
            let (batch, named) = self.part(sender, signal, part)?;
            let items = batch.items;
            sender.charge(batch.body.len(), items, self.gate.now());
            sent.bytes_out += batch.body.len() as u64;
            self.metrics.otlp_bytes.with_label_values(&[signal.name()]).inc_by(batch.body.len() as u64);
            let copies = self.routes.copies(&batch);
            let export = self.routes.export(batch, timeout).await?;
            copies.go();
            let rejected = export.rejected().min(items);
            sent.rejected += rejected;
            sent.accepted += items - rejected;
            self.metrics.otlp_items.with_label_values(&[signal.name()]).inc_by(items);
            self.metrics.otlp_stripped.with_label_values(&[signal.name()]).inc_by(named);
            all.join(export);
        }
        all.warn(WARNING);
        Ok(all)
    }

    /// What goes to the back end of one tenant's part, and how many attributes named a tenant in it.
    fn part(&self, sender: &Sender, signal: Signal, part: Claimed) -> Result<(Batch, u64), Refusal> {
        let Claimed { tenant, request } = part;
        let prepared = Prepared::of(signal, &Bytes::from(request), &self.policy, &tenant)?;
        let Prepared { body, items, stripped, .. } = prepared;
        let batch = Batch {
            tenant: tenant.as_ref().into(),
            slug: Some(tenant.as_ref().into()),
            ..sender.batch(signal, body, items, stripped)
        };
        Ok((batch, stripped))
    }
}

impl Export {
    /// Adds what the back end said of another part.
    fn join(&mut self, other: Self) {
        let Some(Partial { rejected, message }) = other.partial_success else { return };
        let partial = self.partial_success.get_or_insert_default();
        partial.rejected = partial.rejected.saturating_add(rejected);
        if !message.is_empty() {
            self.warn(&message);
        }
    }
}

fn refused(bad: BadClaim) -> Refusal {
    match bad {
        BadClaim::Malformed(bad) => malformed(bad),
        BadClaim::Name | BadClaim::Twice | BadClaim::Many => Refusal::invalid("body", bad.to_string()),
    }
}
