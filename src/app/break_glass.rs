//! Break-glass: the master key is compared, a grant is opened, each call is
//! written down before it is made, the tenant closes the grant.

use super::{App, Caller};
use crate::domain::audit::{Action, Actor, Event, Presented};
use crate::domain::break_glass::{Allowed, CLOSED_FOR, GrantState, Stated, Tries};
use crate::domain::reading::Reading;
use crate::domain::throttle::Network;
use crate::domain::{
    Correlation, CredentialId, Failure, Fault, GrantId, Permission, Permissions, Reason, Refusal, TenantId,
    Timestamp,
};
use crate::secret::MasterKey;
use crate::store::{Across, Error, Written, break_glass as rows};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The master key, and what it may do.
pub struct BreakGlass {
    key: MasterKey,
    options: BreakGlassOptions,
    tries: Mutex<Tries>,
}

/// What a grant is.
#[derive(Debug, Clone, Copy)]
pub struct BreakGlassOptions {
    /// What it allows.
    pub permissions: Permissions,
    /// How long it lasts.
    pub lasts: Duration,
    /// How often may be tried.
    pub allowed: Allowed,
    /// How long after its first use a key still opens grants.
    pub key_lasts: Duration,
}

/// A call with the master key, the key having been right.
#[derive(Debug)]
pub struct Knock {
    /// Where to.
    pub tenant: TenantId,
    /// Why.
    pub reason: Stated,
    /// Which method is called.
    pub method: &'static str,
    /// From where.
    pub address: Option<IpAddr>,
    /// The request's correlation id.
    pub correlation: Correlation,
}

impl BreakGlass {
    /// Break-glass by this key.
    pub fn new(key: MasterKey, options: BreakGlassOptions) -> Self {
        Self { key, options, tries: Mutex::default() }
    }

    /// What the key is known by, once it was used.
    pub fn key_id(&self) -> [u8; 16] {
        self.key.id()
    }

    /// How long after its first use the key still opens grants.
    pub fn key_lasts(&self) -> Duration {
        self.options.key_lasts
    }

    /// Compares a key that was presented at this moment of the boot-time clock.
    ///
    /// # Errors
    /// `INVALID_API_KEY` for a wrong one, and whether the audit log shall hear
    /// of it; `RATE_LIMIT_EXCEEDED` while nobody there is listened to.
    pub fn is_right(
        &self,
        presented: &[u8],
        address: Option<IpAddr>,
        now: u64,
    ) -> Result<(), (Refusal, bool)> {
        let (network, allowed) = (address.map(Network::of), self.options.allowed);
        let is_right = self.key.is(presented);
        let mut tries = self.tries();
        tries.listens_to(network, allowed, now).map_err(|wait| (too_often(wait), false))?;
        if is_right {
            return Ok(());
        }
        Err((Refusal::invalid_api_key(), tries.failed(network, now)))
    }

    /// Counts a use.
    ///
    /// # Errors
    /// `RATE_LIMIT_EXCEEDED`.
    pub fn count_use(&self, now: u64) -> Result<(), Refusal> {
        self.tries().used(self.options.allowed, now).map_err(too_often)
    }

    fn tries(&self) -> std::sync::MutexGuard<'_, Tries> {
        // Counters are whole whatever happened meanwhile.
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Lets a call with the master key in: by the grant that is open in its
    /// tenant, or by one that is opened now. The audit log has it before this
    /// returns; if that cannot be, the call is not made.
    ///
    /// # Errors
    /// The tenant has closed the last grant, or the key was used too long ago.
    pub async fn break_glass_enter(&self, glass: &BreakGlass, knock: &Knock) -> Result<GrantId, Failure> {
        let now = self.clock.now();
        self.break_glass_knows()?;
        self.receives(knock)?;
        let open = self.replica.view.grant_of(knock.tenant).filter(|found| found.expire > now);
        let grant = match open.and_then(|found| found.id.grant()) {
            Some(grant) => grant,
            None => self.open_grant(glass, knock, now).await?,
        };
        self.note_use(knock, grant, now).await?;
        Ok(grant)
    }

