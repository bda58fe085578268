//! `doorward.v1.KeysService`.

use super::shapes::page;
use super::{open, reply, shapes};
use crate::app::keys::KeyFilter;
use crate::app::{App, Caller};
use crate::domain::paging::Page;
use crate::domain::{Failure, KeyId, Refusal, UserId};
use crate::pb::v1 as pb;
use crate::pb::v1::keys_service_server::KeysService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
pub struct Keys {
    pub(super) app: Arc<App>,
}

impl Keys {
    /// The service over this app.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn create(
        &self,
        caller: &Caller,
        wanted: pb::CreateApiKeyRequest,
    ) -> Result<pb::CreateApiKeyResponse, Failure> {
        let (written, minted) =
            self.app.key_create(caller, shapes::new_key(&wanted, self.app.clock.now())?).await?;
        Ok(pb::CreateApiKeyResponse {
            api_key: Some(shapes::key(&written.value, None, self.app.clock.now())),
            secret: minted.reveal().to_owned(),
            revision: written.revision.to_string(),
        })
    }

    async fn get(
        &self,
        caller: &Caller,
        wanted: pb::GetApiKeyRequest,
    ) -> Result<pb::GetApiKeyResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let shown = self.app.key_get(caller, key_id(&wanted.id)?).await?;
        Ok(pb::GetApiKeyResponse { api_key: Some(shapes::shown_key(&shown, self.app.clock.now())) })
    }

    async fn list(
        &self,
        caller: &Caller,
        wanted: pb::ListApiKeysRequest,
    ) -> Result<pb::ListApiKeysResponse, Failure> {
        self.app.at_least(&wanted.min_revision).await?;
        let list = format!("keys/{}/{}/{}", wanted.user_id, wanted.kind, wanted.show_revoked);
        let page = page(wanted.page_size, &wanted.page_token, &list)?;
        let user = (!wanted.user_id.is_empty()).then(|| wanted.user_id.parse::<UserId>());
        let user = user.transpose().map_err(|error| Refusal::invalid("user_id", error.to_string()))?;
        let kind = shapes::kind_filter(wanted.kind)?;
        let filter = KeyFilter { user, kind, revoked: wanted.show_revoked, environment: None };
        let (keys, more) = self.app.key_list(caller, filter, page).await?;
        let last = keys.last().filter(|_| more);
        let now = self.app.clock.now();
        Ok(pb::ListApiKeysResponse {
            next_page_token: last
                .map(|last| Page::token(last.key.state.id.as_bytes(), &list))
                .unwrap_or_default(),
            api_keys: keys.iter().map(|shown| shapes::shown_key(shown, now)).collect(),
        })
    }

    async fn update(
        &self,
        caller: &Caller,
        wanted: pb::UpdateApiKeyRequest,
    ) -> Result<pb::UpdateApiKeyResponse, Failure> {
        let patch = shapes::key_patch(&wanted)?;
        let written = self.app.key_update(caller, key_id(&wanted.id)?, patch, wanted.etag).await?;
        Ok(pb::UpdateApiKeyResponse {
            api_key: Some(shapes::key(&written.value, None, self.app.clock.now())),
            revision: written.revision.to_string(),
        })
    }

    async fn rotate(
        &self,
        caller: &Caller,
        wanted: pb::RotateApiKeyRequest,
    ) -> Result<pb::RotateApiKeyResponse, Failure> {
        let (overlap, request_id) = shapes::rotation(&wanted)?;
        let key = key_id(&wanted.id)?;
        let (written, minted) = self.app.key_rotate(caller, key, overlap, wanted.etag, request_id).await?;
        Ok(pb::RotateApiKeyResponse {
            api_key: Some(shapes::key(&written.value, None, self.app.clock.now())),
            secret: minted.reveal().to_owned(),
            revision: written.revision.to_string(),
        })
    }

    async fn revoke(
        &self,
        caller: &Caller,
        wanted: pb::RevokeApiKeyRequest,
    ) -> Result<pb::RevokeApiKeyResponse, Failure> {
        let (written, receipt) = self.app.key_revoke(caller, key_id(&wanted.id)?).await?;
        Ok(pb::RevokeApiKeyResponse {
            api_key: Some(shapes::key(&written.value, receipt.last_accepted, self.app.clock.now())),
            receipt: Some(shapes::receipt(receipt)),
            revision: written.revision.to_string(),
        })
    }

    async fn import(
        &self,
        caller: &Caller,
        wanted: pb::ImportApiKeyRequest,
    ) -> Result<pb::ImportApiKeyResponse, Failure> {
        let written = self.app.key_import(caller, shapes::foreign_key(wanted, self.app.clock.now())?).await?;
        Ok(pb::ImportApiKeyResponse {
            api_key: Some(shapes::key(&written.value, None, self.app.clock.now())),
            revision: written.revision.to_string(),
        })
    }
}

#[tonic::async_trait]
impl KeysService for Keys {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.create(&caller, wanted).await)
    }

    async fn get_api_key(
        &self,
        request: Request<pb::GetApiKeyRequest>,
    ) -> Result<Response<pb::GetApiKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.get(&caller, wanted).await)
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.list(&caller, wanted).await)
    }

    async fn update_api_key(
        &self,
        request: Request<pb::UpdateApiKeyRequest>,
    ) -> Result<Response<pb::UpdateApiKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.update(&caller, wanted).await)
    }

    async fn rotate_api_key(
        &self,
        request: Request<pb::RotateApiKeyRequest>,
    ) -> Result<Response<pb::RotateApiKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.rotate(&caller, wanted).await)
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Result<Response<pb::RevokeApiKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.revoke(&caller, wanted).await)
    }

    async fn import_api_key(
        &self,
        request: Request<pb::ImportApiKeyRequest>,
    ) -> Result<Response<pb::ImportApiKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.import(&caller, wanted).await)
    }

    async fn get_api_key_usage(
        &self,
        request: Request<pb::GetApiKeyUsageRequest>,
    ) -> Result<Response<pb::GetApiKeyUsageResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.usage(&caller, wanted).await)
    }

    async fn set_provider_key(
        &self,
        request: Request<pb::SetProviderKeyRequest>,
    ) -> Result<Response<pb::SetProviderKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.provider_set(&caller, wanted).await)
    }

    async fn list_provider_keys(
        &self,
        request: Request<pb::ListProviderKeysRequest>,
    ) -> Result<Response<pb::ListProviderKeysResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.provider_list(&caller, wanted).await)
    }

    async fn delete_provider_key(
        &self,
        request: Request<pb::DeleteProviderKeyRequest>,
    ) -> Result<Response<pb::DeleteProviderKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.provider_delete(&caller, wanted).await)
    }

    async fn fetch_provider_key(
        &self,
        request: Request<pb::FetchProviderKeyRequest>,
    ) -> Result<Response<pb::FetchProviderKeyResponse>, Status> {
        let (caller, wanted) = open(request)?;
        reply(&caller.correlation, self.provider_fetch(&caller, wanted).await)
    }
}

pub(super) fn key_id(text: &str) -> Result<KeyId, Refusal> {
    if text.is_empty() {
        return Err(Refusal::invalid("id", "is needed"));
    }
    text.parse().map_err(|error: crate::domain::ids::BadId| Refusal::invalid("id", error.to_string()))
}
