//! A real OpenTelemetry Collector as the back end: what it makes of what Doorward hands on.
use super::exporter::{Exporter, Order, Outcome, PYTHON_GRPC, PYTHON_HTTP, SPOOFED};
use super::programs;
use crate::harness::backend::Backend;
use crate::harness::program::source;
use crate::harness::{Database, Settings, World, ports};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A running Collector.
pub struct Collector {
    process: Child,
    grpc: u16,
    http: u16,
    directory: TempDir,
}

impl Collector {
    /// Starts it with a configuration of `tests/exporters/collector`, and the URLs of Tempo, Mimir and Loki behind it.
    pub async fn start(configuration: &str, stores: [&str; 3]) -> Self {
        Self::with(configuration, &["TEMPO", "MIMIR", "LOKI"].into_iter().zip(stores).collect::<Vec<_>>())
            .await
    }

    /// Starts it with such a configuration, and variables that stand in it.
    pub async fn with(configuration: &str, variables: &[(&str, &str)]) -> Self {
        let binary = tokio::task::spawn_blocking(programs::collector).await.unwrap();
        let directory = TempDir::new().unwrap();
        let (grpc, http) = (ports::free(), ports::free());
        let process = Command::new(binary)
            .arg("--config")
            .arg(source("tests/exporters/collector").join(configuration))
            .env("OTLP_GRPC", format!("127.0.0.1:{grpc}"))
            .env("OTLP_HTTP", format!("127.0.0.1:{http}"))
            .env("OUTPUT", directory.path().join("telemetry.json"))
            .envs(variables.iter().copied())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let collector = Self { process, grpc, http, directory };
        for port in [grpc, http] {
            let mut tries = 0..500;
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert!(tries.next().is_some(), "the Collector does not listen");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        collector
    }

    /// Where it takes OTLP over gRPC.
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("telemetry.json")
    }

    /// What it wrote of one signal: a line of OTLP/JSON for each request.
    async fn wrote(&self, field: &str) -> Value {
        for _ in 0..500 {
            let text = std::fs::read_to_string(self.output()).unwrap_or_default();
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let mut values = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
            if let Some(value) = values.find(|value| value.get(field).is_some()) {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the Collector wrote no {field}");
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends all signals through Doorward into a Collector, to which it speaks that protocol.
async fn send_through(collector: &Collector, exporter: Exporter, protocol: &str) -> World {
    let port = if protocol == "grpc" { collector.grpc } else { collector.http };
    let settings = Settings::default()
        .set("otlp.backend", format!("http://127.0.0.1:{port}"))
        .set("otlp.backend_protocol", protocol);
    let world = World::with(Database::sqlite(), settings).await;
    let server = &world.server;
    let address = if exporter.is_grpc() { server.otlp_grpc() } else { server.otlp_http() };
    let order = Order {
        endpoint: format!("http://{address}"),
        headers: format!("authorization=Bearer%20{},x-tenant-id={SPOOFED}", world.ingest),
        marker: "the-marker".to_owned(),
        signals: &["traces", "metrics", "logs"],
        padding: 0,
    };
    for report in exporter.run(order).await {
        assert_eq!(report.outcome, Outcome::Exported, "{}", report.log);
    }
    world
}

async fn assert_stamped(exporter: Exporter, protocol: &str) {
    let collector = Collector::start("file.yaml", [""; 3]).await;
    let world = send_through(&collector, exporter, protocol).await;
    for field in ["resourceSpans", "resourceMetrics", "resourceLogs"] {
        let wrote = collector.wrote(field).await;
        let attributes = wrote[field][0]["resource"]["attributes"].as_array().unwrap();
        let tenants: Vec<_> = attributes.iter().filter(|pair| pair["key"] == "tenant.id").collect();
        assert_eq!(tenants.len(), 1, "{wrote}");
        assert_eq!(tenants[0]["value"]["stringValue"], world.tenant_id.as_str(), "{wrote}");
        let text = wrote.to_string();
        assert!(text.contains("the-marker") && !text.contains(SPOOFED), "{text}");
        assert!(!text.contains(&world.ingest), "the key went on to the Collector");
    }
}

// R60: the tenant that Doorward stamps is the one that a back end of another's making reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a Collector: tools/exporters.sh runs it"]
async fn a_collector_over_grpc_reads_the_keys_tenant() {
    assert_stamped(PYTHON_GRPC, "grpc").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a Collector: tools/exporters.sh runs it"]
async fn a_collector_over_http_reads_the_keys_tenant() {
    assert_stamped(PYTHON_HTTP, "http").await;
}

// R60: a Collector between Doorward and stores that read the tenant from a header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a Collector: tools/exporters.sh runs it"]
async fn stores_behind_a_collector_are_told_the_keys_tenant() {
    let store = Backend::http().await;
    let collector = Collector::start("stores.yaml", [store.url().as_str(); 3]).await;
    let world = send_through(&collector, PYTHON_GRPC, "grpc").await;
    let arrivals = store.take();
    let mut signals: Vec<_> = arrivals.iter().map(|arrival| arrival.signal).collect();
    signals.sort_unstable();
    assert_eq!(signals, ["logs", "metrics", "traces"]);
    for arrival in arrivals {
        assert_eq!(arrival.header("x-scope-orgid"), [world.tenant_id.as_str()]);
        assert_eq!(arrival.attribute("tenant.id"), [world.tenant_id.as_str()]);
        assert!(!arrival.contains(SPOOFED) && !arrival.contains(&world.ingest));
    }
}
