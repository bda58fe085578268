//! What the fake server answers about keys.

use super::*;
use crate::pb::v1::keys_service_server::KeysService;

fn key(id: &str) -> ApiKey {
    ApiKey { id: id.to_owned(), display_name: "ci".to_owned(), kind: 2, status: 1, ..ApiKey::default() }
}

fn provider_key(provider: &str) -> ProviderKey {
    ProviderKey { id: "provider_key_1".into(), provider: provider.to_owned(), ..ProviderKey::default() }
}

#[tonic::async_trait]
impl KeysService for Fake {
    async fn create_api_key(&self, request: Request<CreateApiKeyRequest>) -> Answer<CreateApiKeyResponse> {
        self.note("CreateApiKey", request).await?;
        let revision = "1".to_owned();
        Ok(Response::new(CreateApiKeyResponse {
            api_key: Some(key("key_1")),
            secret: SECRET.to_owned(),
            revision,
        }))
    }

    async fn get_api_key(&self, request: Request<GetApiKeyRequest>) -> Answer<GetApiKeyResponse> {
        let request = self.note("GetApiKey", request).await?;
        Ok(Response::new(GetApiKeyResponse { api_key: Some(key(&request.id)) }))
    }

    /// Three pages of one key each.
    async fn list_api_keys(&self, request: Request<ListApiKeysRequest>) -> Answer<ListApiKeysResponse> {
        let request = self.note("ListApiKeys", request).await?;
        let (id, next) = match request.page_token.as_str() {
            "" => ("key_1", "second"),
            "second" => ("key_2", "third"),
            _ => ("key_3", ""),
        };
        let answer = ListApiKeysResponse { api_keys: vec![key(id)], next_page_token: next.to_owned() };
        Ok(Response::new(answer))
    }

    async fn update_api_key(&self, request: Request<UpdateApiKeyRequest>) -> Answer<UpdateApiKeyResponse> {
        let request = self.note("UpdateApiKey", request).await?;
        Ok(Response::new(UpdateApiKeyResponse { api_key: Some(key(&request.id)), revision: "2".to_owned() }))
    }

    async fn rotate_api_key(&self, request: Request<RotateApiKeyRequest>) -> Answer<RotateApiKeyResponse> {
        let request = self.note("RotateApiKey", request).await?;
        let revision = "3".to_owned();
        Ok(Response::new(RotateApiKeyResponse {
            api_key: Some(key(&request.id)),
            secret: SECRET.to_owned(),
            revision,
        }))
    }

    async fn revoke_api_key(&self, request: Request<RevokeApiKeyRequest>) -> Answer<RevokeApiKeyResponse> {
        let request = self.note("RevokeApiKey", request).await?;
        let receipt = RevocationReceipt { replicas_acknowledged: 3, ..RevocationReceipt::default() };
        let answer = RevokeApiKeyResponse {
            api_key: Some(key(&request.id)),
            receipt: Some(receipt),
            revision: "4".to_owned(),
        };
        Ok(Response::new(answer))
    }

    async fn import_api_key(&self, request: Request<ImportApiKeyRequest>) -> Answer<ImportApiKeyResponse> {
        self.note("ImportApiKey", request).await?;
        Ok(Response::new(ImportApiKeyResponse { api_key: Some(key("key_9")), revision: "5".to_owned() }))
    }

    async fn get_api_key_usage(
        &self,
        request: Request<GetApiKeyUsageRequest>,
    ) -> Answer<GetApiKeyUsageResponse> {
        let request = self.note("GetApiKeyUsage", request).await?;
        let hours = [(7_200, 300, 0), (10_800, 3_000, 60)].map(|(seconds, accepted, rate_limit)| UsageHour {
            start_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            accepted,
            refused: Some(RefusedChecks { rate_limit, ..RefusedChecks::default() }),
            spike: rate_limit > 0,
        });
        let start_time = request.start_time.or(Some(prost_types::Timestamp { seconds: 3_600, nanos: 0 }));
        let end_time = Some(prost_types::Timestamp { seconds: 14_400, nanos: 0 });
        let signal = TelemetrySignal::Logs.into();
        let ingest = vec![IngestHour { signal, requests: 2, accepted_items: 70, ..IngestHour::default() }];
        Ok(Response::new(GetApiKeyUsageResponse { hours: hours.into(), start_time, end_time, ingest }))
    }

    async fn set_provider_key(
        &self,
        request: Request<SetProviderKeyRequest>,
    ) -> Answer<SetProviderKeyResponse> {
        let request = self.note("SetProviderKey", request).await?;
        let provider_key = Some(provider_key(&request.provider));
        Ok(Response::new(SetProviderKeyResponse { provider_key, revision: "6".to_owned() }))
    }

    async fn list_provider_keys(
        &self,
        request: Request<ListProviderKeysRequest>,
    ) -> Answer<ListProviderKeysResponse> {
        self.note("ListProviderKeys", request).await?;
        let provider_keys = vec![provider_key("openai")];
        Ok(Response::new(ListProviderKeysResponse { provider_keys, ..ListProviderKeysResponse::default() }))
    }

    async fn delete_provider_key(
        &self,
        request: Request<DeleteProviderKeyRequest>,
    ) -> Answer<DeleteProviderKeyResponse> {
        self.note("DeleteProviderKey", request).await?;
        Ok(Response::new(DeleteProviderKeyResponse { revision: "7".to_owned() }))
    }

    async fn fetch_provider_key(
        &self,
        request: Request<FetchProviderKeyRequest>,
    ) -> Answer<FetchProviderKeyResponse> {
        let request = self.note("FetchProviderKey", request).await?;
        let provider_key = Some(provider_key(&request.provider));
        Ok(Response::new(FetchProviderKeyResponse { provider_key, secret: SECRET.to_owned() }))
    }
}
