//! Quotas: how much telemetry tenants and keys may send.
//!
//! A sender is judged before the body is read, by what came before. What was let in is counted in full once its size
//! is known, and what comes next waits until that is paid off: over any time a rate holds, whatever the batches are.
//!
//! Counts are this process's own. Behind a load balancer each replica allows the whole quota, and a restart begins
//! the day anew.

mod options;
mod used;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::options::{Quota, QuotaOptions};
use self::used::{Over, Used};
use super::Signal;
use crate::domain::{CredentialId, Reason, Refusal, TenantId, Timestamp};

/// Parts of the ledger, each behind a lock of its own; all of a tenant is in one.
const SHARDS: usize = 16;
/// Tenants and signals of tenants, and keys, that a part remembers at once; 150 bytes each.
const MOST: usize = 8_192;
/// How long a part that was found full is not searched for idle ones again, in nanoseconds.
const REST: u64 = 1_000_000_000;
/// What a sender is told to wait when too many exports of its own are under way, or too many tenants send.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Judges and counts what is sent.
#[derive(Debug)]
pub struct Quotas {
    options: QuotaOptions,
    shards: [Mutex<Shard>; SHARDS],
}

/// Who sends what.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    /// The tenant.
    pub tenant: TenantId,
    /// The key.
    pub key: CredentialId,
    /// What is sent.
    pub signal: Signal,
}

/// An export under way; dropped, it is no longer.
#[derive(Debug)]
pub struct Pass {
    quotas: Arc<Quotas>,
    who: Who,
    keyed: bool,
}

#[derive(Debug, Default)]
struct Shard {
    tenants: Ledger<(TenantId, Option<Signal>)>,
    keys: Ledger<CredentialId>,
}

/// What subjects of one kind have used. Bounded: who is idle is forgotten when room is needed.
#[derive(Debug)]
struct Ledger<K> {
    used: HashMap<K, Used>,
    /// When it may be searched for idle ones again, in nanoseconds since 1970.
    next_search: u64,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self { used: HashMap::new(), next_search: 0 }
    }
}

impl Quotas {
    /// These quotas, nothing being used yet.
    pub fn new(options: QuotaOptions) -> Arc<Self> {
        Arc::new(Self { options, shards: std::array::from_fn(|_| Mutex::default()) })
    }

    /// Lets one export more in, before its body is read; `None` where there is nothing to count.
    ///
    /// # Errors
    /// A quota is used up: [`Reason::RateLimitExceeded`] with a wait where waiting helps, [`Reason::QuotaExceeded`] until
    /// the day is over.
    pub fn enter(self: &Arc<Self>, who: Who, now: Timestamp) -> Result<Option<Pass>, Refusal> {
        if self.options.are_off() {
            return Ok(None);
        }
        let now = nanos(now);
        let mut shard = self.shard(who.tenant);
        for (subject, name, quota) in self.of_tenant(who) {
            shard.tenants.judge(&subject, quota, now).map_err(|over| over.told("tenant", name))?;
            if !shard.tenants.has_room(&subject, now) {
                return Err(too_many_tenants());
            }
        }
        let key = &self.options.key;
        shard.keys.judge(&who.key, key, now).map_err(|over| over.told("key", "key"))?;
        // A tenant that has that many keys sends what its own quota allows.
        let keyed = !key.is_off() && shard.keys.has_room(&who.key, now);
        for (subject, _, quota) in self.of_tenant(who) {
            shard.tenants.used.entry(subject).or_default().enter(quota, now);
        }
        if keyed {
            shard.keys.used.entry(who.key).or_default().enter(key, now);
        }
        drop(shard);
        Ok(Some(Pass { quotas: Arc::clone(self), who, keyed }))
    }

    /// What a tenant is counted for, with the quota's name in the settings.
    fn of_tenant(
        &self,
        who: Who,
    ) -> impl Iterator<Item = ((TenantId, Option<Signal>), &'static str, &Quota)> {
        let signal = (Some(who.signal), who.signal.name(), self.options.of(who.signal));
        let all = [(None, "tenant", &self.options.tenant), signal];
        all.into_iter()
            .filter(|(_, _, quota)| !quota.is_off())
            .map(move |(signal, name, quota)| ((who.tenant, signal), name, quota))
    }

    fn shard(&self, tenant: TenantId) -> MutexGuard<'_, Shard> {
        let [.., last] = *tenant.as_bytes();
        let [first, ..] = &self.shards;
        let shard = self.shards.get(usize::from(last) % SHARDS).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Counts what was let in, now that it is known.
    pub fn charge(&self, bytes: u64, items: u64, now: Timestamp) {
        let now = nanos(now);
        let mut shard = self.quotas.shard(self.who.tenant);
        for (subject, _, quota) in self.quotas.of_tenant(self.who) {
            shard.tenants.used.entry(subject).or_default().charge(quota, now, bytes, items);
        }
        if self.keyed {
            let used = shard.keys.used.entry(self.who.key).or_default();
            used.charge(&self.quotas.options.key, now, bytes, items);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut shard = self.quotas.shard(self.who.tenant);
        for (subject, _, _) in self.quotas.of_tenant(self.who) {
            shard.tenants.used.entry(subject).and_modify(Used::leave);
        }
        if self.keyed {
            shard.keys.used.entry(self.who.key).and_modify(Used::leave);
        }
    }
}

impl<K: Eq + Hash> Ledger<K> {
    fn judge(&self, subject: &K, quota: &Quota, now: u64) -> Result<(), Over> {
        self.used.get(subject).map_or(Ok(()), |used| used.judge(quota, now))
    }

    /// Whether a subject is remembered or can be; makes room if it must.
    fn has_room(&mut self, subject: &K, now: u64) -> bool {
        if self.used.len() < MOST || self.used.contains_key(subject) {
            return true;
        }
        if now >= self.next_search {
            self.used.retain(|_, used| !used.is_idle(now));
            self.next_search = now.saturating_add(REST);
        }
        self.used.len() < MOST
    }
}

fn nanos(now: Timestamp) -> u64 {
    u64::try_from(now.micros()).unwrap_or(0).saturating_mul(1000)
}

fn too_many_tenants() -> Refusal {
    let message = "more tenants send than the service can count; try again shortly";
    Refusal { retry_after: Some(BUSY_RETRY), ..Refusal::new(Reason::RateLimitExceeded, message) }
}

#[cfg(test)]
#[path = "quota/tests.rs"]
mod tests;
