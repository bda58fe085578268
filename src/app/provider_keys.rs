//! Keys with other providers: people set them and never see them again;
//! services fetch them.

use super::{App, Caller};
use crate::domain::audit::{Action, Event};
use crate::domain::keys::{Environment, KeyKind};
use crate::domain::paging::Page;
use crate::domain::provider_keys::{ProviderKey, ProviderKeyName};
use crate::domain::{Failure, Fault, Permission, ProviderKeyId, Reason, Refusal, TenantId};
use crate::secret::{Place, ProviderSecret};
use crate::store::{Written, provider_keys as rows};

impl App {
    /// Sets the tenant's key of that name, in place of the one before. The
    /// tenant's requests to language models are not capped while it has one.
    pub async fn provider_key_set(
        &self,
        caller: &Caller,
        name: ProviderKeyName,
        secret: ProviderSecret,
    ) -> Result<Written<ProviderKey>, Failure> {
        caller.must(Permission::PROVIDER_KEYS_MANAGE)?;
        only_live(caller)?;
        let (tenant, now) = (caller.tenant(), self.clock.now());
        let row = row(&name);
        let plain = secret.reveal().as_bytes();
        let sealed = self.people.sealer.seal(&place(tenant, &row), plain, &*self.entropy);
        let sealed = sealed.map_err(Fault::new)?;
        let fingerprint = secret.fingerprint(tenant, &self.pepper);
        let key = ProviderKey {
            id: ProviderKeyId::new(now, &*self.entropy),
            tenant,
            fingerprint: fingerprint.ok_or_else(|| Fault::new("the pepper makes no fingerprint"))?,
            set_by: caller.name(),
            set_time: now,
            fetch_time: None,
            name,
        };
        let event = Event::new(tenant, Action::ProviderKeySet, &key.name, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    tx.detail("fingerprint", &key.fingerprint);
                    rows::provider_key_set(tx, key, &sealed).await
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, Action::ProviderKeySet.fences(true)).await?.0)
    }

    /// A page of the tenant's keys without their secrets, and whether there is more.
    pub async fn provider_key_list(
        &self,
        caller: &Caller,
        page: Page,
    ) -> Result<(Vec<ProviderKey>, bool), Failure> {
        caller.must(Permission::PROVIDER_KEYS_MANAGE)?;
        let mut keys =
            rows::provider_key_page(&mut self.store.read(caller.tenant()).await?, caller.tenant(), page)
                .await?;
        let more = keys.len() > usize::from(page.size);
        keys.truncate(usize::from(page.size));
        Ok((keys, more))
    }

    /// Deletes the tenant's key of that name. When this returns, no replica
    /// takes the tenant for entitled by it any more.
    pub async fn provider_key_delete(
        &self,
        caller: &Caller,
        name: ProviderKeyName,
    ) -> Result<Written<()>, Failure> {
        caller.must(Permission::PROVIDER_KEYS_MANAGE)?;
        only_live(caller)?;
        let (tenant, now) = (caller.tenant(), self.clock.now());
        let event = Event::new(tenant, Action::ProviderKeyDeleted, &name, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    if rows::provider_key_delete(tx, tenant, &name).await? {
                        return Ok(());
                    }
                    Err(no_key().into())
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, Action::ProviderKeyDeleted.fences(true)).await?.0)
    }

    /// The key of that name with its secret, for services alone. That it was
    /// fetched stands in the audit log before the secret is opened.
    ///
    /// # Errors
    /// `INSUFFICIENT_PERMISSIONS` for whoever is no service, whatever they may
    /// do otherwise; a fault if the value was sealed for another place.
    pub async fn provider_key_fetch(
        &self,
        caller: &Caller,
        name: ProviderKeyName,
    ) -> Result<(ProviderKey, ProviderSecret), Failure> {
        caller.must(Permission::PROVIDER_KEYS_FETCH)?;
        only_services(caller)?;
        only_live(caller)?;
        let (tenant, now) = (caller.tenant(), self.clock.now());
        let row = row(&name);
        let event = Event::new(tenant, Action::ProviderKeyFetched, &name, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let found = rows::provider_key_fetch(tx, tenant, &name).await?;
                    let found = found.ok_or_else(no_key)?;
                    tx.detail("fingerprint", &found.0.fingerprint);
                    Ok(found)
                })
                .await
        };
        let (key, sealed) = self.store.detached(writing).await?.value;
        let opened = self.people.sealer.open(&place(tenant, &row), &sealed).map_err(Fault::new)?;
        Ok((key, ProviderSecret::opened(opened).map_err(Fault::new)?))
    }
}

/// Where a key's secret lives: it opens for no other tenant, provider or label.
fn place(tenant: TenantId, row: &str) -> Place<'_> {
    Place { table: "provider_keys", column: "secret", row: row.as_bytes(), tenant: Some(tenant) }
}

/// Neither a provider nor a label has a slash.
fn row(name: &ProviderKeyName) -> String {
    format!("{}/{}", name.provider(), name.label())
}

fn only_services(caller: &Caller) -> Result<(), Refusal> {
    if caller.verified.principal.kind == KeyKind::Service {
        return Ok(());
    }
    let message = "provider keys are given to services alone; use a key of kind service";
    Err(Refusal::new(Reason::InsufficientPermissions, message)
        .with("required_permission", Permission::PROVIDER_KEYS_FETCH.name())
        .with("required_role", KeyKind::Service.name()))
}

/// What is set here is paid for: it is nothing for tests.
fn only_live(caller: &Caller) -> Result<(), Refusal> {
    if caller.reaches(Environment::Live) {
        return Ok(());
    }
    let message = "a test credential does not reach provider keys";
    Err(Refusal::new(Reason::InsufficientPermissions, message).with("required_environment", "live"))
}

fn no_key() -> Refusal {
    Refusal::not_found("provider key")
}
