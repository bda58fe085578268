//! A server with a back end that does as it is told, a recorder before it, and an exporter that is sent at it.
use super::exporter::{Exporter, Order, Outcome, Report, SPOOFED};
use crate::harness::backend::{Arrival, Backend};
use crate::harness::recorder::{Attempt, Recorder};
use crate::harness::{Database, Settings, World};
use doorward::pb::v1::RevokeApiKeyRequest;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const SIGNALS: &[&str] = &["traces", "metrics", "logs"];
/// The largest request that the server takes, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How long the back end asks to wait: as long as Doorward passes on to an SDK, and longer than an SDK's own first wait.
const WAIT: Duration = Duration::from_secs(3);
/// What a client's clock may be short by.
const TOLERANCE: Duration = Duration::from_millis(100);

/// What an exporter does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It tries once more, after the wait that it was told, and gets through.
    WaitsAsTold,
    /// It tries once more, sooner than it was told or without having been told, and gets through.
    OwnPace,
    /// It tries in vain until its own patience ends.
    Persists,
    /// It gives the data up at once.
    Drops,
}

/// An exporter, and everything that it is sent at.
pub struct Stage {
    pub world: World,
    exporter: Exporter,
    backend: Backend,
    recorder: Recorder,
}

/// What became of one export of one signal.
pub struct Course {
    pub report: Report,
    pub attempts: Vec<Attempt>,
    pub arrivals: Vec<Arrival>,
}

impl Stage {
    pub async fn set(exporter: Exporter) -> Self {
        let backend = Backend::grpc().await;
        let settings = Settings::default()
            .set("otlp.backend", backend.url())
            .set("otlp.backend_protocol", "grpc")
            .set("otlp.max_body_bytes", MAX_BODY.to_string());
        let world = World::with(Database::sqlite(), settings).await;
        let server = &world.server;
        let address = if exporter.is_grpc() { server.otlp_grpc() } else { server.otlp_http() };
        let recorder = Recorder::before(address).await;
        Self { world, exporter, backend, recorder }
    }

    /// Everything arrives, once, under the key's tenant.
    pub async fn accepts(&self) {
        for course in self.export(&self.world.ingest, 0).await {
            assert_eq!(course.report.outcome, Outcome::Exported, "{}", course.describe());
            assert_eq!(course.attempts.len(), 1, "{}", course.describe());
            self.assert_ours(&course);
        }
    }

    /// The back end is away for a moment.
    pub async fn outage(&self, after: After) {
        self.backend.refuse_each_once(&hinted(Code::Unavailable));
        self.assert_after("an outage", after, (503, 14), Some(WAIT), 0).await;
    }

    /// The back end takes no more for a moment.
    pub async fn throttles(&self, after: After) {
        self.backend.refuse_each_once(&hinted(Code::ResourceExhausted));
        self.assert_after("throttling", after, (429, 8), Some(WAIT), 0).await;
    }

    /// The back end takes no more, and does not say until when.
    pub async fn quota(&self, after: After) {
        self.backend.refuse_each_once(&Status::resource_exhausted("the quota is used up"));
        self.assert_after("a quota", after, (429, 8), None, 0).await;
    }

    /// The request is larger than the server takes.
    pub async fn oversize(&self, after: After) {
        self.assert_after("a request too large", after, (413, 8), None, 2 * MAX_BODY).await;
    }

