//! Planted secrets, looked for in everything that the server writes.
use crate::harness::client::{self, Metadata};
use crate::harness::database::DATABASE_PASSWORD;
use crate::harness::mint::unknown_key;
use crate::harness::world::{OWNER, named};
use crate::harness::{Database, Settings, World, on_both, rest};
use crate::people::person::{self, Authenticator, Mailbox};
use bytes::Bytes;
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::{
    ApiKeyKind, BatchVerifyCredentialsRequest, CompleteLoginRequest, ConfirmTotpRequest, CreateApiKeyRequest,
    EnrollTotpRequest, FetchProviderKeyRequest, ImportApiKeyRequest, ListApiKeysRequest, LoginRequest,
    RequestPasswordResetRequest, ResetPasswordRequest, RevokeApiKeyRequest, RotateApiKeyRequest,
    SetProviderKeyRequest, VerifyCredentialRequest, WhoAmIRequest,
};
use http::Method;
use serde_json::json;
use std::collections::HashSet;

/// The shortest part of a secret that counts as a leak.
const WINDOW: usize = 8;

/// Everything is logged, down to the libraries.
fn loud() -> Settings {
    Settings::default().set("otlp.backend", "sink").set("log.filter", "trace")
}

/// Uses a secret in every place that takes one, well and badly.
async fn use_everywhere(world: &World, secret: &str) {
    let server = &world.server;
    for name in ["authorization", "x-api-key", "x-master-key", "cookie", "x-correlation-id", "x-tenant-id"] {
        for value in [secret.to_owned(), format!("Bearer {secret}")] {
            let metadata = Metadata::none().and(name, &value);
            let _ = client::keys(&server.api(), metadata.clone())
                .list_api_keys(ListApiKeysRequest::default())
                .await;
            let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
            let _ = client::raw(&server.otlp_grpc(), &metadata, path, b"\xff".to_vec()).await;
            for (address, path) in [(server.api(), "/v1/api-keys"), (server.otlp_http(), "/v1/traces")] {
                let request = rest::request(Method::POST, path, &[(name, &value)], Bytes::from_static(b"{"));
                let _ = rest::send(&address, request).await;
            }
        }
    }
    let question = VerifyCredentialRequest { credential: secret.to_owned(), ..Default::default() };
    let _ = world.authn().verify_credential(question.clone()).await;
    let bad = VerifyCredentialRequest { required_permission: "keys.nonsense".into(), ..question.clone() };
    let batch = BatchVerifyCredentialsRequest { requests: vec![question, bad] };
    let _ = world.authn().batch_verify_credentials(batch).await;
    let body = json!({"credential": secret, "peer_address": "nonsense"});
    let _ = rest::call(&server.api(), &world.owner, Method::POST, "/v1/auth/verify", &body).await;
    let body = json!({"credential": {"nested": secret}, secret: 1});
    let _ = rest::call(&server.api(), &world.owner, Method::POST, "/v1/auth/verify", &body).await;
    for path in ["/v1/auth/me?api_key=", "/v1/auth/me?access_token=", "/v1/nonsense/"] {
        let _ = rest::get(&server.api(), &format!("{path}{secret}")).await;
    }
    let _ = world
        .keys()
        .get_api_key(doorward::pb::v1::GetApiKeyRequest { id: secret.to_owned(), ..Default::default() })
        .await;
    let _ = world
        .keys()
        .create_api_key(CreateApiKeyRequest { request_id: secret.to_owned(), ..named("x") })
        .await;
}

/// The first part of the secret that the text has.
fn leaked<'a>(text: &str, secret: &'a str) -> Option<&'a str> {
    let starts = 0..=secret.len() - WINDOW;
    starts.map(|at| &secret[at..at + WINDOW]).find(|part| text.contains(part))
}

/// A line with any part of any of many secrets, found in one pass: there are many parts, and the text is long.
fn first_leak<'a>(text: &'a str, secrets: &[String]) -> Option<&'a str> {
    let parts: HashSet<&[u8]> = secrets.iter().flat_map(|secret| secret.as_bytes().windows(WINDOW)).collect();
    let mut begins = vec![false; 1 << 16];
    let pair = |part: &[u8]| usize::from(part[0]) << 8 | usize::from(part[1]);
    for part in &parts {
        begins[pair(part)] = true;
    }
    let is_leak = |part: &&[u8]| begins[pair(part)] && parts.contains(part);
    text.lines().find(|line| line.as_bytes().windows(WINDOW).any(|part| is_leak(&part)))
}

