//! The shape of an OTLP export as data (opentelemetry-proto 1.11): which fields are messages, which are attributes,
//! which are counted. It drives the splicer, the item counter and the scan for denied attributes alike, so that they
//! cannot disagree about where an attribute may stand.

use super::wire::Wire;

/// What is being exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// Every signal that is taken.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name in logs, metrics and the last part of its HTTP path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The path of its OTLP/HTTP request.
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The path of its gRPC method.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// The message that a request of this signal carries.
    pub const fn request(self) -> &'static Message {
        match self {
            Self::Traces => &TRACES,
            Self::Metrics => &METRICS,
            Self::Logs => &LOGS,
        }
    }
}

/// A message and its fields.
#[derive(Debug)]
pub struct Message {
    /// Its name in the protos.
    pub name: &'static str,
    /// Its fields; a number that is not listed is dropped when the message is walked.
    fields: &'static [Field],
    /// For each field number, one more than the field's place in `fields`; 0 for none.
    places: [u8; Self::NUMBERS],
}

impl Message {
    /// Field numbers that can be listed are below this.
    const NUMBERS: usize = 24;

    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler, which refuses a number out of range"
    )]
    #[expect(clippy::cast_possible_truncation, reason = "no message has 255 fields")]
    const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        let mut places = [0; Self::NUMBERS];
        let mut at = 0;
        while at < fields.len() {
            places[fields[at].number as usize] = at as u8 + 1;
            at += 1;
        }
        Self { name, fields, places }
    }

    /// The field of that number, if the message has one.
    #[inline]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let place = *self.places.get(number as usize)?;
        self.fields.get(usize::from(place).checked_sub(1)?)
    }
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// Its number.
    pub number: u32,
    /// Its name in the protos.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether each occurrence is one item of the export: a span, a log record or a data point.
    pub item: bool,
}

/// What a field holds, as far as rewriting cares.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A message that is walked.
    Message(&'static Message),
    /// A `KeyValue`, removed when its key is denied.
    Attribute,
    /// The resource: its occurrences are merged into one, which is stamped.
    Resource,
    /// An `EntityRef` of a resource.
    EntityRef,
    /// A string, bytes, or a message that is copied unseen.
    Opaque,
    /// A varint.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// A repeated varint, packed or not.
    Varints,
    /// A repeated eight-byte number, packed or not.
    Fixed64s,
}

impl Kind {
    /// Whether a field of this kind may be encoded that way.
    #[inline]
    pub const fn takes(self, wire: Wire) -> bool {
        match self {
            Self::Message(_) | Self::Attribute | Self::Resource | Self::EntityRef | Self::Opaque => {
                matches!(wire, Wire::Delimited)
            }
            Self::Varint => matches!(wire, Wire::Varint),
            Self::Fixed64 => matches!(wire, Wire::Fixed64),
            Self::Fixed32 => matches!(wire, Wire::Fixed32),
            Self::Varints => matches!(wire, Wire::Varint | Wire::Delimited),
            Self::Fixed64s => matches!(wire, Wire::Fixed64 | Wire::Delimited),
        }
    }
}

use Kind::{Attribute, EntityRef, Fixed32, Fixed64, Fixed64s, Opaque, Resource, Varint, Varints};

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, item: false }
}

const fn message(number: u32, name: &'static str, of: &'static Message) -> Field {
    field(number, name, Kind::Message(of))
}

const fn items(number: u32, name: &'static str, of: &'static Message) -> Field {
    Field { number, name, kind: Kind::Message(of), item: true }
}

static TRACES: Message =
    Message::new("ExportTraceServiceRequest", &[message(1, "resource_spans", &RESOURCE_SPANS)]);
static METRICS: Message =
    Message::new("ExportMetricsServiceRequest", &[message(1, "resource_metrics", &RESOURCE_METRICS)]);
static LOGS: Message =
    Message::new("ExportLogsServiceRequest", &[message(1, "resource_logs", &RESOURCE_LOGS)]);

// Field 1000, reserved in these three, is not listed: the OpenTelemetry Collector still decodes it as scope data of an
// older layout when field 2 is empty, which would carry data past the rules.
static RESOURCE_SPANS: Message = Message::new(
    "ResourceSpans",
    &[
        field(1, "resource", Resource),
        message(2, "scope_spans", &SCOPE_SPANS),
        field(3, "schema_url", Opaque),
    ],
);
static RESOURCE_METRICS: Message = Message::new(
    "ResourceMetrics",
    &[
        field(1, "resource", Resource),
        message(2, "scope_metrics", &SCOPE_METRICS),
        field(3, "schema_url", Opaque),
    ],
);
static RESOURCE_LOGS: Message = Message::new(
    "ResourceLogs",
    &[field(1, "resource", Resource), message(2, "scope_logs", &SCOPE_LOGS), field(3, "schema_url", Opaque)],
);

