//! What the splicer should do, written over decoded messages and without regard to speed.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// The tenant that is stamped.
pub const TENANT: &str = "tenant_1";

/// An export whose attributes can be removed.
pub trait Strip {
    /// Removes denied attributes, stamps resources, and returns how many were removed.
    fn strip(&mut self) -> u64;

    /// Spans, data points or log records.
    fn items(&self) -> u64;

    /// Resources.
    fn resources(&self) -> u64;
}

impl Strip for ExportTraceServiceRequest {
    fn strip(&mut self) -> u64 {
        let mut gone = 0;
        for group in &mut self.resource_spans {
            gone += resource(&mut group.resource);
            for scope_spans in &mut group.scope_spans {
                gone += scope(&mut scope_spans.scope);
                for span in &mut scope_spans.spans {
                    gone += attributes(&mut span.attributes);
                    gone +=
                        span.events.iter_mut().map(|event| attributes(&mut event.attributes)).sum::<u64>();
                    gone += span.links.iter_mut().map(|link| attributes(&mut link.attributes)).sum::<u64>();
                }
            }
        }
        gone
    }

    fn items(&self) -> u64 {
        self.resource_spans
            .iter()
            .flat_map(|group| &group.scope_spans)
            .map(|scope| scope.spans.len() as u64)
            .sum()
    }

    fn resources(&self) -> u64 {
        self.resource_spans.len() as u64
    }
}

impl Strip for ExportLogsServiceRequest {
    fn strip(&mut self) -> u64 {
        let mut gone = 0;
        for group in &mut self.resource_logs {
            gone += resource(&mut group.resource);
            for scope_logs in &mut group.scope_logs {
                gone += scope(&mut scope_logs.scope);
                gone += scope_logs
                    .log_records
                    .iter_mut()
                    .map(|record| attributes(&mut record.attributes))
                    .sum::<u64>();
            }
        }
        gone
    }

    fn items(&self) -> u64 {
        self.resource_logs
            .iter()
            .flat_map(|group| &group.scope_logs)
            .map(|scope| scope.log_records.len() as u64)
            .sum()
    }

    fn resources(&self) -> u64 {
        self.resource_logs.len() as u64
    }
}

impl Strip for ExportMetricsServiceRequest {
    fn strip(&mut self) -> u64 {
        let mut gone = 0;
        for group in &mut self.resource_metrics {
            gone += resource(&mut group.resource);
            for scope_metrics in &mut group.scope_metrics {
                gone += scope(&mut scope_metrics.scope);
                gone += scope_metrics.metrics.iter_mut().map(metric).sum::<u64>();
            }
        }
        gone
    }

    fn items(&self) -> u64 {
        let metrics = self
            .resource_metrics
            .iter()
            .flat_map(|group| &group.scope_metrics)
            .flat_map(|scope| &scope.metrics);
        metrics.map(|metric| points(metric.data.as_ref())).sum()
    }

    fn resources(&self) -> u64 {
        self.resource_metrics.len() as u64
    }
}

fn points(data: Option<&Data>) -> u64 {
    let count = match data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    };
    count as u64
}

fn metric(metric: &mut Metric) -> u64 {
    let mut gone = attributes(&mut metric.metadata);
    let numbers = match &mut metric.data {
        Some(Data::Gauge(data)) => &mut data.data_points,
        Some(Data::Sum(data)) => &mut data.data_points,
        _ => &mut vec![],
    };
    for point in numbers {
        gone += attributes(&mut point.attributes) + exemplars(&mut point.exemplars);
    }
    match &mut metric.data {
        Some(Data::Histogram(data)) => {
            for point in &mut data.data_points {
                gone += attributes(&mut point.attributes) + exemplars(&mut point.exemplars);
            }
        }
        Some(Data::ExponentialHistogram(data)) => {
            for point in &mut data.data_points {
                gone += attributes(&mut point.attributes) + exemplars(&mut point.exemplars);
            }
        }
        Some(Data::Summary(data)) => {
            gone += data.data_points.iter_mut().map(|point| attributes(&mut point.attributes)).sum::<u64>();
        }
        _ => {}
    }
    gone
}

fn exemplars(exemplars: &mut [Exemplar]) -> u64 {
    exemplars.iter_mut().map(|exemplar| attributes(&mut exemplar.filtered_attributes)).sum()
}

fn scope(scope: &mut Option<InstrumentationScope>) -> u64 {
    scope.as_mut().map_or(0, |scope| attributes(&mut scope.attributes))
}

fn resource(resource: &mut Option<Resource>) -> u64 {
    let resource = resource.get_or_insert_default();
    let removed: Vec<String> =
        resource.attributes.iter().filter(|pair| is_denied(pair)).map(|pair| pair.key.clone()).collect();
    let gone = attributes(&mut resource.attributes);
    let is_gone = |name: &String| removed.contains(name) || is_denied_name(name);
    resource.entity_refs.retain_mut(|entity| {
        let had = entity.id_keys.len();
        entity.id_keys.retain(|name| !is_gone(name));
        entity.description_keys.retain(|name| !is_gone(name));
        had == 0 || !entity.id_keys.is_empty()
    });
    let value = AnyValue { value: Some(Value::StringValue(TENANT.into())) };
    resource.attributes.push(KeyValue { key: "tenant.id".into(), value: Some(value), ..KeyValue::default() });
    gone
}

fn attributes(attributes: &mut Vec<KeyValue>) -> u64 {
    let had = attributes.len();
    attributes.retain(|pair| !is_denied(pair));
    (had - attributes.len()) as u64
}

fn is_denied(pair: &KeyValue) -> bool {
    let mut names = Vec::new();
    let indexed = flat_names("", pair, &mut names);
    indexed || names.iter().any(|name| is_denied_name(name))
}

fn is_denied_name(name: &str) -> bool {
    let mut folded = String::new();
    for letter in name.chars() {
        let letter = if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        if letter != '_' || !folded.ends_with('_') {
            folded.push(letter);
        }
    }
    folded == "tenant_id" || folded == "x_scope_orgid"
}

/// The names under which a back end that flattens maps stores `pair`; whether the attribute itself is named by index.
fn flat_names(prefix: &str, pair: &KeyValue, names: &mut Vec<String>) -> bool {
    let name = if prefix.is_empty() { pair.key.clone() } else { format!("{prefix}.{}", pair.key) };
    if let Some(Value::KvlistValue(list)) = pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        for inner in &list.values {
            flat_names(&name, inner, names);
        }
    }
    names.push(name);
    pair.key_strindex != 0
}
