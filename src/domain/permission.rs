//! The catalogue of permissions, and sets of them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;
use std::str::FromStr;

/// One thing that can be allowed, named `resource.verb`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission(u8);

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $at:literal, $text:literal, $about:literal;)*) => {
        impl Permission {
            $($(#[$doc])* pub const $name: Self = Self($at);)*

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self($at)),)*
                    _ => None,
                }
            }
        }

        /// Name and meaning of each permission, by its number.
        const CATALOGUE: &[(&str, &str)] = &[$(($text, $about)),*];

        #[cfg(test)]
        const NUMBERS: &[u8] = &[$($at),*];
    };
}

catalogue! {
    /// See keys.
    KEYS_READ = 0, "keys.read", "See one's own keys.";
    /// Make and end keys of one's own.
    KEYS_WRITE = 1, "keys.write", "Make, change, rotate and revoke one's own keys.";
    /// Manage every key of the tenant.
    KEYS_MANAGE = 2, "keys.manage", "See and manage every key of the tenant, make tenant, service and ingest keys, import keys.";
    /// Ask about credentials.
    CREDENTIALS_VERIFY = 3, "credentials.verify", "Check credentials of the own tenant that others presented.";
    /// Send telemetry.
    INGEST_WRITE = 4, "ingest.write", "Send telemetry over OTLP.";
    /// See the tenant.
    TENANT_READ = 5, "tenant.read", "See the tenant and its settings.";
    /// Change the tenant.
    TENANT_UPDATE = 6, "tenant.update", "Change the tenant's name, limits and allowlist.";
    /// See members and roles.
    MEMBERS_READ = 7, "members.read", "See the tenant's members and roles.";
    /// Administer people.
    ADMIN_USERS = 8, "admin.users", "Administer the tenant's people.";
    /// Administer settings.
    ADMIN_SETTINGS = 9, "admin.settings", "Administer the tenant's settings.";
    /// Administer the platform's tenants.
    PLATFORM_TENANTS = 10, "platform.tenants", "Make, see, suspend and resume every tenant of this Doorward.";
    /// Ask about credentials of every tenant.
    PLATFORM_VERIFY = 11, "platform.verify", "Check credentials of every tenant.";
    /// See the audit log.
    AUDIT_READ = 12, "audit.read", "See and export the tenant's audit log.";
    /// Decide about the audit log.
    AUDIT_MANAGE = 13, "audit.manage", "Erase a person's data from the tenant's audit log and hold it against retention.";
    /// Manage custom roles.
    ROLES_MANAGE = 14, "roles.manage", "Make, change and delete the tenant's own roles.";
    /// Manage provider keys.
    PROVIDER_KEYS_MANAGE = 15, "provider_keys.manage", "Set, list and delete the tenant's keys of other providers; never read them.";
    /// Read provider keys.
    PROVIDER_KEYS_FETCH = 16, "provider_keys.fetch", "Read the tenant's keys of other providers; of use to service credentials alone.";
    /// Delete the tenant.
    TENANT_DELETE = 17, "tenant.delete", "Delete the tenant.";
    /// See how keys are used.
    USAGE_READ = 18, "usage.read", "See how the tenant's keys are used.";
}

impl Permission {
    /// Every permission, in the catalogue's order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(CATALOGUE.len()).map(Self)
    }

    /// Its name, such as `keys.read`.
    pub fn name(self) -> &'static str {
        CATALOGUE.get(usize::from(self.0)).map_or("", |(name, _)| name)
    }

    /// What it allows.
    pub fn about(self) -> &'static str {
        CATALOGUE.get(usize::from(self.0)).map_or("", |(_, about)| about)
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no permission has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such permission; ListPermissions has them all")]
pub struct UnknownPermission;

impl FromStr for Permission {
    type Err = UnknownPermission;
    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        Self::named(name).ok_or(UnknownPermission)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Every permission that there is or will be: what does not narrow.
    pub const ALL: Self = Self(u64::MAX);

    /// The set of these.
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut rest = permissions;
        while let Some((first, others)) = rest.split_first() {
            bits |= 1 << first.0;
            rest = others;
        }
        Self(bits)
    }

    /// Whether the permission is in the set.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission.0) != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in this set that is not in `other`.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The first in this set that `other` lacks.
    pub fn beyond(self, other: Self) -> Option<Permission> {
        self.iter().find(|permission| !other.has(*permission))
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions in the set, in the catalogue's order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::all().filter(move |permission| self.has(*permission))
    }

    /// The set as bits, for tables in memory; never stored.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as stored and logged: names, separated by spaces.
    pub fn to_names(self) -> String {
        self.iter().map(Permission::name).collect::<Vec<_>>().join(" ")
    }

    /// Reads names separated by spaces.
    ///
    /// # Errors
    /// A name that this version does not know: it must not be dropped, for the
    /// set would then mean something else.
    pub fn from_names(names: &str) -> Result<Self, UnknownPermission> {
        names.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, |set, permission| Self(set.0 | (1 << permission.0)))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::ALL {
            serializer.serialize_str("*")
        } else {
            serializer.collect_str(&self.to_names())
        }
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if names == "*" { Ok(Self::ALL) } else { Self::from_names(&names).map_err(D::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_catalogue() {
        assert!(NUMBERS.iter().copied().eq((0..).take(CATALOGUE.len())));
        assert!(CATALOGUE.len() <= 64);
    }

    #[test]
    fn names_go_round() {
        for permission in Permission::all() {
            assert_eq!(permission.name().parse(), Ok(permission));
            assert!(permission.name().contains('.') && permission.about().ends_with('.'));
        }
        assert_eq!("keys.everything".parse::<Permission>(), Err(UnknownPermission));
        assert!(Permissions::from_names("keys.read keys.nonsense").is_err());
    }

    #[test]
    fn the_documentation_has_the_whole_catalogue() {
        let page = include_str!("../../docs/tenancy.md");
        let table = page.lines().skip_while(|line| !line.starts_with("| permission | allows |")).skip(2);
        let told: Vec<(&str, &str)> = table
            .take_while(|line| line.starts_with('|'))
            .map(|line| {
                let mut cells = line.trim_matches('|').split('|').map(str::trim);
                (cells.next().unwrap().trim_matches('`'), cells.next().unwrap())
            })
            .collect();
        assert_eq!(told, CATALOGUE);
    }

    #[test]
    fn sets_behave_as_sets() {
        let some = Permissions::of(&[Permission::KEYS_READ, Permission::INGEST_WRITE]);
        assert!(some.within(Permissions::ALL) && !Permissions::ALL.within(some));
        assert_eq!(some.beyond(Permissions::of(&[Permission::KEYS_READ])), Some(Permission::INGEST_WRITE));
        assert_eq!(Permissions::from_names(&some.to_names()), Ok(some));
    }
}
