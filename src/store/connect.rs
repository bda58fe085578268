//! Opening and pooling connections.

use super::scope::{Across, Scope};
use super::{Conn, Pg, Result, Sqlite};
use diesel::connection::SimpleConnection;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager as Manager, ManagerConfig, PoolError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};

/// `[database]`: where the data is and how much of the database may be used.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// `sqlite://PATH` or `postgres://…`. A secret: it may hold a password.
    pub url: Url,
    /// Connections that write to PostgreSQL; SQLite has one.
    pub write_connections: u16,
    /// Connections that read.
    pub read_connections: u16,
    /// How long to wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a transaction may take, in milliseconds.
    pub write_timeout_ms: u64,
    /// Certificates (PEM) to trust for PostgreSQL besides the system's.
    pub tls_ca_file: Option<PathBuf>,
}

/// A database URL; may hold a password and is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Url(String);

impl Url {
    /// The URL of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The URL in full, password included.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        write!(f, "{scheme}:[redacted]")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: Url::new("sqlite://doorward.db"),
            write_connections: 4,
            read_connections: 8,
            connect_timeout_ms: 5_000,
            write_timeout_ms: 10_000,
            tls_ca_file: None,
        }
    }
}

/// A database that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum BadDatabase {
    /// Neither of the two.
    #[error("must begin with sqlite:// or postgres://")]
    Scheme,
    /// A PostgreSQL URL that cannot be read. The text is not shown: it may hold a password.
    #[error("is not a PostgreSQL URL that can be read: {0}")]
    Url(&'static str),
    /// Certificates cannot be read.
    #[error("tls_ca_file: {0}")]
    Certificates(String),
    /// The pool cannot be made.
    #[error("the pool of connections: {0}")]
    Pool(String),
    /// A pool of no connections, and the like.
    #[error("{0}")]
    Bounds(&'static str),
}

/// The connections of one database.
#[derive(Clone)]
pub enum Connections {
    /// SQLite.
    Sqlite(Pool<Sqlite>),
    /// PostgreSQL.
    Pg(Pool<Pg>),
}

impl Connections {
    /// A connection as it is: of writers it has no scope, so it sees no
    /// tenant's rows until a transaction gives it one.
    pub async fn get(&self) -> Result<Conn> {
        Ok(match self {
            Self::Sqlite(pool) => Conn::Sqlite(pool.get().await?),
            Self::Pg(pool) => Conn::Pg(pool.get().await?),
        })
    }
}

/// The pools of a database. On SQLite both of the readers' are the same.
pub struct Pools {
    /// Connections that write.
    pub writers: Connections,
    /// Connections that read across tenants, for as long as they are open.
    pub across: Connections,
    /// Connections that read one tenant's rows, another's each time.
    pub within: Connections,
}

/// Makes the pools.
pub fn pools(options: &Options) -> Result<Pools, BadDatabase> {
    if options.write_connections < 2 || options.read_connections < 4 {
        return Err(BadDatabase::Bounds("needs at least 2 connections to write and 4 to read"));
    }
    let url = options.url.reveal();
    if let Some(path) = url.strip_prefix("sqlite://") {
        return sqlite_pools(path, options);
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(BadDatabase::Scheme);
    }
    let writers = Server::parse(options, "-c idle_in_transaction_session_timeout=5s -c lock_timeout=5s")?;
    let readers =
        Server::parse(options, "-c idle_in_transaction_session_timeout=60s -c statement_timeout=60s")?;
    let pool = |server: Server, most: u16, scope: Option<Scope>| {
        let server = Arc::new(server);
        let connect: Connect<Pg> = Box::new(move |_| {
            let server = Arc::clone(&server);
            async move { begun(server.connect().await?, scope).await }.boxed()
        });
        pool(String::new(), most, options, connect).map(Connections::Pg)
    };
    // The change log and snapshots keep connections of theirs, so there are more of those.
    let within = (options.read_connections - 2) / 2;
    let across = options.read_connections - within;
    Ok(Pools {
        writers: pool(writers, options.write_connections, None)?,
        across: pool(readers.clone(), across, Some(Across::Views.into()))?,
        within: pool(readers, within, None)?,
    })
}

/// Gives a session the scope that it keeps. A statement and no option of the
/// connection, which poolers in between drop.
async fn begun(mut conn: Pg, scope: Option<Scope>) -> ConnectionResult<Pg> {
    if let Some(scope) = scope {
        let set = SimpleAsyncConnection::batch_execute(&mut conn, &scope.of_session()).await;
        set.map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(conn)
}

/// SQLite has one writer at a time, so it gets one connection; readers see the
/// last commit and never wait for it. FULL makes a commit survive power loss:
/// a revocation that came back must not come undone.
fn sqlite_pools(path: &str, options: &Options) -> Result<Pools, BadDatabase> {
    let open = |pragmas: &'static str, most: u16| {
        let connect: Connect<Sqlite> = Box::new(move |path| sqlite(path.to_owned(), pragmas).boxed());
        pool(path.to_owned(), most, options, connect).map(Connections::Sqlite)
    };
    let writers = open("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", 1)?;
    let across = open("PRAGMA query_only = ON;", options.read_connections)?;
    let within = across.clone();
    Ok(Pools { writers, across, within })
}

async fn sqlite(path: String, pragmas: &'static str) -> ConnectionResult<Sqlite> {
    let mut conn = Sqlite::establish(&path).await?;
    let all = format!("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; {pragmas}");
    conn.spawn_blocking(move |c| c.batch_execute(&all))
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

type Connect<C> = Box<dyn Fn(&str) -> BoxFuture<'_, ConnectionResult<C>> + Send + Sync>;

fn pool<C>(url: String, most: u16, options: &Options, connect: Connect<C>) -> Result<Pool<C>, BadDatabase>
where
    C: PoolableConnection + 'static,
    Manager<C>: deadpool::managed::Manager<Type = C, Error = PoolError>,
{
    let mut config = ManagerConfig::default();
    config.custom_setup = connect;
    config.recycling_method = RecyclingMethod::Fast;
    let wait = Some(Duration::from_millis(options.connect_timeout_ms));
    Pool::builder(Manager::new_with_config(url, config))
        .max_size(usize::from(most))
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(wait)
        .create_timeout(wait)
        .build()
        .map_err(|error| BadDatabase::Pool(error.to_string()))
}

/// A PostgreSQL server and how to speak to it.
#[derive(Clone)]
struct Server {
    config: tokio_postgres::Config,
    tls: rustls::ClientConfig,
}

impl Server {
    fn parse(options: &Options, settings: &str) -> Result<Self, BadDatabase> {
        // libpq's stricter modes are what `require` is here: chain and name are always checked.
        let url = options
            .url
            .reveal()
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: tokio_postgres::Config = match url.parse() {
            Ok(config) => config,
            // Its text may hold the password.
            Err::<_, tokio_postgres::Error>(_) => {
                return Err(BadDatabase::Url("see the form postgres://user:password@host:5432/name"));
            }
        };
        if config.get_ssl_mode() == SslMode::Prefer {
            // Never plaintext because somebody in between said so.
            config.ssl_mode(if is_local(&config) { SslMode::Disable } else { SslMode::Require });
        }
        let given = config.get_options().map(|given| format!(" {given}")).unwrap_or_default();
        config.options(format!("{settings}{given}"));
        config.application_name("doorward");
        config.connect_timeout(Duration::from_millis(options.connect_timeout_ms));
        config.keepalives_idle(Duration::from_secs(10));
        config.tcp_user_timeout(Duration::from_secs(10));
        Ok(Self { config, tls: tls(options.tls_ca_file.as_deref())? })
    }

    async fn connect(&self) -> ConnectionResult<Pg> {
        let bad = |error: tokio_postgres::Error| ConnectionError::BadConnection(error.to_string());
        if self.config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = self.config.connect(tokio_postgres::NoTls).await.map_err(bad)?;
            return Pg::try_from_client_and_connection(client, connection).await;
        }
        let tls = tokio_postgres_rustls::MakeRustlsConnect::new(self.tls.clone());
        let (client, connection) = self.config.connect(tls).await.map_err(bad)?;
        Pg::try_from_client_and_connection(client, connection).await
    }
}

fn is_local(config: &tokio_postgres::Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    })
}

fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, BadDatabase> {
    let bad = |error: String| BadDatabase::Certificates(error);
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| bad(error.to_string()))?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, BadDatabase> {
        Server::parse(&Options { url: Url::new(url), ..Options::default() }, "-c a=b")
    }

    #[tokio::test]
    async fn plaintext_only_on_this_machine_or_when_asked_for() {
        for (url, expected) in [
            ("postgres://u@localhost/d", SslMode::Disable),
            ("postgres://u@127.0.0.1:5433/d", SslMode::Disable),
            ("postgres://u@db.example.com/d", SslMode::Require),
            ("postgres://u@localhost,db.example.com/d", SslMode::Require),
            ("postgres://u@db.example.com/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@localhost/d?sslmode=verify-full", SslMode::Require),
        ] {
            assert_eq!(server(url).unwrap().config.get_ssl_mode(), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = Url::new("postgres://u:hunter2@h/d");
        assert!(!format!("{url:?}").contains("hunter2"));
        let bad = server("postgres://u:hunter2@h:notaport/d").err().unwrap().to_string();
        assert!(!bad.contains("hunter2"), "{bad}");
    }

    #[test]
    fn options_of_the_url_are_kept() {
        let server = server("postgres://u@localhost/d?options=-csearch_path%3Dx").unwrap();
        assert_eq!(server.config.get_options(), Some("-c a=b -csearch_path=x"));
    }
}
