// Exports one batch of each signal through OpenTelemetry's exporters, as their variables say.
//
// The first argument is the protocol (grpc, http/protobuf, http/json); OTEL_EXPORTER_OTLP_* and
// OTEL_RESOURCE_ATTRIBUTES say the rest. EXPORT_MARKER names what is sent, EXPORT_SIGNALS which signals are,
// EXPORT_PADDING adds an attribute of so many letters. Prints a line of JSON for each signal: signal, outcome
// (exported, dropped), seconds, and log, which is what the exporters said.
import { diag, DiagLogLevel } from '@opentelemetry/api';
import * as grpcLogs from '@opentelemetry/exporter-logs-otlp-grpc';
import * as grpcMetrics from '@opentelemetry/exporter-metrics-otlp-grpc';
import * as grpcTraces from '@opentelemetry/exporter-trace-otlp-grpc';
import * as jsonLogs from '@opentelemetry/exporter-logs-otlp-http';
import * as jsonMetrics from '@opentelemetry/exporter-metrics-otlp-http';
import * as jsonTraces from '@opentelemetry/exporter-trace-otlp-http';
import * as protoLogs from '@opentelemetry/exporter-logs-otlp-proto';
import * as protoMetrics from '@opentelemetry/exporter-metrics-otlp-proto';
import * as protoTraces from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector } from '@opentelemetry/resources';
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [traces, metrics, logs] = {
  grpc: [grpcTraces, grpcMetrics, grpcLogs],
  'http/protobuf': [protoTraces, protoMetrics, protoLogs],
  'http/json': [jsonTraces, jsonMetrics, jsonLogs],
}[process.argv[2]];
const resource = detectResources({ detectors: [envDetector] });
const marker = process.env.EXPORT_MARKER;
const attributes = { padding: 'x'.repeat(Number(process.env.EXPORT_PADDING ?? 0)) };

function spans() {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor(memory)] });
  provider.getTracer('tests').startSpan(marker, { attributes }).end();
  return provider.forceFlush().then(() => memory.getFinishedSpans());
}

class OnDemand extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

async function counts() {
  const reader = new OnDemand();
  const provider = new MeterProvider({ resource, readers: [reader] });
  provider.getMeter('tests').createCounter(marker).add(1, attributes);
  return (await reader.collect()).resourceMetrics;
}

function records() {
  const exporter = new InMemoryLogRecordExporter();
  const processors = [new SimpleLogRecordProcessor({ exporter })];
  const provider = new LoggerProvider({ resource, processors });
  provider.getLogger('tests').emit({ body: marker, attributes });
  return provider.forceFlush().then(() => exporter.getFinishedLogRecords());
}

const said = [];
const say = (...parts) => said.push(parts.map(String).join(' '));
diag.setLogger({ error: say, warn: say, info: say, debug: say, verbose: say }, DiagLogLevel.WARN);

async function send(signal, exporter, batch) {
  const began = performance.now();
  const result = await new Promise((done) => exporter.export(batch, done));
  const outcome = result.code === 0 ? 'exported' : 'dropped';
  const seconds = (performance.now() - began) / 1000;
  const log = [...said, result.error?.message ?? ''].join('\n');
  console.log(JSON.stringify({ signal, outcome, seconds, log }));
}

const senders = {
  traces: async () => send('traces', new traces.OTLPTraceExporter(), await spans()),
  metrics: async () => send('metrics', new metrics.OTLPMetricExporter(), await counts()),
  logs: async () => send('logs', new logs.OTLPLogExporter(), await records()),
};
await Promise.all(process.env.EXPORT_SIGNALS.split(',').map((signal) => senders[signal]()));
process.exit(0);
