//! OpenTelemetry's exporters as programs of `tests/exporters`, each run to its end by its standard variables.
use super::programs;
use crate::harness::{node, python};
use serde::Deserialize;
use std::process::Command;

/// The tenant that every client claims to be.
pub const SPOOFED: &str = "spoofed-by-the-client";
/// How long an exporter may try, in seconds: longer than any wait that it is told, once.
const TIMEOUT: u64 = 8;

/// An exporter of some language and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exporter {
    language: Language,
    /// As its program takes it.
    protocol: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    Node,
    Go,
    Java,
    Rust,
}

pub const PYTHON_GRPC: Exporter = Exporter { language: Language::Python, protocol: "grpc" };
pub const PYTHON_HTTP: Exporter = Exporter { language: Language::Python, protocol: "http" };
pub const NODE_GRPC: Exporter = Exporter { language: Language::Node, protocol: "grpc" };
pub const NODE_PROTOBUF: Exporter = Exporter { language: Language::Node, protocol: "http/protobuf" };
pub const NODE_JSON: Exporter = Exporter { language: Language::Node, protocol: "http/json" };
pub const GO_GRPC: Exporter = Exporter { language: Language::Go, protocol: "grpc" };
pub const GO_HTTP: Exporter = Exporter { language: Language::Go, protocol: "http" };
pub const JAVA_GRPC: Exporter = Exporter { language: Language::Java, protocol: "grpc" };
pub const JAVA_HTTP: Exporter = Exporter { language: Language::Java, protocol: "http/protobuf" };
pub const RUST_GRPC: Exporter = Exporter { language: Language::Rust, protocol: "grpc" };
pub const RUST_HTTP: Exporter = Exporter { language: Language::Rust, protocol: "http" };

/// What is to be exported, and where to.
#[derive(Clone, Debug)]
pub struct Order {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub headers: String,
    /// The name of what is sent.
    pub marker: String,
    pub signals: &'static [&'static str],
    /// How many letters it is made longer by.
    pub padding: usize,
}

/// What the exporter itself says came of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    pub signal: String,
    pub outcome: Outcome,
    pub seconds: f64,
    /// What it logged, for a person.
    pub log: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Exported,
    Dropped,
}

impl Exporter {
    /// Whether it speaks gRPC.
    pub fn is_grpc(self) -> bool {
        self.protocol == "grpc"
    }

    /// Exports, and gives back a report for each signal in their order.
    pub async fn run(self, order: Order) -> Vec<Report> {
        let signals = order.signals;
        let printed =
            tokio::task::spawn_blocking(move || self.command(&order).output().unwrap()).await.unwrap();
        let (out, err) =
            (String::from_utf8(printed.stdout).unwrap(), String::from_utf8_lossy(&printed.stderr));
        assert!(printed.status.success(), "{self:?}: {out}{err}");
        let reports = out.lines().map(serde_json::from_str).collect::<Result<Vec<Report>, _>>();
        let mut reports = reports.unwrap_or_else(|error| panic!("{self:?}: {error}: {out}{err}"));
        reports.sort_by_key(|report| signals.iter().position(|signal| *signal == report.signal));
        let reported: Vec<_> = reports.iter().map(|report| report.signal.as_str()).collect();
        assert_eq!(reported, signals, "{self:?}: {out}{err}");
        reports
    }

    fn command(self, order: &Order) -> Command {
        let mut command = match self.language {
            Language::Python => python::command("tests/exporters/python/export.py"),
            Language::Node => node::command("tests/exporters/node", "export.js"),
            Language::Go => Command::new(programs::go()),
            Language::Java => programs::java(),
            Language::Rust => Command::new(programs::rust()),
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTEL_") {
                command.env_remove(name);
            }
        }
        let unit = if self.language == Language::Python { 1 } else { 1000 };
        let attributes = format!("service.name=checkout,tenant.id={SPOOFED},Tenant-Id={SPOOFED}");
        command
            .arg(self.protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &order.endpoint)
            .env("OTEL_EXPORTER_OTLP_HEADERS", &order.headers)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", (TIMEOUT * unit).to_string())
            .env("OTEL_RESOURCE_ATTRIBUTES", attributes)
            .env("EXPORT_MARKER", &order.marker)
            .env("EXPORT_SIGNALS", order.signals.join(","))
            .env("EXPORT_PADDING", order.padding.to_string());
        command
    }
}
