//! The one verifier: every credential on every surface is checked here, from
//! memory, without waiting for anything.

use crate::domain::keys::{Environment, KeyKind};
use crate::domain::limits::{Limit, Rate};
use crate::domain::principal::{Principal, Standing};
use crate::domain::reading::Reading;
use crate::domain::{
    Digest, Failure, Fault, KeyId, Moment, Permission, Permissions, Reason, Refusal, TenantId, Timestamp,
};
use crate::replica::Replica;
use crate::secret::{Forms, NotAKey, Pepper, sha256};
use crate::view::Found;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Checks credentials.
pub struct Verifier {
    replica: Arc<Replica>,
    forms: Arc<Forms>,
    pepper: Pepper,
    default_per_minute: u32,
}

/// What is asked of a credential besides being good.
#[derive(Debug, Clone, Copy, Default)]
pub struct Demand<'a> {
    /// The address that it was presented from.
    pub peer: Option<IpAddr>,
    /// A permission that it must have.
    pub permission: Option<Permission>,
    /// A feature that its tenant must have licensed.
    pub feature: Option<&'a str>,
    /// Whether a second factor must have been given.
    pub mfa: bool,
    /// The tenant that it must belong to, by id or short name.
    pub tenant: Option<&'a str>,
    /// The only tenant whose credentials the asker may know of. One of another
    /// tenant does not exist for them.
    pub only: Option<TenantId>,
    /// What to take from its rate limit; `None` leaves the limit alone.
    pub cost: Option<u32>,
}

/// A credential that was accepted.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Who it stands for.
    pub principal: Arc<Principal>,
    /// The key.
    pub key: KeyId,
    /// The digest of the secret that was presented.
    pub digest: Digest,
    /// Live or test.
    pub environment: Environment,
    /// What the key is narrowed to.
    pub scopes: Permissions,
    /// What it may do: the principal's permissions, narrowed by the key's scopes.
    pub permissions: Permissions,
    /// When it ends; [`Timestamp::NEVER`] if it does not.
    pub expire: Timestamp,
    /// Whether it is the secret before the key's last rotation.
    pub previous: bool,
    /// The rate limit after this check, where there is one.
    pub rate: Option<Rate>,
}

impl Verifier {
    /// A verifier over this view. `default_per_minute` is the limit of keys
    /// whose tenant says nothing; 0 is none.
    pub fn new(replica: Arc<Replica>, forms: Arc<Forms>, pepper: Pepper, default_per_minute: u32) -> Self {
        Self { replica, forms, pepper, default_per_minute }
    }

    /// Checks a credential as presented, without its scheme. `at` must have
    /// been read after it came.
    ///
    /// # Errors
    /// [`Failure::Fault`] while the view may not answer: an outage is never
    /// told as a bad credential.
    pub fn check(&self, presented: &str, demand: &Demand<'_>, at: Moment) -> Result<Verified, Failure> {
        let form = self.forms.recognise(presented);
        let Ok(form) = form else { return Err(not_a_key(presented).into()) };
        if !self.replica.is_fresh(at.monotonic) {
            return Err(Fault::new("the lease on the view has lapsed").into());
        }
        let (digest, found) =
            self.find(presented, form.profile.check == 0).ok_or_else(Refusal::invalid_api_key)?;
        if (found.kind, found.environment) != (form.profile.kind, form.profile.environment) {
            return Err(Refusal::invalid_api_key().into());
        }
        let principal = self.replica.view.principal(&found).ok_or_else(Refusal::invalid_api_key)?;
        if demand.only.is_some_and(|only| only != principal.tenant()) {
            return Err(Refusal::invalid_api_key().into());
        }
        let permissions = principal.permissions.and(found.scopes);
        admit(&found, &principal, demand.peer, at.wall)?;
        self.meet(&principal, permissions, demand)?;
        let rate = self.charge(&found, &principal, demand.cost, at.wall)?;
        self.replica.view.used(found.cell, at.wall);
        Ok(Verified {
            principal,
            key: found.id,
            digest,
            environment: found.environment,
            scopes: found.scopes,
            permissions,
            expire: found.expire,
            previous: found.previous,
            rate,
        })
    }

    /// Whether a credential that was accepted would be again, its limit left
    /// alone: for what goes on after the check, such as a stream.
    pub fn still_good(&self, verified: &Verified, peer: Option<IpAddr>, at: Moment) -> Result<(), Failure> {
        if !self.replica.is_fresh(at.monotonic) {
            return Err(Fault::new("the lease on the view has lapsed").into());
        }
        let found = self.replica.view.key(verified.digest).ok_or_else(Refusal::invalid_api_key)?;
        let principal = self.replica.view.principal(&found).ok_or_else(Refusal::invalid_api_key)?;
        admit(&found, &principal, peer, at.wall)?;
        let kept = principal.tenant() != verified.principal.tenant()
            || verified.permissions.within(principal.permissions.and(found.scopes));
        if kept {
            Ok(())
        } else {
            Err(Refusal::new(Reason::InsufficientPermissions, "a permission was taken away").into())
        }
    }

