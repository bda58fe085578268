//! Bringing the schema up to date.

use super::{Conn, Error, Result};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AsyncMigrationHarness, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Held in PostgreSQL while migrating, so that one replica does it. The number
/// is ours alone by chance.
const LOCK: &str = "SET lock_timeout = 0; SELECT pg_advisory_lock(7019267846)";

/// Runs what has not been run. Closes the connection, which frees the lock.
pub async fn run(mut conn: Conn) -> Result<usize> {
    if let Conn::Pg(c) = &mut conn {
        c.batch_execute(LOCK).await?;
    }
    // The harness blocks; on a thread of its own that is allowed.
    let running = tokio::task::spawn_blocking(move || match conn {
        Conn::Sqlite(c) => {
            AsyncMigrationHarness::new(c).run_pending_migrations(MIGRATIONS).map(|versions| versions.len())
        }
        Conn::Pg(c) => AsyncMigrationHarness::new(Object::take(c))
            .run_pending_migrations(MIGRATIONS)
            .map(|versions| versions.len()),
    });
    running.await.map_err(|error| Error::Unavailable(error.into()))?.map_err(Error::Unavailable)
}
