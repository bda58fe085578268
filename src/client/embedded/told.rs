//! What the server tells of a credential, in the terms of a check made here.

use crate::domain::entitlements::Entitlements;
use crate::domain::keys::{Environment, KeyKind};
use crate::domain::members::Role;
use crate::domain::principal::{Home, Principal, Standing, Title};
use crate::domain::reading::Reading;
use crate::domain::roles::RoleState;
use crate::domain::sessions::{Login, Methods};
use crate::domain::tenants::{Slug, TenantState};
use crate::domain::users::Email;
use crate::domain::{CredentialId, Digest, Permissions, Reason, Refusal, RoleId, TenantId, Timestamp};
use crate::pb::v1 as pb;
use crate::protocol::Unreadable;
use crate::protocol::states::to_environment;
use crate::protocol::times::to_time;
use crate::view::Verified;
use std::sync::{Arc, OnceLock};

/// Names of `ErrorInfo.metadata` that refusals have.
const NAMES: &[&str] =
    &["required_permission", "required_role", "required_feature", "expires_at", "retry_after"];

/// A credential that the server accepted.
pub fn verified(told: &pb::Principal, digest: Digest) -> Result<Verified, Unreadable> {
    let kind = kind(told)?;
    let tenant: TenantId = text("principal.tenant_id", &told.tenant_id)?;
    let permissions = told.permissions.iter().flat_map(|name| name.parse()).collect::<Permissions>();
    let given = |text: &str| !text.is_empty();
    let user = given(&told.user_id).then(|| text("principal.user_id", &told.user_id)).transpose()?;
    let email = given(&told.email).then(|| text::<Email>("principal.email", &told.email)).transpose()?;
    let expire = told.expire_time.map(|time| to_time(time).ok_or(Unreadable("principal.expire_time")));
    let expire = expire.transpose()?.unwrap_or(Timestamp::NEVER);
    let (title, roles) = title(kind, tenant, &told.role, permissions);
    let principal = Principal {
        home: Arc::new(Home::new(tenant, home(tenant, told)?).with_roles(&roles)),
        kind,
        standing: Standing::Good,
        user,
        email,
        title,
        permissions,
        written: OnceLock::new(),
    };
    let (credential, login) = if given(&told.session_id) {
        let methods = Methods::named(told.auth_methods.iter().map(String::as_str));
        let login = Login { methods, time: Timestamp::from_micros(0), token_expire: expire };
        (CredentialId::Session(text("principal.session_id", &told.session_id)?), Some(login))
    } else {
        (CredentialId::Key(text("principal.api_key_id", &told.api_key_id)?), None)
    };
    Ok(Verified {
        principal: Arc::new(principal),
        credential,
        digest,
        login,
        environment: match told.environment {
            0 => Environment::Live,
            number => to_environment(number)?,
        },
        scopes: permissions,
        permissions,
        expire,
        previous: false,
        rate: None,
    })
}

/// Why the server did not accept a credential.
pub fn refusal(told: &pb::Denial) -> Refusal {
    let is_it = |reason: &Reason| reason.told().number == told.reason;
    let reason = Reason::ALL.into_iter().find(is_it).unwrap_or(Reason::InvalidApiKey);
    let entry = |name: &&'static str| told.metadata.get(*name).map(|value| (*name, value.clone()));
    let metadata = NAMES.iter().filter_map(entry).collect();
    Refusal { metadata, ..Refusal::new(reason, told.message.clone()) }
}

fn kind(told: &pb::Principal) -> Result<KeyKind, Unreadable> {
    match told.r#type() {
        pb::PrincipalType::User => Ok(KeyKind::User),
        pb::PrincipalType::Service => Ok(KeyKind::Service),
        pb::PrincipalType::Tenant => Ok(KeyKind::Tenant),
        pb::PrincipalType::Ingest => Ok(KeyKind::Ingest),
        pb::PrincipalType::Global => Ok(KeyKind::Global),
        // A grant is not presented to other services; the server tells of none.
        pb::PrincipalType::BreakGlass | pb::PrincipalType::Unspecified => Err(Unreadable("principal.type")),
    }
}

/// As what the principal acts; a role of the tenant's own with what is told of it.
fn title(kind: KeyKind, tenant: TenantId, role: &str, permissions: Permissions) -> (Title, Vec<RoleState>) {
    if kind != KeyKind::User {
        return (Title::Machine(kind), Vec::new());
    }
    if let Some(role) = role.parse::<Role>().readable() {
        return (Title::Member(role), Vec::new());
    }
    let Some(name) = role.parse().readable() else { return (Title::Stranger, Vec::new()) };
    // Its id is not told.
    let id = RoleId::from_bytes([0; 16]);
    (Title::Custom(0), vec![RoleState { id, tenant, name, permissions, deleted: false }])
}

/// The tenant's short name and entitlements are all that is told of it.
fn home(id: TenantId, told: &pb::Principal) -> Result<Option<TenantState>, Unreadable> {
    if told.tenant_slug.is_empty() {
        return Ok(None);
    }
    let slug: Slug = text("principal.tenant_slug", &told.tenant_slug)?;
    let entitlements = Entitlements::named(told.entitlements.iter().map(String::as_str));
    Ok(Some(TenantState { entitlements, ..TenantState::new(id, slug) }))
}

fn text<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|_unsaid: T::Err| Unreadable(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{KeyId, Permission, UserId};

    fn told() -> pb::Principal {
        pb::Principal {
            r#type: pb::PrincipalType::User.into(),
            tenant_id: TenantId::from_bytes([1; 16]).to_string(),
            tenant_slug: "acme".into(),
            user_id: UserId::from_bytes([2; 16]).to_string(),
            email: "ada@example.com".into(),
            api_key_id: KeyId::from_bytes([3; 16]).to_string(),
            role: "viewer".into(),
            entitlements: vec!["ai.unlimited".into(), "moon.unlimited".into()],
            permissions: vec!["keys.read".into(), "keys.dream".into()],
            environment: pb::Environment::Test.into(),
            ..pb::Principal::default()
        }
    }

    #[test]
    fn a_principal_is_taken_over_and_never_for_more_than_was_told() {
        let verified = verified(&told(), Digest::from_bytes(&[9; 32])).unwrap();
        assert_eq!(verified.permissions, Permissions::of(&[Permission::KEYS_READ]));
        assert_eq!(verified.principal.title, Title::Member(Role::Viewer));
        assert_eq!((verified.environment, verified.expire), (Environment::Test, Timestamp::NEVER));
        assert_eq!(verified.principal.entitlements(), Entitlements::AI_UNLIMITED);
        assert_eq!(verified.principal.slug().map(Slug::as_str), Some("acme"));
        for faulty in [
            pb::Principal { r#type: 0, ..told() },
            pb::Principal { tenant_id: String::new(), ..told() },
            pb::Principal { api_key_id: "session_x".into(), ..told() },
        ] {
            assert!(super::verified(&faulty, Digest::from_bytes(&[9; 32])).is_err());
        }
    }

    #[test]
    fn a_denial_keeps_its_reason_and_an_unknown_one_stays_a_denial() {
        let denial = |reason| pb::Denial {
            reason,
            message: "no".into(),
            metadata: [("required_permission".to_owned(), "keys.manage".to_owned())].into(),
        };
        for reason in Reason::ALL {
            let refusal = refusal(&denial(reason.told().number));
            assert_eq!((refusal.reason, refusal.metadata.len()), (reason, 1));
        }
        assert_eq!(refusal(&denial(9_999)).reason, Reason::InvalidApiKey);
    }
}
