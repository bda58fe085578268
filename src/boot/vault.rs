//! The root key of everything that is sealed, changed from the command line.

use super::ambient::{OsEntropy, SystemClock};
use super::people::sealer;
use crate::app::vault::{Needs, Tally, Vault};
use crate::config::Settings;
use crate::secret::Sealer;
use crate::store::Store;
use crate::store::vault::SealedColumn;

/// What a rotation came to.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// What the root key that is configured now is called.
    pub root_key: String,
    /// How many values there are, and how they stand.
    pub values: Tally,
}

/// Hangs everything that is sealed on the configured root key; `told` hears of
/// each column after every batch.
pub async fn vault_rotate(
    settings: &Settings,
    told: &mut dyn FnMut(&'static str, Tally),
) -> anyhow::Result<Rotation> {
    anyhow::ensure!(
        settings.people.root_key.is_some(),
        "people.root_key is not set: there is nothing to rotate to; make one with `openssl rand -hex 32`"
    );
    let (store, sealer) = open(settings).await?;
    let clock = SystemClock::default();
    let vault = Vault { store: &store, sealer: &sealer, clock: &clock, entropy: &OsEntropy };
    let values = vault.rotate(&mut |column, tally| told(column.name(), tally)).await;
    store.close().await;
    Ok(Rotation { root_key: sealer.current_key_id().to_string(), values: values? })
}

/// What the root key that is configured now is called, and which ones each
/// column's values need.
pub async fn vault_needs(settings: &Settings) -> anyhow::Result<(String, Vec<(&'static str, Needs)>)> {
    let (store, sealer) = open(settings).await?;
    let clock = SystemClock::default();
    let vault = Vault { store: &store, sealer: &sealer, clock: &clock, entropy: &OsEntropy };
    let mut needs = Vec::new();
    for column in SealedColumn::ALL {
        needs.push((column.name(), vault.needs(column).await?));
    }
    store.close().await;
    Ok((sealer.current_key_id().to_string(), needs))
}

async fn open(settings: &Settings) -> anyhow::Result<(Store, Sealer)> {
    let store = Store::new(&settings.database)?;
    store.migrate().await?;
    let sealer = sealer(settings, &store, &OsEntropy).await?;
    Ok((store, sealer))
}
