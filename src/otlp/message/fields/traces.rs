//! Traces.

use super::shared::{RESOURCE, SCOPE};
use super::{Kind, Message, attributes, field, items, message, messages};

/// `ExportTraceServiceRequest`.
pub static REQUEST: Message =
    Message::frame("ExportTraceServiceRequest", &[messages(1, "resource_spans", &RESOURCE_SPANS)]);

// Field 1000, reserved in this message and its like, is not listed: the OpenTelemetry Collector still decodes it as
// scope data of an older layout when field 2 is empty, which would carry data past the rules.
static RESOURCE_SPANS: Message = Message::frame(
    "ResourceSpans",
    &[
        message(1, "resource", &RESOURCE),
        messages(2, "scope_spans", &SCOPE_SPANS),
        field(3, "schema_url", Kind::String),
    ],
);
static SCOPE_SPANS: Message = Message::frame(
    "ScopeSpans",
    &[message(1, "scope", &SCOPE), items(2, "spans", &SPAN), field(3, "schema_url", Kind::String)],
);
static SPAN: Message = Message::leaf(
    "Span",
    &[
        field(1, "trace_id", Kind::Id(16)),
        field(2, "span_id", Kind::Id(8)),
        field(3, "trace_state", Kind::String),
        field(4, "parent_span_id", Kind::Id(8)),
        field(16, "flags", Kind::Fixed32),
        field(5, "name", Kind::String),
        field(6, "kind", Kind::Int32),
        field(7, "start_time_unix_nano", Kind::Fixed64),
        field(8, "end_time_unix_nano", Kind::Fixed64),
        attributes(9, "attributes"),
        field(10, "dropped_attributes_count", Kind::Uint32),
        messages(11, "events", &EVENT),
        field(12, "dropped_events_count", Kind::Uint32),
        messages(13, "links", &LINK),
        field(14, "dropped_links_count", Kind::Uint32),
        message(15, "status", &STATUS),
    ],
);
static EVENT: Message = Message::leaf(
    "Span.Event",
    &[
        field(1, "time_unix_nano", Kind::Fixed64),
        field(2, "name", Kind::String),
        attributes(3, "attributes"),
        field(4, "dropped_attributes_count", Kind::Uint32),
    ],
);
static LINK: Message = Message::leaf(
    "Span.Link",
    &[
        field(1, "trace_id", Kind::Id(16)),
        field(2, "span_id", Kind::Id(8)),
        field(3, "trace_state", Kind::String),
        attributes(4, "attributes"),
        field(5, "dropped_attributes_count", Kind::Uint32),
        field(6, "flags", Kind::Fixed32),
    ],
);
static STATUS: Message =
    Message::leaf("Status", &[field(2, "message", Kind::String), field(3, "code", Kind::Int32)]);
