//! What people who log in need: the pool that hashes, what seals, what signs,
//! and the way that letters go.

use crate::app::hashing::HashingPool;
use crate::app::people::{MAILING, People};
use crate::app::tokens::Tokens;
use crate::config::Settings;
use crate::domain::letters::Letters;
use crate::domain::{Clock, Entropy};
use crate::mail::{self, Carrying};
use crate::secret::{RootKey, Sealer};
use crate::store::{Store, instance::instance_value};
use crate::telemetry::Metrics;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Puts it together; letters are carried for as long as the second part lives.
pub async fn start(
    settings: &Settings,
    store: &Store,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(People, Carrying)> {
    let (outbox, carrying) =
        mail::start(&settings.mail, Arc::clone(clock), Arc::clone(entropy), Arc::clone(metrics))?;
    let hashing =
        HashingPool::start(settings.hashing, Arc::clone(clock), Arc::clone(entropy), Arc::clone(metrics))?;
    let people = People {
        hashing,
        sealer: sealer(settings, store, &**entropy).await?,
        tokens: Arc::new(Tokens::new(settings.tokens.options(), settings.tokens.shared())),
        letters: settings.people.link_base.clone().map(Letters::new),
        mailing: Arc::new(Semaphore::new(MAILING)),
        outbox,
        name: settings.people.name.clone(),
        passkeys: settings.people.relying_party()?,
    };
    Ok((people, carrying))
}

/// The configured root key, or the instance's own. A configured one opens what
/// the instance's own has sealed before.
pub(super) async fn sealer(
    settings: &Settings,
    store: &Store,
    entropy: &dyn Entropy,
) -> anyhow::Result<Sealer> {
    let own = RootKey::generate(entropy).reveal();
    let own = RootKey::from_file_bytes(&instance_value(store, "root_key", own.as_bytes()).await?)?;
    let configured = &settings.people.root_key;
    let Some(current) = configured.as_ref().map(|key| RootKey::from_file_bytes(key.bytes())).transpose()?
    else {
        tracing::warn!("the key that seals secrets lies in the same database; set people.root_key");
        return Ok(Sealer::new(own, Vec::new()));
    };
    let older = settings.people.older_root_key.as_ref().map(|key| RootKey::from_file_bytes(key.bytes()));
    Ok(Sealer::new(current, older.transpose()?.into_iter().chain([own]).collect()))
}
