//! `doorward.v1.AuditService`.

use super::shapes::{from_time, to_time};
use super::{open, reply};
use crate::app::audit::{Export, Filter, Kept, Shown, Told, Wanted};
use crate::app::{App, Caller};
use crate::domain::audit::{Action, Outcome};
use crate::domain::paging::Page;
use crate::domain::refusal::Faults;
use crate::domain::{Correlation, Failure, Refusal, Timestamp};
use crate::guard;
use crate::pb::v1 as pb;
use crate::pb::v1::audit_service_server::AuditService;
use futures_util::Stream;
use std::pin::Pin;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Characters of a filter.
const MAX_FILTER: usize = 128;

/// Characters of a reason.
const MAX_REASON: usize = 200;

/// The service.
pub struct Audit {
    app: Arc<App>,
}

impl Audit {
    /// The service over this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn list(
        &self,
        caller: &Caller,
        wanted: pb::ListEventsRequest,
    ) -> Result<pb::ListEventsResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let list = list_name(&wanted);
        let page = super::shapes::page(wanted.page_size, &wanted.page_token, &list)?;
        let platform = wanted.platform;
        let filter = Filter { before: page.after.map(place), ..filter(wanted)? };
        let (events, more) = self.app.audit_list(caller, platform, filter, page.size).await?;
        let last = events.last().filter(|_| more);
        Ok(pb::ListEventsResponse {
            next_page_token: last.map(|last| Page::token(&mark(last.entry.idx), &list)).unwrap_or_default(),
            events: events.into_iter().map(event).collect(),
        })
    }

    async fn checkpoint(
        &self,
        caller: &Caller,
        wanted: pb::GetCheckpointRequest,
    ) -> Result<pb::GetCheckpointResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        Ok(told(self.app.audit_checkpoint(caller, wanted.platform).await?))
    }

    async fn erase(
        &self,
        caller: &Caller,
        wanted: pb::EraseAuditFieldsRequest,
    ) -> Result<pb::EraseAuditFieldsResponse, Failure> {
        let user = wanted.user_id.parse();
        let user =
            user.map_err(|error: crate::domain::ids::BadId| Refusal::invalid("user_id", error.to_string()))?;
        let erased = self.app.audit_erase(caller, user).await?;
        let erased_count = u32::try_from(erased.fields).unwrap_or(u32::MAX);
        Ok(pb::EraseAuditFieldsResponse { erased_count, more: erased.more })
    }

    async fn hold(
        &self,
        caller: &Caller,
        wanted: pb::SetLegalHoldRequest,
    ) -> Result<pb::SetLegalHoldResponse, Failure> {
        let reason = wanted.reason.chars().filter(|letter| !letter.is_control()).take(MAX_REASON).collect();
        self.app.audit_hold(caller, wanted.held, reason).await?;
        Ok(pb::SetLegalHoldResponse { held: wanted.held })
    }
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.list(&caller, wanted).await)
    }

    type ExportEventsStream = Pin<Box<dyn Stream<Item = Result<pb::ExportEventsResponse, Status>> + Send>>;

    async fn export_events(
        &self,
        request: Request<pb::ExportEventsRequest>,
    ) -> Result<Response<Self::ExportEventsStream>, Status> {
        let (caller, asked) = open(request)?;
        let export = match wanted(&asked) {
            Ok(wanted) => self.app.audit_export(&caller, wanted).await,
            Err(refusal) => Err(refusal.into()),
        };
        let export = reply(&caller.correlation, export)?.into_inner();
        Ok(Response::new(Box::pin(lines(export, caller.correlation))))
    }

    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.checkpoint(&caller, wanted).await)
    }

    async fn erase_audit_fields(
        &self,
        request: Request<pb::EraseAuditFieldsRequest>,
    ) -> Result<Response<pb::EraseAuditFieldsResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.erase(&caller, wanted).await)
    }

    async fn set_legal_hold(
        &self,
        request: Request<pb::SetLegalHoldRequest>,
    ) -> Result<Response<pb::SetLegalHoldResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.hold(&caller, wanted).await)
    }
}

