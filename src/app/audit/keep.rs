//! Retention, legal holds, and the erasure of a person's data.

use super::{App, Caller, audited};
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::{Failure, Permission, Reason, Refusal, TenantId, Timestamp, UserId};
use crate::store::audit::keep;
use crate::store::people::person_by_id;
use crate::store::{Across, Error, Tx};
use std::time::Duration;

/// Logs that are looked at in one run of pruning.
const LOGS: i64 = 100;

impl App {
    /// Deletes entries that are older than the configured age, at most about
    /// `most` of them; gives how many. What is left stays provable, and that
    /// they were deleted is an entry. Does nothing where no age is configured,
    /// and nothing to a log that is held. To be called again and again; every
    /// replica may, one after the other.
    pub async fn audit_prune(&self, now: Timestamp, most: u64) -> Result<u64, Failure> {
        let Some(age) = self.audit.retention else { return Ok(0) };
        let before = Timestamp::from_micros(now.micros().saturating_sub(micros(age)));
        let (mut pruned, mut after) = (0, None);
        while pruned < most {
            let conn = &mut self.store.read(Across::Jobs).await?;
            let due = keep::prunable(conn, before, after, LOGS).await?;
            let Some(last) = due.last() else { break };
            after = Some(*last);
            for tenant in due {
                if pruned < most {
                    pruned += match self.prune_log(tenant, before, now, most - pruned).await {
                        Ok(more) => more,
                        Err(error) => {
                            tracing::error!(%error, tenant.id = %tenant, "an audit log was not pruned");
                            0
                        }
                    };
                }
            }
        }
        Ok(pruned)
    }

    /// Holds the caller's log against pruning and erasure, or lets it go.
    pub async fn audit_hold(&self, caller: &Caller, held: bool, reason: String) -> Result<(), Failure> {
        let tenant = audited(caller, Permission::AUDIT_MANAGE, false)?;
        let event = Event::new(tenant, Action::LegalHoldSet, tenant, self.clock.now(), &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            let work = async move |tx: &mut Tx| {
                keep::hold(tx, tenant, held).await?;
                tx.fact("held", held);
                if !reason.is_empty() {
                    tx.detail("reason", reason);
                }
                Ok::<_, Error>(())
            };
            store.write(&actor, event, work).await
        };
        self.store.detached(writing).await?;
        Ok(())
    }

    /// Erases what may be personal from entries that a person made or that are
    /// about them, and their e-mail address wherever it is a value; some of it
    /// at a time. Roots and proofs stay what they are.
    pub async fn audit_erase(&self, caller: &Caller, user: UserId) -> Result<keep::Erased, Failure> {
        let tenant = audited(caller, Permission::AUDIT_MANAGE, false)?;
        let person = person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let event = Event::new(tenant, Action::AuditErased, user, self.clock.now(), &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            let work = async move |tx: &mut Tx| {
                if keep::head_held(tx, tenant).await?.is_some_and(|head| head.held) {
                    let message = "the log is held: end the legal hold first";
                    return Err(Refusal::new(Reason::FailedPrecondition, message).into());
                }
                if !keep::is_known(tx, tenant, user).await? {
                    return Err(Refusal::not_found("person").into());
                }
                let email = person.as_ref().map(|person| person.email.as_str());
                let erased = keep::erase(tx, tenant, &user.to_string(), email).await?;
                tx.fact("fields", erased.fields);
                Ok::<_, Error>(erased)
            };
            store.write(&actor, event, work).await
        };
        Ok(self.store.detached(writing).await?.value)
    }

    async fn prune_log(
        &self,
        tenant: TenantId,
        before: Timestamp,
        now: Timestamp,
        most: u64,
    ) -> Result<u64, Failure> {
        let event = Event::new(tenant, Action::AuditPruned, tenant, now, &*self.entropy);
        let store = self.store.clone();
        let writing = async move {
            let work = async move |tx: &mut Tx| {
                let span = keep::prune(tx, tenant, before, most).await?;
                let span = span.ok_or_else(nothing)?;
                tx.fact("from", span.start);
                tx.fact("to", span.end);
                Ok::<_, Error>(span.end - span.start)
            };
            match store.write(&Actor::system("audit"), event, work).await {
                Ok(written) => Ok(written.value),
                // Another replica was quicker.
                Err(Error::Refused(_)) => Ok(0),
                Err(error) => Err(error),
            }
        };
        Ok(self.store.detached(writing).await?)
    }
}

/// Nothing is written where nothing was pruned.
fn nothing() -> Refusal {
    Refusal::new(Reason::FailedPrecondition, "there is nothing to prune")
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
