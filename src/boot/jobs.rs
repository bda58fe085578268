//! Jobs from the command line: what was done when, and what shall be done now.
//!
//! The command line does none itself: a second process on the same database
//! would have to be a replica, and take the place of the one that serves.

use crate::config::Settings;
use crate::domain::{Clock, Timestamp};
use crate::jobs::{JOBS, Job, named};
use crate::store::{JobRun, Store};
use serde::Serialize;
use std::time::Duration;

/// A job, and what is known of it.
#[derive(Debug, Serialize)]
pub struct JobTold {
    /// Its name.
    pub name: &'static str,
    /// What it does, and what it deletes.
    pub what: &'static str,
    /// How often, in seconds.
    pub every_seconds: u64,
    /// Rows that one run touches at most.
    pub most: u32,
    /// When it last ended; none if it never did.
    pub last_end: Option<String>,
    /// Rows that it touched then.
    pub last_rows: u64,
    /// Why it failed then, if it did.
    pub last_failure: Option<String>,
}

/// How long a run that was asked for is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// Every job, and what is known of it.
pub async fn jobs_list(settings: &Settings) -> anyhow::Result<Vec<JobTold>> {
    let store = Store::new(&settings.database)?;
    store.migrate().await?;
    let runs = store.job_list().await?;
    Ok(JOBS.iter().map(|job| told(job, runs.iter().find(|run| run.name == job.name))).collect())
}

/// Has a job done by whichever server looks first, and waits for that.
pub async fn jobs_run(settings: &Settings, name: &str) -> anyhow::Result<JobTold> {
    let Some(job) = named(name) else {
        let names: Vec<_> = JOBS.iter().map(|job| job.name).collect();
        anyhow::bail!("there is no job `{name}`; there are {}", names.join(", "));
    };
    let store = Store::new(&settings.database)?;
    store.migrate().await?;
    let before = end_of(&store.job_list().await?, name);
    store.job_ask(name).await?;
    let clock = super::SystemClock::default();
    let until = clock.now().plus(PATIENCE);
    while clock.now() < until {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let runs = store.job_list().await?;
        if end_of(&runs, name) != before {
            return Ok(told(job, runs.iter().find(|run| run.name == name)));
        }
    }
    anyhow::bail!("no server took the job within {} s; it is done by the next that looks", PATIENCE.as_secs())
}

fn end_of(runs: &[JobRun], name: &str) -> Option<Timestamp> {
    runs.iter().find(|run| run.name == name).and_then(|run| run.end)
}

fn told(job: &'static Job, run: Option<&JobRun>) -> JobTold {
    JobTold {
        name: job.name,
        what: job.what,
        every_seconds: job.every.as_secs(),
        most: job.most,
        last_end: run.and_then(|run| run.end).map(|end| end.to_string()),
        last_rows: run.map_or(0, |run| run.done),
        last_failure: run.and_then(|run| run.failure.clone()),
    }
}
