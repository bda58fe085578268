//! A bootstrapped server with its owner: where most scenarios begin.
use super::client::{self, Authn, Keys, Metadata, Tenancy};
use super::server::{doorward, run};
use super::{Database, Server, Settings};
use doorward::pb::v1::{ApiKey, ApiKeyKind, CreateApiKeyRequest, CreateTenantRequest, GetApiKeyRequest};
use serde_json::Value;
use tonic::Request;

/// The slug of the first tenant.
pub const TENANT: &str = "acme";
/// The e-mail address of its owner.
pub const OWNER: &str = "owner@acme.test";

/// A server, its database and the credentials of its first tenant.
pub struct World {
    pub server: Server,
    pub database: Database,
    pub settings: Settings,
    pub tenant_id: String,
    /// A key of the owner, unrestricted.
    pub owner: String,
    /// A key that may send telemetry and nothing else.
    pub ingest: String,
    /// What the owner logs in with, at [`OWNER`].
    pub password: String,
}

/// A key of another tenant, and what belongs to it.
pub struct Stranger {
    pub tenant_id: String,
    pub user_id: String,
    pub secret: String,
}

impl World {
    /// Default settings, telemetry into the sink.
    pub async fn start(database: Database) -> Self {
        Self::with(database, Settings::default().set("otlp.backend", "sink")).await
    }

    /// These settings.
    pub async fn with(database: Database, settings: Settings) -> Self {
        let block = bootstrap(&database).await;
        let server = Server::serve(&database, &settings).await;
        let text =
            |name: &str| block[name].as_str().unwrap_or_else(|| panic!("no {name} in {block}")).to_owned();
        let (tenant_id, owner, ingest) = (text("tenant_id"), text("api_key"), text("ingest_key"));
        let password = text("owner_password");
        Self { server, database, settings, tenant_id, owner, ingest, password }
    }

    /// The same data under a new process, the old one having ended in order.
    pub async fn restarted(self) -> Self {
        let Self { server, database, settings, tenant_id, owner, ingest, password } = self;
        server.stop().await;
        let server = Server::serve(&database, &settings).await;
        Self { server, database, settings, tenant_id, owner, ingest, password }
    }

    /// The owner's client for keys.
    pub fn keys(&self) -> Keys {
        self.keys_as(&self.owner)
    }

    /// A client for keys with this credential.
    pub fn keys_as(&self, credential: &str) -> Keys {
        client::keys(&self.server.api(), Metadata::bearer(credential))
    }

    /// The owner's client for checks.
    pub fn authn(&self) -> Authn {
        self.authn_as(&self.owner)
    }

    /// A client for checks with this credential.
    pub fn authn_as(&self, credential: &str) -> Authn {
        client::authn(&self.server.api(), Metadata::bearer(credential))
    }

    /// The owner's client for tenants.
    pub fn tenancy(&self) -> Tenancy {
        client::tenancy(&self.server.api(), Metadata::bearer(&self.owner))
    }

    /// Makes a key as the owner; gives back its secret too.
    pub async fn create(&self, request: CreateApiKeyRequest) -> (ApiKey, String) {
        let answer = self.keys().create_api_key(request).await.unwrap().into_inner();
        (answer.api_key.unwrap(), answer.secret)
    }

    /// A plain key of the owner.
    pub async fn create_plain(&self) -> (ApiKey, String) {
        self.create(named("plain")).await
    }

    /// An ingest key.
    pub async fn create_ingest(&self) -> (ApiKey, String) {
        self.create(CreateApiKeyRequest { kind: ApiKeyKind::Ingest.into(), ..named("ingest") }).await
    }

    /// The key as it is now.
    pub async fn get(&self, id: &str) -> ApiKey {
        let request = GetApiKeyRequest { id: id.to_owned(), ..Default::default() };
        self.keys().get_api_key(request).await.unwrap().into_inner().api_key.unwrap()
    }

    /// Everything that a list of the tenant's keys tells, to be compared before and after.
    pub async fn listing(&self) -> Vec<ApiKey> {
        let request = doorward::pb::v1::ListApiKeysRequest {
            page_size: 1000,
            show_revoked: true,
            ..Default::default()
        };
        let mut keys = self.keys().list_api_keys(request).await.unwrap().into_inner().api_keys;
        // A refusal or a check may use a key; that is all that may change.
        for key in &mut keys {
            key.last_used_time = None;
        }
        keys
    }

    /// Makes a second tenant and a key of its owner.
    pub async fn stranger(&self) -> Stranger {
        self.stranger_of("umbrella").await
    }

    /// The same in a tenant of this name.
    pub async fn stranger_of(&self, slug: &str) -> Stranger {
        let request = CreateTenantRequest {
            slug: slug.into(),
            owner_email: format!("owner@{slug}.test"),
            ..Default::default()
        };
        let made = self.tenancy().create_tenant(request).await.unwrap().into_inner();
        let (tenant_id, user_id) = (made.tenant.unwrap().id, made.owner_user_id);
        let mut request = Request::new(CreateApiKeyRequest { user_id: user_id.clone(), ..named("stranger") });
        request.metadata_mut().insert("x-tenant-id", tenant_id.parse().unwrap());
        let answer = self.keys().create_api_key(request).await.unwrap().into_inner();
        Stranger { tenant_id, user_id, secret: answer.secret }
    }
}

/// Makes the first tenant in an empty database.
pub async fn bootstrap(database: &Database) -> Value {
    let mut command = doorward();
    command.args(["bootstrap", "--tenant", TENANT, "--email", OWNER, "--json"]);
    command.env("DOORWARD_DATABASE_URL", database.url());
    run(command).await.json()
}

/// A request for a key that says nothing but its name.
pub fn named(name: &str) -> CreateApiKeyRequest {
    CreateApiKeyRequest { display_name: name.to_owned(), ..Default::default() }
}
