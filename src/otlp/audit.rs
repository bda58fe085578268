//! The audit log's way out: each entry that was committed here, as a log line or as OTLP logs.
//!
//! Entries go as they are signed: what may be personal is in them as a commitment only. They wait in a bounded queue;
//! while it is full they are dropped and counted, so that nobody who writes ever waits for the sink. What was dropped is
//! in the log, from where an export brings it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use prost::Message;
use tokio::sync::mpsc::Receiver;

use super::Signal;
use super::forward::{Backend, BadTarget, Batch, Target};
use super::sink::Stdout;
use crate::telemetry::Metrics;

/// Entries that go at once.
const AT_ONCE: usize = 256;
/// How long the sink may take for them.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often entries are tried.
const TRIES: u32 = 3;
/// The wait before the second try; each wait after it is twice as long.
const WAIT: Duration = Duration::from_millis(500);
/// What marks the entries for back ends that keep tenants apart.
const TENANT: &str = "doorward";
/// `SEVERITY_NUMBER_INFO` of OTLP.
const INFO: i32 = 9;

/// Where entries go.
pub enum Outlet {
    /// Nowhere.
    None,
    /// Into Doorward's own log.
    Log,
    /// To an OTLP back end.
    Otlp(Box<Backend>),
}

impl Outlet {
    /// Reads `audit.sink`: `none`, `log`, or the URL of an OTLP back end. Connects at first use.
    ///
    /// # Errors
    /// It is none of these, or TLS cannot be set up.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        match text {
            "none" => Ok(Self::None),
            "log" => Ok(Self::Log),
            "sink" => Err(BadTarget::Unreadable),
            url => Ok(Self::Otlp(Box::new(Backend::new(Target::parse(url, None)?, Arc::new(Stdout))?))),
        }
    }

    /// What is wrong with `audit.sink`, without connecting anything.
    pub fn fault(text: &str) -> Option<String> {
        let known = ["none", "log"].contains(&text);
        let is_url = text != "sink" && Target::parse(text, None).is_ok();
        let fault = "audit.sink must be `none`, `log`, or the http:// or https:// URL of an OTLP back end";
        (!known && !is_url).then(|| fault.to_owned())
    }

    /// Carries entries for as long as there are any to come.
    pub async fn carry(self, mut entries: Receiver<Arc<str>>, metrics: Arc<Metrics>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        while entries.recv_many(&mut batch, AT_ONCE).await > 0 {
            let many = batch.len() as u64;
            let outcome = if self.take(&batch).await { "sent" } else { "failed" };
            metrics.audit_sink.with_label_values(&[outcome]).inc_by(many);
            batch.clear();
        }
    }

    async fn take(&self, entries: &[Arc<str>]) -> bool {
        let backend = match self {
            Self::None => return true,
            Self::Log => {
                for entry in entries {
                    tracing::info!(audit.entry = %entry, "audit entry");
                }
                return true;
            }
            Self::Otlp(backend) => backend,
        };
        let mut wait = WAIT;
        for left in (0..TRIES).rev() {
            match backend.export(batch(entries), PATIENCE).await {
                Ok(_) => return true,
                Err(failure) => tracing::warn!(error = %failure, left, "the audit sink did not take entries"),
            }
            if left > 0 {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        false
    }
}

fn batch(entries: &[Arc<str>]) -> Batch {
    Batch {
        signal: Signal::Logs,
        tenant: TENANT.into(),
        slug: None,
        correlation: "audit-sink".into(),
        body: Bytes::from(request(entries).encode_to_vec()).into(),
        items: entries.len() as u64,
        stripped: 0,
        trace: HeaderMap::new(),
    }
}

fn request(entries: &[Arc<str>]) -> Request {
    let records = entries.iter().map(|entry| Record {
        time: nanoseconds(entry),
        severity: INFO,
        severity_text: "INFO".into(),
        body: Some(AnyValue { string: Some(entry.to_string()) }),
        event: "doorward.audit.entry".into(),
    });
    let scope = Scope { name: "doorward.audit".into() };
    let name =
        KeyValue { key: "service.name".into(), value: Some(AnyValue { string: Some("doorward".into()) }) };
    Request {
        resources: vec![ResourceLogs {
            resource: Some(Resource { attributes: vec![name] }),
            scopes: vec![ScopeLogs { scope: Some(scope), records: records.collect() }],
        }],
    }
}

/// When an entry says that it happened; 0, which is unknown, where it does not.
fn nanoseconds(entry: &str) -> u64 {
    let Ok(entry) = crate::domain::audit::entry::Entry::parse(entry) else { return 0 };
    u64::try_from(entry.time).unwrap_or(0).saturating_mul(1000)
}

/// `ExportLogsServiceRequest` of OTLP, of which only this much is written.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    records: Vec<Record>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(fixed64, tag = "1")]
    time: u64,
    #[prost(int32, tag = "2")]
    severity: i32,
    #[prost(string, tag = "3")]
    severity_text: String,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(string, tag = "12")]
    event: String,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    #[test]
    fn others_read_what_is_written() {
        let entry = r#"{"v":1,"tenant":"t","idx":7,"time":5,"actor":"system","action":"key.created","target":"k","correlation":"c","outcome":"done"}"#;
        let bytes = request(&[entry.into(), "no entry".into()]).encode_to_vec();
        let read = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
        let resource = &read.resource_logs[0];
        assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let records = &resource.scope_logs[0].log_records;
        assert_eq!((records[0].time_unix_nano, records[0].severity_number), (5_000, 9));
        assert_eq!(records[0].event_name, "doorward.audit.entry");
        let body = records[0].body.as_ref().unwrap().value.as_ref().unwrap();
        assert!(matches!(body, Value::StringValue(text) if text == entry), "{body:?}");
        assert_eq!((records.len(), records[1].time_unix_nano), (2, 0));
    }

    #[test]
    fn a_sink_is_one_of_three_things() {
        for good in ["none", "log", "http://collector:4318", "https://logs.example.com/otlp"] {
            assert_eq!(Outlet::fault(good), None, "{good}");
        }
        for bad in ["", "sink", "stdout", "ftp://x", "http://user@collector:4318"] {
            assert!(Outlet::fault(bad).is_some(), "{bad}");
        }
    }
}
