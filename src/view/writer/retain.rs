//! Loading anew: what the database no longer has goes from the view too.

use super::Writer;
use crate::domain::changes::Change;
use crate::domain::members::MemberState;
use crate::domain::roles::RoleState;
use crate::domain::{CredentialId, RoleId, TenantId, UserId};
use crate::view::cuts;
use crate::view::entry::Entry;
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// What a snapshot had.
#[derive(Debug, Default)]
pub struct Kept {
    credentials: HashSet<CredentialId>,
    roles: HashSet<RoleId>,
    members: HashSet<(TenantId, UserId)>,
}

impl Kept {
    /// Notes that the snapshot has this.
    pub fn note(&mut self, change: &Change) {
        match change {
            Change::Key(key) => drop(self.credentials.insert(CredentialId::Key(key.id))),
            Change::Session(session) => drop(self.credentials.insert(CredentialId::Session(session.id))),
            Change::Role(role) => drop(self.roles.insert(role.id)),
            Change::Member(member) => drop(self.members.insert((member.tenant, member.user))),
            Change::Grant(grant) => drop(self.credentials.insert(CredentialId::Grant(grant.id))),
            // Tenants, people and signing keys are only ever changed.
            Change::Tenant(_) | Change::User(_) | Change::SigningKey(_) => {}
        }
    }
}

impl Writer {
    /// Takes out every key, session and membership that is not among these, then cuts
    /// what they had opened. Gives how many were cut.
    pub fn retain(&mut self, kept: &Kept) -> u32 {
        for at in 0..self.next {
            let found = self.view.entries.get(at).and_then(Entry::live);
            let Some((_, id)) = found.filter(|(_, id)| !kept.credentials.contains(id)) else { continue };
            if self.record_of(id) == Some(at) {
                self.remove(at, id);
                self.view.keys.fetch_sub(1, Ordering::Relaxed);
            }
        }
        for (tenant, user) in self.people.members() {
            if !kept.members.contains(&(tenant, user)) {
                self.people.apply_member(&MemberState { tenant, user, role: None });
            }
        }
        for role in self.people.roles() {
            if !kept.roles.contains(&role.id) {
                self.people.apply_role(RoleState { deleted: true, ..role });
            }
        }
        cuts::judge_all(&self.view)
    }
}
