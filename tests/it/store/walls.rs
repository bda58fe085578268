//! Row-level security: PostgreSQL itself keeps tenants apart, whatever a query forgot to say.
use super::*;
use crate::harness::postgres::Postgres;
use doorward::store::keys::key_by_id;
use std::collections::BTreeSet;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Tables whose rows are a tenant's: the column that leads to it, and a row of the tenant `$T`, whose
/// person, key and session have its own id.
const OF_TENANTS: [(&str, &str, &str); 20] = [
    ("tenants", "id", "($T, '$t', '', FALSE, '', 0, 0, 0, 1)"),
    ("members", "tenant_id", "($T, $T, 'owner', 0)"),
    ("tenant_owners", "tenant_id", "($T, $T)"),
    (
        "api_keys",
        "tenant_id",
        "($T, $T, 'tenant', NULL, 'live', '', $T || $T, FALSE, NULL, NULL, '', 0, NULL, '', '', '', 0, 0, NULL, 1)",
    ),
    ("api_key_uses", "key_id", "($T, 0)"),
    ("key_usage", "key_id", "($T, 1, 0, 0, 0, 0, 0, 0, 0, FALSE)"),
    ("ingest_usage", "tenant_id", "($T, $T, 1, 1, 0, 0, 0, 0, 0)"),
    ("requests", "tenant_id", "($T, '', '', '', 0)"),
    ("roles", "tenant_id", "($T, $T, '', '', '', 0, 0, 1)"),
    ("invitations", "tenant_id", "($T, $T, '', 'viewer', $T || $T, '', 0, 0)"),
    ("sessions", "tenant_id", "($T, $T, $T, '', '', NULL, 0, 0, 0, NULL)"),
    ("refresh_tokens", "session_id", "($T || $T, $T, 0)"),
    ("challenges", "tenant_id", "($T || $T, $T, $T, NULL, 0)"),
    ("provider_keys", "tenant_id", "($T, $T, '', '', '', '', '', 0)"),
    ("break_glass_grants", "tenant_id", "($T, $T, $T, '', 0, 0)"),
    ("audit_heads", "tenant_id", "($T, 1, 0, 0, '', 0, FALSE)"),
    ("audit_entries", "tenant_id", "($T, 0, 0, '', '', '', '')"),
    ("audit_fields", "tenant_id", "($T, 0, '', $T, '')"),
    ("audit_tiles", "tenant_id", "($T, 0, $T || $T, decode(repeat('00', 8192), 'hex'))"),
    ("audit_checkpoints", "tenant_id", "($T, 1, 0, '')"),
];

/// Tables whose rows are no tenant's, and hidden from whoever works for one.
const NO_TENANTS: [&str; 8] = [
    "totp_factors",
    "backup_codes",
    "devices",
    "mailed_tokens",
    "passkeys",
    "signing_keys",
    "instance",
    "changes",
];

/// People: a tenant sees its members.
const PEOPLE: &str = "users";

/// Tables that tell nothing of any tenant.
const OPEN: [&str; 7] = [
    "__diesel_schema_migrations",
    "break_glass_keys",
    "change_head",
    "job_runs",
    "replicas",
    "throttles",
    "used_challenges",
];

/// Tenants, by the byte that their ids are made of. The third has no rows.
const A: u8 = 0xaa;
const B: u8 = 0xbb;
const C: u8 = 0xcc;

/// A database with everything of two tenants: a session of its superuser, and one of Doorward's role.
async fn two_towns() -> (Client, Client) {
    let database = Database::postgres().await;
    open(&database).await;
    let url = database.url();
    let name = url.rsplit_once('/').unwrap().1;
    let (admin, plain) =
        (Postgres::shared().connect(name).await, Postgres::shared().connect_as("doorward", name).await);
    for tenant in [A, B] {
        let mut all = format!("BEGIN; {}", person(tenant));
        for (table, _, row) in OF_TENANTS {
            all.push_str(&insert_of(table, row, tenant));
        }
        admin.batch_execute(&format!("{all} COMMIT")).await.unwrap();
    }
    admin.batch_execute(&format!("{} {}", person(C), secrets(A))).await.unwrap();
    (admin, plain)
}

