//! Mimir, which takes metrics.
use super::rivals::{Forgery, Rivals, since_the_epoch};
use super::store::{Make, Store};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::Code;
use tonic_types::StatusExt;

pub const MIMIR: Make = Make { variable: "DOORWARD_TEST_MIMIR", configuration: "mimir/mimir.yaml" };
/// Asks for the newest sample of all that the tenant has.
pub const ALL: &str = "/prometheus/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D";
const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// In seconds; Mimir takes neither a sample that much older than its newest one nor one that far ahead.
const FAR: i64 = 3 * 3600;
/// `ingestion_burst_size` of `mimir.yaml`.
const BURST: usize = 500;
/// In seconds, what an exporter without a queue is told of the six and more that Mimir says.
const WAIT: u64 = 3;
const TOO_OLD: &str = "err-mimir-sample-timestamp-too-old";

/// The names of the metrics in an answer, but for the one that Mimir makes of the resources.
pub fn names(answer: &Value) -> BTreeSet<String> {
    let samples = answer["data"]["result"].as_array().unwrap().iter();
    let names = samples.map(|sample| sample["metric"]["__name__"].as_str().unwrap().to_owned());
    names.filter(|name| name != "target_info").collect()
}

pub fn forged(Forgery { name, now, attributes }: Forgery) -> Value {
    let metric = json!({"name": name, "gauge": {"dataPoints": [{"timeUnixNano": now, "asDouble": 1.0}]}});
    json!({"resourceMetrics": [
        {"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": [metric]}]}
    ]})
}

/// Metrics of these names, each with one sample so many seconds from now.
fn metrics(samples: &[(&str, i64)]) -> Value {
    let now = i64::try_from(since_the_epoch().as_nanos()).unwrap();
    let metrics = samples.iter().map(|(name, away)| {
        let time = (now + away * 1_000_000_000).to_string();
        json!({"name": name, "gauge": {"dataPoints": [{"timeUnixNano": time, "asDouble": 1.0}]}})
    });
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics.collect::<Vec<_>>()}]}]})
}

/// One metric with as many series.
fn series(count: usize) -> Value {
    let now = since_the_epoch().as_nanos().to_string();
    let points = (0..count).map(|number| {
        let attribute = json!({"key": "number", "value": {"stringValue": number.to_string()}});
        json!({"timeUnixNano": now, "asDouble": 1.0, "attributes": [attribute]})
    });
    let metric = json!({"name": "flood", "gauge": {"dataPoints": points.collect::<Vec<_>>()}});
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
}

fn protobuf(metrics: Value) -> Vec<u8> {
    serde_json::from_value::<ExportMetricsServiceRequest>(metrics).unwrap().encode_to_vec()
}

/// Asserts what the sender is told over HTTP and over gRPC, and that it is to wait if it is throttled.
async fn assert_refused(rivals: &Rivals, metrics: Value, (status, code): (u16, Code), words: &str) {
    let answer = rivals.post("metrics", &metrics).await;
    assert!(answer.status == status && answer.text().contains(words), "{words} wanted: {}", answer.text());
    let refusal = rivals.call(EXPORT, protobuf(metrics)).await.unwrap_err();
    assert!(refusal.code() == code && refusal.message().contains(words), "{words} wanted: {refusal:?}");
    let told = refusal.get_details_retry_info().map(|info| info.retry_delay.unwrap().as_secs());
    let header = answer.headers.get("retry-after").map(|wait| wait.to_str().unwrap().parse().unwrap());
    let wait = (code == Code::ResourceExhausted).then_some(WAIT);
    assert_eq!((told, header), (wait, wait), "{answer:?} {refusal:?}");
}

// R60: the header that Mimir believes is the one that Doorward sets, whoever says what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Mimir: tools/stores.sh builds it and runs this"]
async fn each_tenant_finds_its_own_metrics() {
    let store = Store::start(MIMIR).await;
    let rivals = Rivals::before(store.url("/otlp"), "http").await;
    rivals.send(&["metrics"], forged).await;
    store.assert_apart(&rivals, ALL, names).await;
}

// R60: a part that is not taken is told as such, and the rest is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Mimir: tools/stores.sh builds it and runs this"]
async fn what_mimir_takes_in_part_is_told() {
    let store = Store::start(MIMIR).await;
    let rivals = Rivals::before(store.url("/otlp"), "http").await;
    let whole = rivals.post("metrics", &metrics(&[("first", 0)])).await;
    assert_eq!((whole.status, whole.json()), (200, json!({})));

    let part = rivals.post("metrics", &metrics(&[("second", 0), ("old", -FAR)])).await;
    assert_eq!(part.status, 200, "{}", part.text());
    assert_eq!(part.json()["partialSuccess"]["rejectedDataPoints"], "1", "{}", part.text());
    assert!(part.text().contains(TOO_OLD), "{}", part.text());

    let part = rivals.call(EXPORT, protobuf(metrics(&[("third", 0), ("old", -FAR)]))).await.unwrap();
    let part = ExportMetricsServiceResponse::decode(part.into_inner().as_slice()).unwrap();
    let part = part.partial_success.unwrap();
    assert!(part.rejected_data_points == 1 && part.error_message.contains(TOO_OLD), "{part:?}");
    store.assert_only(&rivals.pair[0], ALL, names, &["first", "second", "third"]).await;
}

// R60: and so is what is not taken at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Mimir: tools/stores.sh builds it and runs this"]
async fn what_mimir_refuses_is_told() {
    let store = Store::start(MIMIR).await;
    let rivals = Rivals::before(store.url("/otlp"), "http").await;
    let bad = (400, Code::InvalidArgument);
    assert_refused(&rivals, metrics(&[("ahead", FAR)]), bad, "err-mimir-too-far-in-future").await;
    let throttled = (429, Code::ResourceExhausted);
    assert_refused(&rivals, series(BURST + 1), throttled, "err-mimir-tenant-max-ingestion-rate").await;

    let spans = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "span"}]}]}]});
    let elsewhere = rivals.post("traces", &spans).await;
    assert_eq!(elsewhere.status, 501, "{}", elsewhere.text());
    store.assert_only(&rivals.pair[0], ALL, names, &[]).await;
}