    /// Whether the tenant takes anybody in from there at all.
    fn receives(&self, knock: &Knock) -> Result<(), Refusal> {
        let home = self.replica.view.tenant(knock.tenant);
        let tenant = home.as_ref().and_then(|home| home.state.as_ref()).ok_or_else(no_tenant)?;
        if tenant.suspended {
            return Err(Refusal::tenant_suspended());
        }
        if !tenant.networks.allow(knock.address) {
            let message = "the tenant's credentials may not be used from this address";
            return Err(Refusal::new(Reason::IpNotAllowed, message));
        }
        Ok(())
    }

    async fn open_grant(
        &self,
        glass: &BreakGlass,
        knock: &Knock,
        now: Timestamp,
    ) -> Result<GrantId, Failure> {
        let options = glass.options;
        let grant = GrantState {
            id: GrantId::new(now, &*self.entropy),
            tenant: knock.tenant,
            permissions: options.permissions,
            expire: now.plus(options.lasts),
            closed: false,
        };
        let event = Event::new(knock.tenant, Action::BreakGlassOpened, grant.id, now, &*self.entropy);
        let (store, key, state) = (self.store.clone(), glass.key_id(), grant.clone());
        let (actor, reason, method) = (knock.actor(None), knock.reason.clone(), knock.method);
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    for before in rows::grants_for_update(tx, state.tenant).await? {
                        if before.expire > now {
                            return Err(Error::Conflict);
                        }
                        rows::grant_close(tx, &before, false).await?;
                    }
                    let veto = rows::last_veto(tx, state.tenant, &key).await?;
                    not_shut_out(veto, now)?;
                    let used = rows::key_first_used_before(tx, &key).await?;
                    not_used_up(used, options.key_lasts, now)?;
                    tx.detail("reason", reason.as_str());
                    tx.detail("method", method);
                    tx.detail("permissions", state.permissions.to_names());
                    tx.detail("expire_time", state.expire);
                    rows::grant_insert(tx, &state, &key).await
                })
                .await
        };
        let written = match self.store.detached(writing).await {
            Err(Error::Conflict) => return self.join_grant(knock.tenant).await,
            other => other?,
        };
        self.settled_by(written, false, None).await?;
        tracing::warn!(
            tenant.id = %knock.tenant,
            grant.id = %grant.id,
            correlation.id = %knock.correlation,
            "break-glass: a grant was opened; rotate the master key when the emergency is over"
        );
        self.tell_the_owner(knock, &grant, now).await;
        Ok(grant.id)
    }

    /// Somebody opened one at the same time, at another replica perhaps.
    async fn join_grant(&self, tenant: TenantId) -> Result<GrantId, Failure> {
        self.verifier.catch_up().await?;
        let found = self.replica.view.grant_of(tenant).and_then(|found| found.id.grant());
        found.ok_or_else(|| Refusal::grant_over().into())
    }

    async fn note_use(&self, knock: &Knock, grant: GrantId, now: Timestamp) -> Result<(), Failure> {
        let event = Event::new(knock.tenant, Action::BreakGlassUsed, knock.method, now, &*self.entropy);
        let (store, actor, reason) = (self.store.clone(), knock.actor(Some(grant)), knock.reason.clone());
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    tx.detail("grant", grant);
                    tx.detail("reason", reason.as_str());
                    Ok::<_, Error>(())
                })
                .await
        };
        self.store.detached(writing).await?;
        Ok(())
    }

    /// Whether letters go out is no reason to keep a call in an emergency waiting or to refuse it.
    async fn tell_the_owner(&self, knock: &Knock, grant: &GrantState, now: Timestamp) {
        let owners =
            async { rows::owners(&mut self.store.read(knock.tenant).await?, knock.tenant).await }.await;
        match owners {
            Ok(owners) => {
                for owner in owners {
                    let (reason, until) = (knock.reason.as_str(), grant.expire);
                    self.people.post(|letters| letters.break_glass_opened(owner, now, until, reason));
                }
            }
            Err(error) => tracing::error!(%error, "break-glass: the owner could not be told"),
        }
    }

    /// Writes down that somebody presented a wrong key; where it was for a
    /// tenant that there is, in that tenant's log.
    pub async fn break_glass_refused(
        &self,
        tenant: Option<&str>,
        address: Option<IpAddr>,
        correlation: &Correlation,
    ) {
        let platform = TenantId::from_bytes([0; 16]);
        let tenant = tenant.and_then(|tenant| self.break_glass_tenant(tenant)).unwrap_or(platform);
        let now = self.clock.now();
        let event = Event::new(tenant, Action::CredentialsRefused, "break_glass", now, &*self.entropy);
        let actor = Actor { address, ..Actor::system(correlation.to_string()) };
        let actor = Actor { id: "anonymous".into(), ..actor };
        let store = self.store.clone();
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    tx.detail("credential", "master_key");
                    Ok::<_, Error>(())
                })
                .await
        };
        if let Err(error) = self.store.detached(writing).await {
            tracing::error!(%error, "break-glass: a wrong key was not written down");
        }
    }

    /// Refuses to look at anything while this replica has no lease: a tenant
    /// that it does not know may be there.
    ///
    /// # Errors
    /// That cannot be known now.
    pub fn break_glass_knows(&self) -> Result<(), Fault> {
        if self.verifier.is_ready(self.clock.moment()) {
            return Ok(());
        }
        Err(Fault::new("the lease on the view has lapsed"))
    }

    /// The tenant that a call names, by id or short name.
    pub fn break_glass_tenant(&self, named: &str) -> Option<TenantId> {
        let view = &self.replica.view;
        let tenant = named.parse::<TenantId>().readable().or_else(|| view.tenant_named(named))?;
        let home = view.tenant(tenant)?;
        home.state.as_ref().filter(|state| !state.deleted).map(|state| state.id)
    }

    /// Closes what is open in the caller's tenant; returns when it is closed
    /// everywhere. Doing so again changes nothing.
    pub async fn break_glass_close(&self, caller: &Caller) -> Result<Written<Vec<GrantId>>, Failure> {
        caller.must(Permission::ADMIN_SETTINGS)?;
        let (tenant, now) = (caller.tenant(), self.clock.now());
        let event = Event::new(tenant, Action::BreakGlassClosed, tenant, now, &*self.entropy);
        let (store, actor) = (self.store.clone(), caller.actor());
        // Who closes their own is done with it, and shuts nobody out.
        let vetoed = caller.verified.credential.grant().is_none();
        let writing = async move {
            store
                .write(&actor, event, async move |tx| {
                    let open = rows::grants_for_update(tx, tenant).await?;
                    for grant in &open {
                        rows::grant_close(tx, grant, vetoed).await?;
                    }
                    let ids: Vec<GrantId> = open.iter().map(|grant| grant.id).collect();
                    tx.detail("grants", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
                    Ok::<_, Error>(ids)
                })
                .await
        };
        let written = self.store.detached(writing).await?;
        Ok(self.settled(caller, written, true).await?.0)
    }

    /// Closes grants that are past their end, so that no view keeps them.
    pub async fn break_glass_tidy(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        for grant in rows::grants_over(&mut self.store.read(Across::Jobs).await?, now).await? {
            let event = Event::new(grant.tenant, Action::BreakGlassClosed, grant.id, now, &*self.entropy);
            let store = self.store.clone();
            let writing = async move {
                store
                    .write(&Actor::system("tidy"), event, async move |tx| {
                        tx.detail("expired", true);
                        rows::grant_close(tx, &grant, false).await
                    })
                    .await
            };
            self.store.detached(writing).await?;
        }
        Ok(())
    }

    /// When the configured master key was first used, if it was.
    pub async fn break_glass_key_used(&self) -> Result<Option<Timestamp>, Failure> {
        let Some(glass) = &self.break_glass else { return Ok(None) };
        Ok(rows::key_first_used(&mut self.store.read(Across::Instance).await?, &glass.key_id()).await?)
    }
}

