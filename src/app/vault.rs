//! A change of the root key: everything that hangs from the one before is hung
//! on the new one, without being opened.

use crate::domain::audit::{Action, Actor, Event};
use crate::domain::{Clock, Entropy, TenantId};
use crate::secret::Sealer;
use crate::store::vault::{SealedColumn, SealedValue, sealed_page, sealed_replace};
use crate::store::{Across, Error, Result, Store};
use std::collections::BTreeMap;

/// Values that are read, and written in one transaction, at a time.
const BATCH: i64 = 200;

/// What a rotation needs.
pub struct Vault<'a> {
    /// The database.
    pub store: &'a Store,
    /// Seals under the new root key, and opens what older ones sealed.
    pub sealer: &'a Sealer,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
}

/// How a column's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Hung on the new root key just now.
    pub rewrapped: u64,
    /// Hung on it before.
    pub already: u64,
    /// Set anew by somebody meanwhile: another run looks at them.
    pub changed: u64,
    /// Not to be opened: their root key is not configured, or they were tampered with.
    pub stuck: u64,
}

/// Values of a column, by the name of the root key that they need, or by what
/// is wrong with them.
pub type Needs = BTreeMap<String, u64>;

impl Vault<'_> {
    /// Hangs every value on the current root key, and tells after each batch
    /// how far a column is. Broken off, it goes on where it was; run again, it
    /// changes nothing. Each batch that changes something is an entry of the
    /// audit log.
    ///
    /// # Errors
    /// The database fails. What cannot be opened is counted, and passed by.
    pub async fn rotate(&self, told: &mut dyn FnMut(SealedColumn, Tally)) -> Result<Tally> {
        let mut total = Tally::default();
        for column in SealedColumn::ALL {
            let tally = self.rotate_column(column, told).await?;
            total.add(tally);
        }
        Ok(total)
    }

    /// Which root keys a column's values need.
    ///
    /// # Errors
    /// The database fails.
    pub async fn needs(&self, column: SealedColumn) -> Result<Needs> {
        let (mut needs, mut after) = (Needs::new(), Vec::new());
        loop {
            let values =
                sealed_page(&mut self.store.read(Across::Instance).await?, column, &after, BATCH).await?;
            let Some(last) = values.last() else { return Ok(needs) };
            after.clone_from(&last.row);
            for value in &values {
                *needs.entry(needed(value)).or_default() += 1;
            }
        }
    }

    async fn rotate_column(
        &self,
        column: SealedColumn,
        told: &mut dyn FnMut(SealedColumn, Tally),
    ) -> Result<Tally> {
        let (mut tally, mut after) = (Tally::default(), Vec::new());
        loop {
            let values =
                sealed_page(&mut self.store.read(Across::Instance).await?, column, &after, BATCH).await?;
            let Some(last) = values.last() else {
                if after.is_empty() {
                    told(column, tally);
                }
                return Ok(tally);
            };
            after.clone_from(&last.row);
            tally.add(self.rotate_batch(column, values).await?);
            told(column, tally);
        }
    }

    async fn rotate_batch(&self, column: SealedColumn, values: Vec<SealedValue>) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut rewrapped = Vec::new();
        for value in values {
            match self.sealer.rewrap(&value.sealed, self.entropy) {
                Ok(None) => tally.already += 1,
                Ok(Some(fresh)) => rewrapped.push((value, fresh)),
                Err(fault) => {
                    tracing::warn!(%fault, column = column.name(), "a sealed value cannot be opened");
                    tally.stuck += 1;
                }
            }
        }
        if rewrapped.is_empty() {
            return Ok(tally);
        }
        let most = rewrapped.len() as u64;
        tally.rewrapped = self.replace(column, rewrapped).await?;
        tally.changed = most - tally.rewrapped;
        Ok(tally)
    }

    async fn replace(&self, column: SealedColumn, values: Vec<(SealedValue, Vec<u8>)>) -> Result<u64> {
        let (platform, now) = (TenantId::from_bytes([0; 16]), self.clock.now());
        let current = self.sealer.current_key_id();
        let event = Event::new(platform, Action::VaultRotated, column.name(), now, self.entropy);
        let actor = Actor::system("vault-rotate");
        let written = self.store.write_across(Across::Instance, &actor, event, async move |tx| {
            let mut replaced = 0;
            for (before, after) in &values {
                replaced += u64::from(sealed_replace(tx, column, before, after).await?);
            }
            tx.fact("root_key", current);
            tx.fact("values", replaced);
            Ok::<_, Error>(replaced)
        });
        Ok(written.await?.value)
    }
}

impl Tally {
    fn add(&mut self, more: Self) {
        let Self { rewrapped, already, changed, stuck } = more;
        self.rewrapped += rewrapped;
        self.already += already;
        self.changed += changed;
        self.stuck += stuck;
    }
}

fn needed(value: &SealedValue) -> String {
    match Sealer::key_id_of(&value.sealed) {
        Ok(key) => key.to_string(),
        Err(fault) => fault.to_string(),
    }
}
