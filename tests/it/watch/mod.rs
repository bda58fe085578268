//! A copy of the keys in other processes: what it may hold, when it may be used, and that it ends when they do.
mod checks;
mod raw;
mod served;
mod streams;

use crate::harness::World;
use crate::harness::world::named;
use doorward::client::embedded::{Demand, Embedded, Failure, Reason};
use doorward::client::{Address, Presented};
use doorward::pb::v1::{ApiKey, ApiKeyKind, CreateApiKeyRequest, RevokeApiKeyRequest};
use std::time::Duration;

/// The lease of these tests, and what a busy machine may add.
const LEASE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(1);

/// A key of the tenant that may check credentials and nothing else.
async fn watcher(world: &World) -> (ApiKey, String) {
    world.create(CreateApiKeyRequest { kind: ApiKeyKind::Service.into(), ..named("watcher") }).await
}

/// An embedded layer behind `host:port`, with a lease.
async fn embedded_at(address: &str, credential: &str) -> Embedded {
    let key = Presented::new(credential.to_owned()).unwrap();
    let embedded = Embedded::connect(&Address::parse(address).unwrap(), &key).await.unwrap();
    embedded.ready(Duration::from_secs(20)).await.unwrap();
    embedded
}

/// One that sees the first tenant alone.
pub async fn embedded(world: &World) -> Embedded {
    let (_, credential) = watcher(world).await;
    embedded_at(&world.server.api(), &credential).await
}

async fn revoke(world: &World, id: &str) {
    world.keys().revoke_api_key(RevokeApiKeyRequest { id: id.to_owned() }).await.unwrap();
}

/// Why memory alone does not accept a key; `None` if it does.
fn refused(embedded: &Embedded, key: &str) -> Option<Reason> {
    match embedded.check(key, &Demand::default()) {
        Ok(_) => None,
        Err(failure) => Some(reason(&failure)),
    }
}

fn reason(failure: &Failure) -> Reason {
    match failure {
        Failure::Refused(refusal) => refusal.reason,
        Failure::Fault(fault) => fault.told().reason,
    }
}

/// Waits for something that has to happen soon.
pub async fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
