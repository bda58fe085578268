//! What the writer knows of tenants and people, and which principals are theirs.

use super::View;
use super::index::Index;
use super::principals::{self, Holder};
use crate::domain::keys::KeyKind;
use crate::domain::members::MemberState;
use crate::domain::principal::{Home, Title};
use crate::domain::roles::{Assigned, RoleState};
use crate::domain::tenants::TenantState;
use crate::domain::users::{Email, UserState};
use crate::domain::{RoleId, TenantId, UserId};
use std::collections::HashMap;
use std::sync::Arc;

/// Tenants, people, and the numbers of their principals.
pub struct People {
    view: Arc<View>,
    tenants: HashMap<TenantId, Town>,
    /// People by their order, found by `by_user`.
    persons: Vec<Person>,
    by_user: Index,
    /// Words used of `by_user` and of the view's index of members.
    used: (usize, usize),
    machines: HashMap<(TenantId, KeyKind), u32>,
    /// For each principal the next one of the same person.
    next: Vec<u32>,
}

struct Town {
    home: Arc<Home>,
    principals: Vec<u32>,
}

impl Town {
    fn new(home: Arc<Home>) -> Self {
        Self { home, principals: Vec::new() }
    }

    /// The place of a role that is there.
    fn place(&self, role: RoleId) -> Option<usize> {
        self.home.roles.iter().position(|known| known.id == role && !known.deleted)
    }

    /// The roles with this one among them, and its place.
    fn roles_with(&self, role: RoleState) -> (Vec<RoleState>, usize) {
        let mut roles = self.home.roles.to_vec();
        let place = self.place(role.id).or_else(|| roles.iter().position(|known| known.deleted));
        let at = place.unwrap_or(roles.len());
        match roles.get_mut(at) {
            Some(known) => *known = role,
            None => roles.push(role),
        }
        (roles, at)
    }
}

/// A person; kept small, for there are many.
struct Person {
    id: UserId,
    /// The address, once the person is known.
    email: Option<Email>,
    operator: bool,
    disabled: bool,
    /// The first of the person's principals; the others follow by `People::next`.
    first: u32,
}

/// The end of a chain of principals.
const NONE: u32 = u32::MAX;

impl Person {
    fn state(&self) -> Option<UserState> {
        let (id, email) = (self.id, self.email.clone()?);
        Some(UserState { id, email, operator: self.operator, disabled: self.disabled })
    }
}

impl People {
    pub fn with_room_for(people: usize, view: Arc<View>) -> Self {
        Self {
            view,
            tenants: HashMap::new(),
            persons: Vec::with_capacity(people),
            by_user: Index::with_room_for(people),
            used: (0, 0),
            machines: HashMap::new(),
            next: Vec::with_capacity(people),
        }
    }

    pub fn apply_tenant(&mut self, tenant: TenantState) {
        let id = tenant.id;
        self.view.slugs.pin().insert(tenant.slug.as_str().to_owned(), id);
        let home = Home::new(id, Some(tenant));
        let town = self.tenants.entry(id).or_insert_with(|| Town::new(Arc::new(Home::new(id, None))));
        let home = Arc::new(home.with_roles(&town.home.roles));
        self.view.tenants.pin().insert(id, Arc::clone(&home));
        town.home = home;
        for at in town.principals.clone() {
            self.refresh(at);
        }
    }

    /// A tenant's role is now like this, for everybody who has it.
    pub fn apply_role(&mut self, role: RoleState) {
        let id = role.tenant;
        let town = self.tenants.entry(id).or_insert_with(|| Town::new(Arc::new(Home::new(id, None))));
        if role.deleted && town.place(role.id).is_none() {
            return;
        }
        let (roles, place) = town.roles_with(role);
        let Ok(place) = u8::try_from(place) else { return };
        let home = Arc::new(Home::new(id, town.home.state.clone()).with_roles(&roles));
        if home.state.is_some() {
            self.view.tenants.pin().insert(id, Arc::clone(&home));
        }
        town.home = home;
        let have = |at: &u32| self.view.principals.get(*at).and_then(principals::Slot::current);
        let have = |at: &u32| have(at).is_some_and(|it| it.title == Title::Custom(place));
        let holders: Vec<u32> = town.principals.iter().copied().filter(have).collect();
        for at in holders {
            self.refresh(at);
        }
    }

    /// Every role that some tenant made for itself.
    pub fn roles(&self) -> Vec<RoleState> {
        let all = self.tenants.values().flat_map(|town| town.home.roles.iter());
        all.filter(|role| !role.deleted).cloned().collect()
    }

    pub fn apply_user(&mut self, user: UserState) {
        let at = self.person(user.id);
        let Some(person) = self.persons.get_mut(at) else { return };
        (person.email, person.operator, person.disabled) = (Some(user.email), user.operator, user.disabled);
        let mut at = person.first;
        while at != NONE {
            self.refresh(at);
            at = self.next.get(at as usize).copied().unwrap_or(NONE);
        }
    }