/// `Resource`, which the splicer merges and stamps.
pub static RESOURCE: Message = Message::new(
    "Resource",
    &[
        field(1, "attributes", Attribute),
        field(2, "dropped_attributes_count", Varint),
        field(3, "entity_refs", EntityRef),
    ],
);

/// `EntityRef`; its key lists name attributes of the resource.
pub static ENTITY_REF: Message = Message::new(
    "EntityRef",
    &[
        field(1, "schema_url", Opaque),
        field(2, "type", Opaque),
        field(3, "id_keys", Opaque),
        field(4, "description_keys", Opaque),
    ],
);

/// `KeyValue`.
pub static KEY_VALUE: Message = Message::new(
    "KeyValue",
    &[field(1, "key", Opaque), field(2, "value", Opaque), field(3, "key_strindex", Varint)],
);

static SCOPE_SPANS: Message = Message::new(
    "ScopeSpans",
    &[message(1, "scope", &SCOPE), items(2, "spans", &SPAN), field(3, "schema_url", Opaque)],
);
static SCOPE_METRICS: Message = Message::new(
    "ScopeMetrics",
    &[message(1, "scope", &SCOPE), message(2, "metrics", &METRIC), field(3, "schema_url", Opaque)],
);
static SCOPE_LOGS: Message = Message::new(
    "ScopeLogs",
    &[message(1, "scope", &SCOPE), items(2, "log_records", &LOG_RECORD), field(3, "schema_url", Opaque)],
);
static SCOPE: Message = Message::new(
    "InstrumentationScope",
    &[
        field(1, "name", Opaque),
        field(2, "version", Opaque),
        field(3, "attributes", Attribute),
        field(4, "dropped_attributes_count", Varint),
    ],
);

static SPAN: Message = Message::new(
    "Span",
    &[
        field(1, "trace_id", Opaque),
        field(2, "span_id", Opaque),
        field(3, "trace_state", Opaque),
        field(4, "parent_span_id", Opaque),
        field(5, "name", Opaque),
        field(6, "kind", Varint),
        field(7, "start_time_unix_nano", Fixed64),
        field(8, "end_time_unix_nano", Fixed64),
        field(9, "attributes", Attribute),
        field(10, "dropped_attributes_count", Varint),
        message(11, "events", &EVENT),
        field(12, "dropped_events_count", Varint),
        message(13, "links", &LINK),
        field(14, "dropped_links_count", Varint),
        field(15, "status", Opaque),
        field(16, "flags", Fixed32),
    ],
);
static EVENT: Message = Message::new(
    "Span.Event",
    &[
        field(1, "time_unix_nano", Fixed64),
        field(2, "name", Opaque),
        field(3, "attributes", Attribute),
        field(4, "dropped_attributes_count", Varint),
    ],
);
static LINK: Message = Message::new(
    "Span.Link",
    &[
        field(1, "trace_id", Opaque),
        field(2, "span_id", Opaque),
        field(3, "trace_state", Opaque),
        field(4, "attributes", Attribute),
        field(5, "dropped_attributes_count", Varint),
        field(6, "flags", Fixed32),
    ],
);

static LOG_RECORD: Message = Message::new(
    "LogRecord",
    &[
        field(1, "time_unix_nano", Fixed64),
        field(2, "severity_number", Varint),
        field(3, "severity_text", Opaque),
        field(5, "body", Opaque),
        field(6, "attributes", Attribute),
        field(7, "dropped_attributes_count", Varint),
        field(8, "flags", Fixed32),
        field(9, "trace_id", Opaque),
        field(10, "span_id", Opaque),
        field(11, "observed_time_unix_nano", Fixed64),
        field(12, "event_name", Opaque),
    ],
);