impl Knock {
    fn actor(&self, grant: Option<GrantId>) -> Actor {
        Actor {
            home: None,
            id: grant.map_or_else(|| "break_glass".to_owned(), |grant| grant.to_string()),
            credential: grant.map(|grant| Presented { id: CredentialId::Grant(grant), tenant: self.tenant }),
            address: self.address,
            correlation: self.correlation.to_string(),
        }
    }
}

/// Whether the tenant lets this key in again.
fn not_shut_out(veto: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
    let Some(until) = veto.map(|veto| veto.plus(CLOSED_FOR)).filter(|until| *until > now) else {
        return Ok(());
    };
    let message = "the tenant has closed its break-glass grant; this key opens none there for an hour";
    Err(Refusal::new(Reason::FailedPrecondition, message).with("state", "closed").with("until", until))
}

/// Whether the key may still open grants.
fn not_used_up(used: Option<Timestamp>, lasts: Duration, now: Timestamp) -> Result<(), Refusal> {
    if used.is_none_or(|used| used.plus(lasts) > now) {
        return Ok(());
    }
    let message = "the master key was first used too long ago; configure another one";
    Err(Refusal::new(Reason::FailedPrecondition, message).with("state", "key_used_up"))
}

/// What is told of a tenant that there is not.
pub fn no_tenant() -> Refusal {
    Refusal::new(Reason::TenantMismatch, "x-tenant-id must name the one tenant that the emergency is in")
}

