//! Keys with other providers, and the root key that they hang from.
mod entitlement;
mod keys;
mod rotation;

use crate::harness::world::named;
use crate::harness::{Database, World};
use doorward::domain::Clock;
use doorward::domain::TenantId;
use doorward::domain::audit::{Action, Actor, Event};
use doorward::pb::v1::{
    ApiKeyKind, CreateApiKeyRequest, DeleteProviderKeyRequest, Environment, FetchProviderKeyRequest,
    FetchProviderKeyResponse, ListProviderKeysRequest, ProviderKey, SetProviderKeyRequest,
};
use doorward::store::Across;
use doorward::store::audit::event_count;
use doorward::store::{Options, Store, Url};
use tonic::Status;

/// What stands for a provider's secret.
const SECRET: &str = "sk-proj-Canary0of0the0vault";

fn wanted(provider: &str, label: &str, secret: &str) -> SetProviderKeyRequest {
    SetProviderKeyRequest { provider: provider.into(), label: label.into(), secret: secret.into() }
}

/// Sets a key as the owner.
async fn set(world: &World, provider: &str, label: &str, secret: &str) -> ProviderKey {
    let request = wanted(provider, label, secret);
    world.keys().set_provider_key(request).await.unwrap().into_inner().provider_key.unwrap()
}

async fn delete(world: &World, provider: &str, label: &str) -> Result<(), Status> {
    let request = DeleteProviderKeyRequest { provider: provider.into(), label: label.into() };
    world.keys().delete_provider_key(request).await.map(|_| ())
}

async fn list(world: &World) -> Vec<ProviderKey> {
    let answer = world.keys().list_provider_keys(ListProviderKeysRequest::default()).await.unwrap();
    answer.into_inner().provider_keys
}

/// A key of a service that may fetch.
async fn service(world: &World) -> String {
    let request = CreateApiKeyRequest {
        kind: ApiKeyKind::Service.into(),
        scopes: vec!["provider_keys.fetch".into()],
        environment: Environment::Live.into(),
        ..named("model gateway")
    };
    world.create(request).await.1
}

async fn fetch(
    world: &World,
    credential: &str,
    provider: &str,
    label: &str,
) -> Result<FetchProviderKeyResponse, Status> {
    let request = FetchProviderKeyRequest { provider: provider.into(), label: label.into() };
    Ok(world.keys_as(credential).fetch_provider_key(request).await?.into_inner())
}

/// The database behind a server's back.
fn store(database: &Database) -> Store {
    Store::new(&Options { url: Url::new(database.url()), ..Options::default() }).unwrap()
}

/// How many entries of that action the audit log has.
async fn audited(database: &Database, action: Action) -> i64 {
    event_count(&mut store(database).read(Across::Instance).await.unwrap(), action.name()).await.unwrap()
}

/// An actor and an event that do not matter.
fn by_the_test() -> (Actor, Event) {
    let (tenant, now) = (TenantId::from_bytes([0; 16]), doorward::boot::SystemClock::default().now());
    (Actor::system("test"), Event::new(tenant, Action::KeyCreated, "test", now, &doorward::boot::OsEntropy))
}