#[test]
fn a_leak_is_found_wherever_it_is() {
    let secrets = ["0123456789abcdef".to_owned(), "Canary-9d3f".to_owned()];
    assert_eq!(first_leak("a line\nwith 23456789 in it\n", &secrets), Some("with 23456789 in it"));
    assert_eq!(first_leak("nary-9d3f", &secrets), Some("nary-9d3f"));
    assert_eq!(first_leak("0123456 789abcd\nCanary-\n", &secrets), None);
}

/// The random part: the prefix may be shown, the rest may not.
fn random_part(secret: &str) -> &str {
    secret.rsplit('_').next().unwrap()
}

on_both! {
    // R22, A62
    async fn no_log_line_and_no_metric_has_any_part_of_a_secret(database: Database) {
        let world = World::with(database, loud()).await;
        let (key, first) = world.create_plain().await;
        let rotate = RotateApiKeyRequest { id: key.id.clone(), ..Default::default() };
        let second = world.keys().rotate_api_key(rotate).await.unwrap().into_inner().secret;
        world.authn_as(&second).who_am_i(WhoAmIRequest {}).await.unwrap();
        let digest = "0123456789abcdef".repeat(4);
        let import = ImportApiKeyRequest { sha256: digest.clone(), profile: "legacy".into(), ..Default::default() };
        let _ = world.keys().import_api_key(import).await;
        let unknown = unknown_key("dw_live_");
        for secret in [&first, &second, &unknown] {
            use_everywhere(&world, secret).await;
        }
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await.unwrap();
        use_everywhere(&world, &second).await;
        let metrics = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
        let written = world.server.log() + &metrics;
        assert!(written.lines().count() > 100, "too quiet to prove anything:\n{written}");
        assert!(!metrics.contains(&key.id) && !metrics.contains(&world.tenant_id), "{metrics}");
        for secret in [&first, &second, &unknown, &world.owner, &world.ingest] {
            assert_eq!(leaked(&written, random_part(secret)), None, "{}", lines_with(&written, random_part(secret)));
        }
        for secret in [DATABASE_PASSWORD, digest.as_str()] {
            assert_eq!(leaked(&written, secret), None, "{}", lines_with(&written, secret));
        }
    }

    // R22, R34, A62: the same for what people have.
    async fn no_secret_of_a_person_is_written_anywhere(database: Database) {
        const NEW: &str = "Canary-9d3f-Of-The-Pantry";
        let mailbox = Mailbox::new();
        let settings = mailbox.settings().set("log.filter", "trace");
        let world = World::with(database, settings).await;
        let login = person::log_in(&world).await;
        let mut authn = world.authn_as(&login.access);
        let enrolment = authn.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner();
        let mut authenticator = Authenticator::new(&enrolment.secret);
        let codes = [authenticator.next().await, authenticator.next().await];
        let confirm = ConfirmTotpRequest { code: codes[0].clone() };
        let backup_codes = authn.confirm_totp(confirm).await.unwrap().into_inner().backup_codes;
        let challenge = person::begin(&world, person::owner(&world)).await.challenge;
        let factor = Some(Factor::TotpCode(codes[1].clone()));
        let request = CompleteLoginRequest { challenge: challenge.clone(), factor };
        let whole = person::visitor(&world).complete_login(request).await.unwrap().into_inner();
        let fresh = person::refresh(&world.server.api(), &whole.refresh_token).await.unwrap();
        let request = RequestPasswordResetRequest { email: OWNER.into() };
        person::visitor(&world).request_password_reset(request).await.unwrap();
        let reset = mailbox.token("reset-password").await;
        let device = login.device.clone().unwrap();
        let bearers = [
            &login.refresh, &whole.refresh_token, &fresh.refresh_token, &challenge, &reset, &device,
        ];
        let tokens = [&login.access, &whole.access_token, &fresh.access_token];
        // Used where they do not belong, too; what tries all doors leaves the codes alone.
        for secret in [&fresh.access_token, &fresh.refresh_token, &world.password] {
            use_everywhere(&world, secret).await;
        }
        let request = ResetPasswordRequest { token: reset.clone(), new_password: NEW.into() };
        person::visitor(&world).reset_password(request).await.unwrap();
        let wrong = LoginRequest { password: format!("{NEW} "), ..person::owner(&world) };
        person::visitor(&world).login(wrong).await.unwrap_err();
        let metrics = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
        let written = world.server.log() + &metrics + &stored(&world).await;
        assert!(written.contains("session.opened"), "the audit log is not in it");
        let mut hidden: Vec<String> = bearers.iter().map(|secret| random_part(secret).to_owned()).collect();
        hidden.extend(tokens.iter().map(|token| token.rsplit('.').next().unwrap().to_owned()));
        hidden.extend(backup_codes.iter().cloned());
        hidden.extend(backup_codes.iter().map(|code| code.replace('-', "")));
        hidden.extend([world.password.clone(), NEW.to_owned(), enrolment.secret.clone()]);
        assert_eq!(first_leak(&written, &hidden), None);
        for code in codes {
            assert!(!written.contains(&format!("\"{code}\"")), "a code of the authenticator");
        }
    }

    // R46, A62: what a tenant has with others is in no log, no audit entry, no metric and no column.
    async fn no_provider_key_is_written_anywhere(database: Database) {
        const SECRET: &str = "sk-proj-Canary4f1bOfTheVault77";
        let world = World::with(database, loud()).await;
        let set = |provider: &str, secret: &str| {
            SetProviderKeyRequest { provider: provider.into(), label: "team-a".into(), secret: secret.into() }
        };
        for _ in 0..2 {
            let answer = world.keys().set_provider_key(set("openai", SECRET)).await.unwrap();
            assert!(!format!("{answer:?}").contains("Canary"));
        }
        // Refused, in every way that it can be.
        for bad in [set("Open AI", SECRET), set("openai", &format!("{SECRET}\n")), set(SECRET, SECRET)] {
            assert!(!format!("{bad:?}").replace(&bad.provider, "").contains("Canary"));
            let refused = world.keys().set_provider_key(bad).await.unwrap_err();
            assert!(!format!("{refused:?}").contains("Canary"), "{refused:?}");
        }
        let body = json!({"provider": "mistral", "secret": {"nested": SECRET}, SECRET: SECRET});
        let path = "/v1/provider-keys";
        rest::call(&world.server.api(), &world.owner, Method::POST, path, &body).await;
        let body = json!({"provider": "mistral", "secret": SECRET});
        rest::call(&world.server.api(), "no key", Method::POST, path, &body).await;
        rest::call(&world.server.api(), &world.owner, Method::POST, path, &body).await;
        let request = CreateApiKeyRequest {
            kind: ApiKeyKind::Service.into(), scopes: vec!["provider_keys.fetch".into()], ..named("gateway")
        };
        let (_, service) = world.create(request).await;
        let fetch = FetchProviderKeyRequest { provider: "openai".into(), label: "team-a".into() };
        let answer = world.keys_as(&service).fetch_provider_key(fetch.clone()).await.unwrap();
        assert!(!format!("{answer:?}").contains("Canary"));
        assert_eq!(answer.into_inner().secret, SECRET);
        world.keys().fetch_provider_key(fetch.clone()).await.unwrap_err();
        use_everywhere(&world, SECRET).await;
        let metrics = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
        let written = world.server.log() + &metrics + &stored(&world).await;
        assert!(written.contains("provider_key.fetched"), "the audit log is not in it");
        assert_eq!(first_leak(&written, &[SECRET.to_owned()]), None);
    }

    // R11: the database has digests, so a copy of it opens nothing.
    async fn the_database_has_no_secret(database: Database) {
        let world = World::start(database).await;
        let (_, secret) = world.create_plain().await;
        let content = stored(&world).await;
        assert!(content.contains("plain"), "the key's name is not there, so nothing was read");
        for secret in [&secret, &world.owner, &world.ingest] {
            assert_eq!(leaked(&content, random_part(secret)), None);
        }
    }
}

/// All that the database holds, as text.
async fn stored(world: &World) -> String {
    match &world.database {
        Database::Sqlite(directory) => {
            let mut content = Vec::new();
            for entry in std::fs::read_dir(directory.path()).unwrap() {
                content.extend(std::fs::read(entry.unwrap().path()).unwrap());
            }
            String::from_utf8_lossy(&content).into_owned()
        }
        Database::Postgres(url) => dump(url).await,
    }
}

/// Every row of every table as text.
async fn dump(url: &str) -> String {
    let name = url.rsplit('/').next().unwrap();
    let client = crate::harness::postgres::Postgres::shared().connect(name).await;
    let tables =
        client.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", &[]).await.unwrap();
    let mut content = String::new();
    for table in tables {
        let query = format!("SELECT t::text FROM \"{}\" t", table.get::<_, String>(0));
        for row in client.query(&query, &[]).await.unwrap() {
            content.push_str(&row.get::<_, String>(0));
            content.push('\n');
        }
    }
    content
}

fn lines_with(text: &str, secret: &str) -> String {
    text.lines().filter(|line| leaked(line, secret).is_some()).take(5).collect::<Vec<_>>().join("\n")
}
