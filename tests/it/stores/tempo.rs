//! Tempo, which takes traces.
use super::rivals::{Forgery, Rival, Rivals};
use super::store::{Make, Store};
use crate::exporters::exporter::SPOOFED;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TEMPO: Make = Make { variable: "DOORWARD_TEST_TEMPO", configuration: "tempo/tempo.yaml" };
/// Asks for all traces of the tenant that are not yet moved to the storage for good.
const ALL: &str = "/api/search?limit=1000";
/// The trace that both tenants say their JSON belongs to.
const SHARED: &str = "5e1f0c8a7b3d4926a1c07d9e2f4b6835";

/// The names of the traces in an answer to a search, which are those of their only spans.
fn names(answer: &Value) -> BTreeSet<String> {
    traces(answer).into_values().collect()
}

/// Their names by their ids, which a search tells without the zeros in front.
fn traces(answer: &Value) -> BTreeMap<String, String> {
    let traces = answer["traces"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    traces.map(|trace| (format!("{:0>32}", text(&trace["traceID"])), text(&trace["rootTraceName"]))).collect()
}

fn forged(Forgery { name, now, attributes }: Forgery) -> Value {
    let span = json!({
        "traceId": SHARED,
        "spanId": "0a1b2c3d4e5f6071",
        "name": name,
        "startTimeUnixNano": now,
        "endTimeUnixNano": now,
        "kind": 1,
    });
    json!({"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}]})
}

/// Asserts that each of the two finds all that it sent and nothing else, even by its id, and that nobody finds anything.
async fn assert_apart(store: &Store, rivals: &Rivals) {
    let [first, second] = &rivals.pair;
    let ids = &found_ids(store, first).await | &found_ids(store, second).await;
    assert_eq!(ids.len(), first.names().len() + second.names().len() - 1, "one is both tenants': {ids:?}");
    for (one, other) in [(first, second), (second, first)] {
        let mut found = BTreeSet::new();
        for id in &ids {
            found.extend(name_by_id(store, id, one, other).await);
        }
        assert_eq!(found, one.names());
    }
    let strangers = store.get(ALL, Some(SPOOFED)).await;
    assert!(strangers.status == 200 && names(&strangers.json()).is_empty(), "{}", strangers.text());
    for id in &ids {
        let strangers = store.get(&by_id(id), Some(SPOOFED)).await;
        assert_eq!(strangers.status, 404, "{}", strangers.text());
    }
    for path in ids.iter().map(|id| by_id(id)).chain([ALL.to_owned()]) {
        let nobodys = store.get(&path, None).await;
        assert_eq!(nobodys.status, 401, "it takes requests without a tenant: {}", nobodys.text());
    }
}

/// The ids of all traces that a tenant finds, which are what it sent.
async fn found_ids(store: &Store, rival: &Rival) -> BTreeSet<String> {
    let sent = rival.names();
    store.assert_only(rival, ALL, names, &sent.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let found = traces(&store.get(ALL, Some(&rival.tenant)).await.json());
    assert!(found.contains_key(SHARED), "{found:?}");
    found.into_keys().collect()
}

/// The name of a trace's span, if the tenant finds it by its id, in which nothing is to be of the other.
async fn name_by_id(store: &Store, id: &str, one: &Rival, other: &Rival) -> Option<String> {
    let answer = store.get(&by_id(id), Some(&one.tenant)).await;
    if answer.status == 404 {
        return None;
    }
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert!(text.contains(&one.tenant), "the attribute is not there: {text}");
    assert!(!text.contains(&other.tenant) && !text.contains(SPOOFED), "{text}");
    assert!(other.names().iter().all(|name| !text.contains(name)), "{text}");
    one.names().into_iter().find(|name| text.contains(name))
}

fn by_id(id: &str) -> String {
    format!("/api/traces/{id}")
}

// R60: the header that Tempo believes is the one that Doorward sets, whoever says what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Tempo: tools/stores.sh builds it and runs this"]
async fn each_tenant_finds_its_own_traces() {
    let store = Store::start(TEMPO).await;
    let rivals = Rivals::before(store.otlp(), "grpc").await;
    rivals.send(&["traces"], forged).await;
    assert_apart(&store, &rivals).await;

    let metrics = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "metric", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asDouble": 1.0}]}}
    ]}]}]});
    let elsewhere = rivals.post("metrics", &metrics).await;
    assert_eq!(elsewhere.status, 501, "{}", elsewhere.text());
}
