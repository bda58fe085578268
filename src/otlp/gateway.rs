//! What happens to an export, whichever surface it came by.

mod gate;
mod lab;
mod patience;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use http::HeaderMap;

pub use self::gate::Gate;
pub use self::lab::{BadLabTenant, LabTenant, WARNING as LAB_WARNING};
use self::lab::{Lab, LabGate};
use self::patience::{Waits, is_patient};
use super::credentials::normalise;
use super::encoding::Coding;
use super::forward::{BadTarget, Batch, Payload, passed_on};
use super::intake::{Budget, Held, Packed};
use super::notices::{Notice, Notices};
use super::prepare::Prepared;
use super::quota::{Pass, Quotas, Who};
use super::response::Export;
use super::routes::Routes;
use super::sink::Lines;
use super::splice::Policy;
use super::workshop::Workshop;
use super::{Options, Signal};
use crate::app::{Caller, Meter, Terms};
use crate::domain::correlation::Correlations;
use crate::domain::ingest::{Ingested, Telemetry};
use crate::domain::{Clock, Entropy, Failure, Fault, Refusal, TenantId, Timestamp};
use crate::guard::{Admitted, Answer, Denied, Policy as Method};
use crate::protocol::Side;
use crate::telemetry::Metrics;

/// Bodies above this many bytes are spliced on a thread that may block. The way there and back costs as much as splicing
/// a quarter of it.
const INLINE: usize = 512 << 10;
/// The same for JSON, which takes longer.
const INLINE_JSON: usize = 64 << 10;
/// The same for gzip, which may become a thousand times as much. Of zstd a few bytes may become anything.
const INLINE_GZIP: usize = 4 << 10;
/// The one handler of all exports.
pub struct Gateway {
    gate: Arc<dyn Gate>,
    policy: Arc<Policy>,
    /// Where the sender is believed; never beside keys.
    lab: Option<Lab>,
    budget: Budget,
    workshop: Workshop,
    quotas: Arc<Quotas>,
    routes: Routes,
    forward_timeout: Duration,
    metrics: Arc<Metrics>,
    meter: Arc<Meter>,
    notices: Notices,
    waits: Waits,
}

/// A sender that was let in.
#[derive(Debug)]
pub struct Sender {
    caller: Caller,
    /// What has to stay true until the data is handed over.
    terms: Terms,
    /// What goes into the answer's headers.
    pub answer: Answer,
    note: Option<&'static str>,
    patient: bool,
    trace: HeaderMap,
    /// Its place among the exports under way, where they are counted.
    pass: Option<Pass>,
}

/// A request's part that the surface has read.
#[derive(Debug)]
pub struct Parcel {
    /// What is exported.
    pub signal: Signal,
    /// The body.
    pub packed: Packed,
    /// Its share of the budget.
    pub held: Held,
    /// The sender's own deadline.
    pub deadline: Option<Duration>,
}

impl Gateway {
    /// A gateway to the back ends of `options`. Must be called within a tokio runtime. `lines` is where a sink writes,
    /// `meter` counts what keys send.
    ///
    /// # Errors
    /// The back end cannot be used.
    pub fn new(
        options: &Options,
        gate: Arc<dyn Gate>,
        metrics: Arc<Metrics>,
        lines: Arc<dyn Lines>,
        meter: Arc<Meter>,
    ) -> Result<Self, BadTarget> {
        Ok(Self {
            gate,
            policy: Arc::new(options.policy()),
            lab: None,
            budget: Budget::new(options.max_in_flight_bytes, options.max_body_bytes, options.read_timeout()),
            workshop: Workshop::new(),
            quotas: Quotas::new(options.quota),
            routes: Routes::new(options, lines, &metrics)?,
            forward_timeout: options.forward_timeout(),
            metrics,
            meter,
            notices: Notices::default(),
            waits: Waits::default(),
        })
    }

    /// A gateway that asks for no key and believes what senders say whose data it is; what says nothing is `default`'s.
    /// It lets in only who is on this machine. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The back end cannot be used.
    pub fn lab(
        options: &Options,
        default: LabTenant,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        metrics: Arc<Metrics>,
        lines: Arc<dyn Lines>,
    ) -> Result<Self, BadTarget> {
        let mut process = [0; 8];
        entropy.fill(&mut process);
        let gate = LabGate { clock, correlations: Correlations::new(u64::from_be_bytes(process)) };
        metrics.otlp_lab.set(1);
        let lab = Lab { attribute: options.tenant_attribute.as_str().into(), default };
        let gateway = Self::new(options, Arc::new(gate), metrics, lines, Arc::default())?;
        Ok(Self { lab: Some(lab), ..gateway })
    }

