//! Measures what is done to the bytes of an export: rewriting and counting, the look for denied keys, the walk into
//! items, JSON, gzip and zstd; each beside a copy of the same bytes, or what it replaces.
//!
//! `cargo bench --bench splice` prints times and GB/s of input. Read the figures of one run as ratios: of `splice` to
//! `copy`, of `decoded` to `splice`. `copy` allocates and frees its memory each time, as `splice` does with what it
//! writes. `unlooked` is rewriting and counting under a policy that denies nothing, which needs no look at the items;
//! in `suspect` each span has a key that begins like a denied one, so that all of them are walked; in `removal` each
//! has a denied one.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a bench says what is wrong by failing")]

use std::hint::black_box;
use std::io::Write;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use doorward::otlp::Signal;
use doorward::otlp::encoding::{Coding, Contexts};
use doorward::otlp::message::json::transcode;
use doorward::otlp::splice::{Policy, scatter, splice};
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// The allocator of the server binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENANT: &str = "tenant_01hzxk7q2v9m4c8d";
const SPANS: usize = 1_000;
const KEYS: [&str; 10] = [
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

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, resources) in [("1 resource", 1), ("20 resources", 20)] {
        rewriting(&mut criterion, name, &export(resources, "server.port"));
    }
    suspicion(&mut criterion);
    unpacking(&mut criterion);
    criterion.final_summary();
}

fn policy() -> Policy {
    Policy::new("tenant.id", ["tenant", "tenantid", "tenant.slug", "doorward.tenant", "x.scope.orgid"])
}

fn rewriting(criterion: &mut Criterion, name: &str, request: &ExportTraceServiceRequest) {
    let body = Bytes::from(request.encode_to_vec());
    let (policy, nothing) = (policy(), Policy::new("", [""; 0]));
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("copy", |bench| bench.iter(|| black_box(body.to_vec())));
    group.bench_function("unlooked", |bench| {
        bench.iter(|| splice(Signal::Traces, &body, &nothing, TENANT).unwrap());
    });
    group.bench_function("unlooked scatter", |bench| {
        bench.iter(|| scatter(Signal::Traces, &body, &nothing, TENANT).unwrap());
    });
    group.bench_function("splice", |bench| {
        bench.iter(|| splice(Signal::Traces, &body, &policy, TENANT).unwrap());
    });
    group.bench_function("scatter", |bench| {
        bench.iter(|| scatter(Signal::Traces, &body, &policy, TENANT).unwrap());
    });
    group.bench_function("decoded", |bench| bench.iter(|| decoded(&body)));
    group.finish();
}

/// What the splicer replaces.
fn decoded(body: &Bytes) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    for group in &mut request.resource_spans {
        let resource = group.resource.get_or_insert_default();
        resource.attributes.retain(|pair| pair.key != "tenant.id");
        resource.attributes.push(pair("tenant.id", TENANT.to_owned()));
    }
    request.encode_to_vec()
}

/// The look for denied keys by itself, and what a hit in every span costs.
fn suspicion(criterion: &mut Criterion) {
    let policy = policy();
    // Without the resource, which names a tenant.
    let clean = export(1, "server.port").resource_spans.remove(0).scope_spans.remove(0).encode_to_vec();
    let mut group = criterion.benchmark_group("look");
    group.throughput(Throughput::Bytes(clean.len() as u64));
    group.bench_function("copy", |bench| bench.iter(|| black_box(clean.clone())));
    group.bench_function("look", |bench| {
        bench.iter(|| assert_eq!(policy.suspicion(black_box(&clean), 0), clean.len()));
    });
    group.finish();
    for (name, key) in [("suspect", "tenant.name"), ("removal", "tenant.id")] {
        let body = Bytes::from(export(1, key).encode_to_vec());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(SPANS as u64));
        group.bench_function("scatter", |bench| {
            bench.iter(|| scatter(Signal::Traces, &body, &policy, TENANT).unwrap());
        });
        group.finish();
    }
}

fn unpacking(criterion: &mut Criterion) {
    let request = export(1, "server.port");
    let body = request.encode_to_vec();
    let json = serde_json::to_vec(&request).unwrap();
    let mut gzip = GzEncoder::new(vec![], Compression::default());
    gzip.write_all(&body).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&*body, 3).unwrap();

    let contexts = Contexts::default();
    let mut group = criterion.benchmark_group("unpack");
    group.throughput(Throughput::Bytes(body.len() as u64));
    for (coding, packed) in [(Coding::Gzip, &gzip), (Coding::Zstd, &zstd)] {
        group.bench_function(coding.name(), |bench| {
            bench.iter(|| coding.unpack(packed, usize::MAX, &contexts, |_, _| Ok::<_, ()>(())).unwrap());
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("transcode", |bench| {
        bench.iter(|| transcode(Signal::Traces, &json, &mut |_| true).unwrap());
    });
    group.bench_function("decoded", |bench| {
        bench.iter(|| serde_json::from_slice::<ExportTraceServiceRequest>(&json).unwrap().encode_to_vec());
    });
    group.finish();
}

/// [`SPANS`] spans of ten attributes under so many resources, each of which names another tenant. One attribute of each
/// span has this key.
fn export(resources: usize, key: &str) -> ExportTraceServiceRequest {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let mut groups = Vec::new();
    for _ in 0..resources {
        let mut attributes: Vec<KeyValue> = ["service.name", "host.name", "k8s.pod.name", "os.type"]
            .into_iter()
            .cycle()
            .take(12)
            .map(|key| pair(key, format!("value-{}", draw.below(1_000))))
            .collect();
        attributes.push(pair("tenant.id", "another".to_owned()));
        let spans = (0..SPANS / resources).map(|_| span(&mut draw, key)).collect();
        groups.push(ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        });
    }
    ExportTraceServiceRequest { resource_spans: groups }
}

fn span(draw: &mut Draw, key: &str) -> Span {
    let start = 1_700_000_000_000_000_000 + draw.below(1_000_000_000);
    let keys = KEYS.into_iter().skip(1).chain([key]);
    Span {
        trace_id: [draw.next().to_le_bytes(), draw.next().to_le_bytes()].concat(),
        span_id: draw.next().to_le_bytes().to_vec(),
        name: format!("GET /api/v1/items/{}", draw.below(50)),
        start_time_unix_nano: start,
        end_time_unix_nano: start + draw.below(1_000_000),
        attributes: keys.map(|key| pair(key, format!("some value {}", draw.below(10_000)))).collect(),
        ..Span::default()
    }
}

fn pair(key: &str, value: String) -> KeyValue {
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
