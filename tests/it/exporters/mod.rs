//! OpenTelemetry's own exporters, as their registries have them, against a real server: what each does with each answer.
//!
//! `docs/otlp.md` has the table of what is asserted here.
mod agent;
pub mod collector;
pub mod exporter;
mod headers;
mod programs;
mod stage;

use exporter::{
    Exporter, GO_GRPC, GO_HTTP, JAVA_GRPC, JAVA_HTTP, NODE_GRPC, NODE_JSON, NODE_PROTOBUF, PYTHON_GRPC,
    PYTHON_HTTP, RUST_GRPC, RUST_HTTP,
};
use stage::{After, Stage};

/// What an exporter does after each answer that is not an acknowledgement.
struct Habits {
    /// 503, `UNAVAILABLE`: the back end is away, and Doorward says how long to wait.
    outage: After,
    /// 429, `RESOURCE_EXHAUSTED`, with how long to wait.
    throttled: After,
    /// 429, `RESOURCE_EXHAUSTED`, without: a quota, which no repetition helps.
    quota: After,
    /// 413, `RESOURCE_EXHAUSTED`: the request is too large.
    oversize: After,
}

/// One server, and every answer of it in turn.
async fn assert_habits(exporter: Exporter, habits: Habits) {
    let stage = Stage::set(exporter).await;
    stage.accepts().await;
    stage.outage(habits.outage).await;
    stage.throttles(habits.throttled).await;
    stage.quota(habits.quota).await;
    stage.oversize(habits.oversize).await;
    stage.revokes().await;
}

// R60. A wait counts only where it stands in a key of its own, beside the status's details.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_over_grpc() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Persists,
    };
    assert_habits(PYTHON_GRPC, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_over_http() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Drops,
    };
    assert_habits(PYTHON_HTTP, habits).await;
}

// It repeats nothing, whatever it is told: what such a sender meets in an outage is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_over_grpc() {
    let habits =
        Habits { outage: After::Drops, throttled: After::Drops, quota: After::Drops, oversize: After::Drops };
    assert_habits(NODE_GRPC, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_over_http() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Drops,
    };
    assert_habits(NODE_PROTOBUF, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_over_http_in_json() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Drops,
    };
    assert_habits(NODE_JSON, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Go: tools/exporters.sh runs it"]
async fn go_over_grpc() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::Drops,
        oversize: After::Drops,
    };
    assert_habits(GO_GRPC, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Go: tools/exporters.sh runs it"]
async fn go_over_http() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Drops,
    };
    assert_habits(GO_HTTP, habits).await;
}

// It repeats at a pace of its own, whatever it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a JDK and Maven: tools/exporters.sh runs it"]
async fn java_over_grpc() {
    let habits = Habits {
        outage: After::OwnPace,
        throttled: After::OwnPace,
        quota: After::OwnPace,
        oversize: After::Persists,
    };
    assert_habits(JAVA_GRPC, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a JDK and Maven: tools/exporters.sh runs it"]
async fn java_over_http() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Drops,
    };
    assert_habits(JAVA_HTTP, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "compiles many crates: tools/exporters.sh runs it"]
async fn rust_over_grpc() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::Drops,
        oversize: After::Drops,
    };
    assert_habits(RUST_GRPC, habits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "compiles many crates: tools/exporters.sh runs it"]
async fn rust_over_http() {
    let habits = Habits {
        outage: After::WaitsAsTold,
        throttled: After::WaitsAsTold,
        quota: After::OwnPace,
        oversize: After::Drops,
    };
    assert_habits(RUST_HTTP, habits).await;
}
