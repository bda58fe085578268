"""Sends telemetry through the OpenTelemetry SDK on orders from standard input.

An order is a line of JSON: protocol (grpc, http), signal (traces, metrics, logs), endpoint, key,
headers (more of them), attributes (of the resource) and marker (a name that ends up in the data).
The answer is a line of JSON: {"acknowledged": true or false, "log": what the SDK said}.
"""

import io
import json
import logging
import sys

from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

TIMEOUT = 3


def exporter(order):
    """Makes the exporter that the order names."""
    grpc, http = {
        "traces": (grpc_traces.OTLPSpanExporter, http_traces.OTLPSpanExporter),
        "metrics": (grpc_metrics.OTLPMetricExporter, http_metrics.OTLPMetricExporter),
        "logs": (grpc_logs.OTLPLogExporter, http_logs.OTLPLogExporter),
    }[order["signal"]]
    headers = dict(order.get("headers", {}))
    if order.get("key"):
        headers["authorization"] = "Bearer " + order["key"]
    if order["protocol"] == "grpc":
        return grpc(
            endpoint=order["endpoint"],
            insecure=True,
            headers=tuple(headers.items()),
            timeout=TIMEOUT,
        )
    return http(
        endpoint=f"{order['endpoint']}/v1/{order['signal']}",
        headers=headers,
        timeout=TIMEOUT,
        compression=HttpCompression.Gzip,
    )


def watched(target, results):
    """Notes what each export of the exporter came to."""
    inner = target.export

    def export(*args, **kwargs):
        result = inner(*args, **kwargs)
        results.append(result.name)
        return result

    target.export = export
    return target


def send(order):
    """Makes one item of telemetry, sends it and tells whether it was acknowledged."""
    results = []
    target = watched(exporter(order), results)
    resource = Resource.create(order.get("attributes", {}))
    {"traces": send_span, "metrics": send_metric, "logs": send_log}[order["signal"]](
        target, resource, order["marker"]
    )
    return bool(results) and all(result == "SUCCESS" for result in results)


def send_span(target, resource, marker):
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(target))
    with provider.get_tracer("tests").start_as_current_span(marker):
        pass
    provider.shutdown()


def send_metric(target, resource, marker):
    reader = PeriodicExportingMetricReader(target, export_interval_millis=float("inf"))
    provider = MeterProvider(resource=resource, metric_readers=[reader])
    provider.get_meter("tests").create_counter(marker).add(1)
    provider.force_flush()
    provider.shutdown()


def send_log(target, resource, marker):
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(target))
    logger = logging.getLogger("application")
    handler = LoggingHandler(logger_provider=provider)
    logger.addHandler(handler)
    logger.warning(marker)
    logger.removeHandler(handler)
    provider.shutdown()


def main():
    for line in sys.stdin:
        text = io.StringIO()
        handler = logging.StreamHandler(text)
        logging.getLogger("opentelemetry").addHandler(handler)
        acknowledged = send(json.loads(line))
        logging.getLogger("opentelemetry").removeHandler(handler)
        print(json.dumps({"acknowledged": acknowledged, "log": text.getvalue()}), flush=True)


if __name__ == "__main__":
    main()
