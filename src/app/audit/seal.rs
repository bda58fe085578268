//! Checkpoints: who signs them, and when each log gets one.
//!
//! Each run that gave checkpoints to logs of tenants writes them down in the
//! platform's own log. Its checkpoint therefore speaks for all logs: who holds
//! an old one of it can show that any tenant's log was cut.

use super::{App, Caller, NewEvent, audited};
use crate::domain::audit::checkpoint::{Checkpoint, export_text, origin};
use crate::domain::audit::merkle::Hash;
use crate::domain::audit::{Action, PLATFORM};
use crate::domain::{Entropy, Failure, Fault, Permission, TenantId, Timestamp};
use crate::secret::{NoteKey, NoteVerifier, Place, Sealer, sha256};
use crate::store::audit::tree::{self, Head, Kept};
use crate::store::instance::instance_value;
use crate::store::{Across, Store};
use serde::Deserialize;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// How long an entry waits for its checkpoint at most, where fewer than a tile
/// of them wait.
pub const SEAL_EVERY: Duration = Duration::from_mins(1);

/// Exports that may run at a time.
const EXPORTS: usize = 16;

/// Logs whose checkpoints fit into one entry of the platform's log.
const TOLD_AT_ONCE: usize = 100;

/// Signs what logs have come to.
pub struct Audit {
    instance: [u8; 16],
    key: NoteKey,
    pub(super) exports: Arc<Semaphore>,
    /// How old entries get; for ever where none.
    pub(super) retention: Option<Duration>,
}

/// `[audit]`: how the audit log is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditOptions {
    /// Days that entries are kept, at least 30; for ever where 0.
    pub retention_days: u32,
    /// Where entries go as well: `none`, `log`, or the URL of an OTLP back end.
    pub sink: String,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { retention_days: 0, sink: "none".into() }
    }
}

impl AuditOptions {
    /// Days that entries are kept at least.
    const MIN_DAYS: u32 = 30;
    /// Days that can be said: a hundred years.
    const MAX_DAYS: u32 = 36_525;

    /// What is wrong with the options.
    pub fn faults(&self) -> Vec<String> {
        let days = self.retention_days;
        let is_sound = days == 0 || (Self::MIN_DAYS..=Self::MAX_DAYS).contains(&days);
        let fault =
            format!("audit.retention_days must be 0 (for ever) or {} to {}", Self::MIN_DAYS, Self::MAX_DAYS);
        if is_sound { Vec::new() } else { vec![fault] }
    }

    fn retention(&self) -> Option<Duration> {
        let days = self.retention_days;
        (days > 0).then(|| Duration::from_hours(u64::from(days) * 24))
    }
}

/// Where a log stands, as whoever may read it is told.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its last checkpoint.
    pub checkpoint: Kept,
    /// The public key of it.
    pub key: NoteVerifier,
    /// The first entry that is kept.
    pub first: u64,
    /// Whether it is held against pruning and erasure.
    pub held: bool,
    /// What the platform's log calls it.
    pub log: String,
    /// The last checkpoint of the platform's log.
    pub platform: Option<Kept>,
}

impl Audit {
    /// The instance's own, made at its first start and sealed in the database.
    pub async fn open(
        store: &Store,
        sealer: &Sealer,
        entropy: &dyn Entropy,
        options: &AuditOptions,
    ) -> Result<Self, Failure> {
        let place = Place { table: "instance", column: "value", row: b"audit_key", tenant: None };
        let (mut instance, mut seed) = ([0; 16], Zeroizing::new([0; NoteKey::SEED]));
        entropy.fill(&mut instance);
        entropy.fill(&mut *seed);
        let sealed = sealer.seal(&place, &*seed, entropy).map_err(Fault::new)?;
        let sealed = instance_value(store, "audit_key", &sealed).await?;
        let seed = sealer.open(&place, &sealed).map_err(Fault::new)?;
        let key = NoteKey::from_seed(&seed).ok_or_else(|| Fault::new("the audit log's key is none"))?;
        let stored = instance_value(store, "instance_id", &instance).await?;
        let instance = stored.as_array().copied();
        let instance = instance.ok_or_else(|| Fault::new("the instance's id is none"))?;
        Ok(Self { instance, key, exports: Arc::new(Semaphore::new(EXPORTS)), retention: options.retention() })
    }

    /// The name of a tenant's log.
    pub fn origin(&self, tenant: TenantId) -> String {
        origin(&self.instance, tenant)
    }

    /// The public key, under the name of a tenant's log.
    pub fn verifier(&self, tenant: TenantId) -> Result<NoteVerifier, Fault> {
        self.key.named(&self.origin(tenant)).ok_or_else(|| Fault::new("the audit log's key is none"))
    }

