//! API keys: make, see, change, rotate, revoke, import.

mod rules;

use super::audit::key_changed;
use super::{App, Caller};
use crate::domain::address::Networks;
use crate::domain::audit::{Action, Event};
use crate::domain::keys::{Environment, Key, KeyKind, KeyPatch, KeyState, MAX_IMPORTED_LIFE};
use crate::domain::paging::Page;
use crate::domain::tenants::DisplayName;
use crate::domain::{Digest, Failure, KeyId, Permission, Permissions, Reason, Refusal, Timestamp, UserId};
use crate::replica::Settled;
use crate::secret::{Minted, Profile};
use crate::store::keys as rows;
pub use crate::store::keys::KeyFilter;
use crate::store::people::is_member;
use crate::store::tenants::tenant_by_id;
use crate::store::{Error, Tx, Written};
use rules::{changeable, environment, no_profile, rescope, stale, visible, within, writable};
use std::time::Duration;

/// Keys that a tenant can have at once, revoked ones not counted.
const MAX_KEYS: i64 = 100_000;

/// A key that somebody wants.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// A name for people.
    pub display_name: DisplayName,
    /// Whose it shall be; the caller's own if not said.
    pub kind: Option<KeyKind>,
    /// The person, if it shall be somebody else's.
    pub user: Option<UserId>,
    /// What to narrow it to.
    pub scopes: Option<Permissions>,
    /// Live or test.
    pub environment: Option<Environment>,
    /// When it shall end.
    pub expire: Option<Timestamp>,
    /// Where it may be used from.
    pub networks: Networks,
    /// Requests a minute; 0 is the tenant's default.
    pub per_minute: u32,
    /// Makes a retry safe.
    pub request_id: Option<String>,
}

/// A key that was issued elsewhere.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    /// SHA-256 of the whole key.
    pub sha256: Digest,
    /// The profile whose form it has.
    pub profile: String,
    /// The rest, as for a key that is made here; the profile says kind and environment.
    pub wanted: NewKey,
}

/// What it took for a revocation to hold.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// How it came into effect everywhere.
    pub settled: Settled,
    /// When the key was last accepted, to within a minute.
    pub last_accepted: Option<Timestamp>,
}

/// A key with the moment at which it was last used.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The key.
    pub key: Key,
    /// When it was last accepted.
    pub last_used: Option<Timestamp>,
}

impl App {
    /// Makes a key.
    pub async fn key_create(
        &self,
        caller: &Caller,
        wanted: NewKey,
    ) -> Result<(Written<Key>, Minted), Failure> {
        let (kind, user) = self.holder(caller, wanted.kind, wanted.user)?;
        let environment = environment(caller, wanted.environment)?;
        let profile = self.forms.for_new(kind, environment).ok_or_else(|| no_profile(kind, environment))?;
        let minted = Minted::new(profile, &*self.entropy);
        let key = self.new_key(caller, &wanted, profile, user, minted.digest(), false)?;
        let written = self.insert(caller, key, wanted.request_id, Action::KeyCreated).await?;
        Ok((written, minted))
    }

