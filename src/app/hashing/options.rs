//! Settings of the hashing pool.

use crate::secret::Cost;
use serde::Deserialize;
use std::thread::available_parallelism;
use std::time::Duration;

/// How passwords are hashed: `[hashing]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HashingOptions {
    /// Threads, and so hashes at once; when 0 one less than cores, and at least
    /// one. A storm of logins on every core makes the slowest checks wait about
    /// twice as long, whatever the priority. At most 256.
    pub threads: usize,
    /// How low their priority is: 0 as everything else, 19 the lowest.
    pub nice: u8,
    /// How long a hash may be expected to wait before it is refused, in
    /// milliseconds. 10 to 60000.
    pub max_wait_ms: u64,
    /// Hashes that may wait, whatever is expected. 1 to 10000.
    pub max_queued: usize,
    /// Memory of a hash, in KiB; every thread keeps as much. With `passes` at
    /// least as strong as 7168 KiB with 5 passes; at most 65536.
    pub memory_kib: u32,
    /// Passes over it. At most 10.
    pub passes: u32,
}

impl Default for HashingOptions {
    /// All cores but one, at the lowest priority; 19456 KiB and two
    /// passes; a wait of a second and 256 in the queue.
    fn default() -> Self {
        let Cost { memory_kib, passes } = Cost::default();
        Self { threads: 0, nice: 19, max_wait_ms: 1_000, max_queued: 256, memory_kib, passes }
    }
}

impl HashingOptions {
    /// What is wrong with the options, if anything.
    pub fn fault(&self) -> Option<&'static str> {
        if self.threads > 256 {
            return Some("hashing.threads must be 0 to 256");
        }
        if self.nice > 19 {
            return Some("hashing.nice must be 0 to 19");
        }
        if !(10..=60_000).contains(&self.max_wait_ms) {
            return Some("hashing.max_wait_ms must be 10 to 60000");
        }
        if !(1..=10_000).contains(&self.max_queued) {
            return Some("hashing.max_queued must be 1 to 10000");
        }
        self.cost().fault()
    }

    /// What one hash takes.
    pub const fn cost(&self) -> Cost {
        Cost { memory_kib: self.memory_kib, passes: self.passes }
    }

    /// How long a hash may be expected to wait.
    pub const fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms)
    }

    /// Threads, at least one.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            threads => threads,
        }
    }
}
