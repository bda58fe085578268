//! The judgement: whether a key that was found is accepted, here, now and for
//! what is asked. Pure: the view, the moment and the demands are handed in.

use super::entry::Entry;
use super::{Found, View};
use crate::domain::keys::{Environment, KeyKind};
use crate::domain::limits::{Limit, Rate};
use crate::domain::principal::{Principal, Standing, Title};
use crate::domain::reading::Reading;
use crate::domain::sessions::Login;
use crate::domain::usage::Outcome;
use crate::domain::{
    CredentialId, Digest, Permission, Permissions, Reason, Refusal, TenantId, Timestamp, UserId,
};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

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
    /// Whether it is for giving one that this is asked: then nobody demands it.
    pub enrolling: bool,
    /// The tenant that it must belong to, by id or short name.
    pub tenant: Option<&'a str>,
    /// The only tenant whose credentials the asker may know of. One of another
    /// tenant does not exist for them.
    pub only: Option<TenantId>,
    /// What to take from its rate limit; `None` leaves the limit alone.
    pub cost: Option<u32>,
}

/// What a credential's text tells of it: its digest, and what its form says it is.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// The digest under which it was found.
    pub digest: Digest,
    /// Whose key its form says it is.
    pub kind: KeyKind,
    /// The world that its form says it lives in.
    pub environment: Environment,
    /// For a token: what it says of the login.
    pub login: Option<Login>,
}

/// A credential that was accepted.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Who it stands for.
    pub principal: Arc<Principal>,
    /// The key or session.
    pub credential: CredentialId,
    /// The digest of the secret that was presented.
    pub digest: Digest,
    /// How the person proved who they are, for a session.
    pub login: Option<Login>,
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

/// What has to stay true of a credential while what it opened goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The digest of the secret that was presented.
    pub digest: Digest,
    /// The key or session.
    pub credential: CredentialId,
    /// Whether it is a session without a second factor, which ends when its
    /// tenant demands one.
    pub one_factor: bool,
    /// When the token ends that was presented; the secret's own end is looked up.
    pub token_expire: Timestamp,
    /// The credential's own tenant.
    pub home: TenantId,
    /// The tenant that the caller acts in, which mostly is the same.
    pub tenant: TenantId,
    /// The person, if it is one.
    pub user: Option<UserId>,
    /// The address that the credential was presented from.
    pub peer: Option<IpAddr>,
    /// The permissions without which it may not go on.
    pub required: Permissions,
    /// When the secret ends, as far as was known at the beginning.
    pub expire: Timestamp,
}

impl Terms {
    /// The terms of a caller who acts in the key's own tenant.
    #[inline]
    pub fn of(verified: &Verified, peer: Option<IpAddr>, required: Permissions) -> Self {
        let tenant = verified.principal.tenant();
        Self {
            digest: verified.digest,
            credential: verified.credential,
            one_factor: verified.login.is_some_and(|login| !login.methods.has_second_factor()),
            token_expire: verified.login.map_or(Timestamp::NEVER, |login| login.token_expire),
            home: tenant,
            tenant,
            user: verified.principal.user,
            peer,
            required,
            expire: verified.expire,
        }
    }

    /// The same for a caller whose key is of this tenant and who acts in another.
    #[inline]
    #[must_use]
    pub fn from_home(self, home: TenantId) -> Self {
        Self { home, ..self }
    }
}

/// Judges by what a view holds.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// What is known.
    pub view: &'a View,
    /// Requests a minute of keys whose tenant says nothing; 0 is no limit.
    pub default_per_minute: u32,
}

