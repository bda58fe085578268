//! The options of `doorward key`.

use super::usage::{self, UsageArgs};
use crate::cli::paging::PageArgs;
use crate::cli::values::{self, Expiry};
use crate::pb::v1::{ApiKeyKind, Environment};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use std::time::Duration;
use uuid::Uuid;

const CREATE_HELP: &str = "\
The secret is shown once and can never be seen again. With --quiet it is all
that is printed.

Examples:
  doorward key create laptop
  doorward key create ci --kind service --scope keys.read --expires 90d
  doorward key create collector --kind ingest --network 10.0.0.0/8
  key=$(doorward key create ci --output json | jq -r .secret)
  doorward key create ci --quiet > ci.key";

const LIST_HELP: &str = "\
Examples:
  doorward key list
  doorward key list --kind ingest --show-revoked
  doorward key list --all --output json | jq -r '.api_keys[] | select(.last_used_time == null) | .id'";

const GET_HELP: &str = "\
Example:
  doorward key get key_01jabcdefghjkmnpqrstvwxyz0";

const UPDATE_HELP: &str = "\
Only what is given is changed; a list that is given replaces the old one.

Examples:
  doorward key update key_… --name ci-2
  doorward key update key_… --scope keys.read --scope tenants.read
  doorward key update key_… --any-network --expires never
  doorward key update key_… --rate-limit 600 --etag \"$etag\"";

const ROTATE_HELP: &str = "\
The key keeps its id. The old secret dies at once, or after --overlap (at most
30 days), so that everybody who uses it can change over.

Examples:
  doorward key rotate key_… --overlap 24h
  doorward key rotate key_… --quiet > ci.key";

const REVOKE_HELP: &str = "\
When the command returns, no server accepts the key any more, and its open
streams are cut. The receipt says what that took. It cannot be undone.

Example:
  doorward key revoke key_…";

const IMPORT_HELP: &str = "\
The server gets the SHA-256 of the key and never the key. The profile is one of
the server's keys.profiles; its form is what the key must have.

Examples:
  doorward key import --from-stdin --profile legacy --expires 90d < old.key
  doorward key import --sha256 \"$(printf %s \"$key\" | sha256sum | cut -c1-64)\" --profile legacy --expires 2027-01-31";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key and show its secret, once
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// List keys, newest first
    #[command(after_help = LIST_HELP)]
    List(ListArgs),
    /// Show one key
    #[command(after_help = GET_HELP)]
    Get(GetArgs),
    /// Change a key's name, scopes, networks, rate limit or end
    #[command(after_help = UPDATE_HELP)]
    Update(UpdateArgs),
    /// Give a key a new secret
    #[command(after_help = ROTATE_HELP)]
    Rotate(RotateArgs),
    /// End a key for good, everywhere, before the command returns
    #[command(after_help = REVOKE_HELP)]
    Revoke(RevokeArgs),
    /// Take over a key issued elsewhere, by its SHA-256
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Draw how often a key was accepted and refused, by the hour
    #[command(after_help = usage::AFTER_HELP)]
    Usage(UsageArgs),
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A person's, with that person's permissions
    User,
    /// A service account's
    Service,
    /// The tenant's own
    Tenant,
    /// For sending telemetry and nothing else
    Ingest,
}

impl From<Kind> for ApiKeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::User => Self::User,
            Kind::Service => Self::Service,
            Kind::Tenant => Self::Tenant,
            Kind::Ingest => Self::Ingest,
        }
    }
}

/// The world that a key lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyWorld {
    /// Real data
    Live,
    /// Test data
    Test,
}

impl From<KeyWorld> for Environment {
    fn from(world: KeyWorld) -> Self {
        match world {
            KeyWorld::Live => Self::Live,
            KeyWorld::Test => Self::Test,
        }
    }
}

/// What a key may do and from where.
#[derive(Debug, Args)]
pub struct Limits {
    /// Permission to narrow the key to, such as keys.read; repeatable
    #[arg(long = "scope", value_name = "PERMISSION")]
    pub scopes: Vec<String>,
    /// Network or address that it may be used from; repeatable
    #[arg(long = "network", value_name = "CIDR", value_parser = values::network)]
    pub networks: Vec<String>,
    /// Requests a minute; 0 is the tenant's default
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub rate_limit: u32,
}

