//! The command line, as people and scripts use it.
use crate::harness::client::Metadata;
use crate::harness::rest;
use crate::harness::server::{Printed, doorward, run};
use crate::harness::world::{OWNER, TENANT, bootstrap};
use crate::harness::{Database, Server, Settings, World, client, on_both};
use doorward::pb::v1::WhoAmIRequest;
use http::Method;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Runs a client verb with a key.
async fn with_key(world: &World, key: &str, words: &[&str]) -> Printed {
    let mut command = doorward();
    command.args(words).env("DOORWARD_ADDRESS", format!("http://{}", world.server.api()));
    command.env("DOORWARD_API_KEY", key);
    run(command).await
}

async fn as_owner(world: &World, words: &[&str]) -> Printed {
    with_key(world, &world.owner, words).await
}

async fn plain(words: &[&str]) -> Printed {
    let mut command = doorward();
    command.args(words);
    run(command).await
}

on_both! {
    async fn a_key_lives_its_whole_life_on_the_command_line(database: Database) {
        let world = World::start(database).await;
        let made = as_owner(&world, &["key", "create", "ci", "--scope", "keys.read", "--output", "json"]).await.json();
        let (id, secret) = (made["api_key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        let me = with_key(&world, secret, &["whoami", "--output", "json"]).await.json();
        assert_eq!(me["principal"]["api_key_id"], id, "{me}");
        let got = as_owner(&world, &["key", "get", id, "--output", "json"]).await.json();
        assert_eq!(got["api_key"]["display_name"], "ci");
        let changed = as_owner(&world, &["key", "update", id, "--name", "ci-2", "--output", "json"]).await.json();
        assert_eq!(changed["api_key"]["display_name"], "ci-2");
        let rotated = as_owner(&world, &["key", "rotate", id, "--output", "json"]).await.json();
        let fresh = rotated["secret"].as_str().unwrap();
        assert_eq!(with_key(&world, secret, &["whoami"]).await.code, Some(1));
        assert_eq!(with_key(&world, fresh, &["whoami"]).await.code, Some(0));
        let list = as_owner(&world, &["key", "list"]).await;
        assert!(list.out.contains(id) && list.out.contains("ci-2"), "{}", list.out);
        assert!(!list.out.contains(&fresh[10..]) && !list.err.contains(&fresh[10..]));
        let revoked = as_owner(&world, &["key", "revoke", id]).await;
        assert_eq!(revoked.code, Some(0), "{}", revoked.err);
        let refused = with_key(&world, fresh, &["whoami"]).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
        assert!(refused.err.contains("INVALID_API_KEY") && !refused.err.contains(fresh), "{}", refused.err);
    }

    async fn tenants_are_made_suspended_and_resumed(database: Database) {
        let world = World::start(database).await;
        let words = ["tenant", "create", "umbrella", "--owner-email", "owner@umbrella.test", "--output", "json"];
        let made = as_owner(&world, &words).await.json();
        assert_eq!(made["tenant"]["slug"], "umbrella", "{made}");
        let list = as_owner(&world, &["tenant", "list"]).await;
        assert!(list.out.contains("umbrella") && list.out.contains(TENANT), "{}", list.out);
        for (verb, state) in [("suspend", "TENANT_STATE_SUSPENDED"), ("resume", "TENANT_STATE_ACTIVE")] {
            let answer = as_owner(&world, &["tenant", verb, "umbrella", "--output", "json"]).await.json();
            assert_eq!(answer["tenant"]["state"], state);
        }
        let again = as_owner(&world, &words).await;
        assert_eq!(again.code, Some(1));
        assert!(again.err.contains("ALREADY_EXISTS"), "{}", again.err);
        let own = as_owner(&world, &["tenant", "get", "--output", "json"]).await.json();
        assert_eq!(own["tenant"]["id"], world.tenant_id.as_str());
        let members = as_owner(&world, &["tenant", "members"]).await;
        assert!(members.out.contains(OWNER), "{}", members.out);
    }

    async fn bootstrap_serves_a_fresh_database_once(database: Database) {
        let block = bootstrap(&database).await;
        for name in ["tenant_id", "owner_email", "owner_password", "api_key", "ingest_key"] {
            assert!(block[name].as_str().is_some_and(|text| !text.is_empty()), "no {name} in {block}");
        }
        assert_eq!(block["owner_email"], OWNER);
        let mut again = doorward();
        again.args(["bootstrap", "--tenant", "other", "--email", OWNER, "--json"]);
        again.env("DOORWARD_DATABASE_URL", database.url());
        let again = run(again).await;
        assert_eq!((again.code, again.out.as_str()), (Some(1), ""), "{}", again.err);
        assert!(!again.err.is_empty());
        let server = Server::serve(&database, &Settings::default().set("otlp.backend", "sink")).await;
        let metadata = Metadata::bearer(block["api_key"].as_str().unwrap());
        let me = client::authn(&server.api(), metadata).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner();
        assert_eq!(me.principal.unwrap().tenant_id, block["tenant_id"].as_str().unwrap());
    }

    async fn migrate_prepares_a_database_and_may_run_again(database: Database) {
        for _ in 0..2 {
            let mut command = doorward();
            command.arg("migrate").env("DOORWARD_DATABASE_URL", database.url());
            let done = run(command).await;
            assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
        }
        bootstrap(&database).await;
    }
}

/// Waits for the whole JSON block that `dev --json` prints.
async fn dev_block(server: &Server) -> Value {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let log = server.log();
        let block = log.find('{').and_then(|at| {
            let mut values = serde_json::Deserializer::from_str(&log[at..]).into_iter::<Value>();
            values.next().and_then(Result::ok)
        });
        match block {
            Some(block) if block.get("tenant_id").is_some() => return block,
            _ => assert!(Instant::now() < end, "no block in:\n{log}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn dev(directory: &std::path::Path) -> (Server, Value) {
    let mut command = doorward();
    command.args(["dev", "--json"]).current_dir(directory);
    let server = Server::start(command, &Settings::default()).await.unwrap_or_else(|log| panic!("{log}"));
    let block = dev_block(&server).await;
    (server, block)
}

// The first command of the tour: everything that a newcomer needs, and the secrets once.
#[tokio::test]
async fn dev_brings_up_a_working_server_and_shows_its_secrets_once() {
    let directory = tempfile::tempdir().unwrap();
    let (server, first) = dev(directory.path()).await;
    let text = |name: &str| first[name].as_str().unwrap_or_else(|| panic!("no {name} in {first}")).to_owned();
    for name in ["owner_email", "owner_password", "ingest_key"] {
        assert!(!text(name).is_empty());
    }
    for (name, address) in [
        ("address", server.api()),
        ("ops_address", server.ops()),
        ("otlp_grpc", server.otlp_grpc()),
        ("otlp_http", server.otlp_http()),
    ] {
        assert!(text(name).ends_with(&address), "{name}: {first}");
    }
    let key = text("api_key");
    let me = rest::call(&server.api(), &key, Method::GET, "/v1/auth/me", &Value::Null).await.json();
    assert_eq!(me["principal"]["tenant_slug"], TENANT);
    assert!(directory.path().join("doorward-dev").is_dir());
    server.stop().await;
    let (server, second) = dev(directory.path()).await;
    assert_eq!(second["tenant_id"], first["tenant_id"]);
    for name in ["api_key", "ingest_key", "owner_password"] {
        assert!(second.get(name).is_none_or(Value::is_null), "{name} is shown again");
    }
    let me = rest::call(&server.api(), &key, Method::GET, "/v1/auth/me", &Value::Null).await;
    assert_eq!(me.status, 200, "{}", me.text());
}

// Without --json the same is said to people.
#[tokio::test]
async fn dev_tells_people_what_to_paste() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = doorward();
    command.arg("dev").current_dir(directory.path());
    let server = Server::start(command, &Settings::default()).await.unwrap_or_else(|log| panic!("{log}"));
    let end = Instant::now() + Duration::from_secs(10);
    while !["dw_live_", "dw_ing_live_", TENANT, "DOORWARD_API_KEY"]
        .iter()
        .all(|part| server.log().contains(part))
    {
        assert!(Instant::now() < end, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

// Strict: every fault at once, before anything starts.
#[tokio::test]
async fn check_config_tells_every_fault_at_once() {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let faulty = "[api]\nlisten = \"0.0.0.0:7400\"\nnonsense = 1\n\n[nonsense]\nkey = 1\n\n[coherence]\nlease_ms = 0\n";
    std::fs::write(file.path(), faulty).unwrap();
    let database = Database::sqlite();
    for verb in ["check-config", "serve"] {
        let mut command = doorward();
        command.arg(verb).arg("--config").arg(file.path());
        command.env("DOORWARD_DATABASE_URL", database.url()).env("DOORWARD_OTLP__GRPC_LISTEN", "nowhere");
        let checked = run(command).await;
        assert_eq!(checked.code, Some(64), "{verb}: {}{}", checked.out, checked.err);
        for fault in ["api.listen", "nonsense", "lease_ms", "grpc_listen"] {
            assert!(
                checked.err.to_lowercase().contains(fault),
                "{verb}: {fault} is not told:\n{}",
                checked.err
            );
        }
    }
}

#[tokio::test]
async fn check_config_is_content_with_what_is_sound() {
    let database = Database::sqlite();
    let sound = async |settings: &[(&str, &str)]| {
        let mut command = doorward();
        command.arg("check-config").env("DOORWARD_DATABASE_URL", database.url());
        command.envs(settings.iter().copied());
        run(command).await
    };
    assert_eq!(sound(&[("DOORWARD_OTLP__BACKEND", "sink")]).await.code, Some(0));
    for (name, value) in [
        ("DOORWARD_DATABASE_URL", "mysql://somewhere/db"),
        ("DOORWARD_API__LISTEN", "0.0.0.0:7400"),
        ("DOORWARD_API__NONSENSE", "1"),
        ("DOORWARD_COHERENCE__LEASE_MS", "soon"),
        ("DOORWARD_PROXIES__TRUSTED", "10.0.0.0/8,somewhere"),
        ("DOORWARD_OTLP__BACKEND", "gopher://backend"),
    ] {
        let checked = sound(&[("DOORWARD_OTLP__BACKEND", "sink"), (name, value)]).await;
        assert_eq!(checked.code, Some(64), "{name}={value}: {}{}", checked.out, checked.err);
        assert!(!checked.err.is_empty());
    }
    let Database::Sqlite(directory) = &database else { unreachable!() };
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "a check made a database");
}

#[tokio::test]
async fn help_and_wrong_usage_say_what_there_is() {
    let help = plain(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    for verb in
        ["dev", "serve", "migrate", "bootstrap", "check-config", "whoami", "key", "tenant", "completions"]
    {
        assert!(help.out.contains(verb), "{verb} is not in\n{}", help.out);
    }
    for words in [&["key", "create", "--help"][..], &["tenant", "--help"], &["serve", "--help"]] {
        let help = plain(words).await;
        assert!(help.code == Some(0) && help.out.contains("Usage"), "{words:?}: {}", help.err);
    }
    for words in [&[][..], &["nonsense"], &["key"], &["key", "create"], &["key", "list", "--output", "xml"]] {
        let wrong = plain(words).await;
        assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""), "{words:?}: {}", wrong.err);
        assert!(!wrong.err.is_empty());
    }
    let completions = plain(&["completions", "bash"]).await;
    assert!(completions.code == Some(0) && completions.out.contains("doorward"));
    let version = plain(&["--version"]).await;
    assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{}", version.out);
}

#[tokio::test]
async fn a_client_verb_says_what_went_wrong() {
    let world = World::start(Database::sqlite()).await;
    let mut no_key = doorward();
    no_key.arg("whoami").env("DOORWARD_ADDRESS", format!("http://{}", world.server.api()));
    let no_key = run(no_key).await;
    assert!(no_key.code == Some(1) && no_key.err.contains("DOORWARD_API_KEY"), "{}", no_key.err);
    let mut nobody = doorward();
    let nowhere = format!("http://127.0.0.1:{}", crate::harness::ports::free());
    nobody
        .args(["whoami", "--timeout", "2s"])
        .env("DOORWARD_ADDRESS", nowhere)
        .env("DOORWARD_API_KEY", &world.owner);
    let nobody = run(nobody).await;
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""), "{}", nobody.err);
    assert!(!nobody.err.contains(&world.owner));
    let missing = as_owner(&world, &["key", "get", "key_01h455vb4pex5vsknk084sn02q"]).await;
    assert!(missing.code == Some(1) && missing.err.contains("NOT_FOUND"), "{}", missing.err);
    let wrong = as_owner(&world, &["key", "create", "x", "--scope", "keys.nonsense"]).await;
    assert!(wrong.code == Some(1) && wrong.err.contains("scopes"), "{}", wrong.err);
}