    /// The key is revoked: the data is given up at once, and the back end sees nothing of it.
    pub async fn revokes(&self) {
        let (key, secret) = self.world.create_ingest().await;
        self.world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id }).await.unwrap();
        for course in self.export(&secret, 0).await {
            course.assert_answers((401, 16), None);
            assert_eq!(course.report.outcome, Outcome::Dropped, "{}", course.describe());
            assert_eq!(course.attempts.len(), 1, "{}", course.describe());
            assert!(course.arrivals.is_empty(), "{}", course.describe());
            assert!(!course.report.log.contains(&secret), "the key is in the log: {}", course.report.log);
        }
        let log = self.world.server.log();
        assert!(!log.contains("panicked") && !log.contains(&secret), "{log}");
    }

    async fn assert_after(
        &self,
        what: &str,
        after: After,
        answer: (u16, i32),
        told: Option<Duration>,
        padding: usize,
    ) {
        for course in self.export(&self.world.ingest, padding).await {
            course.assert_answers(answer, told);
            assert_eq!(course.after(), Some(after), "after {what}: {}", course.describe());
            match after {
                After::WaitsAsTold | After::OwnPace => self.assert_ours(&course),
                After::Persists | After::Drops => {
                    assert!(course.arrivals.is_empty(), "{}", course.describe());
                }
            }
        }
    }

    fn assert_ours(&self, course: &Course) {
        let described = course.describe();
        assert_eq!(course.arrivals.len(), 1, "{described}");
        let arrival = &course.arrivals[0];
        assert_eq!(arrival.attribute("tenant.id"), [self.world.tenant_id.as_str()], "{described}");
        assert_eq!(arrival.attribute("service.name"), ["checkout"], "{described}");
        assert_eq!(arrival.header("x-tenant-id"), [self.world.tenant_id.as_str()], "{described}");
        assert!(arrival.contains("the-marker"), "{described}");
        assert!(!arrival.contains(SPOOFED), "{described}: {:?}", arrival.resources);
        assert!(!arrival.contains(&self.world.ingest), "the key went on to the back end: {described}");
    }

    async fn export(&self, key: &str, padding: usize) -> Vec<Course> {
        let headers = format!("Authorization=Bearer%20{key},x-tenant-id={SPOOFED},x-scope-orgid={SPOOFED}");
        self.courses(&headers, SIGNALS, padding).await
    }

    /// Exports each of the signals with these headers.
    pub async fn courses(
        &self,
        headers: &str,
        signals: &'static [&'static str],
        padding: usize,
    ) -> Vec<Course> {
        let order = Order {
            endpoint: self.recorder.url(),
            headers: headers.to_owned(),
            marker: "the-marker".to_owned(),
            signals,
            padding,
        };
        let reports = self.exporter.run(order).await;
        let (attempts, arrivals) = (self.recorder.take(), self.backend.take());
        let course = |report: Report| {
            let of_signal = |attempt: &&Attempt| attempt.signal() == report.signal;
            let attempts = attempts.iter().filter(of_signal).cloned().collect();
            let arrivals =
                arrivals.iter().filter(|arrival| arrival.signal == report.signal).cloned().collect();
            Course { report, attempts, arrivals }
        };
        reports.into_iter().map(course).collect()
    }
}

impl Course {
    /// What the exporter did after the first answer, if that was none of acceptance.
    fn after(&self) -> Option<After> {
        let first = self.attempts.first()?.answer.as_ref()?;
        let Some(second) = self.attempts.get(1) else {
            return (self.report.outcome == Outcome::Dropped).then_some(After::Drops);
        };
        if self.report.outcome == Outcome::Dropped {
            return Some(After::Persists);
        }
        let waited = second.arrived.duration_since(first.came);
        let as_told = first.told.is_some_and(|told| waited + TOLERANCE >= told);
        (self.attempts.len() == 2).then_some(if as_told { After::WaitsAsTold } else { After::OwnPace })
    }

    /// Asserts that the first attempt was answered with this HTTP status, or gRPC status, and wait.
    fn assert_answers(&self, (http, grpc): (u16, i32), told: Option<Duration>) {
        let first = self.attempts.first().and_then(|attempt| attempt.answer.as_ref());
        let first = first.unwrap_or_else(|| panic!("no answer: {}", self.describe()));
        if let Some(status) = first.grpc {
            assert_eq!((first.http, status), (200, grpc), "{}", self.describe());
        } else {
            assert_eq!(first.http, http, "{}", self.describe());
        }
        assert_eq!(first.told, told, "{}", self.describe());
    }

    /// All of it, for a person.
    pub fn describe(&self) -> String {
        let Report { signal, outcome, seconds, log } = &self.report;
        let arrived = self.arrivals.len();
        let mut last = None;
        let attempts = self.attempts.iter().map(|Attempt { path, answer, arrived, .. }| {
            let waited = last.map_or(Duration::ZERO, |last| arrived.duration_since(last));
            last = Some(answer.as_ref().map_or(*arrived, |answer| answer.came));
            format!("\n  after {waited:.2?} {path}: {answer:?}")
        });
        let attempts: String = attempts.collect();
        format!("{signal}: {outcome:?} in {seconds:.2} s, {arrived} arrived; {log}{attempts}")
    }
}

impl Attempt {
    /// The signal that its path names.
    fn signal(&self) -> &'static str {
        match self.path.as_str() {
            "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => "traces",
            "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => "metrics",
            "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => "logs",
            other => panic!("{other} is no path of OTLP"),
        }
    }
}

/// A refusal that says how long to wait.
fn hinted(code: Code) -> Status {
    Status::with_error_details(code, "not now", ErrorDetails::with_retry_info(Some(WAIT)))
}
