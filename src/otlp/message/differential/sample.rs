//! Exports made from a string of bytes, so that proptest can shrink them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

const KEYS: [&str; 16] = [
    "service.name",
    "tenant.id",
    "Tenant_ID",
    "tenant-id",
    "tenant",
    "id",
    "",
    "x",
    "scope",
    "scope-orgid",
    "X.Scope.OrgID",
    "orgid",
    "host.name",
    "tenant.",
    "tenant..id",
    "é",
];

/// Choices, drawn from bytes; zeros once they are used up.
pub struct Source<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Source<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    pub fn below(&mut self, bound: u8) -> usize {
        usize::from(self.byte() % bound)
    }

    pub fn wide(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    pub fn traces(&mut self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest { resource_spans: self.some(3, Self::resource_spans) }
    }

    pub fn metrics(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest { resource_metrics: self.some(3, Self::resource_metrics) }
    }

    pub fn logs(&mut self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest { resource_logs: self.some(3, Self::resource_logs) }
    }

    fn some<T>(&mut self, bound: u8, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(bound)).map(|_| make(self)).collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 1).then(|| make(self))
    }

    fn number(&mut self) -> u64 {
        u64::from(self.byte())
    }

    fn small(&mut self) -> u32 {
        u32::from(self.byte())
    }

    fn double(&mut self) -> f64 {
        f64::from(self.byte())
    }

    fn enumerated(&mut self) -> i32 {
        i32::from(self.byte() % 5)
    }

    fn text(&mut self) -> String {
        KEYS[self.below(16)].to_owned()
    }

    fn id(&mut self) -> Vec<u8> {
        vec![self.byte(); 8]
    }

    fn trace_id(&mut self) -> Vec<u8> {
        vec![self.byte(); 16]
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.some(4, |source| source.pair(0))
    }

    fn pair(&mut self, depth: u8) -> KeyValue {
        let key_strindex = if depth == 0 && self.below(16) == 15 { 7 } else { 0 };
        KeyValue { key: self.text(), value: self.maybe(|source| source.any(depth)), key_strindex }
    }

    fn any(&mut self, depth: u8) -> AnyValue {
        let value = match self.below(9) {
            0 => None,
            1 => Some(Value::BoolValue(true)),
            2 => Some(Value::IntValue(-1)),
            3 => Some(Value::DoubleValue(self.double())),
            4 => Some(Value::BytesValue(self.id())),
            5 if depth < 3 => {
                Some(Value::ArrayValue(ArrayValue { values: self.some(3, |source| source.any(depth + 1)) }))
            }
            6 | 7 if depth < 3 => Some(Value::KvlistValue(KeyValueList {
                values: self.some(3, |source| source.pair(depth + 1)),
            })),
            _ => Some(Value::StringValue(self.text())),
        };
        AnyValue { value }
    }

    fn resource(&mut self) -> Resource {
        Resource {
            attributes: self.attributes(),
            dropped_attributes_count: self.small(),
            entity_refs: self.some(3, |source| EntityRef {
                schema_url: source.text(),
                r#type: source.text(),
                id_keys: source.some(3, Self::text),
                description_keys: source.some(3, Self::text),
            }),
        }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.small(),
        }
    }

    fn resource_spans(&mut self) -> ResourceSpans {
        ResourceSpans {
            resource: self.maybe(Self::resource),
            scope_spans: self.some(3, |source| ScopeSpans {
                scope: source.maybe(Self::scope),
                spans: source.some(4, Self::span),
                schema_url: source.text(),
            }),
            schema_url: self.text(),
        }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.trace_id(),
            span_id: self.id(),
            trace_state: self.text(),
            parent_span_id: self.id(),
            flags: self.small(),
            name: self.text(),
            kind: self.enumerated(),
            start_time_unix_nano: self.number(),
            end_time_unix_nano: self.number(),
            attributes: self.attributes(),
            dropped_attributes_count: self.small(),
            events: self.some(3, Self::event),
            dropped_events_count: self.small(),
            links: self.some(3, Self::link),
            dropped_links_count: self.small(),
            status: self.maybe(|source| Status { message: source.text(), code: source.enumerated() }),
        }
    }

    fn event(&mut self) -> Event {
        Event {
            time_unix_nano: self.number(),
            name: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.small(),
        }
    }

    fn link(&mut self) -> Link {
        Link {
            trace_id: self.trace_id(),
            span_id: self.id(),
            trace_state: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.small(),
            flags: self.small(),
        }
    }

    fn resource_logs(&mut self) -> ResourceLogs {
        ResourceLogs {
            resource: self.maybe(Self::resource),
            scope_logs: self.some(3, |source| ScopeLogs {
                scope: source.maybe(Self::scope),
                log_records: source.some(4, Self::log_record),
                schema_url: source.text(),
            }),
            schema_url: self.text(),
        }
    }

    fn log_record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.number(),
            observed_time_unix_nano: self.number(),
            severity_number: self.enumerated(),
            severity_text: self.text(),
            body: self.maybe(|source| source.any(0)),
            attributes: self.attributes(),
            dropped_attributes_count: self.small(),
            flags: self.small(),
            trace_id: self.trace_id(),
            span_id: self.id(),
            event_name: self.text(),
        }
    }

    fn resource_metrics(&mut self) -> ResourceMetrics {
        ResourceMetrics {
            resource: self.maybe(Self::resource),
            scope_metrics: self.some(3, |source| ScopeMetrics {
                scope: source.maybe(Self::scope),
                metrics: source.some(4, Self::metric),
                schema_url: source.text(),
            }),
            schema_url: self.text(),
        }
    }

    fn metric(&mut self) -> Metric {
        let (aggregation_temporality, is_monotonic) = (self.enumerated(), self.below(2) == 1);
        let data = match self.below(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge { data_points: self.some(3, Self::number_point) })),
            2 => Some(Data::Sum(Sum {
                data_points: self.some(3, Self::number_point),
                aggregation_temporality,
                is_monotonic,
            })),
            3 => Some(Data::Histogram(Histogram {
                data_points: self.some(3, Self::histogram_point),
                aggregation_temporality,
            })),
            4 => {
                let data_points = self.some(3, Self::exponential_point);
                Some(Data::ExponentialHistogram(ExponentialHistogram {
                    data_points,
                    aggregation_temporality,
                }))
            }
            _ => Some(Data::Summary(Summary { data_points: self.some(3, Self::summary_point) })),
        };
        Metric {
            name: self.text(),
            description: self.text(),
            unit: self.text(),
            metadata: self.attributes(),
            data,
        }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        let value = match self.below(3) {
            0 => None,
            1 => Some(number_data_point::Value::AsDouble(self.double())),
            _ => Some(number_data_point::Value::AsInt(-3)),
        };
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            exemplars: self.some(3, Self::exemplar),
            flags: self.small(),
            value,
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.maybe(Self::double),
            bucket_counts: self.some(4, Self::number),
            explicit_bounds: self.some(4, Self::double),
            exemplars: self.some(3, Self::exemplar),
            flags: self.small(),
            min: self.maybe(Self::double),
            max: self.maybe(Self::double),
        }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        let buckets = |source: &mut Self| Buckets {
            offset: source.enumerated() - 2,
            bucket_counts: source.some(4, Self::number),
        };
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.maybe(Self::double),
            scale: self.enumerated() - 2,
            zero_count: self.number(),
            positive: self.maybe(buckets),
            negative: self.maybe(buckets),
            flags: self.small(),
            exemplars: self.some(3, Self::exemplar),
            min: self.maybe(Self::double),
            max: self.maybe(Self::double),
            zero_threshold: self.double(),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.number(),
            time_unix_nano: self.number(),
            count: self.number(),
            sum: self.double(),
            quantile_values: self
                .some(3, |source| ValueAtQuantile { quantile: source.double(), value: source.double() }),
            flags: self.small(),
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        let value = match self.below(3) {
            0 => None,
            1 => Some(exemplar::Value::AsDouble(self.double())),
            _ => Some(exemplar::Value::AsInt(3)),
        };
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.number(),
            span_id: self.id(),
            trace_id: self.trace_id(),
            value,
        }
    }
}
