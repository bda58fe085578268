//! Exports: a part of a log, with all that proves it.

use super::{App, Caller, audited};
use crate::app::audit::seal::Audit;
use crate::domain::audit::export::{self as file, End, Ending, Header, Since};
use crate::domain::audit::merkle::{self, Hash, Span};
use crate::domain::audit::{Action, Event};
use crate::domain::{Failure, Fault, Permission, Reason, Refusal, TenantId, Timestamp};
use crate::store::audit::pages;
use crate::store::audit::tree::{self, Head};
use crate::store::{Conn, Error, Store};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Entries that are read and sent at once.
const STEP: u64 = 64;

/// Earlier checkpoints that go along.
const CHECKPOINTS: i64 = 32;

/// What of a log is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The platform's log instead of the tenant's.
    pub platform: bool,
    /// Not before this entry.
    pub from: Option<u64>,
    /// Before this entry.
    pub to: Option<u64>,
    /// Not before this time.
    pub start: Option<Timestamp>,
    /// Before this time.
    pub end: Option<Timestamp>,
    /// A size of the log that it is to be proven to go on from.
    pub since: Option<u64>,
}

/// An export that is being made; [`Export::next`] gives its lines.
pub struct Export {
    store: Store,
    audit: Arc<Audit>,
    tenant: TenantId,
    header: Option<Header>,
    span: Span,
    next: u64,
    checkpoint: String,
    digest: Sha256,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl App {
    /// Begins an export. That there was one is an entry too.
    pub async fn audit_export(&self, caller: &Caller, wanted: Wanted) -> Result<Export, Failure> {
        let tenant = audited(caller, Permission::AUDIT_READ, wanted.platform)?;
        let Ok(permit) = Arc::clone(&self.audit.exports).try_acquire_owned() else {
            let message = "as many exports run as may at a time; try again in a minute";
            return Err(Refusal::new(Reason::RateLimitExceeded, message).into());
        };
        let now = self.clock.now();
        self.tell_of_export(caller, tenant, &wanted, now).await?;
        let head = self.audit_seal_all(tenant, now).await?;
        let head = head.ok_or_else(|| Fault::new("the audit log has no entry of its own export"))?;
        let conn = &mut self.store.read(tenant).await?;
        let span = span(conn, tenant, &head, &wanted).await?;
        let header = self.header(conn, tenant, &head, span.clone(), wanted.since, now).await?;
        Ok(Export {
            store: self.store.clone(),
            audit: Arc::clone(&self.audit),
            tenant,
            header: Some(header),
            next: span.start,
            span,
            checkpoint: self.audit.checkpoint(tenant, head.tree.size(), &head.tree.root()),
            digest: Sha256::new(),
            ended: false,
            _permit: permit,
        })
    }

    async fn header(
        &self,
        conn: &mut Conn,
        tenant: TenantId,
        head: &Head,
        span: Span,
        since: Option<u64>,
        now: Timestamp,
    ) -> Result<Header, Failure> {
        let size = head.tree.size();
        let around = merkle::around(size, &span);
        let hashes = tree::hashes(conn, tenant, &around).await?;
        let before = around.iter().filter(|outer| outer.end <= span.start).count();
        let (before, after) = hashes.split_at_checked(before).unwrap_or_default();
        let since = match since {
            Some(old) if old > size => {
                let message = format!("the log has {size} entries: fewer than it had");
                return Err(Refusal::new(Reason::FailedPrecondition, message).into());
            }
            Some(old) => Some(Since {
                size: old,
                path: tree::hashes(conn, tenant, &merkle::consistency(old, size)).await?,
            }),
            None => None,
        };
        let checkpoints = tree::checkpoints(conn, tenant, span.start + 1..=span.end, CHECKPOINTS).await?;
        Ok(Header {
            dwaudit: file::VERSION,
            origin: self.audit.origin(tenant),
            vkey: self.audit.verifier(tenant)?.to_string(),
            tenant: tenant.to_string(),
            time: now.micros(),
            from: span.start,
            to: span.end,
            size,
            before: before.to_vec(),
            after: after.to_vec(),
            checkpoints: checkpoints.into_iter().rev().map(|kept| kept.note).collect(),
            since,
        })
    }

    async fn tell_of_export(
        &self,
        caller: &Caller,
        tenant: TenantId,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let event = Event::new(tenant, Action::AuditExported, tenant, now, &*self.entropy);
        let (store, actor, wanted) = (self.store.clone(), caller.actor(), wanted.clone());
        let writing = async move {
            let work = async move |tx: &mut crate::store::Tx| {
                let bounds = [("from", wanted.from), ("to", wanted.to), ("since", wanted.since)];
                for (name, bound) in bounds {
                    if let Some(bound) = bound {
                        tx.fact(name, bound);
                    }
                }
                for (name, bound) in [("start", wanted.start), ("end", wanted.end)] {
                    if let Some(bound) = bound {
                        tx.fact(name, bound);
                    }
                }
                Ok::<_, Error>(())
            };
            store.write(&actor, event, work).await
        };
        self.store.detached(writing).await?;
        Ok(())
    }
}

impl Export {
    /// The next lines, each with its line break; none after the last.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let text = if let Some(header) = self.header.take() {
            line(&header)?
        } else if self.next < self.span.end {
            self.entries().await?
        } else {
            self.ended = true;
            return Ok(Some(self.end()?));
        };
        self.digest.update(&text);
        Ok(Some(text))
    }

    async fn entries(&mut self) -> Result<String, Failure> {
        let end = self.span.end.min(self.next + STEP);
        let found = pages::run(&mut self.store.read(self.tenant).await?, self.tenant, self.next..end).await?;
        self.next = end;
        let mut text = String::new();
        for stored in found {
            text.push_str(&file::line(&stored.entry, &stored.fields).map_err(Fault::new)?);
            text.push('\n');
        }
        Ok(text)
    }

    fn end(&self) -> Result<String, Fault> {
        let digest = Hash::from_bytes(self.digest.clone().finalize().into());
        let entries = self.span.end - self.span.start;
        let seal = self.audit.seal(self.tenant, entries, &digest);
        line(&End { end: Ending { entries, checkpoint: self.checkpoint.clone(), seal } })
    }
}

fn line(value: &impl serde::Serialize) -> Result<String, Fault> {
    let mut text = serde_json::to_string(value).map_err(Fault::new)?;
    text.push('\n');
    Ok(text)
}

/// Which entries are meant.
async fn span(conn: &mut Conn, tenant: TenantId, head: &Head, wanted: &Wanted) -> Result<Span, Failure> {
    let size = head.tree.size();
    let by_time = match wanted.start {
        Some(start) => pages::first_since(conn, tenant, start).await?.unwrap_or(size),
        None => 0,
    };
    let until = match wanted.end {
        Some(end) => pages::end_before(conn, tenant, end).await?,
        None => size,
    };
    let from = wanted.from.unwrap_or(head.first).max(by_time);
    let to = wanted.to.unwrap_or(size).min(until).min(size);
    if from < head.first {
        let message = format!("entries before {} were pruned; what is left begins there", head.first);
        return Err(Refusal::new(Reason::FailedPrecondition, message).into());
    }
    if from >= to {
        return Err(Refusal::new(Reason::FailedPrecondition, "no entry is between these bounds").into());
    }
    Ok(from..to)
}