    /// The checkpoint of a log.
    pub(super) fn checkpoint(&self, tenant: TenantId, size: u64, root: &Hash) -> String {
        let origin = self.origin(tenant);
        let checkpoint = Checkpoint { origin, size, root: *root };
        self.key.sign(&checkpoint.origin, &checkpoint.text())
    }

    /// The seal over a file.
    pub(super) fn seal(&self, tenant: TenantId, entries: u64, digest: &Hash) -> String {
        let origin = self.origin(tenant);
        self.key.sign(&origin, &export_text(&origin, entries, digest))
    }
}

impl App {
    /// Gives checkpoints to at most `most` logs that are due for one. To be
    /// called again and again, every few seconds; every replica may.
    pub async fn audit_seal(&self, now: Timestamp, most: usize) -> Result<usize, Failure> {
        let before = Timestamp::from_micros(
            now.micros().saturating_sub(i64::try_from(SEAL_EVERY.as_micros()).unwrap_or(i64::MAX)),
        );
        let due = tree::unsealed(&mut self.store.read(Across::Jobs).await?, before, most).await?;
        let mut told = Vec::new();
        for tenant in &due {
            match self.audit_seal_all(*tenant, now).await {
                Ok(Some(head)) if *tenant != PLATFORM => told.push((*tenant, head)),
                Ok(_) => {}
                // One log that is broken must not keep the others from theirs.
                Err(error) => tracing::error!(%error, tenant.id = %tenant, "an audit log got no checkpoint"),
            }
        }
        for told in told.chunks(TOLD_AT_ONCE) {
            self.tell_platform(told, now).await?;
        }
        Ok(due.len())
    }

    /// The last checkpoint of the caller's log, made now if entries have none.
    pub async fn audit_checkpoint(&self, caller: &Caller, platform: bool) -> Result<Told, Failure> {
        let tenant = audited(caller, Permission::AUDIT_READ, platform)?;
        let head = self.audit_seal_all(tenant, self.clock.now()).await?;
        let checkpoint = match self.last_checkpoint(tenant).await? {
            Some(kept) => kept,
            None => self.empty(tenant),
        };
        Ok(Told {
            checkpoint,
            key: self.audit.verifier(tenant)?,
            first: head.as_ref().map_or(0, |head| head.first),
            held: head.is_some_and(|head| head.held),
            log: self.pseudonym(tenant),
            platform: self.last_checkpoint(PLATFORM).await?,
        })
    }

    async fn last_checkpoint(&self, tenant: TenantId) -> Result<Option<Kept>, Failure> {
        Ok(tree::last_checkpoint(&mut self.store.read(tenant).await?, tenant).await?)
    }

    /// Takes every entry that there is now into the tree.
    pub(super) async fn audit_seal_all(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Option<Head>, Failure> {
        let mut wanted = None;
        loop {
            let (store, audit) = (self.store.clone(), Arc::clone(&self.audit));
            let sealing = async move {
                tree::seal(&store, tenant, now, |size, root| audit.checkpoint(tenant, size, root)).await
            };
            let Some(head) = self.store.detached(sealing).await? else { return Ok(None) };
            // What comes meanwhile waits for the next time.
            let wanted = *wanted.get_or_insert(head.size);
            if head.tree.size() >= wanted {
                if tenant == PLATFORM {
                    tracing::info!(
                        audit.size = head.tree.size(),
                        audit.root = %head.tree.root(),
                        "checkpoint of the platform's audit log"
                    );
                }
                return Ok(Some(head));
            }
        }
    }

    fn empty(&self, tenant: TenantId) -> Kept {
        let note = self.audit.checkpoint(tenant, 0, &Hash::of_nothing());
        Kept { size: 0, time: self.clock.now(), note }
    }

    /// What the platform's log calls a tenant's: it tells nobody which tenants there are.
    fn pseudonym(&self, tenant: TenantId) -> String {
        let sealed = self.pepper.seal(sha256(tenant.as_bytes()));
        sealed.map_or_else(String::new, |digest| Hash::from_bytes(digest.to_bytes()).to_string())
    }

    async fn tell_platform(&self, told: &[(TenantId, Head)], now: Timestamp) -> Result<(), Failure> {
        let mut text = String::new();
        for (tenant, head) in told {
            let separator = if text.is_empty() { "" } else { " " };
            let (log, tree) = (self.pseudonym(*tenant), &head.tree);
            // Writing into a text cannot fail.
            let _ = write!(text, "{separator}{log}:{}:{}", tree.size(), tree.root());
        }
        let facts = vec![("logs", text)];
        self.audit_write(&NewEvent { tenant: PLATFORM, action: Action::AuditSealed, time: now, facts }).await
    }
}