fn hex(tenant: u8) -> String {
    format!("{tenant:02x}").repeat(16)
}

fn bytes(tenant: u8) -> String {
    format!("'\\x{}'::bytea", hex(tenant))
}

fn insert_of(table: &str, row: &str, tenant: u8) -> String {
    let columns = match table {
        "tenants" => {
            " (id, slug, display_name, suspended, networks, per_minute, create_time, update_time, version)"
        }
        "tenant_owners" => " (tenant_id, user_id)",
        "refresh_tokens" => " (digest, session_id, create_time)",
        "break_glass_grants" => " (id, tenant_id, key_id, permissions, create_time, expire_time)",
        "provider_keys" => " (id, tenant_id, provider, label, secret, fingerprint, set_by, set_time)",
        _ => "",
    };
    let row = row.replace("$T", &bytes(tenant)).replace("$t", &hex(tenant));
    format!("INSERT INTO {table}{columns} VALUES {row};")
}

fn person(id: u8) -> String {
    let row = format!("({}, '{}', FALSE, FALSE, 0, 1)", bytes(id), hex(id));
    format!("INSERT INTO users (id, email, operator, disabled, create_time, version) VALUES {row};")
}

/// A row of each table that is no tenant's; some are there already.
fn secrets(id: u8) -> String {
    let id = bytes(id);
    format!(
        "INSERT INTO totp_factors VALUES ({id}, '', FALSE, 0, 0);
         INSERT INTO backup_codes VALUES ({id}, {id} || {id});
         INSERT INTO devices VALUES ({id} || {id}, {id}, 0);
         INSERT INTO mailed_tokens VALUES ({id} || {id}, {id}, '', '', 0);
         INSERT INTO passkeys VALUES ({id}, {id}, {id}, '', 0, FALSE, FALSE, '', 0, NULL);
         INSERT INTO signing_keys VALUES ('kid', '', '', 0, FALSE);
         INSERT INTO instance VALUES ('name', '');
         INSERT INTO changes VALUES (1, '', 0);"
    )
}

async fn enter(client: &Client, scope: &str) {
    client.batch_execute(&format!("SET doorward.tenant = '{scope}'")).await.unwrap();
}

