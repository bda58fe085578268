//! What Doorward says of itself: names of fields and metrics, and their handles.
//!
//! No tenant, person or key is ever a metric's label.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Handles of all metrics.
pub struct Metrics {
    registry: Registry,
    /// Checks of a credential that were accepted.
    pub accepted: IntCounter,
    /// Checks that were refused, by reason.
    pub refused: IntCounterVec,
    /// Checks that could not be answered.
    pub unknown: IntCounter,
    /// Calls that were answered, by method and gRPC status.
    pub calls: IntCounterVec,
    /// Keys in the view.
    pub view_keys: IntGauge,
    /// The last change in full effect.
    pub view_applied: IntGauge,
    /// Milliseconds for which the view may still answer.
    pub lease_remaining: IntGauge,
    /// Seconds from the commit of what takes rights away until it held everywhere.
    pub propagation: Histogram,
    /// OTLP requests by signal and outcome.
    pub otlp_requests: IntCounterVec,
    /// Bytes of OTLP requests, after decompression, by signal.
    pub otlp_bytes: IntCounterVec,
    /// Bytes of OTLP requests as received, by signal.
    pub otlp_received: IntCounterVec,
    /// Spans, data points and log records that no back end took, by signal.
    pub otlp_rejected: IntCounterVec,
    /// Spans, data points and log records passed on, by signal.
    pub otlp_items: IntCounterVec,
    /// Attributes that named a tenant and were taken out, by signal.
    pub otlp_stripped: IntCounterVec,
    /// Copies of OTLP requests for mirrors by what became of them: `sent`,
    /// `failed`, or `dropped` by a full queue.
    pub otlp_mirrored: IntCounterVec,
    /// 1 in a lab, which asks for no keys.
    pub otlp_lab: IntGauge,
    /// Streams and waiting calls that ended because their credential did.
    pub streams_cut: IntCounter,
    /// Open connections.
    pub connections: IntGauge,
    /// Passwords that wait for a hashing thread.
    pub login_queue: IntGauge,
    /// Letters by what became of them: `delivered`, `failed`, `refused` by a
    /// full queue, or `discarded` where there is no mail.
    pub letters: IntCounterVec,
    /// Entries of the audit log by what became of them at the sink: `sent`,
    /// `failed`, or `dropped` by a full queue.
    pub audit_sink: IntCounterVec,
    /// Runs of jobs by name and outcome: `done` or `failed`.
    pub jobs: IntCounterVec,
    /// Rows that jobs touched, by name.
    pub job_rows: IntCounterVec,
}

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Errors
    /// Two metrics of one name: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            accepted: counter(
                "doorward_verify_accepted_total",
                "Checks of a credential that were accepted.",
            )?,
            refused: counters("doorward_verify_refused_total", "Checks that were refused.", &["reason"])?,
            unknown: counter("doorward_verify_unknown_total", "Checks that could not be answered.")?,
            calls: counters("doorward_rpc_calls_total", "Calls that were answered.", &["method", "code"])?,
            view_keys: gauge("doorward_view_keys", "Keys in the view.")?,
            view_applied: gauge("doorward_view_applied_revision", "The last change in full effect.")?,
            lease_remaining: gauge(
                "doorward_lease_remaining_milliseconds",
                "How long the view may still answer.",
            )?,
            propagation: {
                let help = "From the commit of what takes rights away until it held everywhere.";
                let options =
                    HistogramOpts::new("doorward_revocation_propagation_seconds", help).buckets(vec![
                        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                    ]);
                let histogram = Histogram::with_opts(options)?;
                registry.register(Box::new(histogram.clone()))?;
                histogram
            },
            otlp_requests: counters(
                "doorward_otlp_requests_total",
                "OTLP requests.",
                &["signal", "outcome"],
            )?,
            otlp_bytes: counters(
                "doorward_otlp_bytes_total",
                "Bytes of OTLP requests, decompressed.",
                &["signal"],
            )?,
            otlp_received: counters(
                "doorward_otlp_received_bytes_total",
                "Bytes of OTLP requests, as received.",
                &["signal"],
            )?,
            otlp_rejected: counters(
                "doorward_otlp_rejected_items_total",
                "Items that no back end took.",
                &["signal"],
            )?,
            otlp_items: counters(
                "doorward_otlp_items_total",
                "Items passed on to the back end.",
                &["signal"],
            )?,
            otlp_stripped: counters(
                "doorward_otlp_stripped_total",
                "Attributes taken out of requests because they named a tenant.",
                &["signal"],
            )?,
            otlp_lab: gauge("doorward_otlp_lab", "1 in a lab, which asks for no keys and believes senders.")?,
            otlp_mirrored: counters(
                "doorward_otlp_mirrored_total",
                "Copies of OTLP requests for mirrors.",
                &["outcome"],
            )?,
            streams_cut: counter(
                "doorward_streams_cut_total",
                "Streams and waiting calls that ended because their credential did.",
            )?,
            connections: gauge("doorward_connections", "Open connections.")?,
            login_queue: gauge("doorward_login_queue", "Passwords that wait for a hashing thread.")?,
            audit_sink: counters(
                "doorward_audit_sink_entries_total",
                "Entries of the audit log on their way to the sink.",
                &["outcome"],
            )?,
            jobs: counters("doorward_jobs_total", "Runs of jobs.", &["job", "outcome"])?,
            job_rows: counters("doorward_job_rows_total", "Rows that jobs touched.", &["job"])?,
            letters: counters("doorward_letters_total", "Letters to people.", &["outcome"])?,
            registry,
        })
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }
}
