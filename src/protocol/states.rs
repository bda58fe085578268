//! Changes as messages, and back.

use super::Unreadable;
use super::times::{from_time, to_time};
use crate::domain::address::{BadNetworks, Networks};
use crate::domain::changes::Change;
use crate::domain::entitlements::Entitlements;
use crate::domain::keys::{Environment, KeyKind, KeyState, Previous};
use crate::domain::members::MemberState;
use crate::domain::roles::RoleState;
use crate::domain::tenants::TenantState;
use crate::domain::users::UserState;
use crate::domain::{Digest, Permissions};
use crate::pb::v1 as pb;
use pb::watched_state::State;

/// A change as a message; none of what watchers do not hear of.
pub fn from_change(change: &Change) -> Option<pb::WatchedState> {
    let state = match change {
        Change::Tenant(tenant) => State::Tenant(from_tenant(tenant)),
        Change::User(user) => State::User(from_user(user)),
        Change::Role(role) => State::Role(from_role(role)),
        Change::Member(member) => State::Member(from_member(member)),
        Change::Key(key) => State::Key(from_key(key)),
        Change::Session(_) | Change::SigningKey(_) | Change::Grant(_) => return None,
    };
    Some(pb::WatchedState { state: Some(state) })
}

/// The change that a peer told.
pub fn to_change(told: pb::WatchedState) -> Result<Change, Unreadable> {
    Ok(match told.state.ok_or(Unreadable("state"))? {
        State::Tenant(tenant) => Change::Tenant(to_tenant(&tenant)?),
        State::User(user) => Change::User(to_user(&user)?),
        State::Role(role) => Change::Role(to_role(&role)?),
        State::Member(member) => Change::Member(to_member(&member)?),
        State::Key(key) => Change::Key(Box::new(to_key(&key)?)),
    })
}

/// A kind of key as a message has it.
pub const fn from_kind(kind: KeyKind) -> pb::ApiKeyKind {
    match kind {
        KeyKind::User => pb::ApiKeyKind::User,
        KeyKind::Service => pb::ApiKeyKind::Service,
        KeyKind::Tenant => pb::ApiKeyKind::Tenant,
        KeyKind::Ingest => pb::ApiKeyKind::Ingest,
        KeyKind::Global => pb::ApiKeyKind::Global,
        // No key is of this kind, and no watcher hears of one.
        KeyKind::BreakGlass => pb::ApiKeyKind::Unspecified,
    }
}

/// The kind of key of that number.
pub fn to_kind(kind: i32) -> Result<KeyKind, Unreadable> {
    let is_it = |known: &KeyKind| i32::from(from_kind(*known)) == kind;
    KeyKind::OF_KEYS.into_iter().find(is_it).ok_or(Unreadable("kind"))
}

/// An environment as a message has it.
pub const fn from_environment(environment: Environment) -> pb::Environment {
    match environment {
        Environment::Live => pb::Environment::Live,
        Environment::Test => pb::Environment::Test,
    }
}

/// The environment of that number.
pub fn to_environment(environment: i32) -> Result<Environment, Unreadable> {
    let is_it = |known: &Environment| i32::from(from_environment(*known)) == environment;
    [Environment::Live, Environment::Test].into_iter().find(is_it).ok_or(Unreadable("environment"))
}

fn from_tenant(tenant: &TenantState) -> pb::WatchedTenant {
    pb::WatchedTenant {
        id: tenant.id.to_string(),
        slug: tenant.slug.to_string(),
        suspended: tenant.suspended,
        allowed_networks: tenant.networks.to_texts(),
        per_minute: tenant.per_minute,
        deleted: tenant.deleted,
        features: tenant.features.iter().map(ToString::to_string).collect(),
        entitlements: tenant.entitlements.names().map(str::to_owned).collect(),
    }
}

