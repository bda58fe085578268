// Export sends one batch of each signal through OpenTelemetry's exporters, as their variables say.
//
// The first argument is the protocol (grpc, http); OTEL_EXPORTER_OTLP_* and OTEL_RESOURCE_ATTRIBUTES say the rest.
// EXPORT_MARKER names what is sent, EXPORT_SIGNALS which signals are, EXPORT_PADDING adds an attribute of so many
// letters. It prints a line of JSON for each signal: signal, outcome (exported, dropped), seconds, and log, which is
// what the exporter said.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

var (
	marker  = os.Getenv("EXPORT_MARKER")
	padding = func() string {
		letters, _ := strconv.Atoi(os.Getenv("EXPORT_PADDING"))
		return strings.Repeat("x", letters)
	}()
)

func main() {
	send := map[string]func(context.Context, bool) error{"traces": traces, "metrics": metrics, "logs": logs}
	var group sync.WaitGroup
	var printing sync.Mutex
	for _, signal := range strings.Split(os.Getenv("EXPORT_SIGNALS"), ",") {
		group.Add(1)
		go func() {
			defer group.Done()
			began := time.Now()
			err := send[signal](context.Background(), os.Args[1] == "grpc")
			outcome, said := "exported", ""
			if err != nil {
				said = err.Error()
				// A warning comes as an error, too.
				if !strings.Contains(said, "OTLP partial success") || !strings.Contains(said, "(0 ") {
					outcome = "dropped"
				}
			}
			report, _ := json.Marshal(map[string]any{
				"signal": signal, "outcome": outcome, "seconds": time.Since(began).Seconds(), "log": said,
			})
			printing.Lock()
			defer printing.Unlock()
			fmt.Println(string(report))
		}()
	}
	group.Wait()
}

func traces(ctx context.Context, grpc bool) error {
	memory := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory))
	_, span := provider.Tracer("tests").Start(ctx, marker)
	span.SetAttributes(attribute.String("padding", padding))
	span.End()
	make := func() (sdktrace.SpanExporter, error) { return otlptracehttp.New(ctx) }
	if grpc {
		make = func() (sdktrace.SpanExporter, error) { return otlptracegrpc.New(ctx) }
	}
	exporter, err := make()
	if err != nil {
		return err
	}
	return exporter.ExportSpans(ctx, memory.GetSpans().Snapshots())
}

func metrics(ctx context.Context, grpc bool) error {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	counter, err := provider.Meter("tests").Int64Counter(marker)
	if err != nil {
		return err
	}
	counter.Add(ctx, 1, metric.WithAttributes(attribute.String("padding", padding)))
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		return err
	}
	make := func() (sdkmetric.Exporter, error) { return otlpmetrichttp.New(ctx) }
	if grpc {
		make = func() (sdkmetric.Exporter, error) { return otlpmetricgrpc.New(ctx) }
	}
	exporter, err := make()
	if err != nil {
		return err
	}
	return exporter.Export(ctx, &collected)
}

// noted keeps what an exporter that the SDK calls came to.
type noted struct {
	sdklog.Exporter
	err error
}

func (n *noted) Export(ctx context.Context, records []sdklog.Record) error {
	n.err = n.Exporter.Export(ctx, records)
	return nil
}

func logs(ctx context.Context, grpc bool) error {
	make := func() (sdklog.Exporter, error) { return otlploghttp.New(ctx) }
	if grpc {
		make = func() (sdklog.Exporter, error) { return otlploggrpc.New(ctx) }
	}
	exporter, err := make()
	if err != nil {
		return err
	}
	result := &noted{Exporter: exporter}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(result)))
	var record log.Record
	record.SetBody(attribute.StringValue(marker))
	record.AddAttributes(attribute.String("padding", padding))
	provider.Logger("tests").Emit(ctx, record)
	return result.err
}