fn too_often(wait: Duration) -> Refusal {
    let seconds = wait.as_secs_f64().ceil();
    let message = format!("the master key is used or tried too often; wait {seconds} s");
    let refusal = Refusal::new(Reason::RateLimitExceeded, message).with("retry_after", seconds);
    Refusal { retry_after: Some(wait), ..refusal }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c";

    fn glass() -> BreakGlass {
        let options = BreakGlassOptions {
            permissions: Permissions::NONE,
            lasts: Duration::from_mins(30),
            allowed: Allowed { uses: 2, failures: 2 },
            key_lasts: Duration::from_hours(24),
        };
        BreakGlass::new(MasterKey::new(KEY).unwrap(), options)
    }

    // R44, A60
    #[test]
    fn after_wrong_keys_the_right_one_waits_too() {
        let (glass, here) = (glass(), Some(IpAddr::from([192, 0, 2, 1])));
        for heard in [true, true] {
            let (refusal, told) = glass.is_right(b"wrong", here, 0).unwrap_err();
            assert_eq!((refusal.reason, told), (Reason::InvalidApiKey, heard));
        }
        let (refusal, told) = glass.is_right(KEY, here, 1).unwrap_err();
        assert_eq!((refusal.reason, told), (Reason::RateLimitExceeded, false));
        assert!(glass.is_right(KEY, Some(IpAddr::from([192, 0, 2, 2])), 1).is_ok());
        assert!(glass.is_right(KEY, here, 60_000_000).is_ok());
    }

    // R44
    #[test]
    fn a_key_ends_and_a_veto_does_too() {
        let at = |hours: i64| Timestamp::from_micros(hours * 3_600_000_000);
        assert!(not_used_up(None, Duration::from_hours(24), at(100)).is_ok());
        assert!(not_used_up(Some(at(10)), Duration::from_hours(24), at(33)).is_ok());
        let refusal = not_used_up(Some(at(10)), Duration::from_hours(24), at(34)).unwrap_err();
        assert_eq!(refusal.reason, Reason::FailedPrecondition);
        assert!(not_shut_out(None, at(1)).is_ok());
        assert!(not_shut_out(Some(at(10)), at(11)).is_ok());
        assert!(not_shut_out(Some(at(10)), Timestamp::from_micros(at(11).micros() - 1)).is_err());
    }
}
