//! Break-glass: a key for emergencies that opens one tenant for a short time.
//!
//! The master key itself is good for nothing. Who holds it and says why opens a
//! grant: a list of permissions in one tenant, for minutes, known to the tenant's
//! owner and written down with every call that it makes (R44).

use super::audit::Action;
use super::permission::{Permission, Permissions};
use super::throttle::Network;
use super::{GrantId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

/// What a check knows of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantState {
    /// The grant.
    pub id: GrantId,
    /// The one tenant that it is for.
    pub tenant: TenantId,
    /// What it allows.
    pub permissions: Permissions,
    /// When it ends.
    pub expire: Timestamp,
    /// Whether it was closed before that.
    pub closed: bool,
}

/// What no grant can allow: other tenants, and secrets that outlast it.
const NEVER: Permissions = Permissions::of(&[
    Permission::PLATFORM_TENANTS,
    Permission::PLATFORM_VERIFY,
    Permission::PROVIDER_KEYS_FETCH,
]);

/// All that a grant could be configured to allow.
pub const BOUND: Permissions = Permissions::ALL.without(NEVER);

/// What it allows when nobody says: to see what is going on, and to end it.
pub const DEFAULT_PERMISSIONS: [Permission; 7] = [
    Permission::TENANT_READ,
    Permission::TENANT_UPDATE,
    Permission::MEMBERS_READ,
    Permission::ADMIN_USERS,
    Permission::KEYS_READ,
    Permission::KEYS_MANAGE,
    Permission::AUDIT_READ,
];

/// The longest that a grant may last.
pub const MAX_GRANT: Duration = Duration::from_hours(1);

/// For how long a key opens nothing in a tenant that has closed its grant.
pub const CLOSED_FOR: Duration = Duration::from_hours(1);

/// Whether a grant may be used for what is written down so: to see, to end, and
/// to let people back in. What gives somebody rights, a credential or a way to
/// one would outlast the grant; what destroys evidence would hide it. Whatever is
/// not named here is not allowed.
pub const fn may_do(action: Action) -> bool {
    matches!(
        action,
        Action::KeyRevoked
            | Action::SessionRevoked
            | Action::SessionsRevoked
            | Action::MemberRemoved
            | Action::RoleDeleted
            | Action::InvitationRevoked
            | Action::ProviderKeyDeleted
            | Action::TenantUpdated
            | Action::TenantSuspended
            | Action::TenantResumed
            | Action::AllowlistSet
            | Action::AuditExported
            | Action::LegalHoldSet
            | Action::BreakGlassClosed
    )
}

/// Why somebody breaks the glass, in their own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated(String);

/// A text that says too little or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must say why, in {} to {} printable characters", Stated::MIN, Stated::MAX)]
pub struct BadReason;

impl Stated {
    /// Characters that it has at least.
    pub const MIN: usize = 10;
    /// Characters that it has at most.
    pub const MAX: usize = 200;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Stated {
    type Err = BadReason;
    fn from_str(text: &str) -> Result<Self, BadReason> {
        let text = text.trim();
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let fits = (Self::MIN..=Self::MAX).contains(&text.len());
        // Ten spaces or dashes say nothing.
        let says = text.bytes().filter(u8::is_ascii_alphanumeric).count() >= Self::MIN / 2;
        if printable && fits && says { Ok(Self(text.to_owned())) } else { Err(BadReason) }
    }
}

/// How often may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Calls with the right key in a minute, from everywhere together.
    pub uses: u32,
    /// Wrong keys in a minute from one network; after them it is not listened
    /// to, whatever it brings, until the minute is over.
    pub failures: u32,
}

/// Counts uses and wrong keys by the minute, in bounded memory.
#[derive(Debug, Default)]
pub struct Tries {
    uses: Window,
    written: Window,
    failures: HashMap<Option<Network>, Window>,
}

/// A minute and what was counted in it.
#[derive(Debug, Default, Clone, Copy)]
struct Window {
    /// When it began, in microseconds of the boot-time clock.
    begin: u64,
    count: u32,
}

/// Networks whose wrong keys are remembered at once. Where more try in the same
/// minute, new ones are not listened to.
const MAX_NETWORKS: usize = 1024;

/// Wrong keys of which the audit log hears in a minute; the rest is counted.
const MAX_WRITTEN: u32 = 10;

const MINUTE: u64 = 60_000_000;

impl Tries {
    /// Whether somebody from there is listened to at this moment of the
    /// boot-time clock (µs); else for how long they are not.
    pub fn listens_to(&self, network: Option<Network>, allowed: Allowed, now: u64) -> Result<(), Duration> {
        match self.failures.get(&network) {
            Some(window) => window.left(allowed.failures, now).map(drop),
            None if self.failures.len() < MAX_NETWORKS => Ok(()),
            None if self.failures.values().any(|window| window.is_over(now)) => Ok(()),
            None => Err(Duration::from_mins(1)),
        }
    }

