//! From messages to the domain's types and back.

use crate::app::keys::{ForeignKey, NewKey, Receipt, Shown};
use crate::app::tenants::{NewTenant, tenant_etag};
use crate::domain::address::Networks;
use crate::domain::features::{Feature, Features};
use crate::domain::keys::{Environment, Key, KeyKind, KeyPatch, KeyStatus};
use crate::domain::limits::Limit;
use crate::domain::members::Role;
use crate::domain::paging::{BadPage, Page};
use crate::domain::refusal::Faults;
use crate::domain::sessions::{MAX_LIFE, MIN_LIFE};
use crate::domain::signing::MAX_TOKEN_LIFE;
use crate::domain::tenants::{Tenant, TenantPatch};
use crate::domain::{Digest, Permission, Permissions, Refusal, Timestamp};
use crate::pb::v1 as pb;
pub use crate::protocol::states::from_environment;
use crate::protocol::states::from_kind;
pub use crate::protocol::times::from_time;
use crate::protocol::times::{from_duration, to_duration};
use std::collections::BTreeSet;
use std::time::Duration;

/// Seconds after 1970 up to which a timestamp is a date (the year 9999).
const LAST_SECOND: i64 = 253_402_300_799;

pub fn to_time(faults: &mut Faults, field: &'static str, time: prost_types::Timestamp) -> Option<Timestamp> {
    let sound = (0..=LAST_SECOND).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    if !sound {
        faults.add(field, "must be a time from 1970 to 9999");
        return None;
    }
    Some(Timestamp::from_micros(time.seconds * 1_000_000 + i64::from(time.nanos) / 1000))
}

fn to_kind(faults: &mut Faults, kind: i32) -> Option<KeyKind> {
    match pb::ApiKeyKind::try_from(kind) {
        Ok(pb::ApiKeyKind::Unspecified) => None,
        Ok(pb::ApiKeyKind::User) => Some(KeyKind::User),
        Ok(pb::ApiKeyKind::Service) => Some(KeyKind::Service),
        Ok(pb::ApiKeyKind::Tenant) => Some(KeyKind::Tenant),
        Ok(pb::ApiKeyKind::Ingest) => Some(KeyKind::Ingest),
        Ok(pb::ApiKeyKind::Global) => Some(KeyKind::Global),
        Err(_) => {
            faults.add("kind", "is not a kind of key");
            None
        }
    }
}

fn to_environment(faults: &mut Faults, environment: i32) -> Option<Environment> {
    match pb::Environment::try_from(environment) {
        Ok(pb::Environment::Unspecified) => None,
        Ok(pb::Environment::Live) => Some(Environment::Live),
        Ok(pb::Environment::Test) => Some(Environment::Test),
        Err(_) => {
            faults.add("environment", "is not an environment");
            None
        }
    }
}

fn to_scopes(faults: &mut Faults, names: &[String]) -> Permissions {
    let mut scopes = Vec::new();
    for (at, name) in names.iter().enumerate() {
        scopes.extend(faults.take(format!("scopes[{at}]"), name.parse::<Permission>()));
    }
    scopes.into_iter().collect()
}

fn to_networks(faults: &mut Faults, field: &'static str, texts: &[String]) -> Networks {
    faults.take(field, Networks::parse(texts.iter().map(String::as_str))).unwrap_or_default()
}

fn to_limit(faults: &mut Faults, field: &'static str, per_minute: u32) -> u32 {
    if per_minute > Limit::MAX {
        faults.add(field, format!("must be at most {}", Limit::MAX));
    }
    per_minute
}

pub fn to_request_id(faults: &mut Faults, request_id: &str) -> Option<String> {
    if request_id.is_empty() {
        return None;
    }
    faults.take("request_id", uuid::Uuid::try_parse(request_id)).map(|id| id.to_string())
}

/// The value if there is one in the message.
fn optional<T>(value: T, is_there: bool) -> Option<T> {
    is_there.then_some(value)
}

