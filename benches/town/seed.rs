//! Writes the town into a SQLite database, much faster than its use cases would: no audit, no change log.

use super::{KEYS_OF_TENANT, KEYS_OF_USER, member, tenant, user};
use anyhow::Result;
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use doorward::secret::Minted;
use doorward::store::{Options, Store, Url};
use std::fmt::Write as _;
use std::path::Path;

/// Rows in one statement.
const ROWS: usize = 500;

/// The columns that rows here have; others keep their defaults.
const TENANTS: &str = "tenants (id, slug, display_name, suspended, networks, per_minute, create_time, update_time, \
                       version)";
const USERS: &str = "users (id, email, password_hash, operator, disabled, create_time, version)";
const MEMBERS: &str = "members (tenant_id, user_id, role, create_time)";
const KEYS: &str = "api_keys (id, tenant_id, kind, user_id, environment, scopes, digest, imported, previous_digest, \
                    previous_until, networks, per_minute, expire_time, display_name, prefix, created_by, \
                    create_time, update_time, revoke_time, version)";

/// The options of a store over the database at `path`.
pub fn options(path: &Path) -> Options {
    Options { url: Url::new(format!("sqlite://{}", path.display())), ..Options::default() }
}

/// Makes the database at `path`, with the keys of `secrets` and all who go with them.
pub async fn seed(path: &Path, secrets: &[Minted]) -> Result<()> {
    let store = Store::new(&options(path))?;
    store.migrate().await?;
    store.close().await;
    drop(store);
    let mut database = SqliteConnection::establish(&path.display().to_string())?;
    database.batch_execute("PRAGMA synchronous = OFF; BEGIN")?;
    let keys = u64::try_from(secrets.len())?;
    let (tenants, people) = (keys.div_ceil(KEYS_OF_TENANT), keys.div_ceil(KEYS_OF_USER));
    insert(&mut database, TENANTS, (0..tenants).map(tenant_row))?;
    insert(&mut database, USERS, (0..people).map(user_row))?;
    insert(&mut database, MEMBERS, (0..people).map(|number| Ok(member_row(number))))?;
    insert(&mut database, KEYS, (0..).zip(secrets).map(|(number, secret)| Ok(key_row(number, secret))))?;
    database.batch_execute("COMMIT")?;
    Ok(())
}

fn insert(
    database: &mut SqliteConnection,
    table: &str,
    rows: impl Iterator<Item = Result<String>>,
) -> Result<()> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let some = rows.by_ref().take(ROWS).collect::<Result<Vec<_>>>()?;
        database.batch_execute(&format!("INSERT INTO {table} VALUES {}", some.join(",")))?;
    }
    Ok(())
}

fn tenant_row(number: u64) -> Result<String> {
    let tenant = tenant(number)?;
    let (id, slug) = (blob(tenant.id.as_bytes()), tenant.slug);
    Ok(format!("({id},'{slug}','{slug}',FALSE,'',{},0,0,1)", tenant.per_minute))
}

fn user_row(number: u64) -> Result<String> {
    let user = user(number)?;
    let (id, email) = (blob(user.id.as_bytes()), user.email.as_str());
    Ok(format!("({id},'{email}',NULL,{},FALSE,0,1)", user.operator))
}

fn member_row(number: u64) -> String {
    let member = member(number);
    let role = member.role.map(String::from).unwrap_or_default();
    format!("({},{},'{role}',0)", blob(member.tenant.as_bytes()), blob(member.user.as_bytes()))
}

fn key_row(number: u64, secret: &Minted) -> String {
    let key = super::key(number, secret.digest());
    let (id, tenant, digest) =
        (blob(key.id.as_bytes()), blob(key.tenant.as_bytes()), blob(&key.digest.to_bytes()));
    let user = key.user.map_or_else(|| "NULL".into(), |user| blob(user.as_bytes()));
    let (kind, environment, limit) = (key.kind.name(), key.environment.name(), key.per_minute);
    format!(
        "({id},{tenant},'{kind}',{user},'{environment}','*',{digest},FALSE,NULL,NULL,'',{limit},NULL,\
         'key {number}','dw_live_','bench',0,0,NULL,1)"
    )
}

/// A literal of SQLite's.
fn blob(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2 + 3);
    text.push_str("x'");
    for byte in bytes {
        write!(text, "{byte:02x}").ok();
    }
    text.push('\'');
    text
}
