//! A revocation that comes while the back end has the data and has not answered.
use super::{export, post, spans};
use crate::harness::backend::Backend;
use crate::harness::client::assert_told;
use crate::harness::{Database, Settings, World, on_both};
use doorward::pb::v1::RevokeApiKeyRequest;
use std::time::Duration;
use tonic::Code;

/// What "at once" may take on a busy machine; the back end would be waited for ten seconds.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Waits until the back end has an export.
async fn arrived(backend: &Backend) {
    while backend.take().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

on_both! {
    // R15: it is never acknowledged.
    async fn an_export_that_waits_for_the_back_end_ends_with_its_key(database: Database) {
        let backend = Backend::grpc().await;
        let settings =
            Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
        let world = World::with(database, settings).await;
        backend.set_held(true);

        let (key, secret) = world.create_ingest().await;
        let revoked = async {
            arrived(&backend).await;
            world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await.unwrap();
        };
        let both = async { tokio::join!(export(&world, &secret, spans("one", 1)), revoked).0 };
        let told = tokio::time::timeout(AT_ONCE, both).await.expect("it waits for the back end");
        assert_told(&told.unwrap_err(), Code::Unauthenticated, "INVALID_API_KEY");

        let (key, secret) = world.create_ingest().await;
        let revoked = async {
            arrived(&backend).await;
            world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id.clone() }).await.unwrap();
        };
        let both = async { tokio::join!(post(&world, &secret, "/v1/traces", spans("one", 1)), revoked).0 };
        let told = tokio::time::timeout(AT_ONCE, both).await.expect("it waits for the back end");
        assert_eq!(told.status, 401, "{told:?}");

        // A key that is still good waits for the answer, and gets it.
        let released = async {
            arrived(&backend).await;
            backend.set_held(false);
        };
        let (answer, ()) = tokio::join!(export(&world, &world.ingest, spans("one", 1)), released);
        answer.unwrap();
    }
}
