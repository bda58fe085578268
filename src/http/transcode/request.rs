//! An HTTP request as a gRPC request message: path variables, query parameters, JSON body.

use crate::http::options::Options;
use crate::http::percent;
use crate::http::problem::Problem;
use crate::http::transcode::faults::{Faults, Path};
use crate::http::transcode::json::Json;
use crate::http::transcode::routes::{BodyRule, Route};
use crate::http::transcode::values::{field_of, field_value, fill, from_text, mask, single};
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// The most names with dots between them in a query parameter; keeps recursive messages flat.
const MAX_DEPTH: usize = 8;

/// Fields that steer an update and are no part of what is updated.
const STEERING: [&str; 4] = ["update_mask", "etag", "request_id", "min_revision"];

/// Where faults of the body as a whole are told.
const BODY: Path<'static> = Path::Member(&Path::Root, "body");

/// Where faults of the query as a whole are told.
const QUERY: Path<'static> = Path::Member(&Path::Root, "query");

/// Encodes the request message of a route, or names every field that is at fault.
pub(crate) fn encode(
    route: &Route,
    variables: &[&str],
    query: Option<&str>,
    body: &[u8],
    options: &Options,
) -> Result<Bytes, Problem> {
    let mut builder = Builder {
        route,
        message: DynamicMessage::new(route.input.clone()),
        faults: Faults::default(),
        max_values: options.max_json_values,
    };
    builder.fill_body(body);
    builder.fill_query(query.unwrap_or(""), options.max_query_parameters);
    builder.fill_variables(variables);
    let encoded = Bytes::from(builder.message.encode_to_vec());
    builder.faults.into_result(encoded)
}

struct Builder<'r> {
    route: &'r Route,
    message: DynamicMessage,
    faults: Faults,
    max_values: usize,
}

