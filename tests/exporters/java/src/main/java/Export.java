import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.metrics.InstrumentType;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.export.MetricExporter;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Exports one batch of each signal through OpenTelemetry's exporters, as their variables say.
 *
 * <p>The first argument is the protocol (grpc, http/protobuf); OTEL_EXPORTER_OTLP_* and
 * OTEL_RESOURCE_ATTRIBUTES say the rest. EXPORT_MARKER names what is sent, EXPORT_SIGNALS which signals
 * are, EXPORT_PADDING adds an attribute of so many letters. Prints a line of JSON for each signal: signal,
 * outcome (exported, dropped), seconds, and log, which is what the exporters said.
 */
public final class Export {
  private static final PrintStream OUT = System.out;
  private static final ByteArrayOutputStream SAID = new ByteArrayOutputStream();

  public static void main(String[] arguments) {
    System.setErr(new PrintStream(SAID, true, StandardCharsets.UTF_8));
    String marker = System.getenv("EXPORT_MARKER");
    Attributes attributes =
        Attributes.of(
            AttributeKey.stringKey("padding"),
            "x".repeat(Integer.parseInt(System.getenv("EXPORT_PADDING"))));
    OpenTelemetrySdk sdk = sdk(arguments[0]);
    List<CompletableResultCode> running = new ArrayList<>();
    for (String signal : System.getenv("EXPORT_SIGNALS").split(",")) {
      switch (signal) {
        case "traces" -> {
          sdk.getTracer("tests").spanBuilder(marker).setAllAttributes(attributes).startSpan().end();
          running.add(sdk.getSdkTracerProvider().forceFlush());
        }
        case "metrics" -> {
          sdk.getMeter("tests").counterBuilder(marker).build().add(1, attributes);
          running.add(sdk.getSdkMeterProvider().forceFlush());
        }
        case "logs" -> {
          var builder = sdk.getLogsBridge().get("tests").logRecordBuilder();
          builder.setBody(marker).setAllAttributes(attributes).emit();
          running.add(sdk.getSdkLoggerProvider().forceFlush());
        }
        default -> throw new IllegalArgumentException(signal);
      }
    }
    CompletableResultCode.ofAll(running).join(60, TimeUnit.SECONDS);
    // No second export on the way out.
    Runtime.getRuntime().halt(0);
  }

  private static OpenTelemetrySdk sdk(String protocol) {
    Map<String, String> settings =
        Map.of(
            "otel.exporter.otlp.protocol", protocol,
            "otel.metric.export.interval", "600000",
            "otel.bsp.schedule.delay", "600000",
            "otel.blrp.schedule.delay", "600000");
    return AutoConfiguredOpenTelemetrySdk.builder()
        .addPropertiesSupplier(() -> settings)
        .addSpanExporterCustomizer((exporter, config) -> new Spans(exporter))
        .addMetricExporterCustomizer((exporter, config) -> new Metrics(exporter))
        .addLogRecordExporterCustomizer((exporter, config) -> new Logs(exporter))
        .disableShutdownHook()
        .build()
        .getOpenTelemetrySdk();
  }

  /** Tells what an export came to. */
  private static CompletableResultCode told(String signal, Supplier<CompletableResultCode> export) {
    long began = System.nanoTime();
    CompletableResultCode result = export.get();
    return result.whenComplete(
        () -> {
          double seconds = (System.nanoTime() - began) / 1e9;
          String outcome = result.isSuccess() ? "exported" : "dropped";
          String said = quoted(SAID.toString(StandardCharsets.UTF_8) + reason(result));
          OUT.printf(
              "{\"signal\":\"%s\",\"outcome\":\"%s\",\"seconds\":%.3f,\"log\":\"%s\"}%n",
              signal, outcome, seconds, said);
        });
  }

  private static String reason(CompletableResultCode result) {
    return result.getFailureThrowable() == null ? "" : result.getFailureThrowable().toString();
  }

  private static String quoted(String text) {
    StringBuilder quoted = new StringBuilder();
    for (char letter : text.toCharArray()) {
      switch (letter) {
        case '"', '\\' -> quoted.append('\\').append(letter);
        default -> quoted.append(letter < ' ' ? String.format("\\u%04x", (int) letter) : letter);
      }
    }
    return quoted.toString();
  }

  private record Spans(SpanExporter inner) implements SpanExporter {
    @Override
    public CompletableResultCode export(Collection<SpanData> batch) {
      return told("traces", () -> inner.export(batch));
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }

  private record Metrics(MetricExporter inner) implements MetricExporter {
    @Override
    public CompletableResultCode export(Collection<MetricData> batch) {
      return told("metrics", () -> inner.export(batch));
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }

    @Override
    public AggregationTemporality getAggregationTemporality(InstrumentType type) {
      return inner.getAggregationTemporality(type);
    }
  }

  private record Logs(LogRecordExporter inner) implements LogRecordExporter {
    @Override
    public CompletableResultCode export(Collection<LogRecordData> batch) {
      return told("logs", () -> inner.export(batch));
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }
}
