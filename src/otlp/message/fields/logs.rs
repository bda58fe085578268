//! Logs.

use super::shared::{RESOURCE, SCOPE};
use super::{Kind, Message, attributes, field, items, message, messages, value};

/// `ExportLogsServiceRequest`.
pub static REQUEST: Message =
    Message::frame("ExportLogsServiceRequest", &[messages(1, "resource_logs", &RESOURCE_LOGS)]);

static RESOURCE_LOGS: Message = Message::frame(
    "ResourceLogs",
    &[
        message(1, "resource", &RESOURCE),
        messages(2, "scope_logs", &SCOPE_LOGS),
        field(3, "schema_url", Kind::String),
    ],
);
static SCOPE_LOGS: Message = Message::frame(
    "ScopeLogs",
    &[
        message(1, "scope", &SCOPE),
        items(2, "log_records", &LOG_RECORD),
        field(3, "schema_url", Kind::String),
    ],
);
static LOG_RECORD: Message = Message::leaf(
    "LogRecord",
    &[
        field(1, "time_unix_nano", Kind::Fixed64),
        field(11, "observed_time_unix_nano", Kind::Fixed64),
        field(2, "severity_number", Kind::Int32),
        field(3, "severity_text", Kind::String),
        value(5, "body"),
        attributes(6, "attributes"),
        field(7, "dropped_attributes_count", Kind::Uint32),
        field(8, "flags", Kind::Fixed32),
        field(9, "trace_id", Kind::Id(16)),
        field(10, "span_id", Kind::Id(8)),
        field(12, "event_name", Kind::String),
    ],
);