    /// The same caller acting for another tenant, if they may (R6).
    pub fn act_for(
        &self,
        verified: Verified,
        tenant: &str,
        peer: Option<IpAddr>,
    ) -> Result<Verified, Refusal> {
        let mismatch = || Refusal::new(Reason::TenantMismatch, "this credential may not act for that tenant");
        let target = self.tenant_named(tenant).ok_or_else(mismatch)?;
        if target == verified.principal.tenant() {
            return Ok(verified);
        }
        let both = Permissions::of(&[Permission::ADMIN_USERS, Permission::ADMIN_SETTINGS]);
        let user = verified.principal.user.ok_or_else(mismatch)?;
        let member =
            self.replica.view.member(target, user).filter(|member| member.standing != Standing::Gone);
        let principal = match member {
            Some(member) if both.within(verified.permissions) => member,
            _ if verified.permissions.has(Permission::PLATFORM_TENANTS) => {
                self.operator_in(target, &verified.principal).ok_or_else(mismatch)?
            }
            _ => return Err(mismatch()),
        };
        if principal.standing == Standing::TenantSuspended {
            return Err(suspended());
        }
        if !home_allows(&principal, peer) {
            return Err(not_from_here());
        }
        let permissions = principal.permissions.and(verified.scopes);
        Ok(Verified { principal, permissions, ..verified })
    }

    /// An operator in a tenant that they are no member of.
    fn operator_in(&self, target: TenantId, home: &Principal) -> Option<Arc<Principal>> {
        let there = self.replica.view.tenant(target)?;
        let suspended = there.state.as_ref()?.suspended;
        Some(Arc::new(Principal {
            home: there,
            kind: KeyKind::User,
            standing: if suspended { Standing::TenantSuspended } else { Standing::Good },
            user: home.user,
            email: home.email.clone(),
            role: "operator",
            permissions: home.permissions,
            written: OnceLock::new(),
        }))
    }

    fn tenant_named(&self, text: &str) -> Option<TenantId> {
        text.parse::<TenantId>().readable().or_else(|| self.replica.view.tenant_named(text))
    }

    fn find(&self, presented: &str, may_be_imported: bool) -> Option<(Digest, Found)> {
        let digest = sha256(presented.as_bytes());
        let view = &self.replica.view;
        let own = view.key(digest).filter(|found| !found.imported).map(|found| (digest, found));
        if own.is_some() || !may_be_imported {
            return own;
        }
        let sealed = self.pepper.seal(digest)?;
        view.key(sealed).filter(|found| found.imported).map(|found| (sealed, found))
    }

    /// What was asked for besides being good.
    fn meet(
        &self,
        principal: &Principal,
        permissions: Permissions,
        demand: &Demand<'_>,
    ) -> Result<(), Refusal> {
        if let Some(tenant) = demand.tenant
            && self.tenant_named(tenant) != Some(principal.tenant())
        {
            return Err(Refusal::new(Reason::TenantMismatch, "the credential belongs to another tenant"));
        }
        if let Some(permission) = demand.permission
            && !permissions.has(permission)
        {
            return Err(Refusal::lacks(permission));
        }
        if let Some(feature) = demand.feature {
            let refusal =
                Refusal::new(Reason::FeatureNotLicensed, "the tenant has not licensed this feature");
            return Err(refusal.with("required_feature", feature));
        }
        if demand.mfa {
            return Err(Refusal::new(
                Reason::MfaRequired,
                "a second factor is needed, which a key cannot give",
            ));
        }
        Ok(())
    }

    fn charge(
        &self,
        found: &Found,
        principal: &Principal,
        cost: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<Rate>, Refusal> {
        let own = [found.per_minute, principal.per_minute(), self.default_per_minute];
        let limit = own.into_iter().find(|limit| *limit > 0).and_then(Limit::per_minute);
        let (Some(limit), Some(cost)) = (limit, cost) else { return Ok(None) };
        let nanos = u64::try_from(now.micros()).unwrap_or(0).saturating_mul(1000);
        let rate = self.replica.view.take(found.cell, limit, cost, nanos);
        match rate {
            Some(rate) if !rate.retry_after.is_zero() => Err(Refusal::rate_limited(rate)),
            other => Ok(other),
        }
    }

    /// The kind of key that a text has the form of.
    pub fn kind(&self, presented: &str) -> Option<KeyKind> {
        match self.forms.recognise(presented) {
            Ok(form) => Some(form.profile.kind),
            Err(NotAKey) => None,
        }
    }

    /// Whether checks can be answered at this moment.
    pub fn is_ready(&self, at: Moment) -> bool {
        self.replica.is_fresh(at.monotonic)
    }

    /// The last change that answers take into account.
    pub fn revision(&self) -> crate::domain::changes::Revision {
        self.replica.view.applied()
    }
}

/// Whether the key is accepted at all, here and now.
fn admit(found: &Found, principal: &Principal, peer: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
    if found.expire <= now {
        // The secret before a rotation has ended, not the key.
        return Err(if found.previous {
            Refusal::invalid_api_key()
        } else {
            Refusal::api_key_expired(found.expire)
        });
    }
    match principal.standing {
        Standing::Good => {}
        Standing::TenantSuspended => return Err(suspended()),
        Standing::Gone => return Err(Refusal::invalid_api_key()),
    }
    let key_allows = found.networks.as_ref().is_none_or(|networks| networks.allow(peer));
    if key_allows && home_allows(principal, peer) {
        return Ok(());
    }
    Err(not_from_here())
}

/// Whether the tenant's allowlist has the address.
fn home_allows(principal: &Principal, peer: Option<IpAddr>) -> bool {
    principal.networks().is_none_or(|networks| networks.allow(peer))
}

fn not_from_here() -> Refusal {
    Refusal::new(Reason::IpNotAllowed, "the credential may not be used from this address")
}

fn suspended() -> Refusal {
    Refusal::new(Reason::TenantSuspended, "the tenant is suspended")
}

/// What has the form of no key is told apart from a token by its form alone.
fn not_a_key(presented: &str) -> Refusal {
    if presented.bytes().filter(|byte| *byte == b'.').count() == 2 {
        return Refusal::new(Reason::InvalidToken, "the token is not valid");
    }
    Refusal::invalid_api_key()
}