    /// What requests may take of memory.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Lets a sender in by its headers, before any of its body is read.
    ///
    /// # Errors
    /// The refusal, ready to be written.
    pub async fn admit(
        &self,
        signal: Signal,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<Sender, Box<Denied>> {
        let refused = |failure: Failure| Box::new(self.deny(signal.name(), failure, headers));
        let Some(method) = Method::of(signal.grpc_path()) else {
            return Err(refused(Fault::new("ingest has no row in the guard's policy").into()));
        };
        let normal = normalise(headers).map_err(|refusal| refused(refusal.into()))?;
        let mut admitted = self.gate.admit(&normal.headers, peer, method);
        if let Err(denied) = &admitted
            && let Some(catching) = self.gate.catch_up(denied, &normal.headers)
        {
            catching.await.map_err(|fault| refused(fault.into()))?;
            admitted = self.gate.admit(&normal.headers, peer, method);
        }
        match admitted {
            Ok(Admitted { caller, answer }) => {
                let sender = Sender {
                    terms: caller.terms(method.stands_on(caller.verified.permissions)),
                    caller,
                    answer,
                    note: normal.note,
                    patient: is_patient(headers),
                    trace: passed_on(headers),
                    pass: None,
                };
                self.within_quota(signal, sender)
            }
            Err(mut denied) => {
                self.count(signal.name(), denied.refusal.reason.told().name);
                self.waits.soften(&mut denied.refusal, is_patient(headers));
                Err(Box::new(denied))
            }
        }
    }

    /// Waits for a sender's body, for a place to deal with it, or for the back end, for as long as their credential is good.
    ///
    /// # Errors
    /// What is waited for says, or why the credential ended meanwhile.
    pub async fn receive<T, E: From<Failure>>(
        &self,
        sender: &Sender,
        body: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut body = pin!(body);
        // What is here already is judged right before it goes on.
        if let Some(arrived) = body.as_mut().now_or_never() {
            return arrived;
        }
        let Some(leash) = Arc::clone(&self.gate).tie(sender.terms)? else { return body.await };
        match select(body, pin!(leash.end_of(Side::Request))).await {
            Either::Left((arrived, _)) => arrived,
            Either::Right((ended, _)) => Err(ended.into()),
        }
    }

    /// Takes an export of a sender that was let in: splices it, hands it to the back end, and answers with the
    /// response once the back end has acknowledged it.
    ///
    /// # Errors
    /// The refusal, ready to be written.
    pub async fn take(&self, sender: &Sender, parcel: Parcel) -> Result<Export, Box<Denied>> {
        let signal = parcel.signal;
        let bytes_in = parcel.packed.bytes.len() as u64;
        let mut sent = Ingested { requests: 1, bytes_in, ..Ingested::default() };
        let (taken, outcome) = match &self.lab {
            None => (self.pass_on(sender, parcel, &mut sent).await, "accepted"),
            Some(lab) => (self.pass_on_in_lab(lab, sender, parcel, &mut sent).await, "lab"),
        };
        self.note(sender, signal, sent);
        match taken {
            Ok(export) => {
                self.count(signal.name(), outcome);
                Ok(export)
            }
            Err(failure) => Err(self.deny_sender(signal, failure, sender)),
        }
    }

    /// A failure before or without a sender, as it is told. `signal` is `other` where there is none.
    pub fn deny(&self, signal: &'static str, failure: Failure, headers: &HeaderMap) -> Denied {
        let mut denied = self.gate.deny(failure, self.gate.correlation(headers));
        self.count(signal, denied.refusal.reason.told().name);
        self.waits.soften(&mut denied.refusal, is_patient(headers));
        denied
    }

    /// A failure after a sender was let in, as it is told: with the sender's own headers.
    pub fn deny_sender(&self, signal: Signal, failure: Failure, sender: &Sender) -> Box<Denied> {
        let mut denied = self.gate.deny(failure, sender.answer.correlation().clone());
        self.count(signal.name(), denied.refusal.reason.told().name);
        self.waits.soften(&mut denied.refusal, sender.patient);
        denied.answer = sender.answer.clone();
        Box::new(denied)
    }

    async fn pass_on(&self, sender: &Sender, parcel: Parcel, sent: &mut Ingested) -> Result<Export, Failure> {
        let Parcel { signal, packed, held, deadline } = parcel;
        let packed_bytes = packed.bytes.len();
        sender.charge(packed_bytes, 0, self.gate.now());
        let (prepared, held) = self.prepare(sender, signal, packed, held).await?;
        let Prepared { plain, body, items, stripped } = prepared;
        sender.charge(plain.saturating_sub(packed_bytes), items, self.gate.now());
        sent.rejected = items;
        let bytes_out = body.len() as u64;
        self.metrics.otlp_bytes.with_label_values(&[signal.name()]).inc_by(body.len() as u64);
        // The body may have taken long to come.
        self.gate.still_good(&sender.terms)?;
        let mut export = Export::default();
        if !body.is_empty() {
            let timeout =
                deadline.map_or(self.forward_timeout, |deadline| deadline.min(self.forward_timeout));
            let batch = sender.batch(signal, body, items, stripped);
            let copies = self.routes.copies(&batch);
            export = self.receive(sender, self.routes.export(batch, timeout)).await?;
            copies.go();
            sent.rejected = export.rejected().min(items);
            (sent.accepted, sent.bytes_out) = (items - sent.rejected, bytes_out);
            // Nothing is acknowledged to a key that was revoked meanwhile.
            self.gate.still_good(&sender.terms)?;
        }
        drop(held);
        self.metrics.otlp_items.with_label_values(&[signal.name()]).inc_by(items);
        self.metrics.otlp_stripped.with_label_values(&[signal.name()]).inc_by(stripped);
        self.warn(sender, &mut export, stripped);
        Ok(export)
    }

    /// Counts an export that was let in among those of its tenant and key.
    fn within_quota(&self, signal: Signal, mut sender: Sender) -> Result<Sender, Box<Denied>> {
        let who = Who { tenant: sender.tenant(), key: sender.caller.verified.credential, signal };
        match self.quotas.enter(who, self.gate.now()) {
            Ok(pass) => {
                sender.pass = pass;
                Ok(sender)
            }
            Err(refusal) => Err(self.deny_sender(signal, refusal.into(), &sender)),
        }
    }

    /// Decompresses and splices, off the network threads if it is much.
    async fn prepare(
        &self,
        sender: &Sender,
        signal: Signal,
        packed: Packed,
        mut held: Held,
    ) -> Result<(Prepared, Held), Failure> {
        let (budget, policy) = (self.budget.clone(), Arc::clone(&self.policy));
        let tenant = sender.caller.tenant().to_string();
        let small = packed.bytes.len() <= inline(&packed);
        let work = move || -> Result<(Prepared, Held), Refusal> {
            let body = budget.unpack(signal, packed, &mut held)?;
            held.take(body.len())?;
            Ok((Prepared::of(signal, &body, &policy, &tenant)?, held))
        };
        if small {
            return Ok(work()?);
        }
        Ok(self.receive(sender, self.workshop.run(work)).await??)
    }

    /// Counts what a key sent, in metrics and by the key.
    fn note(&self, sender: &Sender, signal: Signal, sent: Ingested) {
        let (metrics, name) = (&self.metrics, &[signal.name()]);
        metrics.otlp_received.with_label_values(name).inc_by(sent.bytes_in);
        metrics.otlp_rejected.with_label_values(name).inc_by(sent.rejected);
        if let Some(key) = sender.caller.verified.credential.key() {
            self.meter.count(sender.tenant(), key, telemetry(signal), sent);
        }
    }

    /// Adds what the sender should know, unless its key was told lately.
    fn warn(&self, sender: &Sender, export: &mut Export, stripped: u64) {
        let (key, now) = (sender.caller.verified.credential, self.gate.now());
        if stripped > 0 && self.notices.is_due(key, Notice::Stripped, now) {
            let what = if stripped == 1 { "attribute" } else { "attributes" };
            export.warn(&format!(
                "removed {stripped} {what} that may name a tenant; the key names the tenant (told once an hour)"
            ));
        }
        if let Some(note) = sender.note
            && self.notices.is_due(key, Notice::Headers, now)
        {
            export.warn(note);
        }
    }

    fn count(&self, signal: &'static str, outcome: &'static str) {
        self.metrics.otlp_requests.with_label_values(&[signal, outcome]).inc();
    }
}

impl Sender {
    /// The tenant of its key.
    pub fn tenant(&self) -> TenantId {
        self.caller.tenant()
    }

