//! Mimir, which takes metrics.
use super::rivals::{Forgery, Rivals};
use super::store::{Make, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const MIMIR: Make = Make { variable: "DOORWARD_TEST_MIMIR", configuration: "mimir/mimir.yaml" };
/// All that a tenant has: every series.
pub const ALL: &str = "/prometheus/api/v1/series?match%5B%5D=%7B__name__%3D~%22.%2B%22%7D";

/// The names of the series in an answer, but for the one that Mimir makes of the resources.
pub fn names(answer: &Value) -> BTreeSet<String> {
    let series = answer["data"].as_array().unwrap().iter();
    let names = series.map(|labels| labels["__name__"].as_str().unwrap().to_owned());
    names.filter(|name| name != "target_info").collect()
}

pub fn forged(Forgery { name, now, attributes }: Forgery) -> Value {
    let metric = json!({"name": name, "gauge": {"dataPoints": [{"timeUnixNano": now, "asDouble": 1.0}]}});
    json!({"resourceMetrics": [
        {"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": [metric]}]}
    ]})
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