pub fn new_key(wanted: &pb::CreateApiKeyRequest, now: Timestamp) -> Result<NewKey, Refusal> {
    let mut faults = Faults::default();
    let name = faults.take("display_name", wanted.display_name.parse());
    let user = (!wanted.user_id.is_empty()).then(|| faults.take("user_id", wanted.user_id.parse())).flatten();
    let (kind, environment) =
        (to_kind(&mut faults, wanted.kind), to_environment(&mut faults, wanted.environment));
    let scopes = to_scopes(&mut faults, &wanted.scopes);
    let expire = wanted.expire_time.and_then(|time| to_time(&mut faults, "expire_time", time));
    if expire.is_some_and(|expire| expire <= now) {
        faults.add("expire_time", "must be in the future");
    }
    let networks = to_networks(&mut faults, "allowed_networks", &wanted.allowed_networks);
    let per_minute = to_limit(&mut faults, "rate_limit", wanted.rate_limit);
    let request_id = to_request_id(&mut faults, &wanted.request_id);
    faults.check()?;
    Ok(NewKey {
        display_name: name.ok_or_else(|| Refusal::invalid("display_name", "is needed"))?,
        kind,
        user,
        scopes: optional(scopes, !wanted.scopes.is_empty()),
        environment,
        expire,
        networks,
        per_minute,
        request_id,
    })
}

pub fn foreign_key(wanted: pb::ImportApiKeyRequest, now: Timestamp) -> Result<ForeignKey, Refusal> {
    let mut faults = Faults::default();
    let sha256 = Digest::from_hex(&wanted.sha256).ok_or("must be the 64 hexadecimal digits of a SHA-256");
    let sha256 = faults.take("sha256", sha256);
    if wanted.profile.is_empty() {
        faults.add("profile", "is needed: the configured key profile whose form the key has");
    }
    if wanted.expire_time.is_none() {
        faults.add("expire_time", "is needed: the strength of an imported key is unknown");
    }
    let as_new = pb::CreateApiKeyRequest {
        display_name: wanted.display_name,
        user_id: wanted.user_id,
        scopes: wanted.scopes,
        expire_time: wanted.expire_time,
        allowed_networks: wanted.allowed_networks,
        rate_limit: wanted.rate_limit,
        request_id: wanted.request_id,
        ..pb::CreateApiKeyRequest::default()
    };
    let wanted_key = match (new_key(&as_new, now), faults) {
        (Ok(key), faults) => faults.check().map(|()| key)?,
        (Err(refusal), mut faults) => {
            refusal.violations.into_iter().for_each(|fault| faults.add(fault.field, fault.description));
            return Err(faults
                .check()
                .err()
                .unwrap_or_else(|| Refusal::invalid("request", "cannot be read")));
        }
    };
    let sha256 = sha256.ok_or_else(|| Refusal::invalid("sha256", "is needed"))?;
    Ok(ForeignKey { sha256, profile: wanted.profile, wanted: wanted_key })
}

/// The paths of an update mask. An empty mask is an error: it would change nothing.
pub fn mask<'a>(
    faults: &mut Faults,
    mask: Option<&'a prost_types::FieldMask>,
    known: &[&str],
) -> BTreeSet<&'a str> {
    let paths: BTreeSet<&str> = mask.iter().flat_map(|mask| &mask.paths).map(String::as_str).collect();
    if paths.is_empty() {
        faults.add("update_mask", format!("must name what to change, of: {}", known.join(", ")));
    }
    for unknown in paths.iter().filter(|path| !known.contains(path)) {
        let named: String = unknown.chars().take(64).collect();
        faults.add("update_mask", format!("`{named}` cannot be changed; {} can", known.join(", ")));
    }
    paths
}

pub fn key_patch(wanted: &pb::UpdateApiKeyRequest) -> Result<KeyPatch, Refusal> {
    let mut faults = Faults::default();
    let known = ["display_name", "scopes", "allowed_networks", "rate_limit", "expire_time"];
    let paths = mask(&mut faults, wanted.update_mask.as_ref(), &known);
    let mut patch = KeyPatch::default();
    if paths.contains("display_name") {
        patch.display_name = faults.take("display_name", wanted.display_name.parse());
    }
    if paths.contains("scopes") {
        let all = wanted.scopes.is_empty();
        patch.scopes = Some(if all { Permissions::ALL } else { to_scopes(&mut faults, &wanted.scopes) });
    }
    if paths.contains("allowed_networks") {
        patch.networks = Some(to_networks(&mut faults, "allowed_networks", &wanted.allowed_networks));
    }
    if paths.contains("rate_limit") {
        patch.per_minute = Some(to_limit(&mut faults, "rate_limit", wanted.rate_limit));
    }
    if paths.contains("expire_time") {
        patch.expire = Some(wanted.expire_time.and_then(|time| to_time(&mut faults, "expire_time", time)));
    }
    faults.check().map(|()| patch)
}

