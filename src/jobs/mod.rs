//! What is done now and then: one table of it, and who does it when.
//!
//! Every replica looks; the database says which of them takes a job that is due.
//! A job that is cut short, done twice or not at all does no harm: each is
//! bounded by its run, and takes up where the last one stopped.

use crate::app::App;
use crate::domain::Failure;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Work that is done now and then.
pub struct Job {
    /// Its name.
    pub name: &'static str,
    /// What it does, and what it deletes.
    pub what: &'static str,
    /// How often.
    pub every: Duration,
    /// Rows that one run touches at most.
    pub most: u32,
    run: fn(Arc<App>, u32) -> BoxFuture<'static, Result<u64, Failure>>,
}

/// How often a replica looks whether something is due.
const LOOK: Duration = Duration::from_secs(15);

/// How long a run may take, and how long nobody else begins the job.
const HELD: Duration = Duration::from_mins(5);

macro_rules! jobs {
    ($($name:literal, $every:expr, $most:literal, $method:ident, $what:literal;)*) => {
        /// Every job.
        pub const JOBS: &[Job] = &[$(Job {
            name: $name,
            what: $what,
            every: $every,
            most: $most,
            run: |app, most| async move { app.$method(most).await }.boxed(),
        }),*];
    };
}

jobs! {
    "changes_prune", Duration::from_mins(5), 10_000, prune_changes,
        "Deletes changes of the log that every replica has applied and that are older than a day.";
    "requests_prune", Duration::from_mins(15), 10_000, prune_requests,
        "Forgets request ids that are older than a day.";
    "sessions_prune", Duration::from_hours(1), 5_000, prune_sessions,
        "Deletes sessions that ended more than 30 days ago, with their refresh tokens.";
    "devices_prune", Duration::from_hours(6), 5_000, prune_devices,
        "Forgets devices that nobody has logged in from for 400 days.";
    "signing_keys_prune", Duration::from_hours(24), 1_000, prune_signing_keys,
        "Deletes signing keys whose last token ended more than 30 days ago.";
    "usage_prune", Duration::from_hours(1), 20_000, prune_usage,
        "Deletes counts of use that are older than keys.usage_days.";
    "audit_prune", Duration::from_hours(1), 20_000, prune_audit,
        "Deletes entries of audit logs that are older than audit.retention_days, where that is set; what is left stays provable.";
    "invitations_prune", Duration::from_hours(6), 5_000, prune_invitations,
        "Forgets invitations whose link ended more than 30 days ago.";
    "tenants_purge", Duration::from_mins(15), 2_000, purge_tenants,
        "Deletes what tenants had that were deleted more than tenancy.purge_after_days ago, and the tenants when nothing else is left.";
}

/// The job of that name.
pub fn named(name: &str) -> Option<&'static Job> {
    JOBS.iter().find(|job| job.name == name)
}

/// Looks now and then, and does what is due, for as long as it is polled.
pub async fn keep_up(app: Arc<App>) {
    loop {
        tokio::time::sleep(LOOK).await;
        for job in JOBS {
            if let Err(failure) = do_if_due(&app, job).await {
                tracing::warn!(job = job.name, %failure, "a job could not be looked after; trying again");
            }
        }
    }
}

/// Does a job if it is due and nobody else does it.
async fn do_if_due(app: &Arc<App>, job: &'static Job) -> Result<(), Failure> {
    if !app.job_take(job.name, job.every, HELD).await? {
        return Ok(());
    }
    let run = (job.run)(Arc::clone(app), job.most);
    let outcome = match tokio::time::timeout(HELD, run).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(elapsed) => Err(elapsed.to_string()),
    };
    match &outcome {
        Ok(done) => {
            app.metrics.jobs.with_label_values(&[job.name, "done"]).inc();
            app.metrics.job_rows.with_label_values(&[job.name]).inc_by(*done);
            if *done > 0 {
                tracing::info!(job = job.name, rows = done, "a job was done");
            }
        }
        Err(failure) => {
            app.metrics.jobs.with_label_values(&[job.name, "failed"]).inc();
            tracing::warn!(job = job.name, failure, "a job failed; it is tried again when it is due");
        }
    }
    app.job_ended(job.name, outcome).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_name_of_its_own_a_bound_and_a_line_in_the_docs() {
        let docs = include_str!("../../docs/jobs.md");
        for job in JOBS {
            let same = JOBS.iter().filter(|other| other.name == job.name).count();
            assert_eq!((same, named(job.name).map(|it| it.what)), (1, Some(job.what)), "{}", job.name);
            assert!(job.what.ends_with('.') && job.most > 0 && job.every > LOOK && HELD > LOOK);
            assert!(docs.contains(&format!("| `{}` |", job.name)), "{} is not in docs/jobs.md", job.name);
        }
        assert!(named("imagined").is_none());
    }
}