    /// Takes over a key that was issued elsewhere.
    pub async fn key_import(&self, caller: &Caller, foreign: ForeignKey) -> Result<Written<Key>, Failure> {
        caller.must(Permission::KEYS_MANAGE)?;
        let known = || {
            self.forms.profiles().iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let profile = self
            .forms
            .named(&foreign.profile)
            .ok_or_else(|| Refusal::invalid("profile", format!("no such profile; there are {}", known())))?;
        if profile.check > 0 {
            let why = "keys of this profile carry a check, which a key issued elsewhere cannot have; use one with check = 0";
            return Err(Refusal::invalid("profile", why).into());
        }
        let now = self.clock.now();
        let Some(expire) = foreign.wanted.expire else {
            return Err(Refusal::invalid(
                "expire_time",
                "is needed: the strength of an imported key is unknown",
            )
            .into());
        };
        if expire > now.plus(MAX_IMPORTED_LIFE) {
            return Err(Refusal::invalid("expire_time", "must be at most 400 days ahead").into());
        }
        environment(caller, Some(profile.environment))?;
        let (_, user) = self.holder(caller, Some(profile.kind), foreign.wanted.user)?;
        let digest =
            self.pepper.seal(foreign.sha256).ok_or_else(|| Refusal::new(Reason::Internal, "no pepper"))?;
        let key = self.new_key(caller, &foreign.wanted, profile, user, digest, true)?;
        self.insert(caller, key, foreign.wanted.request_id, Action::KeyImported).await
    }

    /// One key.
    pub async fn key_get(&self, caller: &Caller, key: KeyId) -> Result<Shown, Failure> {
        caller.must(Permission::KEYS_READ)?;
        let mut conn = self.store.read(caller.tenant()).await.map_err(Failure::from)?;
        let found = rows::key_by_id(&mut conn, caller.tenant(), key).await.map_err(Failure::from)?;
        let key = found.filter(|key| visible(caller, key));
        let key = key.ok_or_else(|| self.absent(Refusal::not_found("key")))?;
        let uses = rows::key_last_uses(&mut conn, &[key.state.id]).await.map_err(Failure::from)?;
        Ok(Shown { last_used: uses.first().map(|(_, used)| *used), key })
    }

    /// A page of keys, and whether there is more.
    pub async fn key_list(
        &self,
        caller: &Caller,
        filter: KeyFilter,
        page: Page,
    ) -> Result<(Vec<Shown>, bool), Failure> {
        caller.must(Permission::KEYS_READ)?;
        let own = caller.user();
        let user = if caller.may(Permission::KEYS_MANAGE) { filter.user } else { filter.user.or(own) };
        if user != own && !caller.may(Permission::KEYS_MANAGE) {
            return Err(Refusal::lacks(Permission::KEYS_MANAGE).into());
        }
        if user.is_none() {
            caller.must(Permission::KEYS_MANAGE)?;
        }
        let only_test = caller.verified.environment == Environment::Test;
        let filter = KeyFilter { user, environment: only_test.then_some(Environment::Test), ..filter };
        let mut conn = self.store.read(caller.tenant()).await.map_err(Failure::from)?;
        let mut keys =
            rows::key_page(&mut conn, caller.tenant(), filter, page).await.map_err(Failure::from)?;
        let more = keys.len() > usize::from(page.size);
        keys.truncate(usize::from(page.size));
        let ids: Vec<KeyId> = keys.iter().map(|key| key.state.id).collect();
        let uses = rows::key_last_uses(&mut conn, &ids).await.map_err(Failure::from)?;
        let last_used = |id: KeyId| uses.iter().find(|(key, _)| *key == id).map(|(_, used)| *used);
        Ok((keys.into_iter().map(|key| Shown { last_used: last_used(key.state.id), key }).collect(), more))
    }

    /// Changes a key.
    pub async fn key_update(
        &self,
        caller: &Caller,
        key: KeyId,
        patch: KeyPatch,
        etag: String,
    ) -> Result<Written<Key>, Failure> {
        self.check_expiry(patch.expire.flatten())?;
        let (judge, sets_rights) = (caller.clone(), patch.sets_rights());
        let change = self.begin_change(caller, key, etag, Action::KeyUpdated, None, move |before, now| {
            if let Some(scopes) = patch.scopes {
                rescope(&judge, &before, scopes)?;
            }
            Ok(before.patched(patch, now))
        });
        let written = change.await?;
        Ok(self.settled(caller, written, Action::KeyUpdated.fences(sets_rights)).await?.0)
    }

    /// Gives a key a new secret.
    pub async fn key_rotate(
        &self,
        caller: &Caller,
        key: KeyId,
        overlap: Duration,
        etag: String,
        request_id: Option<String>,
    ) -> Result<(Written<Key>, Minted), Failure> {
        let shown = self.key_get(caller, key).await?;
        let state = shown.key.state;
        self.no_wider_than(caller, &state)?;
        let profile = self
            .forms
            .for_new(state.kind, state.environment)
            .ok_or_else(|| no_profile(state.kind, state.environment))?;
        let minted = Minted::new(profile, &*self.entropy);
        let (digest, prefix) = (minted.digest(), profile.prefix.clone());
        let once = request_id.map(|id| format!("rotate:{id}"));
        let written = self
            .begin_change(caller, key, etag, Action::KeyRotated, once, move |before, now| {
                let mut rotated = if before.state.imported && !overlap.is_zero() {
                    // The two secrets would be looked for in different ways.
                    let why = "an imported key is rotated without overlap";
                    return Err(Refusal::invalid("overlap", why));
                } else {
                    before.rotated(digest, overlap, now)
                };
                rotated.state.imported = false;
                rotated.prefix = prefix;
                Ok(rotated)
            })
            .await?;
        let settled = self.settled(caller, written, Action::KeyRotated.fences(true)).await?;
        Ok((settled.0, minted))
    }

    /// Ends a key for good. Doing so again changes nothing.
    pub async fn key_revoke(&self, caller: &Caller, key: KeyId) -> Result<(Written<Key>, Receipt), Failure> {
        let shown = self.key_get(caller, key).await?;
        writable(caller, &shown.key)?;
        let write = self.begin_change(caller, key, String::new(), Action::KeyRevoked, None, |before, now| {
            Ok(if before.state.revoked { before } else { before.revoked(now) })
        });
        let written = write.await?;
        let last_accepted = self.replica.view.last_use(written.value.state.digest).or(shown.last_used);
        // A retry waits too: the first answer may have been lost before it held.
        let (written, settled) = self.settled(caller, written, true).await?;
        Ok((written, Receipt { settled, last_accepted }))
    }

    /// Whose key it shall be, and whether the caller may make it.
    fn holder(
        &self,
        caller: &Caller,
        kind: Option<KeyKind>,
        user: Option<UserId>,
    ) -> Result<(KeyKind, Option<UserId>), Failure> {
        let kind = match kind {
            Some(KeyKind::Global) => {
                return Err(Refusal::invalid("kind", "the global key is configured, not made").into());
            }
            Some(kind) => kind,
            None if caller.user().is_some() || user.is_some() => KeyKind::User,
            None => {
                return Err(Refusal::invalid("kind", "must be said: this credential is no person's").into());
            }
        };
        if kind != KeyKind::User {
            caller.must(Permission::KEYS_MANAGE)?;
            if user.is_some() {
                return Err(Refusal::invalid("user_id", "belongs to keys of kind user alone").into());
            }
            return Ok((kind, None));
        }
        let user = user
            .or(caller.user())
            .ok_or_else(|| Refusal::invalid("user_id", "must be said: this credential is no person's"))?;
        if Some(user) == caller.user() {
            caller.must(Permission::KEYS_WRITE)?;
        } else {
            caller.must(Permission::KEYS_MANAGE)?;
        }
        let member = self.replica.view.member(caller.tenant(), user);
        member.filter(|member| !member.permissions.is_empty()).ok_or_else(|| Refusal::not_found("member"))?;
        Ok((kind, Some(user)))
    }

    fn new_key(
        &self,
        caller: &Caller,
        wanted: &NewKey,
        profile: &Profile,
        user: Option<UserId>,
        digest: Digest,
        imported: bool,
    ) -> Result<Key, Failure> {
        self.check_expiry(wanted.expire)?;
        let now = self.clock.now();
        let state = KeyState {
            id: KeyId::new(now, &*self.entropy),
            tenant: caller.tenant(),
            kind: profile.kind,
            user,
            environment: profile.environment,
            scopes: self.scopes(caller, profile.kind, user, wanted.scopes)?,
            digest,
            imported,
            previous: None,
            networks: wanted.networks.clone(),
            per_minute: wanted.per_minute,
            expire: wanted.expire,
            revoked: false,
        };
        Ok(Key {
            state,
            display_name: wanted.display_name.clone(),
            prefix: profile.prefix.clone(),
            created_by: caller.name(),
            create_time: now,
            update_time: now,
            revoke_time: None,
            version: 1,
        })
    }

    /// What a new key is narrowed to. Nobody grants what they lack: neither by
    /// naming it, nor by leaving a key as wide as somebody else's role is or
    /// may become.
    fn scopes(
        &self,
        caller: &Caller,
        kind: KeyKind,
        user: Option<UserId>,
        wanted: Option<Permissions>,
    ) -> Result<Permissions, Refusal> {
        let has = caller.verified.permissions;
        if let Some(wanted) = wanted {
            within(wanted, kind, has)?;
            return Ok(wanted);
        }
        let own = user.is_some() && user == caller.user();
        if own && caller.verified.scopes == Permissions::ALL && caller.home.is_none() {
            return Ok(Permissions::ALL);
        }
        let widest = match user {
            Some(user) => self
                .replica
                .view
                .member(caller.tenant(), user)
                .map_or(Permissions::NONE, |member| member.permissions),
            None => kind.default_scopes(),
        };
        let scopes = widest.and(has);
        match widest.iter().next() {
            Some(first) if scopes.is_empty() => Err(Refusal::lacks(first)),
            _ => Ok(scopes),
        }
    }

    /// Whoever rotates a key holds its new secret, so it must not allow more
    /// than they are allowed already.
    fn no_wider_than(&self, caller: &Caller, key: &KeyState) -> Result<(), Refusal> {
        if caller.verified.credential.key() == Some(key.id) {
            return Ok(());
        }
        let holder = match key.user {
            Some(user) => self
                .replica
                .view
                .member(key.tenant, user)
                .map_or(Permissions::NONE, |member| member.permissions),
            None => key.kind.bound(),
        };
        match holder.and(key.scopes).beyond(caller.verified.permissions) {
            Some(lacking) => Err(Refusal::lacks(lacking)),
            None => Ok(()),
        }
    }

    fn check_expiry(&self, expire: Option<Timestamp>) -> Result<(), Refusal> {
        if expire.is_some_and(|expire| expire <= self.clock.now()) {
            return Err(Refusal::invalid("expire_time", "must be in the future"));
        }
        Ok(())
    }

    async fn insert(
        &self,
        caller: &Caller,
        key: Key,
        request_id: Option<String>,
        action: Action,
    ) -> Result<Written<Key>, Failure> {
        let (store, actor, tenant) = (self.store.clone(), caller.actor(), caller.tenant());
        let event = Event::new(tenant, action, key.state.id, key.create_time, &*self.entropy);
        let writing = async move {
            let name = actor.id.clone();
            store
                .write(&actor, event, async move |tx| {
                    once(tx, tenant, &name, request_id, key.state.id).await?;
                    if rows::key_count_of(tx, tenant).await? >= MAX_KEYS {
                        let message = format!("a tenant has at most {MAX_KEYS} keys; revoke some");
                        return Err(Refusal::new(Reason::QuotaExceeded, message).into());
                    }
                    allowed(tx, &key).await?;
                    tx.detail("display_name", key.display_name.as_str());
                    tx.fact("kind", key.state.kind.name());
                    tx.fact("scopes", format!("{:?}", key.state.scopes));
                    match rows::key_insert(tx, &key).await {
                        Err(Error::Conflict) => Err(Refusal::already_exists("a key with this secret").into()),
                        other => other.map(|()| key),
                    }
                })
                .await
        };
        let written = self.store.detached(writing).await.map_err(Failure::from)?;
        Ok(self.settled(caller, written, false).await?.0)
    }

    /// Reads, judges and replaces a key in one transaction.
    async fn begin_change(
        &self,
        caller: &Caller,
        key: KeyId,
        etag: String,
        action: Action,
        request_id: Option<String>,
        change: impl FnOnce(Key, Timestamp) -> Result<Key, Refusal> + Send + 'static,
    ) -> Result<Written<Key>, Failure> {
        let (store, caller) = (self.store.clone(), caller.clone());
        let now = self.clock.now();
        let event = Event::new(caller.tenant(), action, key, now, &*self.entropy);
        let writing = async move {
            let actor = caller.actor();
            store
                .write(&actor, event, async move |tx| {
                    once(tx, caller.tenant(), &caller.name(), request_id, key).await?;
                    let before = rows::key_for_update(tx, caller.tenant(), key).await?;
                    let before = before
                        .filter(|key| visible(&caller, key))
                        .ok_or_else(|| Refusal::not_found("key"))?;
                    writable(&caller, &before)?;
                    changeable(&before, action, &etag)?;
                    let (version, name) = (before.version, before.display_name.as_str().to_owned());
                    let after = change(before.clone(), now)?;
                    tx.detail("display_name", name);
                    key_changed(tx, &before, &after);
                    if after.version != version && !rows::key_replace(tx, &after).await? {
                        return Err(stale().into());
                    }
                    Ok(after)
                })
                .await
        };
        Ok(self.store.detached(writing).await?)
    }
}

/// Refuses a key that the tenant allows none of, and one of a person who has
/// left meanwhile.
async fn allowed(tx: &mut Tx, key: &Key) -> Result<(), Error> {
    let (tenant, kind) = (key.state.tenant, key.state.kind);
    let found = tenant_by_id(tx.reading()?, tenant).await?;
    if !found.is_some_and(|tenant| tenant.allows(kind)) {
        let message = format!("this tenant allows no {} keys (allowed_key_kinds)", kind.name());
        return Err(Refusal::new(Reason::FailedPrecondition, message).into());
    }
    match key.state.user {
        Some(user) if !is_member(tx, tenant, user).await? => Err(Refusal::not_found("user").into()),
        _ => Ok(()),
    }
}

/// Refuses a second request of the same id.
async fn once(
    tx: &mut Tx,
    tenant: crate::domain::TenantId,
    actor: &str,
    request_id: Option<String>,
    target: KeyId,
) -> Result<(), Error> {
    let Some(request_id) = request_id else { return Ok(()) };
    match rows::request_once(tx, tenant, actor, &request_id, &target.to_string()).await? {
        None => Ok(()),
        Some(done) => {
            let message = "this request_id was used; its secret cannot be shown again";
            Err(Refusal::new(Reason::AlreadyExists, message).with("id", done).into())
        }
    }
}
