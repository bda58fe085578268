//! The first tenant of a fresh database, with its owner and their first keys.

use crate::domain::address::Networks;
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::keys::{Environment, Key, KeyKind, KeyState};
use crate::domain::members::Role;
use crate::domain::paging::Page;
use crate::domain::permission::Permissions;
use crate::domain::tenants::{DisplayName, Slug};
use crate::domain::users::{Email, UserState};
use crate::domain::{Clock, Entropy, KeyId, Reason, Refusal, TenantId, Timestamp, UserId};
use crate::secret::{Forms, Minted, Password};
use crate::store::keys::key_insert;
use crate::store::members::member_insert;
use crate::store::tenants::{tenant_insert, tenant_page};
use crate::store::users::user_insert;
use crate::store::{Across, Error, Store};

/// What a fresh Doorward begins with. The secrets exist here and nowhere else.
#[derive(Debug)]
pub struct Beginning {
    /// The tenant.
    pub tenant: TenantId,
    /// The owner, who also runs the platform.
    pub owner: UserId,
    /// The owner's password.
    pub password: Password,
    /// A key of the owner's.
    pub api_key: Minted,
    /// A key of the tenant's for telemetry.
    pub ingest_key: Minted,
}

/// Whether there is a tenant already, and which was last made.
pub async fn existing_tenant(store: &Store) -> Result<Option<TenantId>, Error> {
    let page = Page { size: 1, after: None };
    let tenants = tenant_page(&mut store.read(Across::Instance).await?, None, page).await?;
    Ok(tenants.first().map(|tenant| tenant.state.id))
}

/// Makes the first tenant.
///
/// # Errors
/// Refuses if the database has a tenant.
pub async fn begin(
    store: &Store,
    forms: &Forms,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    slug: Slug,
    email: Email,
) -> Result<Beginning, Error> {
    if existing_tenant(store).await?.is_some() {
        let refusal = Refusal::new(
            Reason::FailedPrecondition,
            "this database has a tenant already; `doorward tenant create` adds others",
        );
        return Err(refusal.into());
    }
    let now = clock.now();
    let (tenant, owner) = (TenantId::new(now, entropy), UserId::new(now, entropy));
    let password = Password::generate(entropy);
    let hash = password.hash(entropy).map_err(|error| Error::Unavailable(error.into()))?;
    let mint = |kind| {
        let profile = forms.for_new(kind, Environment::Live).ok_or_else(|| no_profile(kind))?;
        Ok::<_, Refusal>((Minted::new(profile, entropy), profile.prefix.clone()))
    };
    let ((api_key, api_prefix), (ingest_key, ingest_prefix)) = (mint(KeyKind::User)?, mint(KeyKind::Ingest)?);
    let first = First { tenant, owner, now };
    let api = first.key(KeyId::new(now, entropy), KeyKind::User, "first key", &api_prefix, &api_key);
    let ingest =
        first.key(KeyId::new(now, entropy), KeyKind::Ingest, "first ingest key", &ingest_prefix, &ingest_key);
    let wanted =
        super::tenants::NewTenant { slug, display_name: None, owner: email.clone(), request_id: None };
    let row = super::tenants::new_tenant(tenant, &wanted, now);
    let event = Event::new(tenant, Action::TenantCreated, tenant, now, entropy);
    store
        .write_across(Across::Instance, &Actor::system("bootstrap"), event, async move |tx| {
            tx.fact("by", "bootstrap");
            tenant_insert(tx, &row).await?;
            let user = UserState { id: owner, email, operator: true, disabled: false };
            user_insert(tx, &user, Some(hash.as_str())).await?;
            member_insert(tx, tenant, owner, Role::Owner).await?;
            key_insert(tx, &api).await?;
            key_insert(tx, &ingest).await
        })
        .await?;
    Ok(Beginning { tenant, owner, password, api_key, ingest_key })
}

struct First {
    tenant: TenantId,
    owner: UserId,
    now: Timestamp,
}

impl First {
    fn key(&self, id: KeyId, kind: KeyKind, name: &str, prefix: &str, minted: &Minted) -> Key {
        let state = KeyState {
            id,
            tenant: self.tenant,
            kind,
            user: (kind == KeyKind::User).then_some(self.owner),
            environment: Environment::Live,
            scopes: if kind == KeyKind::User { Permissions::ALL } else { kind.default_scopes() },
            digest: minted.digest(),
            imported: false,
            previous: None,
            networks: Networks::default(),
            per_minute: 0,
            expire: None,
            revoked: false,
        };
        Key {
            state,
            display_name: DisplayName::fixed(name),
            prefix: prefix.to_owned(),
            created_by: "system".into(),
            create_time: self.now,
            update_time: self.now,
            revoke_time: None,
            version: 1,
        }
    }
}

fn no_profile(kind: KeyKind) -> Refusal {
    Refusal::new(
        Reason::FailedPrecondition,
        format!("no key profile is configured for live {} keys", kind.name()),
    )
}
