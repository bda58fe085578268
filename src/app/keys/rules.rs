//! Who may do what with which key.

use crate::app::Caller;
use crate::domain::audit::Action;
use crate::domain::keys::{Environment, Key, KeyKind};
use crate::domain::{Permission, Permissions, Reason, Refusal};

/// Whether the caller may know of the key.
pub fn visible(caller: &Caller, key: &Key) -> bool {
    let own = key.state.user.is_some() && key.state.user == caller.user();
    let itself = caller.verified.credential.key() == Some(key.state.id);
    caller.reaches(key.state.environment) && (own || itself || caller.may(Permission::KEYS_MANAGE))
}

/// Whether the caller may change a key that they may know of.
pub fn writable(caller: &Caller, key: &Key) -> Result<(), Refusal> {
    let own = key.state.user.is_some() && key.state.user == caller.user();
    caller.must(if own { Permission::KEYS_WRITE } else { Permission::KEYS_MANAGE })
}

/// Whether the key's state and etag allow the change.
pub fn changeable(key: &Key, action: Action, etag: &str) -> Result<(), Refusal> {
    if !etag.is_empty() && etag != key.etag() {
        return Err(stale());
    }
    if key.state.revoked && action != Action::KeyRevoked {
        return Err(Refusal::new(Reason::FailedPrecondition, "the key is revoked").with("state", "REVOKED"));
    }
    Ok(())
}

/// Somebody else was quicker.
pub fn stale() -> Refusal {
    Refusal::new(Reason::EtagMismatch, "the key was changed meanwhile; read it again")
}

/// Whether the caller may give a key these scopes. As wide as its owner, now
/// and later, is for the owner alone, with a credential that is not narrowed.
pub fn rescope(caller: &Caller, key: &Key, scopes: Permissions) -> Result<(), Refusal> {
    if scopes != Permissions::ALL {
        return within(scopes, key.state.kind, caller.verified.permissions);
    }
    let own = key.state.user.is_some() && key.state.user == caller.user();
    if own && caller.verified.scopes == Permissions::ALL && caller.home.is_none() {
        return Ok(());
    }
    Err(Refusal::invalid(
        "scopes",
        "must be named: only the owner, by a key without scopes, can make this one as wide as the owner",
    ))
}

/// Refuses scopes beyond what the caller has or the kind can have.
pub fn within(scopes: Permissions, kind: KeyKind, has: Permissions) -> Result<(), Refusal> {
    if let Some(lacking) = scopes.beyond(has) {
        return Err(Refusal::lacks(lacking));
    }
    match scopes.beyond(kind.bound()) {
        Some(beyond) => {
            let why = format!("a key of kind {} cannot have {}", kind.name(), beyond.name());
            Err(Refusal::invalid("scopes", why))
        }
        None => Ok(()),
    }
}

/// The environment of a new key.
pub fn environment(caller: &Caller, wanted: Option<Environment>) -> Result<Environment, Refusal> {
    let environment = wanted.unwrap_or(caller.verified.environment);
    if caller.reaches(environment) {
        return Ok(environment);
    }
    let message = "a test credential makes test keys only";
    Err(Refusal::new(Reason::InsufficientPermissions, message).with("required_environment", "live"))
}

/// No form is configured for such keys.
pub fn no_profile(kind: KeyKind, environment: Environment) -> Refusal {
    let message = format!(
        "no key profile is configured for {} keys of the {} environment",
        kind.name(),
        environment.name()
    );
    Refusal::new(Reason::FailedPrecondition, message)
}
