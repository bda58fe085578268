"""Exports one batch of each signal through OpenTelemetry's exporters, as their variables say.

The first argument is the protocol (grpc, http); OTEL_EXPORTER_OTLP_* and OTEL_RESOURCE_ATTRIBUTES say the
rest. EXPORT_MARKER names what is sent, EXPORT_SIGNALS which signals are, EXPORT_PADDING adds an attribute of so
many letters. Prints a line of JSON for each signal: signal, outcome (exported, dropped), seconds, and log, which is what the exporters said.
"""

import json
import logging
import os
import sys
import threading
import time

from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

EXPORTERS = {
    "grpc": {
        "traces": grpc_traces.OTLPSpanExporter,
        "metrics": grpc_metrics.OTLPMetricExporter,
        "logs": grpc_logs.OTLPLogExporter,
    },
    "http": {
        "traces": http_traces.OTLPSpanExporter,
        "metrics": http_metrics.OTLPMetricExporter,
        "logs": http_logs.OTLPLogExporter,
    },
}


def spans(marker, attributes):
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("tests").start_span(marker, attributes=attributes).end()
    return memory.get_finished_spans()


def metrics(marker, attributes):
    memory = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[memory])
    provider.get_meter("tests").create_counter(marker).add(1, attributes)
    return memory.get_metrics_data()


def logs(marker, attributes):
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    provider.get_logger("tests").emit(body=marker, attributes=attributes)
    return memory.get_finished_logs()


class Said(logging.Handler):
    """Keeps what each thread's exporter logs."""

    def __init__(self):
        super().__init__()
        self.lines = {}

    def emit(self, record):
        self.lines.setdefault(record.thread, []).append(record.getMessage())


def export(signal, exporter, batch, said):
    began = time.monotonic()
    result = exporter.export(batch)
    report = {
        "signal": signal,
        "outcome": "exported" if result.name == "SUCCESS" else "dropped",
        "seconds": time.monotonic() - began,
        "log": "\n".join(said.lines.get(threading.get_ident(), [])),
    }
    print(json.dumps(report) + "\n", end="", flush=True)


def main():
    said = Said()
    logging.getLogger("opentelemetry").addHandler(said)
    marker = os.environ["EXPORT_MARKER"]
    attributes = {"padding": "x" * int(os.environ.get("EXPORT_PADDING", "0"))}
    batches = {"traces": spans, "metrics": metrics, "logs": logs}
    threads = []
    for signal in os.environ["EXPORT_SIGNALS"].split(","):
        exporter = EXPORTERS[sys.argv[1]][signal]()
        arguments = (signal, exporter, batches[signal](marker, attributes), said)
        threads.append(threading.Thread(target=export, args=arguments))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
