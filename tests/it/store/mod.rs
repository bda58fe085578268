//! What the store promises, whichever database is behind it.
mod jobs;
mod purge;
mod rows;
mod schema;
mod walls;
mod writes;

use crate::harness::Database;
use doorward::domain::audit::{Action, Actor, Event};
use doorward::domain::keys::{Environment, Key, KeyKind, KeyState};
use doorward::domain::members::Role;
use doorward::domain::permission::Permissions;
use doorward::domain::tenants::{Tenant, TenantState};
use doorward::domain::users::UserState;
use doorward::domain::{Clock, Digest, Entropy, KeyId, TenantId, Timestamp, UserId};
use doorward::store::keys::key_insert;
use doorward::store::members::member_insert;
use doorward::store::tenants::tenant_insert;
use doorward::store::users::user_insert;
use doorward::store::{Across, Options, Result, Store, Tx, Url, Written};

/// A migrated store over a database.
pub async fn open(database: &Database) -> Store {
    let store = unmigrated(database);
    store.migrate().await.unwrap();
    store
}

fn unmigrated(database: &Database) -> Store {
    Store::new(&Options { url: Url::new(database.url()), ..Options::default() }).unwrap()
}

fn now() -> Timestamp {
    doorward::boot::SystemClock::default().now()
}

fn random() -> impl Entropy {
    doorward::boot::OsEntropy
}

fn event(tenant: TenantId) -> Event {
    Event::new(tenant, Action::KeyCreated, "key", now(), &random())
}

/// A write with an actor and an event that do not matter here.
pub async fn write<T>(
    store: &Store,
    tenant: TenantId,
    work: impl AsyncFnOnce(&mut Tx) -> Result<T>,
) -> Result<Written<T>> {
    store.write(&Actor::system("test"), event(tenant), work).await
}

/// The same for work on rows that are no tenant's.
pub async fn write_across<T>(
    store: &Store,
    tenant: TenantId,
    work: impl AsyncFnOnce(&mut Tx) -> Result<T>,
) -> Result<Written<T>> {
    store.write_across(Across::Instance, &Actor::system("test"), event(tenant), work).await
}

fn tenant(slug: &str) -> Tenant {
    let state = TenantState::new(TenantId::new(now(), &random()), slug.parse().unwrap());
    let display_name = slug.parse().unwrap();
    Tenant::new(state, display_name, now())
}

trait ParseNetworks {
    fn parse_networks(&self) -> doorward::domain::address::Networks;
}

impl ParseNetworks for str {
    fn parse_networks(&self) -> doorward::domain::address::Networks {
        doorward::domain::address::Networks::parse(self.split_ascii_whitespace()).unwrap()
    }
}

fn user(email: &str) -> UserState {
    UserState {
        id: UserId::new(now(), &random()),
        email: email.parse().unwrap(),
        operator: false,
        disabled: false,
    }
}

fn key(tenant: TenantId, user: Option<UserId>) -> Key {
    let mut digest = [0; 32];
    random().fill(&mut digest);
    let state = KeyState {
        id: KeyId::new(now(), &random()),
        tenant,
        kind: if user.is_some() { KeyKind::User } else { KeyKind::Tenant },
        user,
        environment: Environment::Live,
        scopes: Permissions::ALL,
        digest: Digest::from_bytes(&digest),
        imported: false,
        previous: None,
        networks: "192.0.2.0/24 2001:db8::/32".parse_networks(),
        per_minute: 7,
        expire: None,
        revoked: false,
    };
    Key {
        state,
        display_name: "ci".parse().unwrap(),
        prefix: "dw_live_".to_owned(),
        created_by: "system".to_owned(),
        create_time: now(),
        update_time: now(),
        revoke_time: None,
        version: 1,
    }
}

/// A tenant with its owner.
pub async fn town(store: &Store, slug: &str) -> (TenantId, UserId) {
    let (tenant, owner) = (tenant(slug), user(&format!("owner@{slug}.example")));
    let (id, owner_id) = (tenant.state.id, owner.id);
    let work = async |tx: &mut Tx| {
        tenant_insert(tx, &tenant).await?;
        user_insert(tx, &owner, None).await?;
        member_insert(tx, id, owner_id, Role::Owner).await
    };
    write_across(store, id, work).await.unwrap();
    (id, owner_id)
}

async fn insert(store: &Store, key: &Key) -> Result<Written<()>> {
    write(store, key.state.tenant, async |tx| key_insert(tx, key).await).await
}
