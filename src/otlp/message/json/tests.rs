//! OTLP/JSON by its rules, and against another reader of it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::*;

fn encoded(signal: Signal, json: &str) -> Result<Vec<u8>, BadJson> {
    transcode(signal, json.as_bytes(), &mut |_| true)
}

fn traces(json: &str) -> Result<ExportTraceServiceRequest, BadJson> {
    Ok(ExportTraceServiceRequest::decode(encoded(Signal::Traces, json)?.as_slice()).unwrap())
}

/// The one span that these members make.
fn span(members: &str) -> Result<Span, BadJson> {
    let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}"#);
    Ok(traces(&json)?.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0))
}

/// The value that this JSON makes.
fn value(json: &str) -> Result<Option<Value>, BadJson> {
    let mut span = span(&format!(r#""attributes":[{{"key":"a","value":{json}}}]"#))?;
    Ok(span.attributes.remove(0).value.unwrap_or(AnyValue { value: None }).value)
}

fn bad_value(field: &'static str) -> BadJson {
    BadJson::Value { field }
}

#[test]
fn names_are_in_lower_camel_case_only() {
    let span =
        span(r#""startTimeUnixNano":"5","end_time_unix_nano":"7","Name":"x","status":{"code":2}"#).unwrap();
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano, span.name.as_str()), (5, 0, ""));
    assert_eq!(span.status.unwrap().code, 2);
    let snake = r#"{"resource_spans":[{"resource":{"attributes":[{"key":"tenant.id","value":{"stringValue":"evil"}}]}}]}"#;
    assert_eq!(encoded(Signal::Traces, snake), Ok(vec![]), "only other readers would read it");
}

#[test]
fn ids_are_hexadecimal_in_either_case() {
    let id =
        span(r#""traceId":"5B8EFFF798038103d269b633813fc60c","spanId":"EEE19B7EC3C1B174","parentSpanId":"""#)
            .unwrap();
    assert_eq!(id.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!((id.span_id.len(), id.parent_span_id.len()), (8, 0));
    for bad in
        ["5b8e", "zz19b7ec3c1b1740", "EEE19B7EC3C1B17", "7uGbfsPBsXQ=", "eee19b7ec3c1b174eee19b7ec3c1b174"]
    {
        assert_eq!(span(&format!(r#""spanId":"{bad}""#)), Err(bad_value("span_id")), "{bad}");
    }
}

#[test]
fn integers_are_text_or_numbers() {
    for (json, expected) in [
        ("5", 5),
        (r#""5""#, 5),
        (r#""-5""#, -5),
        ("9223372036854775807", i64::MAX),
        (r#""-9223372036854775808""#, i64::MIN),
        ("1e3", 1000),
        ("4.0", 4),
        (r#""1.5e1""#, 15),
        ("-0", 0),
        ("-0.0", 0),
    ] {
        assert_eq!(
            value(&format!(r#"{{"intValue":{json}}}"#)),
            Ok(Some(Value::IntValue(expected))),
            "{json}"
        );
    }
    for bad in [
        "1.5",
        "9223372036854775808",
        r#""1x""#,
        r#"" 1""#,
        r#""""#,
        r#""+1""#,
        r#""0x1""#,
        "1e30",
        "true",
        "[]",
        "{}",
    ] {
        assert_eq!(value(&format!(r#"{{"intValue":{bad}}}"#)), Err(bad_value("int_value")), "{bad}");
    }
    assert_eq!(span(r#""kind":3"#).unwrap().kind, 3);
    assert_eq!(span(r#""kind":"SPAN_KIND_CLIENT""#), Err(bad_value("kind")), "enumerations are numbers");
    assert_eq!(span(r#""flags":4294967296"#), Err(bad_value("flags")));
    assert_eq!(span(r#""startTimeUnixNano":-1"#), Err(bad_value("start_time_unix_nano")));
}

#[test]
fn doubles_may_be_what_is_no_number() {
    let double = |json: &str| match value(&format!(r#"{{"doubleValue":{json}}}"#)) {
        Ok(Some(Value::DoubleValue(value))) => Some(value),
        _ => None,
    };
    for (json, expected) in [("1", 1.0), ("-0.5", -0.5), (r#""2.5""#, 2.5), ("1e300", 1e300)] {
        assert_eq!(double(json), Some(expected), "{json}");
    }
    assert!(double(r#""NaN""#).unwrap().is_nan());
    assert_eq!(
        (double(r#""Infinity""#), double(r#""-Infinity""#)),
        (Some(f64::INFINITY), Some(f64::NEG_INFINITY))
    );
    for bad in [r#""inf""#, r#""nan""#, r#""1e999""#, "1e999", "null", r#""""#] {
        assert_eq!(double(bad), None, "{bad}");
    }
}

#[test]
fn bytes_are_base64_of_either_kind() {
    for text in ["-_8B", "+/8B", "+/8B\\n"] {
        let read = value(&format!(r#"{{"bytesValue":"{text}"}}"#));
        let expected = if text.contains('\\') {
            Err(bad_value("bytes_value"))
        } else {
            Ok(Some(Value::BytesValue(vec![0xfb, 0xff, 1])))
        };
        assert_eq!(read, expected, "{text}");
    }
    assert_eq!(value(r#"{"bytesValue":"AQ"}"#), value(r#"{"bytesValue":"AQ=="}"#));
}

#[test]
fn values_of_every_kind() {
    assert_eq!(value("{}"), Ok(None));
    assert_eq!(value("null"), Ok(None));
    assert_eq!(value(r#"{"stringValue":""}"#), Ok(Some(Value::StringValue(String::new()))));
    assert_eq!(
        value(r#"{"stringValue":"a\u00e9\ud83d\ude00\n"}"#),
        Ok(Some(Value::StringValue("aé😀\n".into())))
    );
    assert_eq!(value(r#"{"boolValue":false}"#), Ok(Some(Value::BoolValue(false))));
    assert!(
        matches!(value(r#"{"arrayValue":{}}"#), Ok(Some(Value::ArrayValue(list))) if list.values.is_empty())
    );
    let Ok(Some(Value::KvlistValue(list))) = value(
        r#"{"kvlistValue":{"values":[{"value":{"arrayValue":{"values":[{"intValue":1},{}]}},"key":"k"}]}}"#,
    ) else {
        panic!()
    };
    assert_eq!(list.values[0].key, "k");
    assert_eq!(value(r#"{"boolValue":"true"}"#), Err(bad_value("bool_value")));
    assert_eq!(value(r#"{"stringValue":7}"#), Err(bad_value("string_value")));
    assert!(matches!(value(r#"{"stringValue":"\ud800"}"#), Err(BadJson::Form { .. })));
}

#[test]
fn null_is_no_value_and_no_element() {
    let nothing = span(r#""attributes":null,"events":null,"name":null,"status":null,"traceId":null"#);
    assert_eq!(nothing, Ok(Span::default()));
    assert_eq!(span(r#""attributes":[null]"#), Err(bad_value("attributes")));
    assert_eq!(value(r#"{"stringValue":null,"intValue":"1"}"#), Ok(Some(Value::IntValue(1))));
}

#[test]
fn a_list_is_a_list_and_one_is_one() {
    assert_eq!(span(r#""attributes":{}"#), Err(bad_value("attributes")));
    assert_eq!(span(r#""attributes":[[{"key":"a"}]]"#), Err(bad_value("attributes")));
    assert_eq!(span(r#""status":[{}]"#), Err(bad_value("status")));
    assert_eq!(span(r#""name":["a"]"#), Err(bad_value("name")));
}

#[test]
fn what_comes_twice_is_refused() {
    let twice = |message, field| Err(BadJson::Twice { message, field });
    assert_eq!(span(r#""name":"a","name":"a""#), twice("Span", "name"));
    assert_eq!(span(r#""name":"a","n\u0061me":null"#), twice("Span", "name"));
    assert_eq!(span(r#""attributes":[{"key":"ok","key":"tenant.id"}]"#), twice("KeyValue", "key"));
    let again = r#"{"resourceSpans":[{"resource":{},"resource":{}}]}"#;
    assert_eq!(traces(again), Err(BadJson::Twice { message: "ResourceSpans", field: "resource" }));
    let both = Err(BadJson::Choice { message: "AnyValue", field: "int_value" });
    assert_eq!(value(r#"{"stringValue":"a","intValue":1}"#), both);
    assert!(span(r#""unknown":1,"unknown":2"#).is_ok());
}

#[test]
fn unknown_names_are_ignored_with_all_that_is_in_them() {
    let span = span(r#""x":{"attributes":[{"key":[[{}]]}]},"name":"a","deprecatedScopeSpans":[1,"2",null]"#)
        .unwrap();
    assert_eq!(span, Span { name: "a".into(), ..Span::default() });
}

#[test]
fn what_is_no_json_is_refused_by_its_place_alone() {
    for bad in [
        "",
        "[]",
        "1",
        "null",
        "{",
        "{} x",
        "{\"resourceSpans\":[{}]",
        "{\"a\":1,}",
        "\u{feff}{}",
        "{'a':1}",
        "{\"a\":\"\t\"}",
        "{\"a\":NaN}",
        "{\"a\":01}",
    ] {
        let refusal = traces(bad).unwrap_err();
        assert!(matches!(refusal, BadJson::Form { .. }), "{bad}: {refusal:?}");
    }
    assert_eq!(transcode(Signal::Logs, b"{\"a\":\"\xff\"}", &mut |_| true), Err(BadJson::Text));
    let secret =
        span(r#""kind":"s3cret""#).unwrap_err().to_string() + &traces("s3cret").unwrap_err().to_string();
    assert!(!secret.contains("s3cret"), "{secret}");
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(depth);
        value(&format!("{open}{}", "]}}".repeat(depth)))
    };
    assert!(nested(30).is_ok());
    assert!(matches!(nested(60), Err(BadJson::Form { .. })));
    assert!(matches!(nested(100_000), Err(BadJson::Form { .. })));
    let ignored = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(!matches!(traces(&ignored), Err(BadJson::NoRoom)), "it returned");
}

#[test]
fn the_output_grows_as_far_as_it_may() {
    let long = format!(r#"{{"resourceSpans":[{{"schemaUrl":"{}"}}]}}"#, "x".repeat(200_000));
    let mut asked = 0;
    let mut room = |more| {
        asked += more;
        asked <= 150_000
    };
    assert_eq!(transcode(Signal::Traces, long.as_bytes(), &mut room), Err(BadJson::NoRoom));
    assert!(asked < 250_000);
    let wide = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":[{}1]}}]}}}}]}}]}}]}}"#,
        "1,".repeat(100_000)
    );
    let mut granted = 0;
    let mut room = |more| {
        granted += more;
        true
    };
    let out = transcode(Signal::Metrics, wide.as_bytes(), &mut room).unwrap();
    assert!(out.len() > 800_000 && granted >= out.len() && granted < out.len() + 100_000);
    let decoded = ExportMetricsServiceRequest::decode(out.as_slice()).unwrap();
    let data = decoded.resource_metrics[0].scope_metrics[0].metrics[0].data.clone();
    assert!(
        matches!(data, Some(Data::Histogram(data)) if data.data_points[0].explicit_bounds.len() == 100_001)
    );
}

/// Both readers on what the specification's own examples look like.
#[test]
fn another_reader_reads_the_same() {
    let log = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeLogs":[{"scope":{"name":"my.library","version":"1.0.0"},"logRecords":[{"timeUnixNano":"1544712660300000000",
        "observedTimeUnixNano":"1544712660300000000","severityNumber":10,"severityText":"Information",
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","body":{"stringValue":"Example"},
        "attributes":[{"key":"map.attribute","value":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}}]}]}]}]}"#;
    let ours = ExportLogsServiceRequest::decode(encoded(Signal::Logs, log).unwrap().as_slice()).unwrap();
    let theirs: ExportLogsServiceRequest = serde_json::from_str(log).unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(ours.resource_logs[0].scope_logs[0].log_records[0].severity_number, 10);
}
