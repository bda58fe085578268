//! The verbs end to end, against a fake server over a real connection.

mod factors;
mod fake;
mod fake_tenancy;
mod logins;
mod provider_keys;
mod tenancy;
mod usage;

use super::*;
use crate::client::{KEY_FILE_VARIABLE, KEY_VARIABLE};
use crate::pb::v1::*;
use clap::CommandFactory;
use fake::{Fake, SECRET};
use std::ffi::OsString;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const KEY: &str = "dw_live_the0caller0s0own0key";

/// A stream that remembers what was written to it.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a run left behind.
struct Ran {
    code: u8,
    out: String,
    err: String,
}

/// Runs a line where nobody can be asked.
async fn run_with(line: &str, address: &str, environment: &[(&str, &str)], input: &str) -> Ran {
    run_at(line, address, environment, input, None).await
}

async fn run_at(
    line: &str,
    address: &str,
    environment: &[(&str, &str)],
    input: &str,
    terminal: Option<Box<dyn prompt::Terminal>>,
) -> Ran {
    let arguments = ["doorward", "--address", address].into_iter().chain(line.split_whitespace());
    let cli = Cli::try_parse_from(arguments).unwrap();
    let (out, err) = (Captured::default(), Captured::default());
    let pairs: Vec<(String, OsString)> = environment.iter().map(|(k, v)| ((*k).into(), v.into())).collect();
    let mut world = World {
        output: Output::new(Box::new(out.clone()), Box::new(err.clone()), cli.global.output),
        environment: Box::new(move |name| {
            pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        }),
        input: Box::new(std::io::Cursor::new(input.to_owned().into_bytes())),
        terminal,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let done = execute(cli.command, &cli.global, &mut world).await;
    let code = done.map_or_else(
        |failure| {
            failure.report(&mut world.output);
            failure.exit_code()
        },
        |()| 0,
    );
    Ran { code, out: out.text(), err: err.text() }
}

/// Runs a line against `fake` with the caller's key.
async fn against(fake: &Fake, line: &str) -> Ran {
    run_with(line, &fake.serve().await, &[(KEY_VARIABLE, KEY)], "").await
}

async fn good(fake: &Fake, line: &str) -> Ran {
    let ran = against(fake, line).await;
    assert_eq!(ran.code, 0, "{line}: {}", ran.err);
    ran
}

#[test]
fn the_command_line_fits_together_and_every_verb_has_examples() {
    let mut command = Cli::command();
    command.clone().debug_assert();
    command.build();
    every_verb_has_help(&command);
}

fn every_verb_has_help(command: &clap::Command) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        assert!(verb.get_about().is_some(), "{}", verb.get_name());
        for argument in verb.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", verb.get_name(), argument.get_id());
        }
        if verb.has_subcommands() {
            every_verb_has_help(verb);
        } else {
            let help = verb.get_after_help().map(ToString::to_string);
            assert!(help.is_some_and(|text| text.contains("Example")), "{}", verb.get_name());
        }
    }
}

#[test]
fn the_tenant_of_bootstrap_is_its_own() {
    let line = ["doorward", "bootstrap", "--tenant", "acme", "--email", "a@b.example", "--json"];
    let Command::Server(server::ServerVerb::Bootstrap(args)) = Cli::try_parse_from(line).unwrap().command
    else {
        panic!()
    };
    assert_eq!((args.tenant.as_str(), args.email.as_str(), args.json), ("acme", "a@b.example", true));
    assert!(Cli::try_parse_from(["doorward", "bootstrap", "--email", "a@b.example"]).is_err());
}

#[tokio::test]
async fn completions_name_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run_with(&format!("completions {shell}"), "127.0.0.1:1", &[], "").await;
        assert_eq!(ran.code, 0);
        for verb in [
            "whoami",
            "rotate",
            "allowlist",
            "check-config",
            "logout",
            "revoke-all",
            "backup-codes",
            "transfer-ownership",
            "resend",
            "permission",
            "any-key-kind",
        ] {
            assert!(ran.out.contains(verb), "{shell} {verb}");
        }
    }
}

#[tokio::test]
async fn whoami_carries_the_key_the_tenant_and_a_deadline() {
    let fake = Fake::default();
    let ran = good(&fake, "whoami --tenant acme --timeout 7s").await;
    assert!(ran.out.contains("Role    owner") && ran.out.contains("user_1"), "{}", ran.out);
    let asked = fake.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.metadata.get("authorization").unwrap().to_str().unwrap(), format!("Bearer {KEY}"));
    assert_eq!(asked.metadata.get("x-tenant-id").unwrap(), "acme");
    assert_eq!(asked.metadata.get("grpc-timeout").unwrap(), "7000000u");
}