impl Judge<'_> {
    /// Judges a key that was found: its kind, its tenant, its expiry, its
    /// principal's standing, the address, what is demanded, and last the rate
    /// limit, from which only what passes everything else takes. `now` must
    /// have been read after the key was presented.
    ///
    /// # Errors
    /// The first of these that speaks against it.
    #[inline]
    pub fn verify(
        &self,
        presented: &Presented,
        found: &Found,
        demand: &Demand<'_>,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let is_session = found.id.session().is_some();
        if (found.kind, found.environment, is_session)
            != (presented.kind, presented.environment, presented.login.is_some())
        {
            return Err(ended(found.id));
        }
        let principal = self.view.principal(found).ok_or_else(|| ended(found.id))?;
        if demand.only.is_some_and(|only| only != principal.tenant()) {
            return Err(ended(found.id));
        }
        let permissions = principal.permissions.and(found.scopes);
        let counter = self.view.counter(found);
        let admitted = self.admit(presented, found, &principal, permissions, demand, now);
        let charge = |()| self.charge(found, counter, &principal, demand.cost, now);
        let rate = match admitted.and_then(charge) {
            Ok(rate) => rate,
            Err(refusal) => return Err(self.counted(found, refusal)),
        };
        self.view.accepted(found, counter, now);
        Ok(Verified {
            principal,
            credential: found.id,
            digest: presented.digest,
            login: presented.login,
            environment: found.environment,
            scopes: found.scopes,
            permissions,
            expire: presented.login.map_or(found.expire, |login| found.expire.min(login.token_expire)),
            previous: found.previous,
            rate,
        })
    }

    /// All but the rate limit that can speak against a key whose asker may know of it.
    #[inline]
    fn admit(
        &self,
        presented: &Presented,
        found: &Found,
        principal: &Principal,
        permissions: Permissions,
        demand: &Demand<'_>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        unexpired(found, now)?;
        stands(found, principal, demand.peer)?;
        let second_factor = presented.login.map(|login| login.methods.has_second_factor());
        self.meet(principal, permissions, second_factor, demand)
    }

    #[cold]
    fn counted(&self, found: &Found, refusal: Refusal) -> Refusal {
        if let Some(outcome) = Outcome::of(refusal.reason) {
            self.view.refused(found, outcome);
        }
        refusal
    }

    /// Whether what was begun under these terms may go on. The rate limit is
    /// left alone.
    ///
    /// # Errors
    /// It may not.
    pub fn still_good(&self, terms: &Terms, now: Timestamp) -> Result<(), Refusal> {
        let found = self.found(terms)?;
        unexpired(&found, now)?;
        if terms.token_expire <= now {
            return Err(token_expired(terms.token_expire));
        }
        self.holds(terms, &found)
    }

    /// The same without a look at the time: when the secret ends, if it is good.
    ///
    /// # Errors
    /// It may not go on, whatever the time is.
    pub fn still_stands(&self, terms: &Terms) -> Result<Timestamp, Refusal> {
        let found = self.found(terms)?;
        self.holds(terms, &found)?;
        Ok(found.expire.min(terms.token_expire))
    }

    /// The same caller acting for another tenant, if they may (R6).
    ///
    /// # Errors
    /// They may not, or nobody may at present or from there.
    pub fn act_for(
        &self,
        verified: Verified,
        tenant: &str,
        peer: Option<IpAddr>,
        enrolling: bool,
    ) -> Result<Verified, Refusal> {
        let target = self.tenant_named(tenant).ok_or_else(mismatch)?;
        if target == verified.principal.tenant() {
            return Ok(verified);
        }
        let principal = self.acting(&verified.principal, verified.permissions, target, peer)?;
        let one_factor = verified.login.is_some_and(|login| !login.methods.has_second_factor());
        if one_factor && principal.demands_mfa() && !enrolling {
            return Err(factor_needed());
        }
        let permissions = principal.permissions.and(verified.scopes);
        Ok(Verified { principal, permissions, ..verified })
    }

    fn found(&self, terms: &Terms) -> Result<Found, Refusal> {
        let found = self.view.key(terms.digest).filter(|found| found.id == terms.credential);
        found.ok_or_else(|| ended(terms.credential))
    }

    /// Everything but the expiry.
    fn holds(&self, terms: &Terms, found: &Found) -> Result<(), Refusal> {
        let mut principal = self.view.principal(found).ok_or_else(|| ended(found.id))?;
        stands(found, &principal, terms.peer)?;
        if terms.one_factor && principal.demands_mfa() {
            return Err(factor_needed());
        }
        if terms.tenant != terms.home {
            let permissions = principal.permissions.and(found.scopes);
            principal = self.acting(&principal, permissions, terms.tenant, terms.peer)?;
            if terms.one_factor && principal.demands_mfa() {
                return Err(factor_needed());
            }
        }
        match terms.required.beyond(principal.permissions.and(found.scopes)) {
            None => Ok(()),
            Some(missing) => Err(Refusal::lacks(missing)),
        }
    }

    /// As whom a person with these permissions at home acts in another tenant.
    fn acting(
        &self,
        home: &Principal,
        permissions: Permissions,
        target: TenantId,
        peer: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Refusal> {
        let both = Permissions::of(&[Permission::ADMIN_USERS, Permission::ADMIN_SETTINGS]);
        let user = home.user.ok_or_else(mismatch)?;
        let member = self.view.member(target, user).filter(|member| member.standing != Standing::Gone);
        let principal = match member {
            Some(member) if both.within(permissions) => member,
            _ if permissions.has(Permission::PLATFORM_TENANTS) => {
                self.operator_in(target, home).ok_or_else(mismatch)?
            }
            _ => return Err(mismatch()),
        };
        if principal.standing == Standing::TenantSuspended {
            return Err(Refusal::tenant_suspended());
        }
        if !home_allows(&principal, peer) {
            return Err(not_from_here());
        }
        Ok(principal)
    }

    /// An operator in a tenant that they are no member of.
    fn operator_in(&self, target: TenantId, home: &Principal) -> Option<Arc<Principal>> {
        let there = self.view.tenant(target)?;
        let state = there.state.as_ref().filter(|state| !state.deleted)?;
        let suspended = state.suspended;
        Some(Arc::new(Principal {
            home: there,
            kind: KeyKind::User,
            standing: if suspended { Standing::TenantSuspended } else { Standing::Good },
            user: home.user,
            email: home.email.clone(),
            title: Title::Operator,
            permissions: home.permissions,
            written: OnceLock::new(),
        }))
    }

    fn tenant_named(&self, text: &str) -> Option<TenantId> {
        text.parse::<TenantId>().readable().or_else(|| self.view.tenant_named(text))
    }

    /// What was asked for besides being good.
    fn meet(
        &self,
        principal: &Principal,
        permissions: Permissions,
        second_factor: Option<bool>,
        demand: &Demand<'_>,
    ) -> Result<(), Refusal> {
        // Before all else: who has not given it may not learn what they may.
        if second_factor == Some(false) && principal.demands_mfa() && !demand.enrolling {
            return Err(factor_needed());
        }
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
        if let Some(feature) = demand.feature
            && !principal.has_feature(feature)
        {
            let refusal =
                Refusal::new(Reason::FeatureNotLicensed, "the tenant has not licensed this feature");
            return Err(refusal.with("required_feature", feature));
        }
        match (demand.mfa, second_factor) {
            (false, _) | (true, Some(true)) => Ok(()),
            (true, Some(false)) => Err(factor_needed()),
            (true, None) => {
                let why = "a second factor is needed, which a key cannot give";
                Err(Refusal::new(Reason::MfaRequired, why))
            }
        }
    }

    fn charge(
        &self,
        found: &Found,
        counter: Option<&Entry>,
        principal: &Principal,
        cost: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<Rate>, Refusal> {
        let own = [found.per_minute, principal.per_minute(), self.default_per_minute];
        let limit = own.into_iter().find(|limit| *limit > 0).and_then(Limit::per_minute);
        let (Some(limit), Some(cost)) = (limit, cost) else { return Ok(None) };
        let nanos = u64::try_from(now.micros()).unwrap_or(0).saturating_mul(1000);
        let rate = counter.map(|counter| counter.take(limit, cost, nanos));
        match rate {
            Some(rate) if !rate.retry_after.is_zero() => Err(Refusal::rate_limited(rate)),
            other => Ok(other),
        }
    }
}

/// Whether the presented secret has not ended.
#[inline]
fn unexpired(found: &Found, now: Timestamp) -> Result<(), Refusal> {
    if found.expire > now {
        return Ok(());
    }
    // The secret before a rotation has ended, not the key.
    Err(match found.id {
        CredentialId::Session(_) => ended(found.id),
        CredentialId::Key(_) if found.previous => Refusal::invalid_api_key(),
        CredentialId::Key(_) => Refusal::api_key_expired(found.expire),
        CredentialId::Grant(_) => Refusal::grant_over().with("expires_at", found.expire),
    })
}

/// What is told of a credential that is no longer there.
fn ended(credential: CredentialId) -> Refusal {
    match credential {
        CredentialId::Key(_) => Refusal::invalid_api_key(),
        CredentialId::Session(_) => Refusal::session_revoked(),
        CredentialId::Grant(_) => Refusal::grant_over(),
    }
}

/// What is told of a token that is over.
pub fn token_expired(at: Timestamp) -> Refusal {
    Refusal::new(Reason::TokenExpired, "the token has expired").with("expires_at", at)
}

fn factor_needed() -> Refusal {
    Refusal::new(Reason::MfaRequired, "a second factor is needed: log in with one, or enrol one")
}

/// Whether the key is accepted at all from there.
#[inline]
fn stands(found: &Found, principal: &Principal, peer: Option<IpAddr>) -> Result<(), Refusal> {
    match principal.standing {
        Standing::Good => {}
        Standing::TenantSuspended => return Err(Refusal::tenant_suspended()),
        Standing::Gone => return Err(ended(found.id)),
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

fn mismatch() -> Refusal {
    Refusal::new(Reason::TenantMismatch, "this credential may not act for that tenant")
}

fn not_from_here() -> Refusal {
    Refusal::new(Reason::IpNotAllowed, "the credential may not be used from this address")
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