fn to_tenant(told: &pb::WatchedTenant) -> Result<TenantState, Unreadable> {
    Ok(TenantState {
        suspended: told.suspended,
        deleted: told.deleted,
        networks: networks(&told.allowed_networks)?,
        per_minute: told.per_minute,
        features: told.features.iter().flat_map(|name| name.parse()).collect(),
        entitlements: Entitlements::named(told.entitlements.iter().map(String::as_str)),
        ..TenantState::new(text("tenant.id", &told.id)?, text("tenant.slug", &told.slug)?)
    })
}

fn from_user(user: &UserState) -> pb::WatchedUser {
    pb::WatchedUser {
        id: user.id.to_string(),
        email: user.email.as_str().to_owned(),
        operator: user.operator,
        disabled: user.disabled,
    }
}

fn to_user(told: &pb::WatchedUser) -> Result<UserState, Unreadable> {
    Ok(UserState {
        id: text("user.id", &told.id)?,
        email: text("user.email", &told.email)?,
        operator: told.operator,
        disabled: told.disabled,
    })
}

fn from_role(role: &RoleState) -> pb::WatchedRole {
    pb::WatchedRole {
        id: role.id.to_string(),
        tenant_id: role.tenant.to_string(),
        name: role.name.as_str().to_owned(),
        permissions: role.permissions.iter().map(|one| one.name().to_owned()).collect(),
        deleted: role.deleted,
    }
}

fn to_role(told: &pb::WatchedRole) -> Result<RoleState, Unreadable> {
    Ok(RoleState {
        id: text("role.id", &told.id)?,
        tenant: text("role.tenant_id", &told.tenant_id)?,
        name: text("role.name", &told.name)?,
        permissions: narrowed_to(&told.permissions),
        deleted: told.deleted,
    })
}

fn from_member(member: &MemberState) -> pb::WatchedMember {
    pb::WatchedMember {
        tenant_id: member.tenant.to_string(),
        user_id: member.user.to_string(),
        role: member.role.map(String::from).unwrap_or_default(),
    }
}

fn to_member(told: &pb::WatchedMember) -> Result<MemberState, Unreadable> {
    Ok(MemberState {
        tenant: text("member.tenant_id", &told.tenant_id)?,
        user: text("member.user_id", &told.user_id)?,
        role: given(&told.role).map(|role| text("member.role", role)).transpose()?,
    })
}

fn from_key(key: &KeyState) -> pb::WatchedKey {
    let narrowed = key.scopes != Permissions::ALL;
    let scopes =
        if narrowed { key.scopes.iter().map(|one| one.name().to_owned()).collect() } else { Vec::new() };
    pb::WatchedKey {
        id: key.id.to_string(),
        tenant_id: key.tenant.to_string(),
        user_id: key.user.map(|user| user.to_string()).unwrap_or_default(),
        kind: from_kind(key.kind).into(),
        environment: from_environment(key.environment).into(),
        narrowed,
        scopes,
        digest: key.digest.to_bytes().to_vec().into(),
        imported: key.imported,
        previous_digest: key.previous.map(|it| it.digest.to_bytes().to_vec().into()).unwrap_or_default(),
        previous_expire_time: key.previous.map(|it| from_time(it.until)),
        allowed_networks: key.networks.to_texts(),
        per_minute: key.per_minute,
        expire_time: key.expire.map(from_time),
        revoked: key.revoked,
    }
}

fn to_key(told: &pb::WatchedKey) -> Result<KeyState, Unreadable> {
    Ok(KeyState {
        id: text("key.id", &told.id)?,
        tenant: text("key.tenant_id", &told.tenant_id)?,
        kind: to_kind(told.kind)?,
        user: given(&told.user_id).map(|user| text("key.user_id", user)).transpose()?,
        environment: to_environment(told.environment)?,
        scopes: if told.narrowed { narrowed_to(&told.scopes) } else { Permissions::ALL },
        digest: digest(&told.digest)?,
        imported: told.imported,
        previous: previous(told)?,
        networks: networks(&told.allowed_networks)?,
        per_minute: told.per_minute,
        expire: told
            .expire_time
            .map(|time| to_time(time).ok_or(Unreadable("key.expire_time")))
            .transpose()?,
        revoked: told.revoked,
    })
}