#[tokio::test]
async fn the_key_may_come_from_a_file() {
    let fake = Fake::default();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{KEY}").unwrap();
    let environment = [(KEY_FILE_VARIABLE, file.path().to_str().unwrap())];
    let ran = run_with("whoami", &fake.serve().await, &environment, "").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let asked = fake.asked.lock().unwrap()[0].clone();
    assert_eq!(asked.metadata.get("authorization").unwrap().to_str().unwrap(), format!("Bearer {KEY}"));
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let fake = Fake::default();
    let ran = run_with("whoami", &fake.serve().await, &[], "").await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("DOORWARD_API_KEY") && ran.err.contains("`doorward login`"), "{}", ran.err);
    assert!(fake.methods().is_empty());
}

#[tokio::test]
async fn a_new_secret_is_the_last_line_after_a_warning() {
    let fake = Fake::default();
    for line in ["key create ci", "key rotate key_1"] {
        let ran = good(&fake, line).await;
        assert_eq!(ran.out.lines().last(), Some(SECRET), "{line}");
        assert_eq!(ran.out.matches(SECRET).count(), 1);
        assert!(ran.err.contains("shown this once") && !ran.err.contains(SECRET), "{}", ran.err);
    }
}

#[tokio::test]
async fn quiet_prints_the_secret_alone() {
    for line in ["key create ci --quiet", "key rotate key_1 -q", "key create ci -q --output json"] {
        let ran = good(&Fake::default(), line).await;
        assert_eq!((ran.out, ran.err), (format!("{SECRET}\n"), String::new()), "{line}");
    }
}

#[tokio::test]
async fn json_has_the_secret_as_a_field() {
    for line in ["key create ci --output json", "key rotate key_1 --output json"] {
        let ran = good(&Fake::default(), line).await;
        let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(json["secret"], SECRET);
        assert_eq!(json["api_key"]["id"], "key_1");
    }
}

#[tokio::test]
async fn rotate_sends_overlap_and_a_fresh_request_id() {
    let fake = Fake::default();
    good(&fake, "key rotate key_1 --overlap 24h --etag e1").await;
    let request: RotateApiKeyRequest = fake.only("RotateApiKey");
    assert_eq!((request.id.as_str(), request.etag.as_str()), ("key_1", "e1"));
    assert_eq!(request.overlap.unwrap().seconds, 86_400);
    assert_eq!(request.request_id.len(), 36);
}

#[tokio::test]
async fn a_list_says_that_there_is_more_or_follows() {
    let fake = Fake::default();
    let ran = good(&fake, "key list --page-size 1 --kind ingest --show-revoked --user user_1").await;
    assert!(ran.out.contains("key_1") && !ran.out.contains("key_2"));
    assert!(ran.err.contains("--page-token second"), "{}", ran.err);
    let request: ListApiKeysRequest = fake.only("ListApiKeys");
    assert_eq!((request.page_size, request.kind, request.show_revoked), (1, 4, true));
    assert_eq!(request.user_id, "user_1");

    let ran = good(&Fake::default(), "key list --all").await;
    assert!(ran.out.contains("key_1") && ran.out.contains("key_3") && ran.err.is_empty());
    let ran = good(&Fake::default(), "key list --all --output json").await;
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["api_keys"].as_array().unwrap().len(), 3);
    assert_eq!(json["next_page_token"], "");
}

#[tokio::test]
async fn get_update_and_revoke_name_the_key() {
    let fake = Fake::default();
    let ran = good(&fake, "key get key_7").await;
    assert!(ran.out.starts_with("Id ") && ran.out.contains("key_7"), "{}", ran.out);
    good(&fake, "key update key_7 --name other").await;
    let ran = good(&fake, "key revoke key_7").await;
    assert!(ran.out.contains("Replicas acknowledged  3"), "{}", ran.out);
    assert_eq!(fake.methods(), ["GetApiKey", "UpdateApiKey", "RevokeApiKey"]);
}

#[tokio::test]
async fn an_imported_key_never_leaves_this_side() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let environment = [(KEY_VARIABLE, KEY)];
    let line = "key import --from-stdin --profile legacy --expires 1d";
    let ran = run_with(line, &address, &environment, "sk_planted_old_key\n").await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let request: ImportApiKeyRequest = fake.only("ImportApiKey");
    assert_eq!(request.sha256.len(), 64);
    assert_eq!((request.profile.as_str(), request.display_name.as_str()), ("legacy", "imported"));
    assert_eq!(request.expire_time.unwrap().seconds, 86_400);
    let body = fake.asked.lock().unwrap()[0].body.clone();
    assert!(!String::from_utf8_lossy(&body).contains("planted"));
    assert!(!ran.out.contains("planted") && !ran.err.contains("planted"));

    let ran = run_with(line, &address, &environment, "sk_planted old key\n").await;
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains("planted"), "{}", ran.err);
}

