//! A server that answers with fixed things, notes what it was asked, and can be told to refuse.

use crate::pb::v1::authn_service_server::{AuthnService, AuthnServiceServer};
use crate::pb::v1::keys_service_server::{KeysService, KeysServiceServer};
use crate::pb::v1::tenancy_service_server::{TenancyService, TenancyServiceServer};
use crate::pb::v1::*;
use prost::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

pub const SECRET: &str = "dw_live_planted0secret0of0the0fake0server";

/// One call as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: &'static str,
    pub metadata: MetadataMap,
    pub body: Vec<u8>,
}

#[derive(Clone, Default)]
pub struct Fake {
    pub asked: Arc<Mutex<Vec<Asked>>>,
    /// Given as answers, one each, before anything is answered with success.
    pub refusals: Arc<Mutex<VecDeque<Status>>>,
    /// How long every call takes.
    pub takes: std::time::Duration,
}

impl Fake {
    /// Serves on a free port of this machine and gives the address.
    pub async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = tonic::transport::Server::builder()
            .add_service(AuthnServiceServer::new(self.clone()))
            .add_service(KeysServiceServer::new(self.clone()))
            .add_service(TenancyServiceServer::new(self.clone()));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        address.to_string()
    }

    /// The only call so far, decoded.
    pub fn only<M: Message + Default>(&self, method: &str) -> M {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(asked[0].method, method);
        M::decode(asked[0].body.as_slice()).unwrap()
    }

    pub fn methods(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().iter().map(|one| one.method).collect()
    }

    async fn note<M: Message>(&self, method: &'static str, request: Request<M>) -> Result<M, Status> {
        let asked =
            Asked { method, metadata: request.metadata().clone(), body: request.get_ref().encode_to_vec() };
        self.asked.lock().unwrap().push(asked);
        tokio::time::sleep(self.takes).await;
        let refusal = self.refusals.lock().unwrap().pop_front();
        refusal.map_or_else(|| Ok(request.into_inner()), Err)
    }
}

fn key(id: &str) -> ApiKey {
    ApiKey { id: id.to_owned(), display_name: "ci".to_owned(), kind: 2, status: 1, ..ApiKey::default() }
}

fn tenant() -> Tenant {
    Tenant { id: "tenant_1".to_owned(), slug: "acme".to_owned(), state: 1, ..Tenant::default() }
}

type Answer<T> = Result<Response<T>, Status>;

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
}

#[tonic::async_trait]
impl TenancyService for Fake {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Answer<CreateTenantResponse> {
        self.note("CreateTenant", request).await?;
        let owner_user_id = "user_1".to_owned();
        Ok(Response::new(CreateTenantResponse {
            tenant: Some(tenant()),
            owner_user_id,
            revision: "1".to_owned(),
        }))
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Answer<GetTenantResponse> {
        self.note("GetTenant", request).await?;
        Ok(Response::new(GetTenantResponse { tenant: Some(tenant()) }))
    }

    async fn list_tenants(&self, request: Request<ListTenantsRequest>) -> Answer<ListTenantsResponse> {
        self.note("ListTenants", request).await?;
        Ok(Response::new(ListTenantsResponse { tenants: vec![tenant()], ..Default::default() }))
    }

    async fn update_tenant(&self, request: Request<UpdateTenantRequest>) -> Answer<UpdateTenantResponse> {
        self.note("UpdateTenant", request).await?;
        Ok(Response::new(UpdateTenantResponse { tenant: Some(tenant()), revision: "1".to_owned() }))
    }

    async fn suspend_tenant(&self, request: Request<SuspendTenantRequest>) -> Answer<SuspendTenantResponse> {
        self.note("SuspendTenant", request).await?;
        Ok(Response::new(SuspendTenantResponse { tenant: Some(tenant()), revision: "1".to_owned() }))
    }

    async fn resume_tenant(&self, request: Request<ResumeTenantRequest>) -> Answer<ResumeTenantResponse> {
        self.note("ResumeTenant", request).await?;
        Ok(Response::new(ResumeTenantResponse { tenant: Some(tenant()), revision: "1".to_owned() }))
    }

    async fn list_members(&self, request: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
        self.note("ListMembers", request).await?;
        Ok(Response::new(ListMembersResponse::default()))
    }

    async fn list_roles(&self, _: Request<ListRolesRequest>) -> Answer<ListRolesResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn list_permissions(&self, _: Request<ListPermissionsRequest>) -> Answer<ListPermissionsResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn set_ip_allowlist(
        &self,
        request: Request<SetIpAllowlistRequest>,
    ) -> Answer<SetIpAllowlistResponse> {
        self.note("SetIpAllowlist", request).await?;
        Ok(Response::new(SetIpAllowlistResponse { tenant: Some(tenant()), revision: "1".to_owned() }))
    }
}

#[tonic::async_trait]
impl AuthnService for Fake {
    type StreamVerifyCredentialsStream = tokio_stream::Empty<Result<StreamVerifyCredentialsResponse, Status>>;

    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Answer<WhoAmIResponse> {
        self.note("WhoAmI", request).await?;
        let principal = Principal {
            id: "user_1".into(),
            tenant_slug: "acme".into(),
            role: "owner".into(),
            ..Principal::default()
        };
        Ok(Response::new(WhoAmIResponse { principal: Some(principal) }))
    }

    async fn verify_credential(
        &self,
        _: Request<VerifyCredentialRequest>,
    ) -> Answer<VerifyCredentialResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn batch_verify_credentials(
        &self,
        _: Request<BatchVerifyCredentialsRequest>,
    ) -> Answer<BatchVerifyCredentialsResponse> {
        Err(Status::unimplemented("not faked"))
    }

    async fn stream_verify_credentials(
        &self,
        _: Request<Streaming<StreamVerifyCredentialsRequest>>,
    ) -> Answer<Self::StreamVerifyCredentialsStream> {
        Err(Status::unimplemented("not faked"))
    }

    type WatchRevocationsStream = tokio_stream::Empty<Result<WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        _: Request<Streaming<WatchRevocationsRequest>>,
    ) -> Answer<Self::WatchRevocationsStream> {
        Err(Status::unimplemented("not faked"))
    }
}
