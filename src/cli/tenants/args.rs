//! The options of `doorward tenant`.

use crate::cli::keys::Kind;
use crate::cli::paging::PageArgs;
use crate::cli::values;
use clap::{ArgGroup, Args, Subcommand};
use uuid::Uuid;

const CREATE_HELP: &str = "\
Needs the permission platform.tenants.

Examples:
  doorward tenant create acme --owner-email owner@acme.example
  doorward tenant create acme --owner-email owner@acme.example --name 'Acme Inc.'";

const GET_HELP: &str = "\
Examples:
  doorward tenant get
  doorward tenant get acme --output json";

const LIST_HELP: &str = "\
Examples:
  doorward tenant list
  doorward tenant list --all --output json | jq -r '.tenants[].slug'";

const UPDATE_HELP: &str = "\
Only what is given is changed; a list that is given replaces the old one. Features
are for operators of the platform, with the permission platform.tenants.

Examples:
  doorward tenant update --name 'Acme Inc.'
  doorward tenant update acme --rate-limit 6000
  doorward tenant update --require-mfa true --session-lifetime 86400
  doorward tenant update --allow-key-kind user --allow-key-kind ingest
  doorward tenant update acme --feature sso --feature audit.export";

const DELETE_HELP: &str = "\
When the command returns, no credential of the tenant is accepted. Asks for the
tenant's short name to be typed. Until its data goes for good, an operator brings it
back with `doorward tenant resume`. For the owner, with a login of the last minutes,
or with the permission platform.tenants.

Examples:
  doorward tenant delete acme
  doorward tenant delete tenant_01jabcdefghjkmnpqrstvwxyz0 --yes";

const SUSPEND_HELP: &str = "\
When the command returns, no credential of the tenant is accepted. Needs the
permission platform.tenants.

Example:
  doorward tenant suspend acme --reason 'invoice 4711 unpaid'";

const RESUME_HELP: &str = "\
What a suspension or a deletion had stopped is accepted again. Needs the
permission platform.tenants.

Example:
  doorward tenant resume acme";

const MEMBERS_HELP: &str = "\
Example:
  doorward tenant members";

const ALLOWLIST_HELP: &str = "\
Without options the networks are shown. The networks that are given replace the
old ones; a list without the address that you call from is refused.

Examples:
  doorward tenant allowlist
  doorward tenant allowlist --network 10.0.0.0/8 --network 2001:db8::/32
  doorward tenant allowlist --clear";

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantVerb {
    /// Make a tenant with its owner
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// Show one tenant
    #[command(after_help = GET_HELP)]
    Get(OneArgs),
    /// List the tenants that you may see, newest first
    #[command(after_help = LIST_HELP)]
    List(PageArgs),
    /// Change a tenant's name, default rate limit, or what it asks of its people
    #[command(after_help = UPDATE_HELP)]
    Update(UpdateArgs),
    /// Stop every credential of a tenant
    #[command(after_help = SUSPEND_HELP)]
    Suspend(SuspendArgs),
    /// End a suspension, or bring a deleted tenant back
    #[command(after_help = RESUME_HELP)]
    Resume(ResumeArgs),
    /// Delete a tenant, with everything in it
    #[command(after_help = DELETE_HELP)]
    Delete(DeleteArgs),
    /// List the members of your tenant, newest first
    #[command(after_help = MEMBERS_HELP)]
    Members(PageArgs),
    /// Show or set the networks that your tenant's credentials may be used from
    #[command(after_help = ALLOWLIST_HELP)]
    Allowlist(AllowlistArgs),
}

/// Options of `tenant create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A short name: 2 to 40 lower-case letters, digits and hyphens
    pub slug: String,
    /// E-mail address of the owner; a user of that address is used or made
    #[arg(long, value_name = "EMAIL")]
    pub owner_email: String,
    /// A name for people; the slug if not given
    #[arg(long)]
    pub name: Option<String>,
    /// UUID that makes a repetition safe; a fresh one if not given
    #[arg(long, value_name = "UUID", value_parser = values::request_id)]
    pub request_id: Option<Uuid>,
}

/// Names a tenant.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The tenant's id or slug; your own if not given
    #[arg(default_value = "-", hide_default_value = true)]
    pub id: String,
}

/// Options of `tenant update`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct UpdateArgs {
    /// The tenant.
    #[command(flatten)]
    pub one: OneArgs,
    /// A name for people
    #[arg(long, group = "change")]
    pub name: Option<String>,
    /// Requests a minute of a key that says nothing itself; 0 is the server's default
    #[arg(long, value_name = "N", group = "change")]
    pub rate_limit: Option<u32>,
    /// Whether its people must give a second factor; who has not can only enrol one
    #[arg(long, value_name = "true|false", group = "change")]
    pub require_mfa: Option<bool>,
    /// How long access tokens live, in seconds: at most 3600; 0 is the server's default
    #[arg(long, value_name = "SECONDS", group = "change")]
    pub access_token_lifetime: Option<u32>,
    /// How long new sessions live at most, in seconds: 300 to 2592000; 0 is the server's default
    #[arg(long, value_name = "SECONDS", group = "change")]
    pub session_lifetime: Option<u32>,
    /// Kind of keys that can be made from now on, and no others; repeatable
    #[arg(long = "allow-key-kind", value_name = "KIND", value_enum, group = "change")]
    pub key_kinds: Vec<Kind>,
    /// Let keys of every kind be made
    #[arg(long, group = "change", conflicts_with = "key_kinds")]
    pub any_key_kind: bool,
    /// Feature that it has licensed, in place of all others; repeatable
    #[arg(long = "feature", value_name = "NAME", group = "change")]
    pub features: Vec<String>,
    /// It has no feature licensed
    #[arg(long, group = "change", conflicts_with = "features")]
    pub no_features: bool,
    /// Change it only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,
}

/// Options of `tenant suspend`.
#[derive(Debug, Args)]
pub struct SuspendArgs {
    /// The tenant's id or slug
    pub id: String,
    /// Why; kept in the audit log
    #[arg(long, default_value = "", hide_default_value = true)]
    pub reason: String,
}

/// Options of `tenant resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The tenant's id or slug
    pub id: String,
}

/// Options of `tenant delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The tenant's id or slug
    pub id: String,
    /// Delete it only if it still has this etag
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    pub etag: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Options of `tenant allowlist`.
#[derive(Debug, Args)]
pub struct AllowlistArgs {
    /// Network or address to allow, in place of all others; repeatable
    #[arg(long = "network", value_name = "CIDR", value_parser = values::network)]
    pub networks: Vec<String>,
    /// Allow everywhere
    #[arg(long, conflicts_with = "networks")]
    pub clear: bool,
}
