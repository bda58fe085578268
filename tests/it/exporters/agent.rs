//! A real OpenTelemetry Collector between senders and Doorward, as it is run beside them: it has the queue that Doorward
//! has not, and compresses what it sends.
use super::collector::Collector;
use super::exporter::{Order, Outcome, PYTHON_GRPC, SPOOFED};
use crate::harness::backend::{Arrival, Backend};
use crate::harness::recorder::{Attempt, Recorder};
use crate::harness::{Database, Settings, World};
use doorward::pb::v1::RevokeApiKeyRequest;
use std::time::Duration;

const SIGNALS: &[&str] = &["traces", "metrics", "logs"];
/// Letters that make what is sent longer, so that it pays to compress it and is of more than one block.
const PADDING: usize = 300_000;
/// How long the Collector waits before it tries again, at most, the first time.
const SECOND_TRY: Duration = Duration::from_secs(10);

/// A Collector's exporter that is pointed at a Doorward, with a recorder between them.
struct Agent {
    world: World,
    backend: Backend,
    recorder: Recorder,
    collector: Collector,
}

impl Agent {
    /// Its `exporter` compresses so, and sends with this key of the world's.
    async fn start(exporter: &str, compression: &str, key: impl AsyncFnOnce(&World) -> String) -> Self {
        let backend = Backend::grpc().await;
        let settings =
            Settings::default().set("otlp.backend", backend.url()).set("otlp.backend_protocol", "grpc");
        let world = World::with(Database::sqlite(), settings).await;
        let key = key(&world).await;
        let is_grpc = exporter == "otlp";
        let address = if is_grpc { world.server.otlp_grpc() } else { world.server.otlp_http() };
        let recorder = Recorder::before(address).await;
        let variables = [
            ("DOORWARD_GRPC", recorder.url()),
            ("DOORWARD_HTTP", recorder.url()),
            ("DOORWARD_KEY", key),
            ("COMPRESSION", compression.to_owned()),
            ("EXPORTER", exporter.to_owned()),
        ];
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let collector = Collector::with("agent.yaml", &variables).await;
        Self { world, backend, recorder, collector }
    }

    /// An SDK hands all signals to the Collector, which takes them whatever becomes of them.
    async fn send(&self) {
        let order = Order {
            endpoint: self.collector.grpc(),
            headers: format!("x-tenant-id={SPOOFED}"),
            marker: "the-marker".to_owned(),
            signals: SIGNALS,
            padding: PADDING,
        };
        for report in PYTHON_GRPC.run(order).await {
            assert_eq!(report.outcome, Outcome::Exported, "{}", report.log);
        }
    }

    /// Waits for all signals at the back end, each under the key's tenant.
    async fn assert_arrives(&self) {
        let mut arrivals: Vec<Arrival> = Vec::new();
        for _ in 0..1_000 {
            arrivals.extend(self.backend.take());
            if arrivals.len() >= SIGNALS.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut signals: Vec<_> = arrivals.iter().map(|arrival| arrival.signal).collect();
        signals.sort_unstable();
        assert_eq!(signals, ["logs", "metrics", "traces"]);
        for arrival in arrivals {
            assert_eq!(arrival.attribute("tenant.id"), [self.world.tenant_id.as_str()]);
            assert!(arrival.contains("the-marker") && !arrival.contains(SPOOFED), "{:?}", arrival.resources);
        }
    }

    /// Waits until each signal was sent once and answered.
    async fn answered(&self) -> Vec<Attempt> {
        let mut tries = 0..1_000;
        while self.recorder.answered() < SIGNALS.len() {
            assert!(tries.next().is_some(), "not all was sent: {:?}", self.recorder.take());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.recorder.take()
    }
}

// R60: what it sends is decompressed, whatever it chose, and its key's tenant's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a Collector: tools/exporters.sh runs it"]
async fn a_collector_in_front_compresses_as_it_likes() {
    for exporter in ["otlp", "otlphttp"] {
        for compression in ["zstd", "gzip", "none"] {
            let agent = Agent::start(exporter, compression, async |world| world.ingest.clone()).await;
            agent.send().await;
            agent.assert_arrives().await;
            let attempts = agent.recorder.take();
            assert_eq!(attempts.len(), SIGNALS.len(), "{exporter} {compression}: {attempts:?}");
            let told = if compression == "none" { "" } else { compression };
            for attempt in attempts {
                assert_eq!(attempt.coding, told, "{exporter}: {attempt:?}");
            }
        }
    }
}

// R60: an outage behind Doorward costs nothing where a Collector stands before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a Collector: tools/exporters.sh runs it"]
async fn a_collector_in_front_waits_out_an_outage() {
    for exporter in ["otlp", "otlphttp"] {
        let agent = Agent::start(exporter, "zstd", async |world| world.ingest.clone()).await;
        agent.backend.set_down(true);
        agent.send().await;
        for attempt in agent.answered().await {
            let answer = attempt.answer.as_ref().unwrap();
            assert!(answer.grpc == Some(14) || answer.http == 503, "{attempt:?}");
        }
        assert!(agent.backend.take().is_empty());
        agent.backend.set_down(false);
        agent.assert_arrives().await;
    }
}

// R60: a revoked key is not tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a Collector: tools/exporters.sh runs it"]
async fn a_collector_in_front_gives_up_with_a_revoked_key() {
    for exporter in ["otlp", "otlphttp"] {
        let revoked = async |world: &World| {
            let (key, secret) = world.create_ingest().await;
            world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id }).await.unwrap();
            secret
        };
        let agent = Agent::start(exporter, "zstd", revoked).await;
        agent.send().await;
        for attempt in agent.answered().await {
            let answer = attempt.answer.as_ref().unwrap();
            assert!(answer.grpc == Some(16) || answer.http == 401, "{attempt:?}");
        }
        tokio::time::sleep(SECOND_TRY).await;
        assert!(agent.recorder.take().is_empty(), "it tries again");
        assert!(agent.backend.take().is_empty());
    }
}
