//! Several stores behind one Doorward, with a Collector between.
use super::loki::{self, LOKI};
use super::mimir::{self, MIMIR};
use super::rivals::Rivals;
use super::store::Store;
use crate::exporters::collector::Collector;
use crate::harness::backend::Backend;

// R60: `stores.yaml` hands each signal to the store that takes it, under the tenant that Doorward says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Loki, Mimir and a Collector: tools/stores.sh builds them and runs this"]
async fn each_tenant_finds_its_own_behind_a_collector() {
    let (logs, metrics) = (Store::start(LOKI).await, Store::start(MIMIR).await);
    let traces = Backend::http().await;
    let stores = [traces.url(), metrics.url("/otlp"), logs.url("/otlp")];
    let collector = Collector::start("stores.yaml", stores.each_ref().map(String::as_str)).await;
    let rivals = Rivals::before(collector.grpc(), "grpc").await;
    rivals.send(&["logs"], loki::forged).await;
    rivals.send(&["metrics"], mimir::forged).await;
    logs.assert_apart(&rivals, loki::ALL, loki::bodies).await;
    metrics.assert_apart(&rivals, mimir::ALL, mimir::names).await;
    assert!(traces.take().is_empty(), "the place of the store for traces got what is none");
}
