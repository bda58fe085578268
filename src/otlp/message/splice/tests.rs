//! What a hostile client can do with bytes, one test for each way.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as TraceSpan};
use prost::Message as _;

use super::*;
use crate::otlp::message::wire::{Fields, Span, put_field, put_varint};

const TENANT: &str = "tenant_1";

fn policy() -> Policy {
    Policy::new("tenant.id", ["x-scope-orgid"])
}

fn cut(body: &[u8]) -> Result<Spliced, Malformed> {
    splice(Signal::Traces, &Bytes::copy_from_slice(body), &policy(), TENANT)
}

fn decode(spliced: &Spliced) -> Vec<ResourceSpans> {
    ExportTraceServiceRequest::decode(spliced.body.clone()).unwrap().resource_spans
}

/// Splices traces and decodes what came out.
fn through(body: &[u8]) -> Vec<ResourceSpans> {
    decode(&cut(body).unwrap())
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.into())) };
    KeyValue { key: key.into(), value: Some(value), ..KeyValue::default() }
}

fn stamp() -> KeyValue {
    text("tenant.id", TENANT)
}

fn resource(attributes: Vec<KeyValue>) -> Resource {
    Resource { attributes, ..Resource::default() }
}

fn spans(count: usize) -> ScopeSpans {
    ScopeSpans {
        spans: vec![TraceSpan { name: "work".into(), ..TraceSpan::default() }; count],
        ..ScopeSpans::default()
    }
}

fn field(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    put_field(&mut out, number, payload);
    out
}

/// An export of one `ResourceSpans` with these bytes in it.
fn export(group: &[u8]) -> Vec<u8> {
    field(1, group)
}