/// The lines of an export, read as fast as they are taken.
fn lines(
    export: Export,
    correlation: Correlation,
) -> impl Stream<Item = Result<pb::ExportEventsResponse, Status>> + Send {
    let begin = Some((export, correlation));
    futures_util::stream::unfold(begin, async |state| {
        let (mut export, correlation) = state?;
        match export.next().await {
            Ok(lines) => {
                lines.map(|lines| (Ok(pb::ExportEventsResponse { lines }), Some((export, correlation))))
            }
            Err(failure) => Some((Err(guard::status(&guard::explain(failure, &correlation))), None)),
        }
    })
}

/// Names a list with its filters, for its page tokens.
fn list_name(wanted: &pb::ListEventsRequest) -> String {
    let pb::ListEventsRequest { actor, action, target, start_time, end_time, platform, .. } = wanted;
    format!("audit/{platform}/{actor}/{action}/{target}/{start_time:?}/{end_time:?}")
}

fn filter(wanted: pb::ListEventsRequest) -> Result<Filter, Refusal> {
    let mut faults = Faults::default();
    let mut text = |field: &'static str, text: String| {
        if text.len() > MAX_FILTER || text.contains('\0') {
            faults.add(field, format!("must have at most {MAX_FILTER} characters"));
        }
        (!text.is_empty()).then_some(text)
    };
    let (actor, target) = (text("actor", wanted.actor), text("target", wanted.target));
    let action = text("action", wanted.action);
    if action.as_deref().is_some_and(|action| Action::named(action).is_none()) {
        faults.add("action", "is no action of the audit log");
    }
    let (from, until) = times(&mut faults, wanted.start_time, wanted.end_time);
    faults.check()?;
    Ok(Filter { actor, action, target, from, until, before: None })
}

fn wanted(asked: &pb::ExportEventsRequest) -> Result<Wanted, Refusal> {
    let mut faults = Faults::default();
    let (start, end) = times(&mut faults, asked.start_time, asked.end_time);
    let indexes =
        [("from_index", asked.from_index), ("to_index", asked.to_index), ("since_size", asked.since_size)];
    for (field, index) in indexes {
        if index.is_some_and(|index| i64::try_from(index).is_err()) {
            faults.add(field, "is larger than any log");
        }
    }
    faults.check()?;
    let (from, to, since) = (asked.from_index, asked.to_index, asked.since_size);
    Ok(Wanted { platform: asked.platform, from, to, start, end, since })
}

fn times(
    faults: &mut Faults,
    start: Option<prost_types::Timestamp>,
    end: Option<prost_types::Timestamp>,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let start = start.and_then(|time| to_time(faults, "start_time", time));
    (start, end.and_then(|time| to_time(faults, "end_time", time)))
}

/// A place as page tokens carry it.
fn mark(idx: u64) -> [u8; 16] {
    u128::from(idx).to_be_bytes()
}

/// A place that is none leaves nothing before it.
fn place(mark: [u8; 16]) -> u64 {
    u64::try_from(u128::from_be_bytes(mark)).unwrap_or(0).min(i64::MAX.unsigned_abs())
}

fn event(shown: Shown) -> pb::AuditEvent {
    let Shown { entry, details, erased } = shown;
    let is_done = entry.outcome == Outcome::Done.name();
    let outcome = if is_done { pb::AuditOutcome::Done } else { pb::AuditOutcome::Refused };
    pb::AuditEvent {
        index: entry.idx,
        time: Some(from_time(Timestamp::from_micros(entry.time))),
        actor: entry.actor,
        credential: entry.credential.unwrap_or_default(),
        home_tenant_id: entry.home.unwrap_or_default(),
        action: entry.action,
        target: entry.target,
        correlation_id: entry.correlation,
        outcome: outcome.into(),
        facts: entry.facts.into_iter().collect(),
        details: details.into_iter().collect(),
        erased_details: erased,
    }
}

fn kept(kept: Kept) -> pb::AuditCheckpoint {
    pb::AuditCheckpoint { note: kept.note, size: kept.size, time: Some(from_time(kept.time)) }
}

fn told(told: Told) -> pb::GetCheckpointResponse {
    pb::GetCheckpointResponse {
        checkpoint: Some(kept(told.checkpoint)),
        verifier_key: told.key.to_string(),
        first_index: told.first,
        legal_hold: told.held,
        platform_checkpoint: told.platform.map(kept),
        log_id: told.log,
    }
}
