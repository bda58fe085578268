//! The callers of the matrix, and what each may, written down by hand.
use super::call::Door;
use crate::harness::client::Metadata;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a caller's credential is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Nobody,
    /// It is refused for this reason.
    Bad(&'static str),
    /// It is good.
    Good,
}

/// Somebody who calls.
pub struct Caller {
    pub name: &'static str,
    pub metadata: Metadata,
    pub standing: Standing,
    /// The secret or token.
    pub credential: String,
    /// What it may, by name.
    pub permissions: &'static [&'static str],
    /// The person, of a user's key or a session.
    pub user: Option<String>,
    pub is_session: bool,
    /// A key that is theirs; a machine's is itself.
    pub own_key: String,
    pub email: String,
}

/// What the owner of a tenant may.
pub const OWNER: &[&str] = &[
    "admin.settings",
    "admin.users",
    "audit.manage",
    "audit.read",
    "credentials.verify",
    "ingest.write",
    "keys.manage",
    "keys.read",
    "keys.write",
    "members.read",
    "provider_keys.fetch",
    "provider_keys.manage",
    "roles.manage",
    "tenant.delete",
    "tenant.read",
    "tenant.update",
    "usage.read",
];
/// The same but for the end of the tenant.
pub const ADMIN: &[&str] = &[
    "admin.settings",
    "admin.users",
    "audit.manage",
    "audit.read",
    "credentials.verify",
    "ingest.write",
    "keys.manage",
    "keys.read",
    "keys.write",
    "members.read",
    "provider_keys.fetch",
    "provider_keys.manage",
    "roles.manage",
    "tenant.read",
    "tenant.update",
    "usage.read",
];
pub const MEMBER: &[&str] = &["ingest.write", "keys.read", "keys.write", "members.read", "tenant.read"];
pub const VIEWER: &[&str] = &["keys.read", "members.read", "tenant.read"];
/// A member who runs the platform.
pub const OPERATOR: &[&str] = &[
    "ingest.write",
    "keys.read",
    "keys.write",
    "members.read",
    "platform.tenants",
    "platform.verify",
    "tenant.read",
];
/// Machines, by the kind of their key.
pub const SERVICE: &[&str] = &["credentials.verify"];
pub const TENANT: &[&str] =
    &["credentials.verify", "ingest.write", "keys.read", "members.read", "tenant.read"];
pub const INGEST: &[&str] = &["ingest.write"];

impl Caller {
    /// Somebody with a credential that is not good, or with none.
    pub fn without(name: &'static str, standing: Standing, credential: &str) -> Self {
        let metadata =
            if standing == Standing::Nobody { Metadata::none() } else { Metadata::bearer(credential) };
        Self {
            name,
            metadata,
            standing,
            credential: credential.to_owned(),
            permissions: &[],
            user: None,
            is_session: false,
            own_key: String::new(),
            email: String::new(),
        }
    }

    /// Somebody with a good one.
    pub fn with(name: &'static str, credential: &str, permissions: &'static [&'static str]) -> Self {
        Self { permissions, ..Self::without(name, Standing::Good, credential) }
    }

    pub fn may(&self, permission: &str) -> bool {
        self.permissions.contains(&permission)
    }

    pub fn lacks<T>(&self, permission: &str, refusal: T) -> Option<T> {
        (!self.may(permission)).then_some(refusal)
    }

    pub fn is_person(&self) -> bool {
        self.user.is_some()
    }

    pub fn is_ingest(&self) -> bool {
        self.permissions == INGEST
    }

    /// Asserts that the server gives them the permissions that the table does, no more and no fewer.
    pub async fn is_as_told(&self, door: &Door) {
        if self.standing != Standing::Good || self.is_ingest() {
            return;
        }
        let told = door.call("/doorward.v1.AuthnService/WhoAmI", &json!({}), &self.metadata).await.json();
        let principal = &told["principal"];
        let names = |list: &Value| -> BTreeSet<String> {
            list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let table: BTreeSet<String> = self.permissions.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(&principal["permissions"]), table, "{}", self.name);
        assert_eq!(principal["user_id"].as_str().unwrap_or(""), self.user.clone().unwrap_or_default());
    }
}
