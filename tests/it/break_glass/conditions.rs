//! Each condition by itself: without it nothing is opened, and what is missing is said.
use super::*;
use crate::harness::client::assert_refused;
use crate::harness::on_both;
use crate::harness::rest::{self, Answer};
use bytes::Bytes;
use http::Method;
use tonic::Code;

/// A refusal by code, HTTP status and reason.
type Refusal = (Code, u16, &'static str);

const NOT_VALID: Refusal = (Code::Unauthenticated, 401, "INVALID_API_KEY");
const BAD: Refusal = (Code::InvalidArgument, 400, "INVALID_ARGUMENT");
const MISMATCH: Refusal = (Code::PermissionDenied, 403, "TENANT_MISMATCH");
const TWICE: Refusal = (Code::Unauthenticated, 401, "AMBIGUOUS_CREDENTIALS");

impl Glass {
    /// Sends the same headers by gRPC and by REST; neither may open anything. Gives the message.
    async fn refused(&self, headers: &[(&str, &str)], refusal: Refusal) -> String {
        let metadata = headers.iter().fold(Metadata::none(), |all, (name, value)| all.and(name, value));
        let answer = who(&self.address(), metadata).await;
        assert_refused(answer, refusal.0, refusal.2);
        let answer = self.over_rest(headers).await;
        let error = answer.assert_refused(refusal.1, refusal.2);
        assert!(!format!("{answer:?}").contains(KEY), "the key is echoed");
        assert!(answer.headers.get("x-doorward-break-glass").is_none());
        error["message"].as_str().unwrap().to_owned()
    }

    async fn over_rest(&self, headers: &[(&str, &str)]) -> Answer {
        let request = rest::request(Method::GET, "/v1/auth/me", headers, Bytes::new());
        rest::send(&self.address(), request).await.unwrap()
    }

    async fn nothing_was_opened(&self) {
        assert_eq!(self.audited("break_glass.opened").await, 0);
        assert_eq!(self.audited("break_glass.used").await, 0);
        assert!(self.letters.letters().is_empty());
        assert!(!self.world.server.log().contains(KEY), "the key is in the log");
    }
}

on_both! {
    // R44: off, the key is worth what garbage is worth.
    async fn without_the_switch(database: Database) {
        let glass = Glass::with(database, |settings| settings.set("break_glass.enabled", "false")).await;
        let tenant = glass.world.tenant_id.clone();
        let all = [("x-master-key", KEY), ("x-break-glass-reason", WHY), ("x-tenant-id", tenant.as_str())];
        let off = glass.refused(&all, NOT_VALID).await;
        let garbage = glass.refused(&[("x-api-key", "garbage-that-is-no-key")], NOT_VALID).await;
        assert_eq!(off, garbage);
        glass.nothing_was_opened().await;
    }

    // R44
    async fn with_another_key(database: Database) {
        let glass = Glass::with(database, |settings| settings.set("break_glass.failures_per_minute", "60")).await;
        let tenant = glass.world.tenant_id.clone();
        for wrong in [&KEY[1..], &KEY.to_uppercase(), &format!("{KEY}0"), "x", ""] {
            let headers = [("x-master-key", wrong), ("x-break-glass-reason", WHY), ("x-tenant-id", tenant.as_str())];
            glass.refused(&headers, NOT_VALID).await;
        }
        // Who has no key is not told what else is missing.
        glass.refused(&[("x-master-key", "wrong")], NOT_VALID).await;
        until("the audit log hears of it", async || glass.audited("security.credentials_refused").await > 0).await;
        glass.nothing_was_opened().await;
    }

    // R44
    async fn without_a_reason(database: Database) {
        let glass = Glass::start(database).await;
        let tenant = glass.world.tenant_id.clone();
        let key = ("x-master-key", KEY);
        let tenant = ("x-tenant-id", tenant.as_str());
        let long = "x".repeat(201);
        let told = glass.refused(&[key, tenant], BAD).await;
        assert!(told.contains("x-break-glass-reason") && told.contains("needed"), "{told}");
        for reason in ["", "too short", "          ", "--------------", long.as_str()] {
            let told = glass.refused(&[key, tenant, ("x-break-glass-reason", reason)], BAD).await;
            assert!(told.contains("x-break-glass-reason"), "{told}");
        }
        let twice = [key, tenant, ("x-break-glass-reason", WHY), ("x-break-glass-reason", WHY)];
        glass.refused(&twice, TWICE).await;
        glass.nothing_was_opened().await;
    }

    // R6, R44: a grant is for one tenant, which is named.
    async fn without_one_tenant(database: Database) {
        let glass = Glass::start(database).await;
        let tenant = glass.world.tenant_id.clone();
        let (key, why) = (("x-master-key", KEY), ("x-break-glass-reason", WHY));
        let told = glass.refused(&[key, why], BAD).await;
        assert!(told.contains("x-tenant-id"), "{told}");
        for named in ["", "*", "nowhere", "tenant_01h455vb4pex5vsknk084sn02q", "tenant_00000000000000000000000000"] {
            glass.refused(&[key, why, ("x-tenant-id", named)], MISMATCH).await;
        }
        let twice = [key, why, ("x-tenant-id", tenant.as_str()), ("x-tenant-id", tenant.as_str())];
        glass.refused(&twice, MISMATCH).await;
        glass.nothing_was_opened().await;
    }

    // R2
    async fn with_the_key_twice(database: Database) {
        let glass = Glass::start(database).await;
        let tenant = glass.world.tenant_id.clone();
        let (why, tenant) = (("x-break-glass-reason", WHY), ("x-tenant-id", tenant.as_str()));
        glass.refused(&[("x-master-key", KEY), ("x-master-key", KEY), why, tenant], TWICE).await;
        glass.refused(&[("x-master-key", KEY), ("x-master-key", "another"), why, tenant], TWICE).await;
        glass.nothing_was_opened().await;
    }
}

// R44: telemetry is no emergency.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_ports_of_telemetry() {
    const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let glass = Glass::start(Database::sqlite()).await;
    let metadata = glass.here().and("authorization", &format!("Bearer {}", glass.world.ingest));
    let refused = client::raw(&glass.world.server.otlp_grpc(), &metadata, EXPORT, Vec::new()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let tenant = glass.world.tenant_id.as_str();
    let headers = [
        ("x-master-key", KEY),
        ("x-break-glass-reason", WHY),
        ("x-tenant-id", tenant),
        ("content-type", "application/x-protobuf"),
    ];
    let request = rest::request(Method::POST, "/v1/traces", &headers, Bytes::new());
    assert_eq!(rest::send(&glass.world.server.otlp_http(), request).await.unwrap().status, 401);
    glass.nothing_was_opened().await;
}
