//! What may be configured, and what is said of a key that was used.
use super::*;
use crate::harness::Settings;
use crate::harness::server::{Printed, doorward, run};

/// Runs a server verb with these settings over a file that nothing serves.
async fn verb(verb: &str, database: &Database, settings: &[(&str, &str)]) -> Printed {
    let mut command = doorward();
    command.arg(verb).env("DOORWARD_DATABASE_URL", database.url());
    for (key, value) in settings {
        command.env(format!("DOORWARD_BREAK_GLASS__{}", key.to_uppercase()), value);
    }
    run(command).await
}

// R44, A67: what is unsafe does not start, and nothing of the key is shown.
#[tokio::test]
async fn unsafe_settings_are_refused() {
    let database = Database::sqlite();
    let key = ("master_key", KEY);
    let on = ("enabled", "true");
    let good = verb("check-config", &database, &[on, key]).await;
    assert_eq!(good.code, Some(0), "{}{}", good.out, good.err);
    for (settings, told) in [
        (vec![on], "master_key"),
        (vec![on, ("master_key", "secret-but-short-3f9a")], "32 to 256"),
        (vec![on, ("master_key", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")], "too few different"),
        (vec![on, key, ("permissions", "*")], "wildcard"),
        (vec![on, key, ("permissions", "keys.read,platform.tenants")], "platform.tenants"),
        (vec![on, key, ("permissions", "provider_keys.fetch")], "provider_keys.fetch"),
        (vec![on, key, ("permissions", "keys.nonsense")], "keys.nonsense"),
        (vec![on, key, ("grant_minutes", "61")], "grant_minutes"),
        (vec![on, key, ("uses_per_minute", "0")], "uses_per_minute"),
    ] {
        for verb_name in ["check-config", "serve"] {
            let refused = verb(verb_name, &database, &settings).await;
            let said = format!("{}{}", refused.out, refused.err);
            assert_eq!(refused.code, Some(64), "{verb_name} {settings:?}: {said}");
            assert!(said.contains(told), "{verb_name} {settings:?}: {said}");
            assert!(!said.contains(KEY) && !said.contains("3f9a"), "the key is shown: {said}");
        }
    }
}

// R44: from a file too.
#[tokio::test]
async fn the_key_may_lie_in_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{KEY}\n")).unwrap();
    let letters = Mailbox::new();
    let settings: Settings = letters
        .settings()
        .set("break_glass.enabled", "true")
        .set("break_glass.master_key_file", file.path().display().to_string());
    let world = World::with(Database::sqlite(), settings).await;
    who(&world.server.api(), emergency(&world.tenant_id)).await.unwrap();
}

// R44: until another key is configured.
#[tokio::test]
async fn whoever_looks_is_told_to_rotate_a_key_that_was_used() {
    let glass = Glass::start(Database::sqlite()).await;
    let settings = [("enabled", "true"), ("master_key", KEY)];
    let before = verb("doctor", &glass.world.database, &settings).await;
    assert!(before.out.contains("never used"), "{}", before.out);
    who(&glass.address(), glass.here()).await.unwrap();
    let after = verb("doctor", &glass.world.database, &settings).await;
    assert!(after.out.contains("configure another one"), "{}", after.out);
    assert_eq!(after.code, Some(1), "{}", after.out);
    let another = [
        ("enabled", "true"),
        ("master_key", "b1946ac92492d2347c6235b4d2611184f1d2d2f924e986ac86fdf7b36c94bcdf"),
    ];
    let rotated = verb("doctor", &glass.world.database, &another).await;
    assert!(rotated.out.contains("never used"), "{}", rotated.out);
    assert_eq!(verb("doctor", &glass.world.database, &[]).await.code, Some(0));
}