impl Builder<'_> {
    fn fill_body(&mut self, body: &[u8]) {
        match &self.route.body {
            // `POST …:verb` without a body asks for the verb with nothing said beyond it.
            _ if body.is_empty() => {}
            BodyRule::None => self.faults.add(&BODY, "must be empty for this method"),
            BodyRule::Whole => self.fill_whole(body),
            BodyRule::Field(field) => self.fill_one(field, body),
        }
    }

    fn fill_whole(&mut self, body: &[u8]) {
        let members = match Json::parse(body, self.max_values) {
            Ok(Json::Object(members)) => members,
            Ok(_) => return self.faults.add(&BODY, "must be an object"),
            Err(error) => return self.faults.add(&BODY, error.to_string()),
        };
        let named = fill(&mut self.message, &self.route.input, members, &Path::Root, &mut self.faults);
        self.fill_mask(&named);
    }

    fn fill_one(&mut self, field: &FieldDescriptor, body: &[u8]) {
        let path = Path::Root.member(field.name());
        match Json::parse(body, self.max_values) {
            Ok(json) => {
                if let Some(value) = field_value(field, json, &path, &mut self.faults) {
                    self.message.set_field(field, value);
                }
            }
            Err(error) => self.faults.add(&BODY, error.to_string()),
        }
    }

    /// A PATCH that names no mask means the members that it has (AIP-134).
    fn fill_mask(&mut self, named: &[FieldDescriptor]) {
        let Some(mask_field) = &self.route.mask else { return };
        let Kind::Message(descriptor) = mask_field.kind() else { return };
        if named.contains(mask_field) {
            return;
        }
        let in_path =
            |field: &FieldDescriptor| self.route.variables.iter().any(|path| path.first() == Some(field));
        let updated = named.iter().filter(|field| !STEERING.contains(&field.name()) && !in_path(field));
        let paths = updated.map(|field| Value::String(field.name().to_owned())).collect();
        self.message.set_field(mask_field, Value::Message(mask(&descriptor, paths)));
    }

    fn fill_query(&mut self, query: &str, limit: usize) {
        let mut given: Vec<Vec<FieldDescriptor>> = Vec::new();
        for (at, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if at >= limit {
                return self.faults.add(&QUERY, format!("holds more than {limit} parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (percent::query(name), percent::query(value)) {
                (Some(name), Some(value)) => self.fill_parameter(&name, &value, &mut given),
                (Some(name), None) => {
                    self.faults.add(&Path::Root.member(&name), "is not percent-encoded UTF-8");
                }
                (None, _) => {
                    self.faults.add(&QUERY, "holds a name that is not percent-encoded UTF-8");
                }
            }
        }
    }

    fn fill_parameter(&mut self, name: &str, text: &str, given: &mut Vec<Vec<FieldDescriptor>>) {
        let path = Path::Root.member(name);
        let Some(fields) = self.parameter(name) else {
            return self.faults.add(&path, "is no query parameter of this method");
        };
        let Some(field) = fields.last() else { return };
        if !field.is_list() && given.contains(&fields) {
            return self.faults.add(&path, "is given twice");
        }
        if let Some(value) = single(&field.kind(), from_text(&field.kind(), text), &path, &mut self.faults) {
            put(&mut self.message, &fields, value);
        }
        given.push(fields);
    }

    /// The fields along a query parameter's name, if the query may fill them.
    fn parameter(&self, name: &str) -> Option<Vec<FieldDescriptor>> {
        if self.route.body == BodyRule::Whole {
            return None;
        }
        let fields = fields_along(&self.route.input, name)?;
        let in_body = |first: &FieldDescriptor| self.route.body == BodyRule::Field(first.clone());
        let free = !self.route.variables.contains(&fields) && !fields.first().is_some_and(in_body);
        free.then_some(fields)
    }

    fn fill_variables(&mut self, variables: &[&str]) {
        for (fields, raw) in self.route.variables.iter().zip(variables) {
            let Some(field) = fields.last() else { continue };
            let path = Path::Root.member(field.name());
            let Some(text) = percent::segment(raw).filter(|text| !text.chars().any(char::is_control)) else {
                self.faults.add(&path, "is not percent-encoded text");
                continue;
            };
            let Some(value) = single(&field.kind(), from_text(&field.kind(), &text), &path, &mut self.faults)
            else {
                continue;
            };
            let differs = get(&self.message, fields).is_some_and(|in_body| in_body != value);
            if differs {
                self.faults.add(&path, "differs from the path");
            }
            put(&mut self.message, fields, value);
        }
    }
}

/// The fields along a dotted name. Only the last may be a list; none may be a map.
fn fields_along(message: &MessageDescriptor, name: &str) -> Option<Vec<FieldDescriptor>> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    let mut inside = Some(message.clone());
    for part in name.split('.') {
        let field = field_of(&inside?, part)?;
        if field.is_map() || fields.len() >= MAX_DEPTH {
            return None;
        }
        inside = field.kind().as_message().filter(|_| !field.is_list()).cloned();
        fields.push(field);
    }
    Some(fields)
}

/// Sets the field at the end of `fields`, or appends to it if it is a list.
fn put(message: &mut DynamicMessage, fields: &[FieldDescriptor], value: Value) {
    match fields {
        [] => {}
        [field] if field.is_list() => {
            if let Some(list) = message.get_field_mut(field).as_list_mut() {
                list.push(value);
            }
        }
        [field] => message.set_field(field, value),
        [first, rest @ ..] => {
            if let Some(inner) = message.get_field_mut(first).as_message_mut() {
                put(inner, rest, value);
            }
        }
    }
}