/// How long the old secret lives on, and the request's id.
pub fn rotation(wanted: &pb::RotateApiKeyRequest) -> Result<(std::time::Duration, Option<String>), Refusal> {
    let mut faults = Faults::default();
    let overlap = wanted.overlap.map_or(Some(std::time::Duration::ZERO), to_duration);
    let overlap = overlap.filter(|overlap| *overlap <= crate::domain::keys::MAX_OVERLAP);
    let overlap = faults.take("overlap", overlap.ok_or("must be 0 to 30 days"));
    let request_id = to_request_id(&mut faults, &wanted.request_id);
    faults.check()?;
    Ok((overlap.unwrap_or_default(), request_id))
}

pub fn key(key: &Key, last_used: Option<Timestamp>, now: Timestamp) -> pb::ApiKey {
    let state = &key.state;
    let scopes = if state.scopes == Permissions::ALL { Vec::new() } else { names(state.scopes) };
    let status = match key.status(now) {
        KeyStatus::Active => pb::ApiKeyStatus::Active,
        KeyStatus::Expired => pb::ApiKeyStatus::Expired,
        KeyStatus::Revoked => pb::ApiKeyStatus::Revoked,
    };
    let previous = state.previous.filter(|previous| previous.until > now);
    pb::ApiKey {
        id: state.id.to_string(),
        display_name: key.display_name.as_str().to_owned(),
        prefix: key.prefix.clone(),
        kind: from_kind(state.kind).into(),
        user_id: state.user.map(|user| user.to_string()).unwrap_or_default(),
        scopes,
        environment: from_environment(state.environment).into(),
        status: status.into(),
        allowed_networks: state.networks.to_texts(),
        rate_limit: state.per_minute,
        create_time: Some(from_time(key.create_time)),
        update_time: Some(from_time(key.update_time)),
        expire_time: state.expire.map(from_time),
        revoke_time: key.revoke_time.map(from_time),
        last_used_time: last_used.map(from_time),
        previous_secret_expire_time: previous.map(|previous| from_time(previous.until)),
        imported: state.imported,
        etag: key.etag(),
        tenant_id: state.tenant.to_string(),
        created_by: key.created_by.clone(),
    }
}

pub fn shown_key(shown: &Shown, now: Timestamp) -> pb::ApiKey {
    key(&shown.key, shown.last_used, now)
}

pub fn receipt(receipt: Receipt) -> pb::RevocationReceipt {
    pb::RevocationReceipt {
        replicas_acknowledged: receipt.settled.acknowledged,
        leases_expired: receipt.settled.expired,
        streams_cut: receipt.settled.cut,
        propagation: Some(from_duration(receipt.settled.took)),
        last_accepted_time: receipt.last_accepted.map(from_time),
    }
}

pub fn names(permissions: Permissions) -> Vec<String> {
    permissions.iter().map(|permission| permission.name().to_owned()).collect()
}

pub fn new_tenant(wanted: &pb::CreateTenantRequest) -> Result<NewTenant, Refusal> {
    let mut faults = Faults::default();
    let slug = faults.take("slug", wanted.slug.parse());
    let owner = faults.take("owner_email", wanted.owner_email.parse());
    let named = !wanted.display_name.is_empty();
    let display_name = named.then(|| faults.take("display_name", wanted.display_name.parse())).flatten();
    let request_id = to_request_id(&mut faults, &wanted.request_id);
    faults.check()?;
    match (slug, owner) {
        (Some(slug), Some(owner)) => Ok(NewTenant { slug, display_name, owner, request_id }),
        _ => Err(Refusal::invalid("slug", "is needed")),
    }
}

/// What of a tenant can be changed by `UpdateTenant`.
const TENANT_FIELDS: &[&str] = &[
    "display_name",
    "default_rate_limit",
    "mfa_required",
    "access_token_lifetime_seconds",
    "session_lifetime_seconds",
    "allowed_key_kinds",
    "features",
];

