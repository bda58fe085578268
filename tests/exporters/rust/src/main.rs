//! Exports one batch of each signal through OpenTelemetry's exporters, as their variables say.
//!
//! The first argument is the protocol (grpc, http); `OTEL_EXPORTER_OTLP_*` and `OTEL_RESOURCE_ATTRIBUTES` say the rest.
//! `EXPORT_MARKER` names what is sent, `EXPORT_SIGNALS` which signals are, `EXPORT_PADDING` adds an attribute of so many
//! letters. Prints a line of JSON for each signal: signal, outcome (exported, dropped), seconds, and log, which is what
//! the exporter said.
use opentelemetry::KeyValue;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{InMemoryLogExporter, LogBatch, LogExporter as _, SdkLoggerProvider};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanExporter as _};
use std::env;
use std::time::Instant;

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn padding() -> String {
    "x".repeat(variable("EXPORT_PADDING").parse().unwrap_or_default())
}

async fn traces(grpc: bool) -> Result<OTelSdkResult, Problem> {
    let memory = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(memory.clone()).build();
    let mut span = provider.tracer("tests").start(variable("EXPORT_MARKER"));
    span.set_attribute(KeyValue::new("padding", padding()));
    span.end();
    let builder = SpanExporter::builder();
    let mut exporter = if grpc { builder.with_tonic().build()? } else { builder.with_http().build()? };
    exporter.set_resource(&Resource::builder().build());
    Ok(exporter.export(memory.get_finished_spans()?).await)
}

async fn metrics(grpc: bool) -> Result<OTelSdkResult, Problem> {
    let memory = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(memory.clone()).build();
    let counter = provider.meter("tests").u64_counter(variable("EXPORT_MARKER")).build();
    counter.add(1, &[KeyValue::new("padding", padding())]);
    provider.force_flush()?;
    let builder = MetricExporter::builder();
    let exporter = if grpc { builder.with_tonic().build()? } else { builder.with_http().build()? };
    let collected = memory.get_finished_metrics()?;
    let first = collected.first().ok_or("nothing was collected")?;
    Ok(exporter.export(first).await)
}

async fn logs(grpc: bool) -> Result<OTelSdkResult, Problem> {
    let memory = InMemoryLogExporter::default();
    let provider = SdkLoggerProvider::builder().with_simple_exporter(memory.clone()).build();
    let logger = provider.logger("tests");
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::from(variable("EXPORT_MARKER")));
    record.add_attribute("padding", padding());
    logger.emit(record);
    let builder = LogExporter::builder();
    let mut exporter = if grpc { builder.with_tonic().build()? } else { builder.with_http().build()? };
    exporter.set_resource(&Resource::builder().build());
    let emitted = memory.get_emitted_logs()?;
    let records: Vec<_> = emitted.iter().map(|log| (&log.record, &log.instrumentation)).collect();
    Ok(exporter.export(LogBatch::new(&records)).await)
}

async fn export(signal: String, grpc: bool) {
    let began = Instant::now();
    let result = match signal.as_str() {
        "traces" => traces(grpc).await,
        "metrics" => metrics(grpc).await,
        "logs" => logs(grpc).await,
        other => Err(format!("{other} is no signal").into()),
    };
    let result = result.and_then(|sent| sent.map_err(Problem::from));
    let (outcome, log) = match result {
        Ok(()) => ("exported", String::new()),
        Err(error) => ("dropped", error.to_string()),
    };
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{}",
        serde_json::json!({ "signal": signal, "outcome": outcome, "seconds": seconds, "log": log })
    );
}

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let grpc = env::args().nth(1).as_deref() == Some("grpc");
    let signals = variable("EXPORT_SIGNALS");
    let exports = signals.split(',').map(|signal| tokio::spawn(export(signal.to_owned(), grpc)));
    for running in exports.collect::<Vec<_>>() {
        running.await?;
    }
    Ok(())
}
