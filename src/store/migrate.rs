//! Bringing the schema up to date.

use super::scope::{Across, Scope};
use super::{Conn, Error, Result};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncMigrationHarness, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// What PostgreSQL alone understands, run after the others.
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations-postgres");

/// Held in PostgreSQL while migrating, so that one replica does it. The number
/// is ours alone by chance.
const LOCK: &str = "SET lock_timeout = 0; SELECT pg_advisory_lock(7019267846)";

/// A migration may have to change rows of every tenant.
const SCOPE: Scope = Scope::Everything(Across::Instance);

/// Runs what has not been run. Closes the connection, which frees the lock.
pub async fn run(mut conn: Conn) -> Result<usize> {
    if let Conn::Pg(c) = &mut conn {
        c.batch_execute(LOCK).await?;
        c.batch_execute(&SCOPE.of_session()).await?;
    }
    // The harness blocks; on a thread of its own that is allowed.
    let running = tokio::task::spawn_blocking(move || match conn {
        Conn::Sqlite(c) => {
            AsyncMigrationHarness::new(c).run_pending_migrations(MIGRATIONS).map(|versions| versions.len())
        }
        Conn::Pg(c) => {
            let mut harness = AsyncMigrationHarness::new(Object::take(c));
            let both = harness.run_pending_migrations(MIGRATIONS)?.len();
            Ok(both + harness.run_pending_migrations(POSTGRES_MIGRATIONS)?.len())
        }
    });
    running.await.map_err(|error| Error::Unavailable(error.into()))?.map_err(Error::Unavailable)
}
