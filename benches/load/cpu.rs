//! What a process has cost the machine.

use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// CPU time that all threads of `process` have used.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that ended since the listing has no file any more.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        let nanoseconds = text.split(' ').next().unwrap_or_default();
        total += Duration::from_nanos(nanoseconds.parse().context("schedstat does not begin with a number")?);
    }
    Ok(total)
}
