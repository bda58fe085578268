//! What entries say of a change: values before and after.

use crate::domain::keys::Key;
use crate::domain::tenants::Tenant;
use crate::domain::{Permissions, Timestamp};
use crate::store::Tx;

/// Tells what of a key was changed.
pub(in crate::app) fn key_changed(tx: &mut Tx, before: &Key, after: &Key) {
    tx.changed("display_name", before.display_name.as_str(), after.display_name.as_str());
    tx.changed("scopes", scopes(before.state.scopes), scopes(after.state.scopes));
    tx.changed(
        "networks",
        before.state.networks.to_texts().join(" "),
        after.state.networks.to_texts().join(" "),
    );
    tx.changed("rate_limit", before.state.per_minute, after.state.per_minute);
    tx.changed("expire", end(before.state.expire), end(after.state.expire));
}

/// Tells what of a tenant was changed.
pub(in crate::app) fn tenant_changed(tx: &mut Tx, before: &Tenant, after: &Tenant) {
    tx.changed("display_name", before.display_name.as_str(), after.display_name.as_str());
    tx.changed(
        "networks",
        before.state.networks.to_texts().join(" "),
        after.state.networks.to_texts().join(" "),
    );
    tx.changed("default_rate_limit", before.state.per_minute, after.state.per_minute);
    tx.changed("suspended", before.state.suspended, after.state.suspended);
    tx.changed("mfa_required", before.state.mfa_required, after.state.mfa_required);
    tx.changed("access_token_lifetime_seconds", before.access_ttl, after.access_ttl);
}

fn scopes(scopes: Permissions) -> String {
    if scopes == Permissions::ALL { "all".into() } else { scopes.to_names() }
}

fn end(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".into(), |time| time.to_string())
}