    /// Counts a wrong key. Whether the audit log shall hear of it.
    pub fn failed(&mut self, network: Option<Network>, now: u64) -> bool {
        if self.failures.len() >= MAX_NETWORKS {
            self.failures.retain(|_, window| !window.is_over(now));
        }
        if self.failures.len() < MAX_NETWORKS || self.failures.contains_key(&network) {
            self.failures.entry(network).or_default().add(now);
        }
        let heard = self.written.left(MAX_WRITTEN, now).is_ok();
        if heard {
            self.written.add(now);
        }
        heard
    }

    /// Counts a use, if there may be one more in this minute.
    pub fn used(&mut self, allowed: Allowed, now: u64) -> Result<(), Duration> {
        self.uses.left(allowed.uses, now)?;
        self.uses.add(now);
        Ok(())
    }
}

impl Window {
    const fn is_over(&self, now: u64) -> bool {
        now.saturating_sub(self.begin) >= MINUTE
    }

    fn left(&self, most: u32, now: u64) -> Result<(), Duration> {
        if self.count < most || self.is_over(now) {
            return Ok(());
        }
        Err(Duration::from_micros(self.begin.saturating_add(MINUTE).saturating_sub(now)))
    }

    fn add(&mut self, now: u64) {
        if self.count == 0 || self.is_over(now) {
            *self = Self { begin: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const ALLOWED: Allowed = Allowed { uses: 3, failures: 2 };

    fn network(number: u32) -> Network {
        Network::of(IpAddr::V4(Ipv4Addr::from(number)))
    }

    // R44
    #[test]
    fn a_reason_says_something() {
        for good in ["the owner is locked out", "  INC-4711: leaked key  ", "x".repeat(200).as_str()] {
            assert_eq!(good.parse::<Stated>().unwrap().as_str(), good.trim());
        }
        let long = "x".repeat(201);
        for bad in [
            "",
            "too short",
            "          ",
            "-----------",
            "a\tlong enough",
            "line\r\nof another",
            &long,
            "größer als",
        ] {
            assert_eq!(bad.parse::<Stated>(), Err(BadReason), "{bad:?}");
        }
    }

    // R44, A60
    #[test]
    fn uses_are_counted_by_the_minute() {
        let mut tries = Tries::default();
        for at in 0..3 {
            assert_eq!(tries.used(ALLOWED, 1_000 + at), Ok(()));
        }
        assert_eq!(tries.used(ALLOWED, 30_001_000), Err(Duration::from_secs(30)));
        assert_eq!(tries.used(ALLOWED, 60_001_000), Ok(()));
    }

    // A60
    #[test]
    fn wrong_keys_shut_out_the_network_that_they_come_from_and_no_other() {
        let mut tries = Tries::default();
        tries.failed(Some(network(1)), 0);
        assert_eq!(tries.listens_to(Some(network(1)), ALLOWED, 1), Ok(()));
        tries.failed(Some(network(1)), 1);
        assert!(tries.listens_to(Some(network(1)), ALLOWED, 2).is_err());
        assert_eq!(tries.listens_to(Some(network(2)), ALLOWED, 2), Ok(()));
        assert_eq!(tries.listens_to(Some(network(1)), ALLOWED, MINUTE), Ok(()));
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_is_forgotten() {
        let mut tries = Tries::default();
        let heard = (0..5_000).filter(|number| tries.failed(Some(network(*number)), 0)).count();
        assert_eq!((heard, tries.failures.len()), (10, MAX_NETWORKS));
        assert!(tries.listens_to(Some(network(9_999)), ALLOWED, 1).is_err());
        assert_eq!(tries.listens_to(Some(network(0)), ALLOWED, 1), Ok(()));
        assert_eq!(tries.listens_to(Some(network(9_999)), ALLOWED, MINUTE), Ok(()));
        tries.failed(Some(network(9_999)), MINUTE);
        assert_eq!(tries.failures.len(), 1);
    }

    // R44
    #[test]
    fn nothing_that_outlasts_a_grant_can_be_done_by_it() {
        let lasting = [
            Action::KeyCreated,
            Action::KeyImported,
            Action::KeyRotated,
            Action::KeyUpdated,
            Action::InvitationCreated,
            Action::MemberRoleChanged,
            Action::RoleCreated,
            Action::RoleUpdated,
            Action::OwnershipTransferred,
            Action::ProviderKeySet,
            Action::AuditErased,
        ];
        for action in lasting {
            assert!(!may_do(action), "{action:?}");
        }
        assert!(may_do(Action::KeyRevoked) && may_do(Action::AllowlistSet));
        let default: Permissions = DEFAULT_PERMISSIONS.into_iter().collect();
        assert!(default.within(BOUND) && !BOUND.has(Permission::PLATFORM_TENANTS));
        assert!(!BOUND.has(Permission::PROVIDER_KEYS_FETCH));
    }
}