static METRIC: Message = Message::new(
    "Metric",
    &[
        field(1, "name", Opaque),
        field(2, "description", Opaque),
        field(3, "unit", Opaque),
        message(5, "gauge", &GAUGE),
        message(7, "sum", &SUM),
        message(9, "histogram", &HISTOGRAM),
        message(10, "exponential_histogram", &EXPONENTIAL_HISTOGRAM),
        message(11, "summary", &SUMMARY),
        field(12, "metadata", Attribute),
    ],
);
static GAUGE: Message = Message::new("Gauge", &[items(1, "data_points", &NUMBER_POINT)]);
static SUM: Message = Message::new(
    "Sum",
    &[
        items(1, "data_points", &NUMBER_POINT),
        field(2, "aggregation_temporality", Varint),
        field(3, "is_monotonic", Varint),
    ],
);
static HISTOGRAM: Message = Message::new(
    "Histogram",
    &[items(1, "data_points", &HISTOGRAM_POINT), field(2, "aggregation_temporality", Varint)],
);
static EXPONENTIAL_HISTOGRAM: Message = Message::new(
    "ExponentialHistogram",
    &[items(1, "data_points", &EXPONENTIAL_POINT), field(2, "aggregation_temporality", Varint)],
);
static SUMMARY: Message = Message::new("Summary", &[items(1, "data_points", &SUMMARY_POINT)]);

static NUMBER_POINT: Message = Message::new(
    "NumberDataPoint",
    &[
        field(2, "start_time_unix_nano", Fixed64),
        field(3, "time_unix_nano", Fixed64),
        field(4, "as_double", Fixed64),
        message(5, "exemplars", &EXEMPLAR),
        field(6, "as_int", Fixed64),
        field(7, "attributes", Attribute),
        field(8, "flags", Varint),
    ],
);
static HISTOGRAM_POINT: Message = Message::new(
    "HistogramDataPoint",
    &[
        field(2, "start_time_unix_nano", Fixed64),
        field(3, "time_unix_nano", Fixed64),
        field(4, "count", Fixed64),
        field(5, "sum", Fixed64),
        field(6, "bucket_counts", Fixed64s),
        field(7, "explicit_bounds", Fixed64s),
        message(8, "exemplars", &EXEMPLAR),
        field(9, "attributes", Attribute),
        field(10, "flags", Varint),
        field(11, "min", Fixed64),
        field(12, "max", Fixed64),
    ],
);
static EXPONENTIAL_POINT: Message = Message::new(
    "ExponentialHistogramDataPoint",
    &[
        field(1, "attributes", Attribute),
        field(2, "start_time_unix_nano", Fixed64),
        field(3, "time_unix_nano", Fixed64),
        field(4, "count", Fixed64),
        field(5, "sum", Fixed64),
        field(6, "scale", Varint),
        field(7, "zero_count", Fixed64),
        message(8, "positive", &BUCKETS),
        message(9, "negative", &BUCKETS),
        field(10, "flags", Varint),
        message(11, "exemplars", &EXEMPLAR),
        field(12, "min", Fixed64),
        field(13, "max", Fixed64),
        field(14, "zero_threshold", Fixed64),
    ],
);
static BUCKETS: Message = Message::new(
    "ExponentialHistogramDataPoint.Buckets",
    &[field(1, "offset", Varint), field(2, "bucket_counts", Varints)],
);
static SUMMARY_POINT: Message = Message::new(
    "SummaryDataPoint",
    &[
        field(2, "start_time_unix_nano", Fixed64),
        field(3, "time_unix_nano", Fixed64),
        field(4, "count", Fixed64),
        field(5, "sum", Fixed64),
        field(6, "quantile_values", Opaque),
        field(7, "attributes", Attribute),
        field(8, "flags", Varint),
    ],
);
static EXEMPLAR: Message = Message::new(
    "Exemplar",
    &[
        field(2, "time_unix_nano", Fixed64),
        field(3, "as_double", Fixed64),
        field(4, "span_id", Opaque),
        field(5, "trace_id", Opaque),
        field(6, "as_int", Fixed64),
        field(7, "filtered_attributes", Attribute),
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The table's longest chain of messages; the splicer recurses this deep and no deeper.
    fn depth(message: &Message) -> usize {
        let below = message.fields.iter().map(|field| match field.kind {
            Kind::Message(inner) => depth(inner),
            Attribute | Resource | EntityRef | Opaque | Varint | Fixed64 | Fixed32 | Varints | Fixed64s => 0,
        });
        1 + below.max().unwrap_or(0)
    }

    #[test]
    fn lookups_find_each_field_under_its_number() {
        for field in SPAN.fields {
            assert_eq!(SPAN.field(field.number).unwrap().name, field.name);
        }
        assert!(SPAN.field(0).is_none());
        assert!(SPAN.field(17).is_none());
        assert!(RESOURCE_SPANS.field(1000).is_none());
        assert!(SPAN.field(u32::MAX).is_none());
    }

    #[test]
    fn nesting_is_bounded() {
        for signal in Signal::ALL {
            assert!(depth(signal.request()) <= 8, "{}", signal.name());
        }
    }
}