fn request(resource: Resource) -> Vec<u8> {
    let group =
        ResourceSpans { resource: Some(resource), scope_spans: vec![spans(1)], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec()
}

#[test]
fn the_tenant_comes_from_the_key_alone() {
    let spliced =
        cut(&request(resource(vec![text("tenant.id", "evil"), text("service.name", "shop")]))).unwrap();
    let groups = decode(&spliced);
    assert_eq!(groups[0].resource, Some(resource(vec![text("service.name", "shop"), stamp()])));
    assert_eq!(groups[0].scope_spans, [spans(1)]);
    assert_eq!((spliced.items, spliced.stripped), (1, 1));
}

#[test]
fn repeated_resources_become_one() {
    let first =
        Resource { dropped_attributes_count: 1, ..resource(vec![text("a", "1"), text("Tenant_ID", "evil")]) };
    let second =
        Resource { dropped_attributes_count: 2, ..resource(vec![text("tenant-id", "evil"), text("b", "2")]) };
    let group = [
        field(1, &first.encode_to_vec()),
        field(2, &spans(2).encode_to_vec()),
        field(1, &second.encode_to_vec()),
        field(3, b"schema"),
    ];
    let spliced = cut(&export(&group.concat())).unwrap();
    let merged =
        Resource { dropped_attributes_count: 2, ..resource(vec![text("a", "1"), text("b", "2"), stamp()]) };
    let expected =
        ResourceSpans { resource: Some(merged), scope_spans: vec![spans(2)], schema_url: "schema".into() };
    assert_eq!(decode(&spliced), [expected]);
    assert_eq!((spliced.items, spliced.stripped), (2, 2));
    let mut fields = Fields::new(&spliced.body, Span::whole(&spliced.body).unwrap());
    let group = fields.read().unwrap().unwrap().payload;
    let mut fields = Fields::new(&spliced.body, group);
    let mut resources = 0;
    while let Some(raw) = fields.read().unwrap() {
        resources += u32::from(raw.number == 1);
    }
    assert_eq!(resources, 1);
}

#[test]
fn a_missing_resource_is_made() {
    let groups = through(&export(&field(2, &spans(1).encode_to_vec())));
    assert_eq!(groups[0].resource, Some(resource(vec![stamp()])));
    assert_eq!(through(&export(b""))[0].resource, Some(resource(vec![stamp()])));
}

#[test]
fn an_empty_request_stays_empty() {
    assert_eq!(cut(b"").unwrap(), Spliced { body: Bytes::new(), items: 0, stripped: 0 });
}

#[test]
fn a_key_given_twice_is_denied_by_either() {
    for keys in [["tenant.id", "fine"], ["fine", "tenant.id"]] {
        let pair = [field(1, keys[0].as_bytes()), field(1, keys[1].as_bytes()), field(2, &field(1, b"evil"))]
            .concat();
        let groups = through(&export(&field(1, &field(1, &pair))));
        assert_eq!(groups[0].resource, Some(resource(vec![stamp()])), "{keys:?}");
    }
}

#[test]
fn a_key_by_index_is_removed() {
    let hidden = KeyValue { key_strindex: 3, ..text("", "evil") };
    let groups = through(&request(resource(vec![hidden, text("a", "1")])));
    assert_eq!(groups[0].resource, Some(resource(vec![text("a", "1"), stamp()])));
}

#[test]
fn over_long_varints_hide_nothing() {
    let pair = text("tenant.id", "evil").encode_to_vec();
    let mut long = vec![0x8a, 0x80, 0x00];
    put_varint(&mut long, pair.len() as u64);
    let last = long.pop().unwrap();
    long.extend([last | 0x80, 0x80, 0x00]);
    long.extend(pair);
    let groups = through(&export(&field(1, &long)));
    assert_eq!(groups[0].resource, Some(resource(vec![stamp()])));
}

#[test]
fn field_1000_and_other_unknown_fields_are_dropped() {
    let smuggled = spans(3).encode_to_vec();
    let old = field(1000, &smuggled);
    let span = [field(5, b"work"), field(77, b"tenant")].concat();
    let scope = [field(2, &span), old.clone()].concat();
    let body = [export(&[field(1, &old), field(2, &scope), old.clone()].concat()), old].concat();
    let spliced = cut(&body).unwrap();
    let expected = ResourceSpans {
        resource: Some(resource(vec![stamp()])),
        scope_spans: vec![spans(1)],
        schema_url: String::new(),
    };
    let clean = ExportTraceServiceRequest { resource_spans: vec![expected] };
    assert_eq!(spliced.items, 1);
    assert_eq!(spliced.body, clean.encode_to_vec(), "decoding would ignore what must not be there");
}

#[test]
fn unknown_fields_of_an_attribute_are_dropped() {
    let pair = [text("a", "1").encode_to_vec(), field(9, b"x")].concat();
    let spliced = cut(&export(&field(1, &field(1, &pair)))).unwrap();
    let group =
        ResourceSpans { resource: Some(resource(vec![text("a", "1"), stamp()])), ..ResourceSpans::default() };
    assert_eq!(spliced.body, ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec());
}

#[test]
fn wrong_wire_types_and_groups_are_refused() {
    let varint = |number: u32| vec![u8::try_from(number << 3).unwrap(), 1];
    let cases = [
        varint(1),
        export(&varint(1)),
        export(&varint(2)),
        export(&varint(3)),
        export(&field(1, &varint(1))),
        export(&field(1, &field(2, b""))),
        export(&field(1, &varint(3))),
        export(&field(1, &field(3, &varint(3)))),
        export(&field(2, &varint(1))),
        export(&field(2, &varint(2))),
        export(&field(2, &field(2, &[varint(9), field(5, b"tenant")].concat()))),
        export(&field(2, &field(2, &field(6, b"tenant")))),
        export(&field(2, &field(1, &[varint(3), field(1, b"tenant")].concat()))),
    ];
    for body in cases {
        assert!(matches!(cut(&body), Err(Malformed::WireType { .. })), "{body:x?}: {:?}", cut(&body));
    }
    for group in [0x0b_u8, 0x0c, 0x0e, 0x0f] {
        assert_eq!(cut(&[group]), Err(Malformed::Group));
        assert_eq!(cut(&export(&[group])), Err(Malformed::Group));
        let span = [field(5, b"tenant"), vec![group]].concat();
        assert_eq!(cut(&export(&field(2, &field(2, &span)))), Err(Malformed::Group));
    }
}

#[test]
fn every_truncation_is_refused_or_shorter_by_whole_groups() {
    let whole = request(resource(vec![text("a", "1"), text("tenant.id", "evil")]));
    for end in 1..whole.len() {
        assert_eq!(cut(&whole[..end]), Err(Malformed::Truncated), "{end}");
    }
}

#[test]
fn resources_and_scopes_have_caps() {
    let groups = |count| [0x0a, 0x00].repeat(count);
    assert!(cut(&groups(MAX_RESOURCES)).is_ok());
    assert_eq!(cut(&groups(MAX_RESOURCES + 1)), Err(Malformed::Resources));
    let scopes = |count| export(&[0x12, 0x00].repeat(count));
    assert!(cut(&scopes(MAX_SCOPES)).is_ok());
    assert_eq!(cut(&scopes(MAX_SCOPES + 1)), Err(Malformed::Scopes));
    let spread = [scopes(MAX_SCOPES / 2), scopes(MAX_SCOPES / 2 + 1)].concat();
    assert_eq!(cut(&spread), Err(Malformed::Scopes));
}

#[test]
fn duplicates_are_all_removed() {
    let evil = || text("tenant.id", "evil");
    let spliced =
        cut(&request(resource(vec![evil(), text("a", "1"), evil(), text("tenant_id", "evil"), evil()])))
            .unwrap();
    assert_eq!(decode(&spliced)[0].resource, Some(resource(vec![text("a", "1"), stamp()])));
    assert_eq!(spliced.stripped, 4);
}

#[test]
fn names_that_collide_after_folding_are_removed() {
    let keys =
        ["tenant_id", "tenant-id", "TENANT.ID", "tenant id", "tenant..id", "X-Scope-OrgID", "x_scope_orgid"];
    let spliced = cut(&request(resource(keys.iter().map(|key| text(key, "evil")).collect()))).unwrap();
    assert_eq!(decode(&spliced)[0].resource, Some(resource(vec![stamp()])));
    assert_eq!(spliced.stripped, keys.len() as u64);
}

#[test]
fn entity_references_lose_removed_names() {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let entity = |ids: &[&str], descriptions: &[&str]| EntityRef {
        r#type: "service".into(),
        id_keys: names(ids),
        description_keys: names(descriptions),
        ..EntityRef::default()
    };
    let sent = Resource {
        attributes: vec![text("a", "1"), KeyValue { key_strindex: 3, ..text("by.index", "evil") }],
        entity_refs: vec![
            entity(&["a", "Tenant.Id"], &["by.index", "b"]),
            entity(&["tenant.id", "by.index"], &["a"]),
            entity(&["a"], &["b"]),
            entity(&[], &["tenant_id"]),
        ],
        ..Resource::default()
    };
    let kept = Resource {
        attributes: vec![text("a", "1"), stamp()],
        entity_refs: vec![entity(&["a"], &["b"]), entity(&["a"], &["b"]), entity(&[], &[])],
        ..Resource::default()
    };
    assert_eq!(through(&request(sent))[0].resource, Some(kept));
}

#[test]
fn an_entity_reference_may_come_before_its_attributes() {
    let entity = EntityRef { id_keys: vec!["hidden".into()], ..EntityRef::default() };
    let hidden = KeyValue { key_strindex: 3, ..text("hidden", "evil") };
    let first = field(1, &field(3, &entity.encode_to_vec()));
    let second = field(1, &field(1, &hidden.encode_to_vec()));
    let groups = through(&export(&[first, second].concat()));
    assert_eq!(groups[0].resource, Some(resource(vec![stamp()])));
}

fn map(values: Vec<KeyValue>) -> AnyValue {
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
}

#[test]
fn entries_of_maps_go_and_the_maps_stay() {
    let within = |key: &str, value: AnyValue| KeyValue { value: Some(value), ..text(key, "") };
    let array = |values| AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) };
    let sent = vec![
        within("tenant", map(vec![text("id", "evil"), text("name", "shop")])),
        within("a", array(vec![map(vec![text("tenant.id", "evil")]), map(vec![text("b", "1")])])),
        within("x", map(vec![within("scope", map(vec![text("OrgID", "evil")]))])),
    ];
    let kept = vec![
        within("tenant", map(vec![text("name", "shop")])),
        within("a", array(vec![map(vec![]), map(vec![text("b", "1")])])),
        within("x", map(vec![within("scope", map(vec![]))])),
        stamp(),
    ];
    let spliced = cut(&request(resource(sent))).unwrap();
    assert_eq!(decode(&spliced)[0].resource, Some(resource(kept)));
    assert_eq!(spliced.stripped, 3);
}

