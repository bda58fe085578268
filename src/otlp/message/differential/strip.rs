//! What the splicer should do, written over decoded messages and without regard to speed.

use std::iter::Sum;
use std::ops::AddAssign;

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

/// How many attributes were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Those that the splicer must remove: with a denied name, or in a resource with a name by index.
    pub denied: u64,
    /// Those with a name by index elsewhere, which it removes only where it looks closer.
    pub indexed: u64,
}

impl AddAssign for Gone {
    fn add_assign(&mut self, other: Self) {
        self.denied += other.denied;
        self.indexed += other.indexed;
    }
}

impl Sum for Gone {
    fn sum<I: Iterator<Item = Self>>(gone: I) -> Self {
        gone.fold(Self::default(), |mut sum, gone| {
            sum += gone;
            sum
        })
    }
}

/// An export whose attributes can be removed.
pub trait Strip {
    /// Removes denied attributes, stamps resources, and tells how many were removed.
    fn strip(&mut self) -> Gone;

    /// Whether each resource ends with the stamp.
    fn is_stamped(&self) -> bool;

    /// Spans, data points or log records.
    fn items(&self) -> u64;

    /// Resources.
    fn resources(&self) -> u64;
}

impl Strip for ExportTraceServiceRequest {
    fn strip(&mut self) -> Gone {
        let mut gone = Gone::default();
        for group in &mut self.resource_spans {
            gone += resource(&mut group.resource);
            for scope_spans in &mut group.scope_spans {
                gone += scope(&mut scope_spans.scope);
                for span in &mut scope_spans.spans {
                    gone += attributes(&mut span.attributes);
                    gone +=
                        span.events.iter_mut().map(|event| attributes(&mut event.attributes)).sum::<Gone>();
                    gone += span.links.iter_mut().map(|link| attributes(&mut link.attributes)).sum::<Gone>();
                }
            }
        }
        gone
    }