/// Options of `key create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A name for people
    pub name: String,
    /// Whose key it shall be; a user key of yours if not given
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// User that it shall belong to, if it is not you
    #[arg(long, value_name = "USER_ID")]
    pub user: Option<String>,
    /// Live or test; live if not given
    #[arg(long, value_enum)]
    pub environment: Option<KeyWorld>,
    /// When it shall end: a day, a moment, a duration from now, or never
    #[arg(long, value_name = "END", value_parser = values::expiry, default_value = "never")]
    pub expires: Expiry,
    /// What it may do and from where.
    #[command(flatten)]
    pub limits: Limits,
    /// UUID that makes a repetition safe; a fresh one if not given
    #[arg(long, value_name = "UUID", value_parser = values::request_id)]
    pub request_id: Option<Uuid>,
    /// Print the secret and nothing else
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `key list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only keys of this kind
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// Only keys of this user
    #[arg(long, value_name = "USER_ID")]
    pub user: Option<String>,
    /// Revoked keys too
    #[arg(long)]
    pub show_revoked: bool,
    /// Which part of the list.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Options of `key get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The key's id, key_…
    pub id: String,
}

/// Options of `key update`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct UpdateArgs {
    /// The key's id, key_…
    pub id: String,
    /// A name for people
    #[arg(long, group = "change")]
    pub name: Option<String>,
    /// Permission to narrow the key to; repeatable
    #[arg(long = "scope", value_name = "PERMISSION", group = "change")]
    pub scopes: Vec<String>,
    /// Do not narrow it: all that its owner may do
    #[arg(long, group = "change", conflicts_with = "scopes")]
    pub all_scopes: bool,
    /// Network or address that it may be used from; repeatable
    #[arg(long = "network", value_name = "CIDR", value_parser = values::network, group = "change")]
    pub networks: Vec<String>,
    /// Let it be used from everywhere
    #[arg(long, group = "change", conflicts_with = "networks")]
    pub any_network: bool,
    /// Requests a minute; 0 is the tenant's default
    #[arg(long, value_name = "N", group = "change")]
    pub rate_limit: Option<u32>,
    /// When it shall end: a day, a moment, a duration from now, or never
    #[arg(long, value_name = "END", value_parser = values::expiry, group = "change")]
    pub expires: Option<Expiry>,
    /// Change it only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,
}

/// Options of `key rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The key's id, key_…
    pub id: String,
    /// How long the old secret lives on, at most 30d
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "0s")]
    pub overlap: Duration,
    /// Rotate it only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,
    /// UUID that makes a repetition safe; a fresh one if not given
    #[arg(long, value_name = "UUID", value_parser = values::request_id)]
    pub request_id: Option<Uuid>,
    /// Print the secret and nothing else
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `key revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The key's id, key_…
    pub id: String,
}

/// Options of `key import`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("digest").required(true))]
pub struct ImportArgs {
    /// A name for people
    #[arg(long, default_value = "imported")]
    pub name: String,
    /// SHA-256 of the whole key, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = values::sha256, group = "digest")]
    pub sha256: Option<String>,
    /// Read the key from standard input and send only its SHA-256
    #[arg(long, group = "digest")]
    pub from_stdin: bool,
    /// Key profile of the server that the key's form fits
    #[arg(long, value_name = "PROFILE")]
    pub profile: String,
    /// When it shall end: a day, a moment, or a duration from now
    #[arg(long, value_name = "END", value_parser = values::expiry)]
    pub expires: Expiry,
    /// User that it shall belong to, if the profile is of kind user and it is not you
    #[arg(long, value_name = "USER_ID")]
    pub user: Option<String>,
    /// What it may do and from where.
    #[command(flatten)]
    pub limits: Limits,
    /// UUID that makes a repetition safe; a fresh one if not given
    #[arg(long, value_name = "UUID", value_parser = values::request_id)]
    pub request_id: Option<Uuid>,
}
