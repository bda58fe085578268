//! An empty database of either kind, for one test.
use super::postgres::Postgres;
use tempfile::TempDir;

/// A password that is part of every PostgreSQL URL the tests use: nothing may ever print it.
pub const DATABASE_PASSWORD: &str = "Canary-Of-The-Store-7b1f";

/// Where a server under test keeps its data.
pub enum Database {
    /// A file in a directory of its own.
    Sqlite(TempDir),
    /// A database of the shared PostgreSQL server.
    Postgres(String),
}

impl Database {
    /// An SQLite file that does not exist yet.
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// A fresh database in the shared PostgreSQL.
    pub async fn postgres() -> Self {
        let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
        Self::at_port(server.port(), &server.fresh_database().await)
    }

    /// A PostgreSQL database that is reached through `port`.
    pub fn at_port(port: u16, name: &str) -> Self {
        Self::Postgres(format!("postgres://doorward:{DATABASE_PASSWORD}@127.0.0.1:{port}/{name}"))
    }

    /// As `DOORWARD_DATABASE_URL` takes it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => format!("sqlite://{}", directory.path().join("doorward.db").display()),
            Self::Postgres(url) => url.clone(),
        }
    }
}