pub fn tenant_patch(wanted: &pb::UpdateTenantRequest) -> Result<TenantPatch, Refusal> {
    let mut faults = Faults::default();
    let paths = mask(&mut faults, wanted.update_mask.as_ref(), TENANT_FIELDS);
    let mut patch = TenantPatch::default();
    if paths.contains("display_name") {
        patch.display_name = faults.take("display_name", wanted.display_name.parse());
    }
    if paths.contains("default_rate_limit") {
        patch.per_minute = Some(to_limit(&mut faults, "default_rate_limit", wanted.default_rate_limit));
    }
    if paths.contains("mfa_required") {
        patch.mfa_required = Some(wanted.mfa_required);
    }
    if paths.contains("access_token_lifetime_seconds") {
        if Duration::from_secs(wanted.access_token_lifetime_seconds.into()) > MAX_TOKEN_LIFE {
            faults.add("access_token_lifetime_seconds", "must be at most 3600");
        }
        patch.access_ttl = Some(wanted.access_token_lifetime_seconds);
    }
    if paths.contains("session_lifetime_seconds") {
        let seconds = wanted.session_lifetime_seconds;
        let life = Duration::from_secs(seconds.into());
        if seconds > 0 && !(MIN_LIFE..=MAX_LIFE).contains(&life) {
            faults.add("session_lifetime_seconds", "must be 300 to 2592000, or 0 for the server's default");
        }
        patch.session_ttl = Some(seconds);
    }
    if paths.contains("allowed_key_kinds") {
        // One that says nothing would leave an empty list, which is every kind.
        if wanted.allowed_key_kinds.contains(&0) {
            faults.add("allowed_key_kinds", "must name kinds of keys");
        }
        let named: BTreeSet<i32> = wanted.allowed_key_kinds.iter().copied().collect();
        patch.key_kinds = Some(named.into_iter().filter_map(|kind| to_kind(&mut faults, kind)).collect());
    }
    if paths.contains("features") {
        patch.features = Some(to_features(&mut faults, &wanted.features));
    }
    faults.check().map(|()| patch)
}

fn to_features(faults: &mut Faults, names: &[String]) -> Features {
    if names.len() > Features::MOST {
        faults.add("features", format!("must be at most {}", Features::MOST));
        return Features::default();
    }
    let mut found = Vec::new();
    for (at, name) in names.iter().enumerate() {
        found.extend(faults.take(format!("features[{at}]"), name.parse::<Feature>()));
    }
    found.into_iter().collect()
}

pub fn allowlist(wanted: &pb::SetIpAllowlistRequest) -> Result<Networks, Refusal> {
    let mut faults = Faults::default();
    let networks = to_networks(&mut faults, "networks", &wanted.networks);
    faults.check().map(|()| networks)
}

pub fn tenant(tenant: &Tenant) -> pb::Tenant {
    let state = match (tenant.state.deleted, tenant.state.suspended) {
        (true, _) => pb::TenantState::Deleted,
        (false, true) => pb::TenantState::Suspended,
        (false, false) => pb::TenantState::Active,
    };
    pb::Tenant {
        id: tenant.state.id.to_string(),
        slug: tenant.state.slug.to_string(),
        display_name: tenant.display_name.as_str().to_owned(),
        state: state.into(),
        allowed_networks: tenant.state.networks.to_texts(),
        default_rate_limit: tenant.state.per_minute,
        create_time: Some(from_time(tenant.create_time)),
        update_time: Some(from_time(tenant.update_time)),
        etag: tenant_etag(tenant),
        mfa_required: tenant.state.mfa_required,
        access_token_lifetime_seconds: tenant.access_ttl,
        session_lifetime_seconds: tenant.session_ttl,
        allowed_key_kinds: tenant.key_kinds.iter().map(|kind| from_kind(*kind).into()).collect(),
        features: tenant.state.features.iter().map(ToString::to_string).collect(),
        delete_time: tenant.delete_time.map(from_time),
    }
}

pub fn built_in_roles() -> impl Iterator<Item = pb::Role> {
    let role = |role: Role| pb::Role {
        name: role.name().to_owned(),
        description: role.about().to_owned(),
        permissions: names(role.permissions()),
        built_in: true,
        ..pb::Role::default()
    };
    Role::ALL.into_iter().map(role)
}

pub fn permissions() -> Vec<pb::Permission> {
    let permission = |permission: Permission| pb::Permission {
        name: permission.name().to_owned(),
        description: permission.about().to_owned(),
    };
    Permission::all().map(permission).collect()
}

/// Which page of a list is wanted.
pub fn page(size: i32, token: &str, list: &str) -> Result<Page, Refusal> {
    Page::parse(size, token, list).map_err(|error| {
        let field = if error == BadPage::Size { "page_size" } else { "page_token" };
        Refusal::invalid(field, error.to_string())
    })
}

/// The kind that a list is narrowed to.
pub fn kind_filter(kind: i32) -> Result<Option<KeyKind>, Refusal> {
    let mut faults = Faults::default();
    let kind = to_kind(&mut faults, kind);
    faults.check().map(|()| kind)
}