#[test]
fn nesting_without_end_is_refused_and_does_not_overflow_the_stack() {
    let nested = |depth: usize| {
        let mut value = field(1, b"end");
        for _ in 0..depth {
            value = field(5, &field(1, &value));
        }
        let pair = [field(1, b"a"), field(2, &value)].concat();
        cut(&export(&field(1, &field(1, &pair)))).map(|spliced| spliced.stripped)
    };
    assert_eq!(nested(MAX_NESTING - 1), Ok(0));
    assert_eq!(nested(MAX_NESTING), Err(Malformed::Nesting));
    assert_eq!(nested(5_000), Err(Malformed::Nesting));
}

#[test]
fn items_without_a_word_of_a_denied_key_are_copied_unseen() {
    let odd = field(2, &field(2, &[field(77, b"x"), vec![0x48, 1]].concat()));
    let spliced = cut(&export(&odd)).unwrap();
    assert!(spliced.body.ends_with(&odd));
    assert_eq!(spliced.items, 1);
    let suspect = field(2, &field(2, &[field(77, b"x"), field(5, b"TENANT")].concat()));
    let groups = through(&export(&suspect));
    assert_eq!(groups[0].scope_spans[0].spans[0].name, "TENANT");
    let seen = cut(&export(&suspect)).unwrap();
    assert!(!seen.body.ends_with(&suspect), "a foreign field stayed in a span that was walked");
}

