//! Everything that a database holds of a tenant, to be compared before and after.
use crate::harness::Database;
use crate::harness::postgres::Postgres;
use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use doorward::domain::TenantId;
use std::collections::BTreeMap;

/// Each table's rows of that tenant, sorted.
pub type Fingerprint = BTreeMap<String, Vec<String>>;

/// What the database holds of the tenant: every row of every table that says whose its rows are.
pub async fn fingerprint(database: &Database, tenant: &str) -> Fingerprint {
    let tenant: TenantId = tenant.parse().unwrap();
    let hex = format!("{:032x}", u128::from_be_bytes(*tenant.as_bytes()));
    let found = match database {
        Database::Sqlite(_) => {
            let path = database.url().strip_prefix("sqlite://").unwrap().to_owned();
            tokio::task::spawn_blocking(move || of_sqlite(&path, &hex)).await.unwrap()
        }
        Database::Postgres(url) => of_postgres(url.rsplit_once('/').unwrap().1, &hex).await,
    };
    let found = without_what_comes_by_itself(found);
    for start in ["api_keys", "members", "sessions", "audit_"] {
        let rows = found.iter().filter(|(table, _)| table.starts_with(start)).map(|(_, rows)| rows.len());
        assert!(rows.sum::<usize>() > 0, "nothing in {start}: {:?}", found.keys());
    }
    found
}

/// Logs get checkpoints, and entries of what was refused, when their time comes.
fn without_what_comes_by_itself(mut found: Fingerprint) -> Fingerprint {
    for table in ["audit_heads", "audit_tiles", "audit_checkpoints"] {
        found.remove(table);
    }
    if let Some(entries) = found.get_mut("audit_entries") {
        entries.retain(|entry| !entry.contains("security."));
    }
    found
}

#[derive(QueryableByName)]
struct Cell {
    #[diesel(sql_type = Text)]
    text: String,
}

fn of_sqlite(path: &str, hex: &str) -> Fingerprint {
    let mut connection = SqliteConnection::establish(path).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
    let mut ask = |query: String| -> Vec<String> {
        let cells: Vec<Cell> = diesel::sql_query(query).load(&mut connection).unwrap();
        cells.into_iter().map(|cell| cell.text).collect()
    };
    let tables = ask("SELECT m.name AS text FROM sqlite_master m, pragma_table_info(m.name) c \
                      WHERE m.type = 'table' AND c.name = 'tenant_id'"
        .into());
    let mut found = Fingerprint::new();
    for table in tables {
        let columns = ask(format!("SELECT name AS text FROM pragma_table_info('{table}')"));
        let row = columns.iter().map(|column| format!("quote(\"{column}\")")).collect::<Vec<_>>();
        let row = row.join(" || ',' || ");
        let rows = ask(format!("SELECT {row} AS text FROM {table} WHERE tenant_id = x'{hex}' ORDER BY 1"));
        found.insert(table, rows);
    }
    found
}

async fn of_postgres(name: &str, hex: &str) -> Fingerprint {
    let server = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    let connection = server.connect(name).await;
    let ask = async |query: String| -> Vec<String> {
        let rows = connection.query(&query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let tables = "SELECT table_name::text FROM information_schema.columns \
                  WHERE table_schema = 'public' AND column_name = 'tenant_id'";
    let mut found = Fingerprint::new();
    for table in ask(tables.into()).await {
        let rows = format!("SELECT t::text FROM {table} t WHERE t.tenant_id = '\\x{hex}'::bytea ORDER BY 1");
        let rows = ask(rows).await;
        found.insert(table, rows);
    }
    found
}
