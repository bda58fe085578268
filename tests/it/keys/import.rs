//! Keys that were issued elsewhere and are known by their SHA-256 alone.
use crate::harness::client::assert_refused;
use crate::harness::{Database, Settings, World, on_both};
use doorward::pb::v1::{ImportApiKeyRequest, RevokeApiKeyRequest, WhoAmIRequest};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;
use tonic::Code;

/// A key as another system issued it, without any check.
pub const FOREIGN: &str = "old_0123456789abcdef0123456789abcdef";

const PROFILES: &str = r#"
[[keys.profiles]]
name = "user-live"
prefix = "dw_live_"
kind = "user"
environment = "live"

[[keys.profiles]]
name = "ingest-live"
prefix = "dw_ing_live_"
kind = "ingest"
environment = "live"

[[keys.profiles]]
name = "legacy"
prefix = "old_"
alphabet = "hex"
random = 32
check = 0
kind = "user"
environment = "live"
"#;

/// These settings, with keys of another system's form known; the file lives as long as the server.
pub fn settings(settings: Settings) -> (Settings, NamedTempFile) {
    let file = NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), PROFILES).unwrap();
    let path = file.path().display().to_string();
    (settings.set("DOORWARD_CONFIG", path).set("otlp.backend", "sink"), file)
}

/// A world in which keys of another system's form are known.
async fn world(database: Database) -> (World, NamedTempFile) {
    let (settings, file) = settings(Settings::default());
    (World::with(database, settings).await, file)
}

/// Takes over a key of that text.
pub fn import(key: &str) -> ImportApiKeyRequest {
    let digest = Sha256::digest(key.as_bytes());
    let sha256 = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect();
    ImportApiKeyRequest {
        sha256,
        profile: "legacy".into(),
        display_name: "from elsewhere".into(),
        expire_time: Some((SystemTime::now() + Duration::from_hours(24)).into()),
        ..Default::default()
    }
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap()
}

on_both! {
    // R12
    async fn a_key_issued_elsewhere_works_without_being_shown_to_us(database: Database) {
        let (world, _file) = world(database).await;
        let before = world.authn_as(FOREIGN).who_am_i(WhoAmIRequest {}).await;
        assert_refused(before, Code::Unauthenticated, "INVALID_API_KEY");
        let key = world.keys().import_api_key(import(FOREIGN)).await.unwrap().into_inner().api_key.unwrap();
        assert!(key.imported && key.prefix == "old_", "{key:?}");
        let principal = world.authn_as(FOREIGN).who_am_i(WhoAmIRequest {}).await.unwrap().into_inner().principal;
        assert_eq!(principal.unwrap().api_key_id, key.id);
        let (world, id) = (world.restarted().await, key.id);
        world.authn_as(FOREIGN).who_am_i(WhoAmIRequest {}).await.unwrap();
        world.keys().revoke_api_key(RevokeApiKeyRequest { id }).await.unwrap();
        let after = world.authn_as(FOREIGN).who_am_i(WhoAmIRequest {}).await;
        assert_refused(after, Code::Unauthenticated, "INVALID_API_KEY");
    }

    // R12: a key that was revoked does not come back by importing it again.
    async fn the_same_key_is_taken_over_once(database: Database) {
        let (world, _file) = world(database).await;
        let key = world.keys().import_api_key(import(FOREIGN)).await.unwrap().into_inner().api_key.unwrap();
        let again = world.keys().import_api_key(import(FOREIGN)).await;
        assert_refused(again, Code::AlreadyExists, "ALREADY_EXISTS");
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id }).await.unwrap();
        let again = world.keys().import_api_key(import(FOREIGN)).await;
        assert_refused(again, Code::AlreadyExists, "ALREADY_EXISTS");
    }

    // R12
    async fn an_import_that_is_unsafe_or_unclear_is_refused(database: Database) {
        let (world, _file) = world(database).await;
        let long_gone = SystemTime::now() - Duration::from_mins(1);
        for (fault, request) in [
            ("no expiry", ImportApiKeyRequest { expire_time: None, ..import(FOREIGN) }),
            ("past expiry", ImportApiKeyRequest { expire_time: Some(long_gone.into()), ..import(FOREIGN) }),
            ("checked profile", ImportApiKeyRequest { profile: "user-live".into(), ..import(FOREIGN) }),
            ("unknown profile", ImportApiKeyRequest { profile: "nonsense".into(), ..import(FOREIGN) }),
            ("short digest", ImportApiKeyRequest { sha256: "abcd".into(), ..import(FOREIGN) }),
            ("no digest", ImportApiKeyRequest { sha256: "z".repeat(64), ..import(FOREIGN) }),
        ] {
            let refused = world.keys().import_api_key(request).await;
            assert!(refused.is_err(), "{fault} was taken");
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
        let refused = world.authn_as(FOREIGN).who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }
}
