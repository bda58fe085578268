//! What of the change log a watcher may see.

use crate::domain::changes::Change;
use crate::domain::{TenantId, UserId};
use std::collections::HashSet;

/// What a watcher may see: everything, or what concerns one tenant. The same
/// rules hold for snapshots and for changes.
#[derive(Debug)]
pub struct Lens(Option<Only>);

#[derive(Debug)]
struct Only {
    tenant: TenantId,
    people: HashSet<UserId>,
}

/// What of one change is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing; it is somebody else's.
    Nothing,
    /// The change.
    Change,
    /// The change, but first who this person is: they may have joined with it.
    Newcomer(UserId),
}

impl Lens {
    /// A lens that shows everything, or one tenant alone.
    pub fn new(only: Option<TenantId>) -> Self {
        Self(only.map(|tenant| Only { tenant, people: HashSet::new() }))
    }

    /// The one tenant that it shows.
    pub fn only(&self) -> Option<TenantId> {
        self.0.as_ref().map(|only| only.tenant)
    }

    /// These people are members of the tenant.
    pub fn know(&mut self, people: impl IntoIterator<Item = UserId>) {
        if let Some(only) = &mut self.0 {
            only.people.extend(people);
        }
    }

    /// A part of a snapshot of the tenant, or of everything: it is shown as it is.
    pub fn learn(&mut self, states: &[Change]) {
        for change in states {
            self.sight(change);
        }
    }

    /// What of a change is shown. Changes have to be looked at in order.
    pub fn sight(&mut self, change: &Change) -> Sight {
        if !change.is_watched() {
            return Sight::Nothing;
        }
        let Some(only) = &mut self.0 else { return Sight::Change };
        let shown = match change {
            Change::Session(_) | Change::SigningKey(_) | Change::Grant(_) => false,
            Change::Tenant(tenant) => tenant.id == only.tenant,
            Change::Role(role) => role.tenant == only.tenant,
            Change::Key(key) => key.tenant == only.tenant,
            Change::User(user) => only.people.contains(&user.id),
            Change::Member(member) if member.tenant != only.tenant => false,
            Change::Member(member) if member.role.is_none() => {
                only.people.remove(&member.user);
                true
            }
            Change::Member(member) => {
                only.people.insert(member.user);
                return Sight::Newcomer(member.user);
            }
        };
        if shown { Sight::Change } else { Sight::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::samples::user_key;
    use crate::domain::members::{MemberState, Role};
    use crate::domain::tenants::TenantState;
    use crate::domain::users::UserState;

    const OURS: TenantId = TenantId::from_bytes([1; 16]);
    const THEIRS: TenantId = TenantId::from_bytes([2; 16]);

    fn person(seed: u8) -> UserId {
        UserId::from_bytes([seed; 16])
    }

    fn tenant(id: TenantId) -> Change {
        let slug = "acme".parse().unwrap();
        Change::Tenant(TenantState { suspended: true, ..TenantState::new(id, slug) })
    }

    fn user(seed: u8) -> Change {
        let email = "ada@example.com".parse().unwrap();
        Change::User(UserState { id: person(seed), email, operator: false, disabled: true })
    }

    fn member(tenant: TenantId, seed: u8, role: Option<Role>) -> Change {
        Change::Member(MemberState { tenant, user: person(seed), role: role.map(Role::into) })
    }

    // A66
    #[test]
    fn nothing_of_another_tenant_is_shown() {
        let mut lens = Lens::new(Some(OURS));
        lens.know([person(1)]);
        for (change, sight) in [
            (tenant(OURS), Sight::Change),
            (tenant(THEIRS), Sight::Nothing),
            (Change::Key(Box::new(user_key(1, OURS, person(1)))), Sight::Change),
            // A person of ours with a key of theirs, too.
            (Change::Key(Box::new(user_key(2, THEIRS, person(1)))), Sight::Nothing),
            (member(THEIRS, 1, Some(Role::Owner)), Sight::Nothing),
            (member(THEIRS, 1, None), Sight::Nothing),
            (user(1), Sight::Change),
            (user(2), Sight::Nothing),
        ] {
            assert_eq!(lens.sight(&change), sight, "{change:?}");
            assert_eq!(Lens::new(None).sight(&change), Sight::Change);
        }
    }

    // A66
    #[test]
    fn a_person_is_shown_for_as_long_as_they_are_a_member() {
        let mut lens = Lens::new(Some(OURS));
        assert_eq!(lens.sight(&user(7)), Sight::Nothing);
        assert_eq!(lens.sight(&member(OURS, 7, Some(Role::Viewer))), Sight::Newcomer(person(7)));
        assert_eq!(lens.sight(&user(7)), Sight::Change);
        assert_eq!(lens.sight(&member(OURS, 7, None)), Sight::Change);
        assert_eq!(lens.sight(&user(7)), Sight::Nothing);
        assert_eq!(lens.sight(&member(OURS, 7, Some(Role::Viewer))), Sight::Newcomer(person(7)));
    }

    #[test]
    fn what_a_snapshot_showed_is_known() {
        let mut lens = Lens::new(Some(OURS));
        lens.learn(&[user(7), member(OURS, 7, Some(Role::Viewer))]);
        assert_eq!(lens.sight(&user(7)), Sight::Change);
    }
}