    fn is_stamped(&self) -> bool {
        self.resource_spans.iter().all(|group| has_stamp(group.resource.as_ref()))
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
    fn strip(&mut self) -> Gone {
        let mut gone = Gone::default();
        for group in &mut self.resource_logs {
            gone += resource(&mut group.resource);
            for scope_logs in &mut group.scope_logs {
                gone += scope(&mut scope_logs.scope);
                gone += scope_logs
                    .log_records
                    .iter_mut()
                    .map(|record| {
                        [attributes(&mut record.attributes), body(&mut record.body)].into_iter().sum()
                    })
                    .sum::<Gone>();
            }
        }
        gone
    }

    fn is_stamped(&self) -> bool {
        self.resource_logs.iter().all(|group| has_stamp(group.resource.as_ref()))
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
    fn strip(&mut self) -> Gone {
        let mut gone = Gone::default();
        for group in &mut self.resource_metrics {
            gone += resource(&mut group.resource);
            for scope_metrics in &mut group.scope_metrics {
                gone += scope(&mut scope_metrics.scope);
                gone += scope_metrics.metrics.iter_mut().map(metric).sum::<Gone>();
            }
        }
        gone
    }

    fn is_stamped(&self) -> bool {
        self.resource_metrics.iter().all(|group| has_stamp(group.resource.as_ref()))
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

fn metric(metric: &mut Metric) -> Gone {
    let mut gone = attributes(&mut metric.metadata);
    let numbers = match &mut metric.data {
        Some(Data::Gauge(data)) => &mut data.data_points,
        Some(Data::Sum(data)) => &mut data.data_points,
        _ => &mut vec![],
    };
    for point in numbers {
        gone += attributes(&mut point.attributes);
        gone += exemplars(&mut point.exemplars);
    }
    match &mut metric.data {
        Some(Data::Histogram(data)) => {
            for point in &mut data.data_points {
                gone += attributes(&mut point.attributes);
                gone += exemplars(&mut point.exemplars);
            }
        }
        Some(Data::ExponentialHistogram(data)) => {
            for point in &mut data.data_points {
                gone += attributes(&mut point.attributes);
                gone += exemplars(&mut point.exemplars);
            }
        }
        Some(Data::Summary(data)) => {
            gone += data.data_points.iter_mut().map(|point| attributes(&mut point.attributes)).sum::<Gone>();
        }
        _ => {}
    }
    gone
}

fn exemplars(exemplars: &mut [Exemplar]) -> Gone {
    exemplars.iter_mut().map(|exemplar| attributes(&mut exemplar.filtered_attributes)).sum()
}

fn scope(scope: &mut Option<InstrumentationScope>) -> Gone {
    scope.as_mut().map(|scope| attributes(&mut scope.attributes)).unwrap_or_default()
}

fn resource(resource: &mut Option<Resource>) -> Gone {
    let resource = resource.get_or_insert_default();
    let removed: Vec<String> =
        resource.attributes.iter().filter(|pair| is_removed(pair)).map(|pair| pair.key.clone()).collect();
    let had = resource.attributes.len();
    resource.attributes.retain(|pair| !is_removed(pair));
    let mut gone = Gone { denied: (had - resource.attributes.len()) as u64, indexed: 0 };
    let inner = attributes(&mut resource.attributes);
    gone.denied += inner.denied + inner.indexed;
    let is_gone = |name: &String| removed.contains(name) || is_denied_name(name);
    resource.entity_refs.retain_mut(|entity| {
        let had = entity.id_keys.len();
        entity.id_keys.retain(|name| !is_gone(name));
        entity.description_keys.retain(|name| !is_gone(name));
        had == 0 || !entity.id_keys.is_empty()
    });
    resource.attributes.push(stamp());
    gone
}

fn stamp() -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(TENANT.into())) };
    KeyValue { key: "tenant.id".into(), value: Some(value), ..KeyValue::default() }
}

fn has_stamp(resource: Option<&Resource>) -> bool {
    resource.is_some_and(|resource| resource.attributes.last() == Some(&stamp()))
}

fn attributes(attributes: &mut Vec<KeyValue>) -> Gone {
    pairs(attributes, &[])
}

fn body(body: &mut Option<AnyValue>) -> Gone {
    body.as_mut().map(|value| inside(value, &[])).unwrap_or_default()
}

/// Removes denied pairs at any depth; `above` are the keys around them.
fn pairs(pairs: &mut Vec<KeyValue>, above: &[&str]) -> Gone {
    let mut gone = Gone::default();
    pairs.retain_mut(|pair| {
        let denied = is_denied_below(above, &pair.key);
        let indexed = !denied && pair.key_strindex != 0;
        gone.denied += u64::from(denied);
        gone.indexed += u64::from(indexed);
        if !denied && !indexed {
            let path = [above, &[pair.key.as_str()]].concat();
            gone += pair.value.as_mut().map(|value| inside(value, &path)).unwrap_or_default();
        }
        !denied && !indexed
    });
    gone
}

fn inside(value: &mut AnyValue, above: &[&str]) -> Gone {
    match &mut value.value {
        Some(Value::KvlistValue(list)) => pairs(&mut list.values, above),
        Some(Value::ArrayValue(list)) => list.values.iter_mut().map(|value| inside(value, above)).sum(),
        _ => Gone::default(),
    }
}

fn is_removed(pair: &KeyValue) -> bool {
    pair.key_strindex != 0 || is_denied_name(&pair.key)
}

/// Whether the key, alone or behind any number of the keys above it, is denied.
fn is_denied_below(above: &[&str], key: &str) -> bool {
    let path = [above, &[key]].concat();
    (0..path.len()).any(|from| is_denied_name(&path[from..].join(".")))
}

/// Whether a back end that folds names stores this one where the tenant belongs.
pub fn is_denied_name(name: &str) -> bool {
    let mut folded = String::new();
    for letter in name.chars() {
        let letter = if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
        if letter != '_' || !folded.ends_with('_') {
            folded.push(letter);
        }
    }
    folded == "tenant_id" || folded == "x_scope_orgid"
}
