//! What keys send is counted by signal and hour, and told to whoever may know.
use super::{export, ingest_of, post, spans};
use crate::harness::backend::Backend;
use crate::harness::server::{doorward, run};
use crate::harness::{Database, Settings, World, on_both, rest};
use doorward::domain::ingest::{Ingested, Telemetry};
use doorward::domain::usage::Hour;
use doorward::domain::{Clock, KeyId};
use doorward::pb::v1::{GetApiKeyUsageRequest, IngestHour, TelemetrySignal};
use doorward::store::ingest_usage::{Added, ingest_usage_add, ingest_usage_of, ingest_usage_prune};
use doorward::store::{Across, Options, Store, Url};
use std::time::{Duration, Instant};
use tonic::Code;

/// Counts are written down every few seconds.
const PATIENCE: Duration = Duration::from_secs(30);

async fn sent(world: &World, credential: &str, key: &str) -> Result<Vec<IngestHour>, tonic::Status> {
    let request = GetApiKeyUsageRequest { id: key.to_owned(), ..Default::default() };
    Ok(world.keys_as(credential).get_api_key_usage(request).await?.into_inner().ingest)
}

/// The sum of a signal over all hours: the test may run while one begins.
fn of(hours: &[IngestHour], signal: TelemetrySignal) -> [u64; 5] {
    hours.iter().filter(|hour| hour.signal() == signal).fold([0; 5], |mut sum, hour| {
        let more = [hour.requests, hour.bytes_in, hour.bytes_out, hour.accepted_items, hour.rejected_items];
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        sum
    })
}

on_both! {
    // R60: what was sent, what went on, and what did not.
    async fn what_a_key_sends_is_counted_by_its_signal(database: Database) {
        let backend = Backend::grpc().await;
        let settings =
            Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
        let world = World::with(database, settings).await;
        let stranger = world.stranger().await;
        let theirs = ingest_of(&world, &stranger).await;
        let (key, secret) = world.create_ingest().await;
        let body = spans("some", 7);
        let size = body.len() as u64;
        export(&world, &secret, body.clone()).await.unwrap();
        assert_eq!(post(&world, &secret, "/v1/traces", body.clone()).await.status, 200);
        assert_eq!(post(&world, &secret, "/v1/logs", Vec::new()).await.status, 200);
        export(&world, &theirs, body.clone()).await.unwrap();
        let out: u64 = backend.take().iter().take(2).map(|arrival| arrival.bytes.len() as u64).sum();
        backend.set_down(true);
        export(&world, &secret, body).await.unwrap_err();
        let end = Instant::now() + PATIENCE;
        loop {
            let hours = sent(&world, &world.owner, &key.id).await.unwrap();
            let (traces, logs) = (of(&hours, TelemetrySignal::Traces), of(&hours, TelemetrySignal::Logs));
            if traces == [3, 3 * size, out, 14, 7] && logs == [1, 0, 0, 0, 0] {
                assert_eq!(of(&hours, TelemetrySignal::Metrics), [0; 5]);
                break;
            }
            assert!(Instant::now() < end, "{traces:?} {logs:?}, not {size} in each and {out} out");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Another tenant does not know that the key is there.
        let refused = sent(&world, &stranger.secret, &key.id).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);

        // What is in memory only is written down at an orderly end.
        backend.set_down(false);
        export(&world, &secret, spans("last", 5)).await.unwrap();
        let world = world.restarted().await;
        let hours = sent(&world, &world.owner, &key.id).await.unwrap();
        assert_eq!(of(&hours, TelemetrySignal::Traces)[3], 19);

        let mut command = doorward();
        command.args(["key", "usage", &key.id]);
        command.env("DOORWARD_ADDRESS", format!("http://{}", world.server.api()));
        command.env("DOORWARD_API_KEY", &world.owner);
        let printed = run(command).await;
        assert!(printed.out.contains("traces: 4 requests"), "{}{}", printed.out, printed.err);
        assert!(printed.out.contains("19 items accepted, 7 rejected"), "{}", printed.out);
    }

    async fn counts_add_up_and_old_ones_go(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create_ingest().await;
        let options = Options { url: Url::new(world.database.url()), ..Options::default() };
        let store = Store::new(&options).unwrap();
        let now = Hour::of(doorward::boot::SystemClock::default().now());
        let sender = |telemetry| {
            (world.tenant_id.parse().unwrap(), key.id.parse::<KeyId>().unwrap(), telemetry)
        };
        let sent = Ingested { requests: 1, bytes_in: 2, bytes_out: 3, accepted: 4, rejected: 5 };
        let gone = (sender(Telemetry::Logs).0, KeyId::from_bytes([9; 16]), Telemetry::Logs);
        let rows = [
            Added { sender: sender(Telemetry::Traces), hour: now.minus(100), sent },
            Added { sender: sender(Telemetry::Logs), hour: now.minus(100), sent },
            Added { sender: gone, hour: now.minus(100), sent },
        ];
        for _ in 0..2 {
            ingest_usage_add(&store, &rows).await.unwrap();
        }
        let old = (0..10).map(|at| {
            let telemetry = Telemetry::ALL[usize::try_from(at % 3).unwrap()];
            Added { sender: sender(telemetry), hour: now.minus(10_000 - at / 3), sent }
        });
        let old: Vec<_> = old.collect();
        ingest_usage_add(&store, &old).await.unwrap();
        for expected in [4, 4, 2, 0] {
            assert_eq!(ingest_usage_prune(&store, now.minus(90 * 24), 4).await.unwrap(), expected);
        }
        let id = key.id.parse().unwrap();
        let left = ingest_usage_of(&mut store.read(Across::Instance).await.unwrap(), id, now.minus(20_000), now).await.unwrap();
        let twice = Ingested { requests: 2, bytes_in: 4, bytes_out: 6, accepted: 8, rejected: 10 };
        let left: Vec<_> = left.into_iter().map(|hour| (hour.telemetry, hour.sent)).collect();
        assert_eq!(left, [(Telemetry::Traces, twice), (Telemetry::Logs, twice)]);
    }
}

#[tokio::test]
async fn metrics_tell_the_same_without_names() {
    let world = World::start(Database::sqlite()).await;
    let body = spans("some", 7);
    let size = body.len();
    export(&world, &world.ingest, body).await.unwrap();
    let metrics = rest::get(&world.server.ops(), "/metrics").await.unwrap().text();
    for line in [
        format!("doorward_otlp_received_bytes_total{{signal=\"traces\"}} {size}"),
        "doorward_otlp_items_total{signal=\"traces\"} 7".to_owned(),
        "doorward_otlp_requests_total{outcome=\"accepted\",signal=\"traces\"} 1".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains(&world.tenant_id));
}