    pub fn apply_member(&mut self, member: &MemberState) {
        let holder = Holder { tenant: member.tenant, kind: KeyKind::User, user: Some(member.user) };
        let at = self.principal(holder);
        self.remake(at, member.role);
    }

    /// Everybody who is a member of something.
    pub fn members(&self) -> Vec<(TenantId, UserId)> {
        let numbers = (0..).take(self.next.len());
        let principals = numbers.filter_map(|at| self.view.principals.get(at)?.current());
        let members = principals.filter(|it| it.title.is_member());
        members.filter_map(|it| Some((it.tenant(), it.user?))).collect()
    }

    /// The number of a holder's principal, which is made if there is none.
    pub fn principal(&mut self, holder: Holder) -> u32 {
        let known = match holder.user {
            Some(user) => self.view.member_at(holder.tenant, user),
            None => self.machines.get(&(holder.tenant, holder.kind)).copied(),
        };
        known.unwrap_or_else(|| self.make(holder))
    }

    fn make(&mut self, holder: Holder) -> u32 {
        let at = u32::try_from(self.next.len()).unwrap_or(NONE);
        let home = || Arc::new(Home::new(holder.tenant, None));
        let town = self.tenants.entry(holder.tenant).or_insert_with(|| Town::new(home()));
        town.principals.push(at);
        let home = Arc::clone(&town.home);
        let person = holder.user.map(|user| self.person(user));
        let person = person.and_then(|person| self.persons.get_mut(person));
        let (state, next) =
            person.map_or((None, NONE), |person| (person.state(), std::mem::replace(&mut person.first, at)));
        self.next.push(next);
        let made = principals::make(holder, home, state, None);
        if let Some(slot) = self.view.principals.get_or_grow(at) {
            slot.set(made);
        }
        match holder.user {
            Some(user) => self.add_member(holder.tenant, user, at),
            None => drop(self.machines.insert((holder.tenant, holder.kind), at)),
        }
        at
    }

    /// Makes a principal anew from what is known now.
    fn refresh(&self, at: u32) {
        let before = self.view.principals.get(at).and_then(principals::Slot::current);
        self.remake(at, before.and_then(|it| it.role()));
    }

    /// Makes a principal anew, with this role.
    fn remake(&self, at: u32, role: Option<Assigned>) {
        let Some(slot) = self.view.principals.get(at) else { return };
        let Some(before) = slot.current() else { return };
        let holder = Holder { tenant: before.tenant(), kind: before.kind, user: before.user };
        let Some(town) = self.tenants.get(&holder.tenant) else { return };
        let user = holder.user.and_then(|user| self.persons.get(self.find(user)?)?.state());
        slot.set(principals::make(holder, Arc::clone(&town.home), user, role));
    }

    fn find(&self, user: UserId) -> Option<usize> {
        let is_it = |at: &usize| self.persons.get(*at).is_some_and(|person| person.id == user);
        self.by_user.candidates(super::index::hash(user.halves())).map(|at| at as usize).find(is_it)
    }

    /// The place of a person, who is noted if they were not known.
    fn person(&mut self, user: UserId) -> usize {
        if let Some(at) = self.find(user) {
            return at;
        }
        let at = self.persons.len();
        self.persons.push(Person { id: user, email: None, operator: false, disabled: false, first: NONE });
        if self.used.0 + 1 >= self.by_user.room() {
            self.by_user = Index::with_room_for(self.persons.len() * 3 / 2);
            self.used.0 = 0;
            for (number, person) in (0..).zip(&self.persons) {
                self.used.0 += usize::from(self.by_user.add(super::index::hash(person.id.halves()), number));
            }
        } else {
            let number = u32::try_from(at).unwrap_or(u32::MAX);
            self.used.0 += usize::from(self.by_user.add(super::index::hash(user.halves()), number));
        }
        at
    }

    fn add_member(&mut self, tenant: TenantId, user: UserId, at: u32) {
        let members = self.view.members.load_full();
        if self.used.1 + 1 < members.room() {
            self.used.1 += usize::from(members.add(super::index::hash_of_pair(tenant, user), at));
            return;
        }
        let fresh = Index::with_room_for(self.next.len() * 3 / 2);
        self.used.1 = 0;
        for number in (0..).take(self.next.len()) {
            let principal = self.view.principals.get(number).and_then(principals::Slot::current);
            if let Some((tenant, user)) = principal.and_then(|it| Some((it.tenant(), it.user?))) {
                self.used.1 += usize::from(fresh.add(super::index::hash_of_pair(tenant, user), number));
            }
        }
        self.view.members.store(Arc::new(fresh));
    }
}
