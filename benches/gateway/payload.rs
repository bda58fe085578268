//! The batches that are sent.

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use std::io::Write as _;

/// How a batch is compressed. The levels are those that exporters have by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip, level 6.
    Gzip,
    /// zstd, level 3; the frame does not tell its size, as with the Collector's exporter.
    Zstd,
}

impl Coding {
    /// Its name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// `plain` in this coding.
    pub fn pack(self, plain: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(plain.to_vec()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain)?;
                Ok(encoder.finish()?)
            }
            Self::Zstd => Ok(zstd::encode_all(plain, 3)?),
        }
    }
}

const RESOURCE_KEYS: [&str; 12] = [
    "service.name",
    "service.version",
    "service.instance.id",
    "host.name",
    "host.arch",
    "os.type",
    "process.pid",
    "process.runtime.name",
    "telemetry.sdk.language",
    "k8s.pod.name",
    "k8s.namespace.name",
    "cloud.region",
];

const SPAN_KEYS: [&str; 10] = [
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "network.peer.address",
    "user_agent.original",
    "db.system.name",
    "db.query.text",
    "thread.id",
    "code.function.name",
    "server.address",
];

/// An export of so many spans of one service, encoded. Nothing in it is named like a tenant.
pub fn batch(spans: usize) -> Vec<u8> {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let attributes =
        RESOURCE_KEYS.iter().map(|key| pair(key, format!("value-{}", draw.below(1_000)))).collect();
    let spans = (0..spans).map(|_| span(&mut draw)).collect();
    let scope = InstrumentationScope { name: "bench".to_owned(), ..InstrumentationScope::default() };
    export(attributes, vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }])
}

/// An export of `size` bytes and little information.
pub fn bomb(size: usize) -> Vec<u8> {
    export(vec![pair("service.name", "a".repeat(size.saturating_sub(64)))], Vec::new())
}

fn export(attributes: Vec<KeyValue>, scope_spans: Vec<ScopeSpans>) -> Vec<u8> {
    let resource = Some(Resource { attributes, ..Resource::default() });
    let group = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

fn span(draw: &mut Draw) -> Span {
    let start = 1_700_000_000_000_000_000 + draw.below(1_000_000_000);
    Span {
        trace_id: [draw.next().to_le_bytes(), draw.next().to_le_bytes()].concat(),
        span_id: draw.next().to_le_bytes().to_vec(),
        name: format!("GET /api/v1/items/{}", draw.below(50)),
        start_time_unix_nano: start,
        end_time_unix_nano: start + draw.below(1_000_000),
        attributes: SPAN_KEYS.map(|key| pair(key, format!("some value {}", draw.below(10_000)))).into(),
        ..Span::default()
    }
}

/// An attribute of text.
pub fn pair(key: &str, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Numbers without a pattern, the same in every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