async fn count(client: &Client, table: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

/// Runs a statement of which nothing stays; the rows it touched, or why it was refused.
async fn touched(client: &Client, statement: &str) -> Result<u64, SqlState> {
    client.batch_execute("BEGIN; SET LOCAL doorward.keeping = 'audit'").await.unwrap();
    let outcome = client.execute(statement, &[]).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    outcome.map_err(|error| error.code().unwrap().clone())
}

/// What a session in the scope of [`A`] can see or touch and may not, or cannot and should.
async fn leaks(client: &Client) -> Vec<String> {
    let mut leaks = Vec::new();
    let mut expect = |what: String, found: Result<u64, SqlState>, wanted: Result<u64, SqlState>| {
        if found != wanted {
            leaks.push(format!("{what}: {found:?} instead of {wanted:?}"));
        }
    };
    let refused = || Err(SqlState::INSUFFICIENT_PRIVILEGE);
    for (table, column, row) in OF_TENANTS {
        expect(format!("{table} seen"), touched(client, &format!("SELECT FROM {table}")).await, Ok(1));
        expect(format!("{table} deleted"), touched(client, &format!("DELETE FROM {table}")).await, Ok(1));
        let is_log = table.starts_with("audit_") && table != "audit_heads";
        let same = touched(client, &format!("UPDATE {table} SET {column} = {column}")).await;
        expect(format!("{table} updated"), same, if is_log { refused() } else { Ok(1) });
        let moved = format!("UPDATE {table} SET {column} = {} WHERE {column} = {}", bytes(C), bytes(A));
        expect(format!("{table} given away"), touched(client, &moved).await, refused());
        let added = touched(client, insert_of(table, row, C).trim_end_matches(';')).await;
        expect(format!("{table} added"), added, refused());
    }
    leaks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_without_a_condition_touches_one_tenants_rows() {
    let (admin, plain) = two_towns().await;
    for (table, ..) in OF_TENANTS {
        assert_eq!(count(&admin, table).await, 2, "{table}");
    }
    enter(&plain, &hex(A)).await;
    assert_eq!(leaks(&plain).await, Vec::<String>::new());
    // Members are seen, and nothing of theirs is changed; what proves who they are is not even seen.
    assert_eq!(count(&plain, PEOPLE).await, 1);
    assert_eq!(touched(&plain, "SELECT FROM users FOR SHARE").await, Ok(1));
    let changed = touched(&plain, "UPDATE users SET operator = TRUE").await;
    assert_eq!(changed, Err(SqlState::INSUFFICIENT_PRIVILEGE));
    assert_eq!(touched(&plain, "DELETE FROM users").await, Ok(0));
    for table in NO_TENANTS {
        assert!(count(&admin, table).await > 0, "{table}");
        assert_eq!(count(&plain, table).await, 0, "{table}");
    }
    // The test itself sees where a wall is missing.
    for (table, column, _) in OF_TENANTS {
        let without = format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY");
        admin.batch_execute(&without).await.unwrap();
        let leaks = leaks(&plain).await;
        assert!(leaks.contains(&format!("{table} seen: Ok(2) instead of Ok(1)")), "{column}: {leaks:?}");
        admin.batch_execute(&without.replace("DISABLE", "ENABLE")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_tenant_sees_and_writes_nothing() {
    let (_, plain) = two_towns().await;
    let tables = || OF_TENANTS.iter().map(|(table, ..)| *table).chain(NO_TENANTS).chain([PEOPLE]);
    for table in tables() {
        assert_eq!(count(&plain, table).await, 0, "{table}, where nothing was ever set");
    }
    for scope in ["", "nobody", "**", "aa"] {
        enter(&plain, scope).await;
        for table in tables() {
            assert_eq!(count(&plain, table).await, 0, "{table} in `{scope}`");
        }
        for (table, _, row) in OF_TENANTS {
            let added = touched(&plain, insert_of(table, row, C).trim_end_matches(';')).await;
            assert_eq!(added, Err(SqlState::INSUFFICIENT_PRIVILEGE), "{table} in `{scope}`");
        }
        for statement in secrets(B).split_inclusive(';').filter(|it| it.contains("INSERT")) {
            let added = touched(&plain, statement.trim_end_matches(';')).await;
            assert_eq!(added, Err(SqlState::INSUFFICIENT_PRIVILEGE), "{statement} in `{scope}`");
        }
    }
    enter(&plain, "*").await;
    for (table, ..) in OF_TENANTS {
        assert_eq!(count(&plain, table).await, 2, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_changed_by_retention_and_erasure_alone() {
    let (admin, plain) = two_towns().await;
    enter(&plain, "*").await;
    for (table, column, _) in OF_TENANTS.into_iter().filter(|(table, ..)| table.starts_with("audit_")) {
        // Triggers hold for superusers too.
        for client in [&admin, &plain] {
            for statement in ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {column} = '\\x00'"] {
                let statement = statement.replace("{}", table).replace("{column}", column);
                let error = client.batch_execute(&statement).await.unwrap_err();
                assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
            }
        }
        assert_eq!(touched(&plain, &format!("DELETE FROM {table}")).await, Ok(2), "{table}, kept");
        assert_eq!(
            touched(&plain, &format!("UPDATE {table} SET {column} = '\\x00'")).await,
            Err(SqlState::INSUFFICIENT_PRIVILEGE),
            "{table}, kept"
        );
    }
    for change in ["size = 0", "sealed = -1", "frontier = '\\x00'", "first = 1", "held = TRUE"] {
        let statement = format!("UPDATE audit_heads SET {change}");
        let error = plain.batch_execute(&statement).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
    plain.batch_execute("UPDATE audit_heads SET size = size + 1, since = 7").await.unwrap();
    assert_eq!(touched(&plain, "UPDATE audit_heads SET held = TRUE").await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_forgets_whom_it_served() {
    let database = Database::postgres().await;
    open(&database).await;
    // Of four that read one is for single tenants: everybody gets the same.
    let options = Options {
        url: Url::new(database.url()),
        read_connections: 4,
        write_connections: 2,
        ..<_>::default()
    };
    let store = Store::new(&options).unwrap();
    let (one, _) = town(&store, "one").await;
    let (two, _) = town(&store, "two").await;
    let (of_one, of_two) = (key(one, None), key(two, None));
    insert(&store, &of_one).await.unwrap();
    insert(&store, &of_two).await.unwrap();
    for _ in 0..3 {
        for (tenant, own, other) in [(one, &of_one, &of_two), (two, &of_two, &of_one)] {
            let conn = &mut store.read(tenant).await.unwrap();
            let (own, other) = (&own.state, &other.state);
            assert!(key_by_id(conn, own.tenant, own.id).await.unwrap().is_some());
            assert!(
                key_by_id(conn, other.tenant, other.id).await.unwrap().is_none(),
                "asked for by its own tenant"
            );
            let everybody = &mut store.read(Across::Instance).await.unwrap();
            assert!(key_by_id(everybody, other.tenant, other.id).await.unwrap().is_some());
            // The same of those that write, whose scope before was everybody's.
            write_across(&store, tenant, async |_: &mut Tx| Ok(())).await.unwrap();
            let seen = write(&store, tenant, async |tx| {
                let conn = tx.reading()?;
                let both = (
                    key_by_id(conn, own.tenant, own.id).await?.is_some(),
                    key_by_id(conn, other.tenant, other.id).await?.is_some(),
                );
                Ok(both)
            });
            assert_eq!(seen.await.unwrap().value, (true, false));
        }
    }
    let meant_for_two = write(&store, one, async |tx| key_insert(tx, &key(two, None)).await).await;
    assert!(matches!(meant_for_two, Err(doorward::store::Error::Unavailable(_))), "{meant_for_two:?}");
}

/// Tables that have a tenant, or may have, and no wall.
async fn bare(admin: &Client) -> BTreeSet<String> {
    let query = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
                 AND NOT (relrowsecurity AND relforcerowsecurity \
                          AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid))";
    let rows = admin.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).filter(|table: &String| !OPEN.contains(&table.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_forgets_its_wall() {
    let (admin, _) = two_towns().await;
    assert_eq!(bare(&admin).await, BTreeSet::new(), "add a policy in migrations-postgres/");
    let of_tenants = "SELECT table_name::text FROM information_schema.columns \
                      WHERE table_schema = 'public' AND column_name = 'tenant_id'";
    let tested: BTreeSet<&str> = OF_TENANTS.iter().map(|(table, ..)| *table).collect();
    for row in admin.query(of_tenants, &[]).await.unwrap() {
        let table: String = row.get(0);
        assert!(tested.contains(table.as_str()), "add {table} to OF_TENANTS");
    }
    let walled = "SELECT relname::text FROM pg_class WHERE relforcerowsecurity";
    for row in admin.query(walled, &[]).await.unwrap() {
        let table: String = row.get(0);
        let known =
            tested.contains(table.as_str()) || NO_TENANTS.contains(&table.as_str()) || table == PEOPLE;
        assert!(known, "add {table} to a list of this test");
    }
    // The test itself sees a wall that is missing, and one that the tables' owner passes.
    let spoil = "CREATE TABLE forgotten (tenant_id BYTEA); ALTER TABLE members NO FORCE ROW LEVEL SECURITY";
    admin.batch_execute(spoil).await.unwrap();
    assert_eq!(bare(&admin).await, BTreeSet::from(["forgotten".to_owned(), "members".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_passes_walls_is_told() {
    let database = Database::postgres().await;
    let plain = unmigrated(&database).passes_walls().await.unwrap();
    assert_eq!(plain, None);
    let url = Url::new(database.url().replace("doorward:", "admin:"));
    let store = Store::new(&Options { url, ..Options::default() }).unwrap();
    assert_eq!(store.passes_walls().await.unwrap().as_deref(), Some("admin"));
}
