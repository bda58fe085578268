//! The first tenant of a fresh database.

use super::ambient::{OsEntropy, SystemClock};
use crate::app::bootstrap::{Beginning, begin};
use crate::config::Settings;
use crate::secret::Forms;
use crate::store::{Error, Store};

/// Migrates the database and makes its first tenant.
pub async fn bootstrap(settings: &Settings, tenant: &str, email: &str) -> anyhow::Result<Beginning> {
    let (slug, email) = (tenant.parse()?, email.parse()?);
    let store = Store::new(&settings.database)?;
    store.migrate().await?;
    let forms = Forms::new(settings.keys.profiles.clone());
    let beginning = begin(&store, &forms, &SystemClock::default(), &OsEntropy, slug, email).await;
    store.close().await;
    beginning.map_err(|error| match error {
        Error::Refused(refusal) => anyhow::anyhow!(refusal.message),
        other @ (Error::Conflict | Error::Dangling | Error::Unavailable(_)) => other.into(),
    })
}
