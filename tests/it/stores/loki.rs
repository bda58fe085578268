//! Loki, which takes logs.
use super::rivals::{Forgery, Rivals};
use super::store::{Make, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const LOKI: Make = Make { variable: "DOORWARD_TEST_LOKI", configuration: "loki/loki.yaml" };
/// Asks for all that the tenant has of the last hour.
pub const ALL: &str = "/loki/api/v1/query_range?limit=1000&query=%7Bservice_name%3D~%22.%2B%22%7D";

/// The bodies of the records in an answer.
pub fn bodies(answer: &Value) -> BTreeSet<String> {
    let streams = answer["data"]["result"].as_array().unwrap().iter();
    let values = streams.flat_map(|stream| stream["values"].as_array().unwrap());
    values.map(|value| value[1].as_str().unwrap().to_owned()).collect()
}

pub fn forged(Forgery { name, now, attributes }: Forgery) -> Value {
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
