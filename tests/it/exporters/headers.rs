//! `OTEL_EXPORTER_OTLP_HEADERS` as people write it: what each exporter makes of it, and that the key is found.
use super::exporter::{Exporter, NODE_GRPC, NODE_PROTOBUF, Outcome, PYTHON_GRPC, PYTHON_HTTP};
use super::stage::Stage;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Each of these carries the key, whatever the exporter.
async fn assert_let_in(exporter: Exporter) {
    let stage = Stage::set(exporter).await;
    let key = &stage.world.ingest;
    let basic = STANDARD_NO_PAD.encode(format!("doorward:{key}"));
    let padded = STANDARD.encode(format!("doorward:{key}")).replace('=', "%3D");
    let spellings = [
        format!("authorization=Bearer%20{key}"),
        format!("Authorization=Bearer {key}"),
        format!("AUTHORIZATION=bearer%20{key}"),
        format!("authorization=BEARER%20{key}"),
        format!("authorization=Bearer%2520{key}"),
        format!("authorization=Basic%20{basic}"),
        format!("authorization=Basic%20{padded}"),
        format!("x-api-key={key}"),
        format!("X-API-Key={key},another=header"),
        format!("api-key={key}"),
        format!("x-honeycomb-team={key}"),
        format!("signoz-ingestion-key={key}"),
    ];
    for headers in spellings {
        let courses = stage.courses(&headers, &["traces"], 0).await;
        let (course, spelling) = (&courses[0], headers.replace(key.as_str(), "KEY"));
        assert_eq!(course.report.outcome, Outcome::Exported, "{spelling}: {}", course.describe());
        assert_eq!(course.arrivals.len(), 1, "{spelling}: {}", course.describe());
        assert_eq!(course.arrivals[0].attribute("tenant.id"), [stage.world.tenant_id.as_str()]);
    }
    // Two keys that differ are refused, and so is none; neither is told the other's key.
    for headers in [format!("authorization=Bearer%20{key},x-api-key={key}x"), "another=header".to_owned()] {
        let courses = stage.courses(&headers, &["traces"], 0).await;
        assert_eq!(courses[0].report.outcome, Outcome::Dropped, "{}", courses[0].describe());
        assert_eq!((courses[0].attempts.len(), courses[0].arrivals.len()), (1, 0));
        assert!(!courses[0].report.log.contains(key.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_over_grpc() {
    assert_let_in(PYTHON_GRPC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_over_http() {
    assert_let_in(PYTHON_HTTP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_over_grpc() {
    assert_let_in(NODE_GRPC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_over_http() {
    assert_let_in(NODE_PROTOBUF).await;
}
