//! Which mutations take rights away, and so return only when they hold
//! everywhere.
//!
//! One place decides: the match in [`Action::effect`] is without a default, so
//! that a new mutation does not compile before it has said what it does.

use super::audit::Action;
use super::keys::KeyState;
use super::tenants::TenantState;

/// What a mutation does to what credentials may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only adds: it returns at once, with the revision that it can be waited for by.
    Adds,
    /// It takes away: it returns when it holds everywhere.
    Takes,
    /// Before and after have to be compared.
    Either,
}

impl Action {
    /// What the mutation does to what credentials may do.
    pub const fn effect(self) -> Effect {
        match self {
            Self::KeyCreated | Self::KeyImported | Self::TenantCreated | Self::TenantResumed => Effect::Adds,
            // A rotation ends the old secret, at once or when its overlap does.
            Self::KeyRotated
            | Self::KeyRevoked
            | Self::TenantSuspended
            | Self::TenantDeleted
            | Self::MemberRemoved
            | Self::SessionRevoked
            | Self::PasswordChanged
            | Self::SigningKeyWithdrawn => Effect::Takes,
            Self::KeyUpdated | Self::TenantUpdated | Self::AllowlistSet | Self::MemberRoleChanged => {
                Effect::Either
            }
        }
    }
}

impl KeyState {
    /// Whether anything that was accepted `before` no longer is.
    pub fn takes_from(&self, before: &Self) -> bool {
        let earlier = match (before.expire, self.expire) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => after < before,
        };
        earlier
            || (self.revoked && !before.revoked)
            || self.digest != before.digest
            || before.scopes.beyond(self.scopes).is_some()
            || !self.networks.cover(&before.networks)
            || lowers(before.per_minute, self.per_minute)
    }
}

impl TenantState {
    /// Whether anything that was accepted `before` no longer is.
    pub fn takes_from(&self, before: &Self) -> bool {
        (self.suspended && !before.suspended)
            || !self.networks.cover(&before.networks)
            || lowers(before.per_minute, self.per_minute)
    }
}

/// Whether a limit is lower than before. 0 is a default that is set elsewhere,
/// so going to it or from it may lower.
fn lowers(before: u32, after: u32) -> bool {
    after != before && !(before > 0 && after > before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::Networks;
    use crate::domain::keys::samples::user_key;
    use crate::domain::{Digest, Permissions, TenantId, Timestamp, UserId};

    fn key() -> KeyState {
        user_key(1, TenantId::from_bytes([1; 16]), UserId::from_bytes([2; 16]))
    }

    // R15
    #[test]
    fn the_table_of_all_mutations() {
        let effects = |wanted: Effect| -> Vec<&str> {
            Action::ALL.into_iter().filter(|action| action.effect() == wanted).map(Action::name).collect()
        };
        assert_eq!(
            effects(Effect::Adds),
            ["key.created", "key.imported", "tenant.created", "tenant.resumed"]
        );
        let takes = [
            "key.rotated",
            "key.revoked",
            "tenant.suspended",
            "tenant.deleted",
            "member.removed",
            "session.revoked",
            "password.changed",
            "signing_key.withdrawn",
        ];
        assert_eq!(effects(Effect::Takes), takes);
        let either = ["key.updated", "tenant.updated", "tenant.allowlist_set", "member.role_changed"];
        assert_eq!(effects(Effect::Either), either);
    }

    #[test]
    fn narrowing_takes_and_widening_does_not() {
        let networks = |texts: &[&str]| Networks::parse(texts.iter().copied()).unwrap();
        let at = |micros| Some(Timestamp::from_micros(micros));
        let narrow = KeyState {
            scopes: Permissions::NONE,
            networks: networks(&["10.0.0.0/8"]),
            per_minute: 10,
            expire: at(5),
            ..key()
        };
        let steps: [fn(&mut KeyState, &KeyState); 4] = [
            |key, from| key.scopes = from.scopes,
            |key, from| key.networks = from.networks.clone(),
            |key, from| key.per_minute = from.per_minute,
            |key, from| key.expire = from.expire,
        ];
        for (number, step) in steps.into_iter().enumerate() {
            let mut narrowed = key();
            step(&mut narrowed, &narrow);
            assert!(narrowed.takes_from(&key()), "{number}");
            let mut widened = narrow.clone();
            step(&mut widened, &key());
            // From a limit to the default, which may be lower.
            assert_eq!(widened.takes_from(&narrow), number == 2, "{number}");
        }
        assert!(!key().takes_from(&key()));
        assert!(KeyState { revoked: true, ..key() }.takes_from(&key()));
        assert!(KeyState { digest: Digest::from_bytes(&[9; 32]), ..key() }.takes_from(&key()));
        let later = KeyState { expire: at(6), ..narrow.clone() };
        assert!(!later.takes_from(&narrow) && narrow.takes_from(&later));
        let wider = KeyState { networks: networks(&["10.0.0.0/7", "192.0.2.1"]), ..narrow.clone() };
        assert!(!wider.takes_from(&narrow) && narrow.takes_from(&wider));
    }
}