    fn charge(&self, bytes: usize, items: u64, now: Timestamp) {
        if let Some(pass) = &self.pass {
            pass.charge(bytes as u64, items, now);
        }
    }

    fn batch(&self, signal: Signal, body: Payload, items: u64, stripped: u64) -> Batch {
        let principal = &self.caller.verified.principal;
        Batch {
            signal,
            tenant: self.caller.tenant().to_string().into(),
            slug: principal.slug().map(|slug| slug.as_str().into()),
            correlation: self.answer.correlation().as_str().into(),
            body,
            items,
            stripped,
            trace: self.trace.clone(),
        }
    }
}

/// What a signal is counted as.
const fn telemetry(signal: Signal) -> Telemetry {
    match signal {
        Signal::Traces => Telemetry::Traces,
        Signal::Metrics => Telemetry::Metrics,
        Signal::Logs => Telemetry::Logs,
    }
}

/// Bytes up to which a body is quickly dealt with, whatever it holds.
const fn inline(packed: &Packed) -> usize {
    match (packed.coding, packed.json) {
        (Coding::Identity, false) => INLINE,
        (Coding::Identity, true) => INLINE_JSON,
        (Coding::Gzip, _) => INLINE_GZIP,
        (Coding::Zstd, _) => 0,
    }
}
