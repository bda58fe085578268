//! The methods of `doorward.v1.KeysService` for keys with other providers.

use super::keys::Keys;
use super::shapes::{from_time, page};
use crate::app::Caller;
use crate::domain::paging::Page;
use crate::domain::provider_keys::{ProviderKey, ProviderKeyName};
use crate::domain::refusal::Faults;
use crate::domain::{Failure, Refusal};
use crate::pb::v1 as pb;
use crate::secret::ProviderSecret;

/// What page tokens of the list are for.
const LIST: &str = "provider-keys";

impl Keys {
    pub(super) async fn provider_set(
        &self,
        caller: &Caller,
        wanted: pb::SetProviderKeyRequest,
    ) -> Result<pb::SetProviderKeyResponse, Failure> {
        let mut faults = Faults::default();
        let secret = faults.take("secret", ProviderSecret::presented(wanted.secret));
        let name = named(faults, &wanted.provider, &wanted.label)?;
        let secret = secret.ok_or_else(|| Refusal::invalid("secret", "is needed"))?;
        let written = self.app.provider_key_set(caller, name, secret).await?;
        Ok(pb::SetProviderKeyResponse {
            provider_key: Some(shape(&written.value)),
            revision: written.revision.to_string(),
        })
    }

    pub(super) async fn provider_list(
        &self,
        caller: &Caller,
        wanted: pb::ListProviderKeysRequest,
    ) -> Result<pb::ListProviderKeysResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let page = page(wanted.page_size, &wanted.page_token, LIST)?;
        let (keys, more) = self.app.provider_key_list(caller, page).await?;
        let last = keys.last().filter(|_| more);
        Ok(pb::ListProviderKeysResponse {
            next_page_token: last.map(|last| Page::token(last.id.as_bytes(), LIST)).unwrap_or_default(),
            provider_keys: keys.iter().map(shape).collect(),
        })
    }

    pub(super) async fn provider_delete(
        &self,
        caller: &Caller,
        wanted: pb::DeleteProviderKeyRequest,
    ) -> Result<pb::DeleteProviderKeyResponse, Failure> {
        let name = named(Faults::default(), &wanted.provider, &wanted.label)?;
        let written = self.app.provider_key_delete(caller, name).await?;
        Ok(pb::DeleteProviderKeyResponse { revision: written.revision.to_string() })
    }

    pub(super) async fn provider_fetch(
        &self,
        caller: &Caller,
        wanted: pb::FetchProviderKeyRequest,
    ) -> Result<pb::FetchProviderKeyResponse, Failure> {
        let name = named(Faults::default(), &wanted.provider, &wanted.label)?;
        let (key, secret) = self.app.provider_key_fetch(caller, name).await?;
        Ok(pb::FetchProviderKeyResponse {
            provider_key: Some(shape(&key)),
            secret: secret.reveal().to_owned(),
        })
    }
}

/// Which key is meant; tells all that is wrong with the request at once.
fn named(mut faults: Faults, provider: &str, label: &str) -> Result<ProviderKeyName, Refusal> {
    let provider = faults.take("provider", provider.parse());
    let label = faults.take("label", label.parse());
    faults.check()?;
    match (provider, label) {
        (Some(provider), Some(label)) => Ok(ProviderKeyName { provider, label }),
        _ => Err(Refusal::invalid("provider", "is needed")),
    }
}

fn shape(key: &ProviderKey) -> pb::ProviderKey {
    pb::ProviderKey {
        id: key.id.to_string(),
        provider: key.name.provider().to_owned(),
        label: key.name.label().to_owned(),
        fingerprint: key.fingerprint.clone(),
        set_by: key.set_by.clone(),
        set_time: Some(from_time(key.set_time)),
        last_fetched_time: key.fetch_time.map(from_time),
        tenant_id: key.tenant.to_string(),
    }
}