#[tokio::test]
async fn every_tenant_verb_asks_for_its_own() {
    let fake = Fake::default();
    for line in [
        "tenant create acme --owner-email o@acme.example --name Acme",
        "tenant get",
        "tenant list",
        "tenant update acme --rate-limit 5",
        "tenant suspend acme --reason unpaid",
        "tenant resume acme",
        "tenant delete acme --yes",
        "tenant allowlist",
        "tenant allowlist --clear",
    ] {
        assert!(good(&fake, line).await.out.contains("acme"), "{line}");
    }
    let ran = good(&fake, "tenant members").await;
    assert!(ran.out.contains("user_1") && ran.err.contains("--page-token second"), "{}{}", ran.out, ran.err);
    let expected = [
        "CreateTenant",
        "GetTenant",
        "ListTenants",
        "UpdateTenant",
        "SuspendTenant",
        "ResumeTenant",
        "DeleteTenant",
        "GetTenant",
        "SetIpAllowlist",
        "ListMembers",
    ];
    assert_eq!(fake.methods(), expected);
}

#[tokio::test]
async fn closing_the_emergency_access_says_what_was_closed() {
    let fake = Fake::default();
    assert!(good(&fake, "break-glass close").await.out.contains("grant_1"));
    assert_eq!(fake.methods(), ["CloseBreakGlass"]);
}

#[tokio::test]
async fn allowlist_replaces_the_networks() {
    let fake = Fake::default();
    good(&fake, "tenant allowlist --network 10.0.0.0/8 --network ::1").await;
    let request: SetIpAllowlistRequest = fake.only("SetIpAllowlist");
    assert_eq!(request.networks, ["10.0.0.0/8", "::1"]);
}

#[tokio::test]
async fn a_refusal_is_told_with_reason_hint_and_correlation_id() {
    let fake = Fake::default();
    let mut details = ErrorDetails::new();
    let metadata = [("required_permission".to_owned(), "keys.manage".to_owned())];
    details.set_error_info("INSUFFICIENT_PERMISSIONS", "doorward.dev", metadata);
    let mut status = Status::with_error_details(Code::PermissionDenied, "You may not do this.", details);
    status.metadata_mut().insert("x-correlation-id", "c-42".parse().unwrap());
    fake.refusals.lock().unwrap().push_back(status);
    let ran = against(&fake, "key get key_1 --output json").await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    for part in [
        "error: You may not do this.\n",
        "INSUFFICIENT_PERMISSIONS",
        "keys.manage",
        "next: use a key",
        "id: c-42",
    ] {
        assert!(ran.err.contains(part), "{part} in {}", ran.err);
    }
    assert_eq!(fake.methods().len(), 1, "a refusal is not repeated");
}

#[tokio::test]
async fn an_outage_is_ridden_out_with_the_same_request_id() {
    let fake = Fake::default();
    fake.refusals.lock().unwrap().extend([Status::unavailable("lease"), Status::unavailable("lease")]);
    let ran = good(&fake, "key create ci -q").await;
    assert_eq!(ran.out, format!("{SECRET}\n"));
    let bodies: Vec<Vec<u8>> = fake.asked.lock().unwrap().iter().map(|one| one.body.clone()).collect();
    assert_eq!(bodies.len(), 3);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[tokio::test]
async fn a_change_under_an_etag_is_not_repeated() {
    let fake = Fake::default();
    fake.refusals.lock().unwrap().push_back(Status::unavailable("lease"));
    let ran = against(&fake, "key update key_1 --name x --etag e1").await;
    assert_eq!((ran.code, fake.methods().len()), (1, 1), "{}", ran.err);
}

#[tokio::test]
async fn a_slow_server_is_named_and_then_given_up() {
    let fake = Fake { takes: Duration::from_secs(30), ..Fake::default() };
    let ran = against(&fake, "whoami --timeout 3s").await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("waiting for http://127.0.0.1:"), "{}", ran.err);
    assert!(ran.err.contains("error: "), "{}", ran.err);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let ran = run_with("whoami", "127.0.0.1:1", &[(KEY_VARIABLE, KEY)], "").await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("cannot reach http://127.0.0.1:1") && ran.err.contains("doorward dev"),
        "{}",
        ran.err
    );
}

#[tokio::test]
async fn a_wrong_address_is_wrong_usage() {
    let ran = run_with("whoami", "ftp://example.com", &[(KEY_VARIABLE, KEY)], "").await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("ftp"), "{}", ran.err);
}
