//! Who a credential stands for, as far as that does not depend on the credential.

use super::address::Networks;
use super::entitlements::Entitlements;
use super::keys::KeyKind;
use super::members::Role;
use super::roles::{Assigned, RoleState};
use super::tenants::{Slug, TenantState};
use super::users::Email;
use super::{Permissions, TenantId, UserId};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// Whether credentials of a principal are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    Good,
    /// Not while the tenant is suspended.
    TenantSuspended,
    /// No longer: the person or the membership is gone.
    Gone,
}

/// As what a principal acts in its tenant. Two bytes, for there are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Title {
    /// A member, by their role.
    Member(Role),
    /// A member by a role of the tenant's own: its place in [`Home::roles`].
    Custom(u8),
    /// A person who is no member.
    Stranger,
    /// An operator in a tenant that is not theirs.
    Operator,
    /// A machine, by the kind of its keys.
    Machine(KeyKind),
}

impl Title {
    /// Whether it is a member's.
    pub const fn is_member(self) -> bool {
        match self {
            Self::Member(_) | Self::Custom(_) => true,
            Self::Stranger | Self::Operator | Self::Machine(_) => false,
        }
    }
}

/// What all principals of a tenant share.
#[derive(Debug)]
pub struct Home {
    /// The tenant.
    pub id: TenantId,
    /// The tenant's id as text, for headers.
    pub text: Bytes,
    /// What is known of the tenant; nothing until its change has come.
    pub state: Option<TenantState>,
    /// The roles that the tenant made for itself. A place is another role's
    /// only after nobody had the one before any more.
    pub roles: Box<[RoleState]>,
}

impl Home {
    /// What principals of this tenant share.
    pub fn new(id: TenantId, state: Option<TenantState>) -> Self {
        Self { id, text: Bytes::copy_from_slice(&id.to_text()), state, roles: Box::default() }
    }

    /// The same tenant with these roles of its own.
    #[must_use]
    pub fn with_roles(self, roles: &[RoleState]) -> Self {
        Self { roles: roles.into(), ..self }
    }
}

/// A person in a tenant, or a tenant's machine.
#[derive(Debug)]
pub struct Principal {
    /// The tenant.
    pub home: Arc<Home>,
    /// What kind of caller.
    pub kind: KeyKind,
    /// Whether credentials are accepted.
    pub standing: Standing,
    /// The person.
    pub user: Option<UserId>,
    /// The person's address.
    pub email: Option<Email>,
    /// As what it acts.
    pub title: Title,
    /// What that allows.
    pub permissions: Permissions,
    /// This principal as a transport writes it, once it has been written.
    pub written: OnceLock<Box<[u8]>>,
}

impl Principal {
    /// The tenant's id.
    pub fn tenant(&self) -> TenantId {
        self.home.id
    }

    /// The name of what it acts as, as answers tell it.
    pub fn role_name(&self) -> &str {
        match self.title {
            Title::Member(role) => role.name(),
            Title::Custom(at) => self.custom(at).map_or("", |role| role.name.as_str()),
            Title::Stranger => "",
            Title::Operator => "operator",
            Title::Machine(kind) => kind.name(),
        }
    }

    /// The role, of a member.
    pub fn role(&self) -> Option<Assigned> {
        match self.title {
            Title::Member(role) => Some(Assigned::BuiltIn(role)),
            Title::Custom(at) => self.custom(at).map(|role| Assigned::Custom(role.id)),
            Title::Stranger | Title::Operator | Title::Machine(_) => None,
        }
    }

    fn custom(&self, at: u8) -> Option<&RoleState> {
        self.home.roles.get(usize::from(at))
    }

    /// The tenant's short name, once known.
    pub fn slug(&self) -> Option<&Slug> {
        self.home.state.as_ref().map(|tenant| &tenant.slug)
    }

    /// Where the tenant's credentials may be used from; `None` is everywhere.
    pub fn networks(&self) -> Option<&Networks> {
        self.home.state.as_ref().map(|tenant| &tenant.networks)
    }

    /// Whether the tenant's people must give a second factor.
    pub fn demands_mfa(&self) -> bool {
        self.home.state.as_ref().is_some_and(|tenant| tenant.mfa_required)
    }

    /// Whether the tenant has licensed the feature.
    pub fn has_feature(&self, name: &str) -> bool {
        self.home.state.as_ref().is_some_and(|tenant| tenant.features.has(name))
    }

    /// What the tenant is entitled to.
    pub fn entitlements(&self) -> Entitlements {
        self.home.state.as_ref().map_or(Entitlements::NONE, |tenant| tenant.entitlements)
    }

    /// The tenant's default for requests a minute; 0 is the server's default.
    pub fn per_minute(&self) -> u32 {
        self.home.state.as_ref().map_or(0, |tenant| tenant.per_minute)
    }
}
