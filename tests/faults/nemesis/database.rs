//! What befalls the database.
use super::{Fault, calm};
use crate::harness::postgres::Postgres;
use crate::random::Random;
use crate::run::Run;
use std::sync::Arc;
use std::time::Duration;

/// The row that puts commits in order.
const LOCK_HEAD: &str = "BEGIN; SELECT * FROM change_head FOR UPDATE";
/// Every session but one's own, or about half of them.
const END_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";
const END_HALF: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid % 2 = 0";
const READ_ONLY: &str = "ALTER SYSTEM SET default_transaction_read_only = on";
const READ_WRITE: &str = "ALTER SYSTEM RESET default_transaction_read_only";
const RELOAD: &str = "SELECT pg_reload_conf()";

/// Does this to the database, and undoes it after `time`.
pub async fn strike(run: &Run, fault: Fault, random: &mut Random, time: Duration) {
    match fault {
        Fault::KillDatabase => kill(run, time / 3).await,
        Fault::FreezeDatabase => {
            let postgres = run.cluster.primary();
            order(&postgres, Postgres::freeze).await;
            calm(run, time).await;
            order(&postgres, Postgres::thaw).await;
        }
        Fault::EndSessions => {
            let statement = if random.percent(50) { END_ALL } else { END_HALF };
            for _ in 0..3 {
                run.cluster.sql(statement, &run.stop).await;
                calm(run, time / 3).await;
            }
        }
        Fault::ReadOnly => {
            // Not in one transaction: the server's settings cannot be changed in one.
            run.cluster.sql(READ_ONLY, &run.stop).await;
            run.cluster.sql(RELOAD, &run.stop).await;
            calm(run, time).await;
            run.cluster.sql(READ_WRITE, &run.stop).await;
            run.cluster.sql(RELOAD, &run.stop).await;
        }
        Fault::LockHead => {
            let holder = run.cluster.sql(LOCK_HEAD, &run.stop).await;
            calm(run, time * 2).await;
            if let Some(holder) = holder {
                let _ = holder.batch_execute("ROLLBACK").await;
            }
        }
        _ => {}
    }
}

/// Kills every process of PostgreSQL, and starts it again.
pub async fn kill(run: &Run, time: Duration) {
    let postgres = run.cluster.primary();
    order(&postgres, Postgres::crash).await;
    calm(run, time).await;
    order(&postgres, Postgres::start_again).await;
    // It takes connections before it has recovered; the cause is over when it answers.
    run.cluster.sql("SELECT 1", &run.stop).await;
}

/// Gives an order that may block for a while.
pub async fn order(postgres: &Arc<Postgres>, order: fn(&Postgres)) {
    let postgres = postgres.clone();
    tokio::task::spawn_blocking(move || order(&postgres)).await.unwrap();
}