#[test]
fn data_points_are_the_items_of_metrics() {
    let point = |value: &str| NumberDataPoint {
        attributes: vec![text("tenant.id", value), text("a", "1")],
        ..NumberDataPoint::default()
    };
    let metric = |data| Metric {
        name: "m".into(),
        metadata: vec![text("tenant.id", "evil")],
        data: Some(data),
        ..Metric::default()
    };
    let gauge = Data::Gauge(Gauge { data_points: vec![point("evil"); 2] });
    let sum = Data::Sum(Sum { data_points: vec![point("evil"); 3], ..Sum::default() });
    let scope = InstrumentationScope {
        attributes: vec![text("tenant.id", "evil")],
        ..InstrumentationScope::default()
    };
    let scope = ScopeMetrics {
        scope: Some(scope),
        metrics: vec![metric(gauge), metric(sum)],
        ..ScopeMetrics::default()
    };
    let group = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let body = ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec();
    let spliced = splice(Signal::Metrics, &body.into(), &policy(), TENANT).unwrap();
    assert_eq!((spliced.items, spliced.stripped), (5, 8));
    let text = String::from_utf8_lossy(&spliced.body).into_owned();
    assert!(!text.contains("evil"), "{text:?}");
}

#[test]
fn a_plan_that_grows_without_end_is_refused() {
    let attributes =
        [field(1, &field(1, b"a")), field(1, &field(1, b"tenant.id"))].concat().repeat(4_300_000);
    assert_eq!(cut(&export(&field(1, &attributes))), Err(Malformed::Fragments));
}

/// Lists long enough to be counted at several places at once, as they should be and with one thing in them that the
/// quick way does not know.
#[test]
fn large_exports_are_spliced_alike_the_quick_way_and_the_thorough_way() {
    let span = |index: usize| TraceSpan {
        trace_id: vec![7; 16],
        name: "w".repeat(index * 31 % 300),
        attributes: vec![text("a", "1"), text("b", &"2".repeat(index % 140))],
        ..TraceSpan::default()
    };
    let group = |spans: Vec<TraceSpan>| ResourceSpans {
        resource: Some(resource(vec![text("a", "1"), text("tenant.id", "evil")])),
        scope_spans: vec![ScopeSpans { spans, schema_url: "s".into(), ..ScopeSpans::default() }; 2],
        ..ResourceSpans::default()
    };
    let both = |body: Vec<u8>| {
        let spliced = cut(&body);
        assert_eq!(spliced, splice_thoroughly(Signal::Traces, &body.into(), &policy(), TENANT));
        spliced.map(|spliced| (spliced.items, spliced.stripped))
    };
    let export = |change: &dyn Fn(usize, &mut TraceSpan)| {
        let spans = |group: usize| {
            let spans = (0..300).map(move |index| {
                let mut span = span(index);
                change(300 * group + index, &mut span);
                span
            });
            spans.collect::<Vec<_>>()
        };
        let resource_spans = (0..3).map(|number| group(spans(number))).collect();
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    };
    assert_eq!(both(export(&|_, _| {})), Ok((1_800, 3)));
    assert_eq!(
        both(export(&|at, span| if at == 450 {
            span.attributes.push(text("TENANT-ID", "evil"));
        })),
        Ok((1_800, 5))
    );
    assert_eq!(
        both(export(&|at, span| if at == 450 {
            span.name = "a tenant".into();
        })),
        Ok((1_800, 3))
    );
    assert_eq!(
        both(export(&|at, span| if at == 450 {
            span.name = "w".repeat(3 << 20);
        })),
        Ok((1_800, 3))
    );
    let whole = export(&|_, _| {});
    for end in [1, 100, whole.len() / 2, whole.len() - 1] {
        assert_eq!(both(whole[..end].to_vec()), Err(Malformed::Truncated));
    }
    for odd in [&[0x08, 1][..], &[0x8a, 0x80, 0, 0], &[0x22, 0], &[0x13], &[0x12, 0x80, 0x80, 0x80, 0x80, 0]]
    {
        let list = [spans(200).encode_to_vec(), odd.to_vec(), spans(200).encode_to_vec()].concat();
        let told = both(super::tests::export(&field(2, &list)));
        assert_eq!(told.is_ok(), !matches!(odd[0], 0x08 | 0x13), "{odd:x?}: {told:?}");
    }
}
