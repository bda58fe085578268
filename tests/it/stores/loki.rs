//! Loki, which takes logs.
use super::rivals::{Forgery, Rivals};
use super::store::{Make, Store};
use crate::exporters::collector::Collector;
use crate::harness::backend::Backend;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LOKI: Make = Make { variable: "DOORWARD_TEST_LOKI", configuration: "loki/loki.yaml" };
/// Asks for all that the tenant has of the last hour.
const ALL: &str = "/loki/api/v1/query_range?limit=1000&query=%7Bservice_name%3D~%22.%2B%22%7D";

/// The bodies of the records in an answer.
fn bodies(answer: &Value) -> BTreeSet<String> {
    let streams = answer["data"]["result"].as_array().unwrap().iter();
    let values = streams.flat_map(|stream| stream["values"].as_array().unwrap());
    values.map(|value| value[1].as_str().unwrap().to_owned()).collect()
}

fn forged(Forgery { name, now, attributes }: Forgery) -> Value {
    let record = json!({"timeUnixNano": now, "body": {"stringValue": name}});
    json!({"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [record]}]}]})
}

// R60: the header that Loki believes is the one that Doorward sets, whoever says what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Loki: tools/stores.sh builds it and runs this"]
async fn each_tenant_finds_its_own_logs() {
    let store = Store::start(LOKI).await;
    let rivals = Rivals::before(store.url("/otlp"), "http").await;
    rivals.send(&["logs"], forged).await;
    store.assert_apart(&rivals, ALL, bodies).await;
}

// R60: and so does the one that a Collector between passes on, which hands Loki its logs alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Loki and a Collector: tools/stores.sh builds them and runs this"]
async fn each_tenant_finds_its_own_logs_behind_a_collector() {
    let (store, other) = (Store::start(LOKI).await, Backend::http().await);
    let (logs, elsewhere) = (store.url("/otlp"), other.url());
    let collector = Collector::start("stores.yaml", [&elsewhere, &elsewhere, &logs]).await;
    let rivals = Rivals::before(collector.grpc(), "grpc").await;
    rivals.send(&["logs"], forged).await;
    store.assert_apart(&rivals, ALL, bodies).await;
    assert!(other.take().is_empty(), "logs went where traces and metrics belong");
}
