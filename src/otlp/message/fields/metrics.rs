//! Metrics: five kinds of data points.

use super::shared::{RESOURCE, SCOPE};
use super::{Kind, Message, attributes, choice, field, items, list, message, messages};

/// `ExportMetricsServiceRequest`.
pub static REQUEST: Message =
    Message::frame("ExportMetricsServiceRequest", &[messages(1, "resource_metrics", &RESOURCE_METRICS)]);

static RESOURCE_METRICS: Message = Message::frame(
    "ResourceMetrics",
    &[
        message(1, "resource", &RESOURCE),
        messages(2, "scope_metrics", &SCOPE_METRICS),
        field(3, "schema_url", Kind::String),
    ],
);
static SCOPE_METRICS: Message = Message::frame(
    "ScopeMetrics",
    &[message(1, "scope", &SCOPE), messages(2, "metrics", &METRIC), field(3, "schema_url", Kind::String)],
);
static METRIC: Message = Message::frame(
    "Metric",
    &[
        field(1, "name", Kind::String),
        field(2, "description", Kind::String),
        field(3, "unit", Kind::String),
        choice(5, "gauge", Kind::Message(&GAUGE)),
        choice(7, "sum", Kind::Message(&SUM)),
        choice(9, "histogram", Kind::Message(&HISTOGRAM)),
        choice(10, "exponential_histogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        choice(11, "summary", Kind::Message(&SUMMARY)),
        attributes(12, "metadata"),
    ],
);
static GAUGE: Message = Message::frame("Gauge", &[items(1, "data_points", &NUMBER_POINT)]);
static SUM: Message = Message::frame(
    "Sum",
    &[
        items(1, "data_points", &NUMBER_POINT),
        field(2, "aggregation_temporality", Kind::Int32),
        field(3, "is_monotonic", Kind::Bool),
    ],
);
static HISTOGRAM: Message = Message::frame(
    "Histogram",
    &[items(1, "data_points", &HISTOGRAM_POINT), field(2, "aggregation_temporality", Kind::Int32)],
);
static EXPONENTIAL_HISTOGRAM: Message = Message::frame(
    "ExponentialHistogram",
    &[items(1, "data_points", &EXPONENTIAL_POINT), field(2, "aggregation_temporality", Kind::Int32)],
);
static SUMMARY: Message = Message::frame("Summary", &[items(1, "data_points", &SUMMARY_POINT)]);

static NUMBER_POINT: Message = Message::leaf(
    "NumberDataPoint",
    &[
        attributes(7, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        choice(4, "as_double", Kind::Double),
        choice(6, "as_int", Kind::Sfixed64),
        messages(5, "exemplars", &EXEMPLAR),
        field(8, "flags", Kind::Uint32),
    ],
);
static HISTOGRAM_POINT: Message = Message::leaf(
    "HistogramDataPoint",
    &[
        attributes(9, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        field(4, "count", Kind::Fixed64),
        field(5, "sum", Kind::Double),
        list(6, "bucket_counts", Kind::Fixed64),
        list(7, "explicit_bounds", Kind::Double),
        messages(8, "exemplars", &EXEMPLAR),
        field(10, "flags", Kind::Uint32),
        field(11, "min", Kind::Double),
        field(12, "max", Kind::Double),
    ],
);
static EXPONENTIAL_POINT: Message = Message::leaf(
    "ExponentialHistogramDataPoint",
    &[
        attributes(1, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        field(4, "count", Kind::Fixed64),
        field(5, "sum", Kind::Double),
        field(6, "scale", Kind::Sint32),
        field(7, "zero_count", Kind::Fixed64),
        message(8, "positive", &BUCKETS),
        message(9, "negative", &BUCKETS),
        field(10, "flags", Kind::Uint32),
        messages(11, "exemplars", &EXEMPLAR),
        field(12, "min", Kind::Double),
        field(13, "max", Kind::Double),
        field(14, "zero_threshold", Kind::Double),
    ],
);
static BUCKETS: Message = Message::leaf(
    "ExponentialHistogramDataPoint.Buckets",
    &[field(1, "offset", Kind::Sint32), list(2, "bucket_counts", Kind::Uint64)],
);
static SUMMARY_POINT: Message = Message::leaf(
    "SummaryDataPoint",
    &[
        attributes(7, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        field(4, "count", Kind::Fixed64),
        field(5, "sum", Kind::Double),
        messages(6, "quantile_values", &QUANTILE),
        field(8, "flags", Kind::Uint32),
    ],
);
static QUANTILE: Message = Message::leaf(
    "SummaryDataPoint.ValueAtQuantile",
    &[field(1, "quantile", Kind::Double), field(2, "value", Kind::Double)],
);
static EXEMPLAR: Message = Message::leaf(
    "Exemplar",
    &[
        attributes(7, "filtered_attributes"),
        field(2, "time_unix_nano", Kind::Fixed64),
        choice(3, "as_double", Kind::Double),
        choice(6, "as_int", Kind::Sfixed64),
        field(4, "span_id", Kind::Id(8)),
        field(5, "trace_id", Kind::Id(16)),
    ],
);