/// A permission of a newer version is left out: the set narrows, so without it
/// the key may less, never more.
fn narrowed_to(names: &[String]) -> Permissions {
    names.iter().flat_map(|name| name.parse()).collect()
}

fn previous(told: &pb::WatchedKey) -> Result<Option<Previous>, Unreadable> {
    let Some(until) = told.previous_expire_time else { return Ok(None) };
    let until = to_time(until).ok_or(Unreadable("key.previous_expire_time"))?;
    Ok(Some(Previous { digest: digest(&told.previous_digest)?, until }))
}

fn digest(bytes: &[u8]) -> Result<Digest, Unreadable> {
    Digest::from_slice(bytes).ok_or(Unreadable("key.digest"))
}

fn networks(texts: &[String]) -> Result<Networks, Unreadable> {
    let read = Networks::parse(texts.iter().map(String::as_str));
    read.map_err(|_unsaid: BadNetworks| Unreadable("allowed_networks"))
}

fn text<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|_unsaid: T::Err| Unreadable(field))
}

/// The text, if there is one.
fn given(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::samples::user_key;
    use crate::domain::members::Role;
    use crate::domain::{KeyId, Permission, TenantId, Timestamp, UserId};
    use proptest::prelude::*;
    use prost::Message;

    fn round(change: &Change) -> Change {
        let bytes = from_change(change).unwrap().encode_to_vec();
        to_change(pb::WatchedState::decode(bytes.as_slice()).unwrap()).unwrap()
    }

    fn any_time() -> impl Strategy<Value = Timestamp> {
        (-62_135_596_800_000_000_i64..253_402_300_800_000_000).prop_map(Timestamp::from_micros)
    }

    fn any_networks() -> impl Strategy<Value = Networks> {
        let one = prop_oneof![
            (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| {
                let kept = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                format!("{}/{length}", std::net::Ipv4Addr::from(bits & kept))
            }),
            any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits | 1 << 127).to_string()),
        ];
        prop::collection::vec(one, 0..5)
            .prop_map(|texts| Networks::parse(texts.iter().map(String::as_str)).unwrap())
    }

    fn any_key() -> impl Strategy<Value = Change> {
        let ids = (any::<[u8; 16]>(), any::<[u8; 16]>(), prop::option::of(any::<[u8; 16]>()));
        let shape = (0..KeyKind::OF_KEYS.len(), any::<bool>(), any::<bool>(), any::<bool>(), any::<u32>());
        let scopes = prop_oneof![Just(Permissions::ALL), (0..1_u64 << 12).prop_map(Permissions::from_bits)];
        let digests = (any::<[u8; 32]>(), prop::option::of((any::<[u8; 32]>(), any_time())));
        (ids, shape, scopes, digests, any_networks(), prop::option::of(any_time())).prop_map(
            |(
                (id, tenant, user),
                (kind, test, imported, revoked, per_minute),
                scopes,
                digests,
                networks,
                expire,
            )| {
                Change::Key(Box::new(KeyState {
                    id: KeyId::from_bytes(id),
                    tenant: TenantId::from_bytes(tenant),
                    kind: KeyKind::OF_KEYS[kind],
                    user: user.map(UserId::from_bytes),
                    environment: if test { Environment::Test } else { Environment::Live },
                    scopes,
                    digest: Digest::from_bytes(&digests.0),
                    imported,
                    previous: digests
                        .1
                        .map(|(bytes, until)| Previous { digest: Digest::from_bytes(&bytes), until }),
                    networks,
                    per_minute,
                    expire,
                    revoked,
                }))
            },
        )
    }

    fn any_other() -> impl Strategy<Value = Change> {
        let flags = (any::<bool>(), any::<bool>());
        let tenant = (any::<[u8; 16]>(), "[a-z]{2,40}", flags, any_networks(), any::<u32>()).prop_map(
            |(id, slug, (suspended, unlimited), networks, per_minute)| {
                let (id, slug) = (TenantId::from_bytes(id), slug.parse().unwrap());
                let entitlements = if unlimited { Entitlements::AI_UNLIMITED } else { Entitlements::NONE };
                let state = TenantState::new(id, slug);
                Change::Tenant(TenantState { suspended, networks, per_minute, entitlements, ..state })
            },
        );
        let user = (any::<[u8; 16]>(), "[a-z]{1,9}@[a-z]{1,9}", any::<bool>(), any::<bool>()).prop_map(
            |(id, email, operator, disabled)| {
                let (id, email) = (UserId::from_bytes(id), email.parse().unwrap());
                Change::User(UserState { id, email, operator, disabled })
            },
        );
        let member =
            (any::<[u8; 16]>(), any::<[u8; 16]>(), 0..=Role::ALL.len()).prop_map(|(tenant, user, role)| {
                let (tenant, user) = (TenantId::from_bytes(tenant), UserId::from_bytes(user));
                Change::Member(MemberState {
                    tenant,
                    user,
                    role: Role::ALL.get(role).copied().map(Role::into),
                })
            });
        prop_oneof![tenant, user, member]
    }

    proptest! {
        #[test]
        fn every_change_goes_round(change in prop_oneof![any_key(), any_other()]) {
            prop_assert_eq!(round(&change), change);
        }
    }

    fn told() -> pb::WatchedKey {
        from_key(&user_key(1, TenantId::from_bytes([1; 16]), UserId::from_bytes([2; 16])))
    }

    #[test]
    fn a_key_that_may_nothing_does_not_become_one_that_may_all() {
        let state = KeyState { scopes: Permissions::NONE, ..to_key(&told()).unwrap() };
        assert_eq!(to_key(&from_key(&state)).unwrap().scopes, Permissions::NONE);
    }

    #[test]
    fn an_unknown_permission_narrows_and_anything_else_unknown_is_unreadable() {
        let newer = pb::WatchedKey {
            narrowed: true,
            scopes: vec!["keys.read".into(), "keys.dream".into()],
            ..told()
        };
        assert_eq!(to_key(&newer).unwrap().scopes, Permissions::of(&[Permission::KEYS_READ]));
        for faulty in [
            pb::WatchedKey { kind: 0, ..told() },
            pb::WatchedKey { environment: 9, ..told() },
            pb::WatchedKey { digest: vec![1; 31].into(), ..told() },
            pb::WatchedKey { previous_expire_time: Some(from_time(Timestamp::from_micros(5))), ..told() },
            pb::WatchedKey { tenant_id: "user_x".into(), ..told() },
            pb::WatchedKey { allowed_networks: vec!["everywhere".into()], ..told() },
        ] {
            assert!(to_key(&faulty).is_err(), "{faulty:?}");
        }
        let unknown_role = pb::WatchedMember {
            role: "emperor".into(),
            ..from_member(&MemberState {
                tenant: TenantId::from_bytes([1; 16]),
                user: UserId::from_bytes([2; 16]),
                role: None,
            })
        };
        assert!(to_member(&unknown_role).is_err());
        assert!(to_change(pb::WatchedState { state: None }).is_err());
    }

    #[test]
    fn no_digest_and_no_address_is_shown() {
        let user = UserState {
            id: UserId::from_bytes([2; 16]),
            email: "planted@example.com".parse().unwrap(),
            operator: false,
            disabled: false,
        };
        let shown = format!("{:?} {:?}", told(), from_change(&Change::User(user)));
        assert!(
            !shown.contains("planted") && !shown.contains("1, 1, 1") && !shown.contains("\\x01\\x01"),
            "{shown}"
        );
    }
}