/// The value at the end of `fields`, if it is set.
fn get(message: &DynamicMessage, fields: &[FieldDescriptor]) -> Option<Value> {
    let (first, rest) = fields.split_first()?;
    if !message.has_field(first) {
        return None;
    }
    let value = message.get_field(first);
    if rest.is_empty() { Some(value.into_owned()) } else { get(value.as_message()?, rest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::transcode::routes::Routes;
    use crate::pb::DESCRIPTORS;
    use crate::pb::v1;
    use http::Method;
    use proptest::prelude::*;
    use serde_json::{Value as Body, json};

    /// Encodes a request as the transcoder does, and decodes it with the generated types.
    fn read<M: prost::Message + Default>(method: &Method, target: &str, body: &str) -> Result<M, Body> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let routes = Routes::read(DESCRIPTORS).unwrap();
        let (route, variables) = routes.find(method, path).unwrap();
        match encode(route, &variables, query, body.as_bytes(), &Options::default()) {
            Ok(bytes) => Ok(M::decode(bytes).unwrap()),
            Err(problem) => {
                assert_eq!(problem.status(), 400);
                let body = problem.body(false, "c", &std::collections::BTreeMap::new());
                let body: Body = serde_json::from_slice(&body).unwrap();
                assert_eq!(body["error"]["code"], "INVALID_ARGUMENT");
                Err(body["error"]["field_violations"].clone())
            }
        }
    }

    fn create(body: &Body) -> Result<v1::CreateApiKeyRequest, Body> {
        read(&Method::POST, "/v1/api-keys", &body.to_string())
    }

    /// The fields at fault, in order.
    fn fields<M: std::fmt::Debug>(result: Result<M, Body>) -> Vec<String> {
        let list = result.unwrap_err();
        list.as_array().unwrap().iter().map(|fault| fault["field"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn both_spellings_of_names_and_every_kind_of_value() {
        let expected = v1::CreateApiKeyRequest {
            display_name: "ci".to_owned(),
            kind: v1::ApiKeyKind::Service.into(),
            scopes: vec!["keys.read".to_owned(), "keys.write".to_owned()],
            expire_time: Some(prost_types::Timestamp { seconds: 1_893_456_000, nanos: 500_000_000 }),
            rate_limit: 60,
            ..v1::CreateApiKeyRequest::default()
        };
        let snake = json!({"display_name": "ci", "kind": "API_KEY_KIND_SERVICE", "scopes": ["keys.read", "keys.write"],
            "expire_time": "2030-01-01T00:00:00.5Z", "rate_limit": 60, "user_id": null});
        let camel = json!({"displayName": "ci", "kind": 2, "scopes": ["keys.read", "keys.write"],
            "expireTime": "2030-01-01T01:00:00.500+01:00", "rateLimit": "60"});
        assert_eq!(create(&snake), Ok(expected.clone()));
        assert_eq!(create(&camel), Ok(expected));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let body = json!({"display_name": 5, "kind": "NOPE", "scopes": ["a", null, 3], "expire_time": "soon",
            "rate_limit": -1, "colour": "red", "allowed_networks": "10.0.0.0/8", "environment": true});
        let mut at_fault = fields(create(&body));
        at_fault.sort();
        assert_eq!(
            at_fault,
            [
                "allowed_networks",
                "colour",
                "display_name",
                "environment",
                "expire_time",
                "kind",
                "rate_limit",
                "scopes[1]",
                "scopes[2]"
            ]
        );
    }

    #[test]
    fn whole_numbers_only_where_they_fit() {
        for good in [json!(60), json!("60"), json!(60.0), json!(6e1)] {
            assert_eq!(create(&json!({"rate_limit": good})).unwrap().rate_limit, 60, "{good}");
        }
        for bad in [
            json!(0.5),
            json!(4_294_967_296_u64),
            json!(-1),
            json!("+6"),
            json!("6 "),
            json!(""),
            json!("0x6"),
            json!(true),
            json!([6]),
            json!({}),
            json!(1e300),
        ] {
            assert_eq!(fields(create(&json!({"rate_limit": bad}))), ["rate_limit"], "{bad}");
        }
    }

    #[test]
    fn a_member_that_comes_twice_is_refused_under_either_name() {
        for body in [
            r#"{"display_name":"a","display_name":"b"}"#,
            r#"{"display_name":"a","displayName":"b"}"#,
            r#"{"displayName":null,"display_name":"b"}"#,
        ] {
            let result: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", body);
            assert_eq!(fields(result), ["display_name"], "{body}");
        }
    }

    #[test]
    fn nested_faults_have_paths() {
        let body = json!({"requests": [{"credential": "x"}, {"cost": "many", "nope": 1}, 7]}).to_string();
        let result: Result<v1::BatchVerifyCredentialsRequest, _> =
            read(&Method::POST, "/v1/auth/verify:batch", &body);
        assert_eq!(fields(result), ["requests[1].cost", "requests[1].nope", "requests[2]"]);
    }

    #[test]
    fn nothing_of_a_value_is_repeated() {
        let secret = "dw_live_0123456789abcdefghijABCDEFGHIJ01234567";
        for body in [
            json!({"rate_limit": secret}),
            json!({"kind": secret}),
            json!({"expire_time": secret}),
            json!({"scopes": secret}),
            json!({secret: 1}),
            json!(secret),
        ] {
            let told = create(&body).unwrap_err().to_string();
            assert!(!told.contains("dw_live"), "{told}");
        }
        let broken: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", secret);
        assert!(!broken.unwrap_err().to_string().contains("dw_live"));
    }

    #[test]
    fn bodies_that_are_no_object_are_refused() {
        for body in ["[]", "1", "null", "\"x\"", "{", "{}{}", "{\"a\":}", "\u{feff}{}"] {
            let result: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", body);
            assert_eq!(fields(result), ["body"], "{body}");
        }
        let empty: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", "");
        assert_eq!(empty, Ok(v1::CreateApiKeyRequest::default()));
    }

    #[test]
    fn the_path_fills_its_field() {
        let rotate: Result<v1::RotateApiKeyRequest, _> =
            read(&Method::POST, "/v1/api-keys/key%5F1:rotate", r#"{"overlap":"90.5s"}"#);
        let rotate = rotate.unwrap();
        assert_eq!((rotate.id.as_str(), rotate.overlap.unwrap().seconds), ("key_1", 90));
        let same: Result<v1::RotateApiKeyRequest, _> =
            read(&Method::POST, "/v1/api-keys/a:rotate", r#"{"id":"a"}"#);
        assert_eq!(same.unwrap().id, "a");
        let other: Result<v1::RotateApiKeyRequest, _> =
            read(&Method::POST, "/v1/api-keys/a:rotate", r#"{"id":"b"}"#);
        assert_eq!(fields(other), ["id"]);
        for bad in ["%", "%zz", "%00", "%FF", "a%0Ab"] {
            let result: Result<v1::GetApiKeyRequest, _> =
                read(&Method::GET, &format!("/v1/api-keys/{bad}"), "");
            assert_eq!(fields(result), ["id"], "{bad}");
        }
    }

    #[test]
    fn the_query_fills_the_rest() {
        let target = "/v1/api-keys?page_size=5&pageToken=a%2Bb+c&show_revoked=true&kind=API_KEY_KIND_INGEST&";
        let list: Result<v1::ListApiKeysRequest, _> = read(&Method::GET, target, "");
        let expected = v1::ListApiKeysRequest {
            page_size: 5,
            page_token: "a+b c".to_owned(),
            show_revoked: true,
            kind: v1::ApiKeyKind::Ingest.into(),
            ..v1::ListApiKeysRequest::default()
        };
        assert_eq!(list, Ok(expected.clone()));
        let number: Result<v1::ListApiKeysRequest, _> =
            read(&Method::GET, &target.replace("API_KEY_KIND_INGEST", "4"), "");
        assert_eq!(number, Ok(expected));
    }

    #[test]
    fn query_faults() {
        for (target, expected) in [
            ("/v1/api-keys?page_size=x&show_revoked=1&nope=2", vec!["page_size", "show_revoked", "nope"]),
            ("/v1/api-keys?page_size=1&pageSize=2", vec!["pageSize"]),
            ("/v1/api-keys?page_size", vec!["page_size"]),
            ("/v1/api-keys?page_token=%zz", vec!["page_token"]),
            ("/v1/api-keys?%zz=1", vec!["query"]),
            ("/v1/api-keys?page_size.x=1", vec!["page_size.x"]),
            ("/v1/api-keys?=1", vec!["?"]),
        ] {
            let result: Result<v1::ListApiKeysRequest, _> = read(&Method::GET, target, "");
            assert_eq!(fields(result), expected, "{target}");
        }
        let id: Result<v1::GetApiKeyRequest, _> = read(&Method::GET, "/v1/api-keys/a?id=b", "");
        assert_eq!(fields(id), ["id"]);
        let same: Result<v1::GetApiKeyRequest, _> = read(&Method::GET, "/v1/api-keys/a?id=a", "");
        assert_eq!(fields(same), ["id"]);
        let with_body: Result<v1::CreateApiKeyRequest, _> =
            read(&Method::POST, "/v1/api-keys?display_name=x", "{}");
        assert_eq!(fields(with_body), ["display_name"]);
        let body: Result<v1::RevokeApiKeyRequest, _> = read(&Method::DELETE, "/v1/api-keys/a", "{}");
        assert_eq!(fields(body), ["body"]);
        let many = format!("/v1/api-keys?{}", "x=1&".repeat(10_000));
        let result: Result<v1::ListApiKeysRequest, _> = read(&Method::GET, &many, "");
        assert!(fields(result).len() <= 51);
    }

    fn paths(body: &Body) -> Vec<String> {
        let update: Result<v1::UpdateApiKeyRequest, _> =
            read(&Method::PATCH, "/v1/api-keys/a", &body.to_string());
        update.unwrap().update_mask.unwrap().paths
    }

    #[test]
    fn masks_in_either_spelling_or_from_the_members() {
        assert_eq!(
            paths(&json!({"update_mask": "display_name,rateLimit", "scopes": []})),
            ["display_name", "rate_limit"]
        );
        assert_eq!(
            paths(&json!({"id": "a", "displayName": "x", "expire_time": null, "etag": "1"})),
            ["display_name", "expire_time"],
            "what steers is no part of the update; null clears"
        );
        assert_eq!(paths(&json!({"update_mask": "", "display_name": "x"})), Vec::<String>::new());
        let bad: Result<v1::UpdateApiKeyRequest, _> =
            read(&Method::PATCH, "/v1/api-keys/a", r#"{"update_mask":"a b"}"#);
        assert_eq!(fields(bad), ["update_mask"]);
    }

    #[test]
    fn many_values_are_refused() {
        let body = format!("{{\"scopes\":[{}1]}}", "1,".repeat(100_000));
        let result: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", &body);
        assert_eq!(fields(result), ["body"]);
        let body = format!("{{\"scopes\":[{}1]}}", "1,".repeat(10_000));
        let result: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", &body);
        assert_eq!(fields(result).len(), 50);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_text_comes_through(name in any::<String>(), id in "[^/:\\p{Cc}]{1,20}") {
            let encoded = percent::escaped(&id);
            let body = json!({"display_name": name}).to_string();
            let update: v1::UpdateApiKeyRequest = read(&Method::PATCH, &format!("/v1/api-keys/{encoded}"), &body).unwrap();
            prop_assert_eq!((update.id, update.display_name), (id, name));
        }

        #[test]
        fn no_time_or_duration_panics(text in "[0-9TtZz:.+ s-]{0,32}") {
            let _ = create(&json!({"expire_time": text}));
            let body = json!({"overlap": text}).to_string();
            let _: Result<v1::RotateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys/a:rotate", &body);
        }

        #[test]
        fn no_query_or_body_panics(query in any::<String>(), body in any::<String>()) {
            let _: Result<v1::ListApiKeysRequest, _> = read(&Method::GET, &format!("/v1/api-keys?{query}"), "");
            let _: Result<v1::CreateApiKeyRequest, _> = read(&Method::POST, "/v1/api-keys", &body);
        }
    }
}
