//! A server to try things out with, on this machine alone.

use super::server::Server;
use crate::app::bootstrap::{Beginning, begin, existing_tenant};
use crate::config::Settings;
use crate::domain::TenantId;
use crate::mail::Transport;
use crate::secret::Forms;
use crate::store::{Options, Store, Url};
use std::path::Path;

/// The tenant that it begins with, and its owner.
pub const TENANT: &str = "acme";
/// The owner's address.
pub const OWNER: &str = "owner@acme.example";

/// A server that was started to try things out.
pub struct Dev {
    /// The server.
    pub server: Server,
    /// The tenant.
    pub tenant: TenantId,
    /// The secrets, on the first start.
    pub beginning: Option<Beginning>,
}

/// Starts one over the data in `dir`, which is made if need be, or over the
/// database that the settings name.
pub async fn dev(mut settings: Settings, dir: &Path) -> anyhow::Result<Dev> {
    if settings.database.url.reveal() == Options::default().url.reveal() {
        make_private(dir)?;
        settings.database.url = Url::new(format!("sqlite://{}", dir.join("doorward.db").display()));
    }
    if !settings.otlp.has_default() {
        settings.otlp.backend = "sink".into();
    }
    for address in [
        Some(settings.api.listen),
        Some(settings.ops.listen),
        settings.otlp.grpc_listen.0,
        settings.otlp.http_listen.0,
    ] {
        let here = address.is_none_or(|address| address.ip().is_loopback());
        anyhow::ensure!(
            here,
            "`doorward dev` listens on this machine alone; `doorward serve` listens elsewhere"
        );
    }
    if settings.mail.transport == Transport::None {
        // Links are to be seen somewhere, and nobody else reads this console.
        settings.mail.transport = Transport::Log;
    }
    if settings.people.link_base.is_none() {
        settings.people.link_base = Some(format!("http://{}", settings.api.listen).try_into()?);
    }
    let beginning = first_tenant(&settings).await?;
    let server = Server::start(settings).await?;
    let tenant = match &beginning {
        Some(beginning) => beginning.tenant,
        None => {
            existing_tenant(&server.parts().app.store).await?.ok_or_else(|| anyhow::anyhow!("no tenant"))?
        }
    };
    Ok(Dev { server, tenant, beginning })
}

async fn first_tenant(settings: &Settings) -> anyhow::Result<Option<Beginning>> {
    let store = Store::new(&settings.database)?;
    store.migrate().await?;
    let beginning = if existing_tenant(&store).await?.is_some() {
        None
    } else {
        let forms = Forms::new(settings.keys.profiles.clone());
        let clock = super::SystemClock::default();
        Some(begin(&store, &forms, &clock, &super::OsEntropy, TENANT.parse()?, OWNER.parse()?).await?)
    };
    store.close().await;
    Ok(beginning)
}

/// The data is for its owner's eyes alone.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    Ok(())
}
