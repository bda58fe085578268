//! JSON values as field values, by the rules of proto3 JSON.
//!
//! What is wrong with a value is said in fixed words: the value itself may be a credential.

use crate::http::transcode::faults::{Faults, Path};
use crate::http::transcode::json::Json;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use std::borrow::Cow;
use std::collections::HashMap;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// The largest whole number up to which every whole `f64` is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

type Wrong = Cow<'static, str>;

/// Fills a message from the members of an object and says which fields they named, also with `null`.
pub(crate) fn fill(
    message: &mut DynamicMessage,
    descriptor: &MessageDescriptor,
    members: Vec<(String, Json)>,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Vec<FieldDescriptor> {
    let mut named: Vec<FieldDescriptor> = Vec::new();
    for (name, json) in members {
        let Some(field) = field_of(descriptor, &name) else {
            faults.add(&path.member(&name), "is no field of this message");
            continue;
        };
        let path = path.member(field.name());
        if named.contains(&field) {
            faults.add(&path, "is given twice");
        } else if json != Json::Null && rival(message, &field) {
            faults.add(&path, "excludes another field that is given");
        } else if let Some(value) = field_value(&field, json, &path, faults) {
            message.set_field(&field, value);
        }
        named.push(field);
    }
    named
}

/// The field of a JSON name: `snake_case` as in the proto, or lowerCamelCase.
pub(crate) fn field_of(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name))
}

/// The value of a whole field; `None` if it is `null` (unset) or at fault.
pub(crate) fn field_value(
    field: &FieldDescriptor,
    json: Json,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<Value> {
    if json == Json::Null {
        return None;
    }
    if field.is_map() {
        return map(&field.kind(), json, path, faults);
    }
    if field.is_list() {
        return list(&field.kind(), json, path, faults);
    }
    single(&field.kind(), json, path, faults)
}

/// One value: a scalar, an enum value or a message.
pub(crate) fn single(kind: &Kind, json: Json, path: &Path<'_>, faults: &mut Faults) -> Option<Value> {
    let value = match (kind, json) {
        (Kind::Message(descriptor), json) if is_well_known(descriptor) => well_known(descriptor, json),
        (Kind::Message(descriptor), Json::Object(members)) => {
            let mut message = DynamicMessage::new(descriptor.clone());
            fill(&mut message, descriptor, members, path, faults);
            Ok(Value::Message(message))
        }
        (Kind::Message(_), _) => Err(Cow::from("must be an object")),
        (kind, json) => scalar(kind, json),
    };
    match value {
        Ok(value) => Some(value),
        Err(wrong) => {
            faults.add(path, wrong);
            None
        }
    }
}

/// The JSON that a text stands for where there are only texts: in paths, queries and map keys.
pub(crate) fn from_text(kind: &Kind, text: &str) -> Json {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
    match (kind, text) {
        (Kind::Bool, "true") => Json::Bool(true),
        (Kind::Bool, "false") => Json::Bool(false),
        (Kind::Message(descriptor), _) if descriptor.full_name() == "google.protobuf.BoolValue" => {
            from_text(&Kind::Bool, text)
        }
        (Kind::Enum(_), digits) if is_number(digits) => {
            Json::parse(digits.as_bytes(), 1).unwrap_or_else(|_| Json::Text(digits.to_owned()))
        }
        (_, text) => Json::Text(text.to_owned()),
    }
}

/// Whether another field of the same oneof is set already.
fn rival(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| oneof.fields().any(|other| message.has_field(&other)))
}

fn list(kind: &Kind, json: Json, path: &Path<'_>, faults: &mut Faults) -> Option<Value> {
    let Json::List(elements) = json else {
        faults.add(path, "must be an array");
        return None;
    };
    let mut values = Vec::with_capacity(elements.len());
    for (at, element) in elements.into_iter().enumerate() {
        values.extend(single(kind, element, &path.element(at), faults));
    }
    Some(Value::List(values))
}

fn map(entry: &Kind, json: Json, path: &Path<'_>, faults: &mut Faults) -> Option<Value> {
    let entry = entry.as_message()?;
    let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let Json::Object(members) = json else {
        faults.add(path, "must be an object");
        return None;
    };
    let mut values: HashMap<MapKey, Value> = HashMap::with_capacity(members.len());
    for (name, json) in members {
        let path = path.member(&name);
        let key = map_key(&key_kind, &name);
        let value = single(&value_kind, json, &path, faults);
        match (key, value) {
            (Some(key), Some(value)) => {
                if values.insert(key, value).is_some() {
                    faults.add(&path, "is given twice");
                }
            }
            (None, _) => faults.add(&path, "is no key of this map"),
            (Some(_), None) => {}
        }
    }
    Some(Value::Map(values))
}

fn map_key(kind: &Kind, name: &str) -> Option<MapKey> {
    let Ok(value) = scalar(kind, from_text(kind, name)) else { return None };
    value.into_map_key()
}

fn scalar(kind: &Kind, json: Json) -> Result<Value, Wrong> {
    match kind {
        Kind::Bool => boolean(&json),
        Kind::String => string(json),
        Kind::Bytes => bytes(&json),
        Kind::Enum(descriptor) => enumeration(descriptor, &json),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            integer(&json, "must be a whole number of 32 bits").map(Value::I32)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            integer(&json, "must be a whole number of 32 bits, not negative").map(Value::U32)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            integer(&json, "must be a whole number of 64 bits").map(Value::I64)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            integer(&json, "must be a whole number of 64 bits, not negative").map(Value::U64)
        }
        Kind::Double => float(&json).map(Value::F64),
        Kind::Float => single_precision(float(&json)?).map(Value::F32),
        Kind::Message(_) => Err(Cow::from("must be an object")),
    }
}

fn boolean(json: &Json) -> Result<Value, Wrong> {
    let Json::Bool(value) = json else { return Err(Cow::from("must be true or false")) };
    Ok(Value::Bool(*value))
}

fn string(json: Json) -> Result<Value, Wrong> {
    let Json::Text(value) = json else { return Err(Cow::from("must be a string")) };
    Ok(Value::String(value))
}

fn bytes(json: &Json) -> Result<Value, Wrong> {
    let Json::Text(text) = json else { return Err(Cow::from("must be a base64 string")) };
    let url_safe = text.contains(['-', '_']);
    let decoded = if url_safe { URL_SAFE.decode(text) } else { STANDARD.decode(text) };
    let Ok(decoded) = decoded else { return Err(Cow::from("must be a base64 string")) };
    Ok(Value::Bytes(Bytes::from(decoded)))
}

fn enumeration(descriptor: &EnumDescriptor, json: &Json) -> Result<Value, Wrong> {
    let number = match json {
        Json::Text(name) => descriptor.get_value_by_name(name).map(|value| value.number()),
        // Numbers beyond the known ones are allowed: the sender may know a newer proto.
        Json::Number(_) => number(json),
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => None,
    };
    number.map(Value::EnumNumber).ok_or_else(|| {
        let names: Vec<String> = descriptor.values().map(|value| value.name().to_owned()).collect();
        Cow::from(format!("must be one of {}", names.join(", ")))
    })
}

/// A whole number, as a number or as decimal text.
fn integer<T: TryFrom<i128>>(json: &Json, wrong: &'static str) -> Result<T, Wrong> {
    number(json).ok_or(Cow::from(wrong))
}

fn number<T: TryFrom<i128>>(json: &Json) -> Option<T> {
    let wide = match json {
        Json::Number(number) => whole(number),
        Json::Text(text) => decimal(text),
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => None,
    };
    let Ok(value) = T::try_from(wide?) else { return None };
    Some(value)
}

#[expect(clippy::cast_possible_truncation, reason = "the value is whole and below 2^53")]
fn whole(number: &serde_json::Number) -> Option<i128> {
    let exact = number.as_i128();
    let float = || {
        number
            .as_f64()
            .filter(|value| value.fract() == 0.0 && value.abs() <= EXACT)
            .map(|value| value as i128)
    };
    exact.or_else(float)
}

/// Digits with at most a minus before them: no space, plus or underscore.
fn decimal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = (1..=20).contains(&digits.len()) && digits.bytes().all(|letter| letter.is_ascii_digit());
    let Ok(value) = text.parse() else { return None };
    plain.then_some(value)
}

fn float(json: &Json) -> Result<f64, Wrong> {
    const WRONG: &str = "must be a number";
    let value = match json {
        Json::Number(number) => number.as_f64(),
        Json::Text(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // The grammar of JSON numbers, not the wider one of the language.
            other => match Json::parse(other.as_bytes(), 1) {
                Ok(Json::Number(number)) if !other.contains(char::is_whitespace) => number.as_f64(),
                Ok(_) | Err(_) => None,
            },
        },
        Json::Null | Json::Bool(_) | Json::List(_) | Json::Object(_) => None,
    };
    value.ok_or(Cow::from(WRONG))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked; losing precision is what the type means"
)]
fn single_precision(value: f64) -> Result<f32, Wrong> {
    let fits = !value.is_finite() || value.abs() <= f64::from(f32::MAX);
    if fits { Ok(value as f32) } else { Err(Cow::from("is out of range")) }
}

fn is_well_known(descriptor: &MessageDescriptor) -> bool {
    descriptor.package_name() == "google.protobuf"
}

/// Messages that have a JSON form of their own.
fn well_known(descriptor: &MessageDescriptor, json: Json) -> Result<Value, Wrong> {
    let wrong = match descriptor.name() {
        "FieldMask" => return field_mask(descriptor, &json),
        "Timestamp" => "must be an RFC 3339 time such as 2030-01-31T12:00:00Z",
        "Duration" => "must be a duration in seconds such as 3600s",
        _ => "does not have the form of its type",
    };
    let read = DynamicMessage::deserialize(descriptor.clone(), json.into_value());
    let Ok(message) = read else { return Err(Cow::from(wrong)) };
    Ok(Value::Message(message))
}

/// Field paths with commas between them, in `snake_case` or lowerCamelCase.
fn field_mask(descriptor: &MessageDescriptor, json: &Json) -> Result<Value, Wrong> {
    const WRONG: &str = "must be names of fields with commas between them";
    let Json::Text(text) = json else { return Err(Cow::from(WRONG)) };
    let mut paths = Vec::new();
    for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        if !path.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.')) {
            return Err(Cow::from(WRONG));
        }
        paths.push(Value::String(snake_case(path)));
    }
    Ok(Value::Message(mask(descriptor, paths)))
}

/// A `google.protobuf.FieldMask` of these paths.
pub(crate) fn mask(descriptor: &MessageDescriptor, paths: Vec<Value>) -> DynamicMessage {
    let mut mask = DynamicMessage::new(descriptor.clone());
    if let Some(field) = descriptor.get_field_by_name("paths") {
        mask.set_field(&field, Value::List(paths));
    }
    mask
}

fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for letter in path.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::DESCRIPTORS;
    use prost_reflect::DescriptorPool;
    use serde_json::json;

    /// The message that a body makes, or the fields at fault.
    fn filled(name: &str, body: &serde_json::Value) -> Result<DynamicMessage, String> {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name(name).unwrap();
        let Json::Object(members) = Json::parse(body.to_string().as_bytes(), 99).unwrap() else { panic!() };
        let (mut message, mut faults) = (DynamicMessage::new(descriptor.clone()), Faults::default());
        fill(&mut message, &descriptor, members, &Path::Root, &mut faults);
        faults.into_result(message).map_err(|problem| {
            let body = problem.body(false, "", &std::collections::BTreeMap::new());
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["error"]["message"]
                .as_str()
                .unwrap()
                .to_owned()
        })
    }

    /// A message with fields of rarer kinds.
    const RARE: &str = "google.protobuf.UninterpretedOption";

    #[test]
    fn maps_and_their_faults() {
        let good = filled("doorward.v1.Denial", &json!({"metadata": {"a": "1", "b": ""}})).unwrap();
        assert_eq!(good.get_field_by_name("metadata").unwrap().as_map().unwrap().len(), 2);
        for (body, expected) in [
            (json!({"metadata": {"a": 1}}), "metadata.a: must be a string"),
            (json!({"metadata": {"a": null}}), "metadata.a: must be a string"),
            (json!({"metadata": []}), "metadata: must be an object"),
        ] {
            assert_eq!(filled("doorward.v1.Denial", &body), Err(expected.to_owned()));
        }
    }

    #[test]
    fn one_member_of_a_oneof() {
        let both = json!({"principal": {}, "denial": {}});
        let told = filled("doorward.v1.VerifyCredentialResponse", &both).unwrap_err();
        assert_eq!(told, "principal: excludes another field that is given");
        let one = json!({"principal": null, "denial": {}});
        assert!(filled("doorward.v1.VerifyCredentialResponse", &one).is_ok());
    }

    #[test]
    fn wide_integers_keep_every_digit() {
        for (body, expected) in [
            (json!({"positive_int_value": u64::MAX}), u64::MAX),
            (json!({"positive_int_value": "18446744073709551615"}), u64::MAX),
            (json!({"positive_int_value": 9_007_199_254_740_993_u64}), 9_007_199_254_740_993),
        ] {
            let message = filled(RARE, &body).unwrap();
            assert_eq!(message.get_field_by_name("positive_int_value").unwrap().as_u64(), Some(expected));
        }
        for bad in
            [json!("18446744073709551616"), json!(-1), json!(1.8e19), json!("--1"), json!("1".repeat(1000))]
        {
            assert!(filled(RARE, &json!({"positive_int_value": bad})).is_err(), "{bad}");
        }
        let least = filled(RARE, &json!({"negative_int_value": i64::MIN.to_string()})).unwrap();
        assert_eq!(least.get_field_by_name("negative_int_value").unwrap().as_i64(), Some(i64::MIN));
    }

    #[test]
    fn floats_and_bytes() {
        for (sent, expected) in
            [(json!(1), 1.0), (json!("1.5e3"), 1500.0), (json!("-Infinity"), f64::NEG_INFINITY)]
        {
            let message = filled(RARE, &json!({"double_value": sent})).unwrap();
            assert_eq!(message.get_field_by_name("double_value").unwrap().as_f64(), Some(expected));
        }
        for bad in [json!("inf"), json!(" 1"), json!("0x1"), json!("1_0"), json!(true), json!("")] {
            assert!(filled(RARE, &json!({"double_value": bad})).is_err(), "{bad}");
        }
        for sent in ["-_8=", "-_8", "+/8=", "+/8"] {
            let message = filled(RARE, &json!({"string_value": sent})).unwrap();
            assert_eq!(
                message.get_field_by_name("string_value").unwrap().as_bytes().unwrap().as_ref(),
                [0xfb, 0xff]
            );
        }
        for bad in [json!("+_8="), json!("a"), json!("a b="), json!([1])] {
            assert!(filled(RARE, &json!({"string_value": bad})).is_err(), "{bad}");
        }
        assert_eq!(single_precision(1e39), Err(Cow::from("is out of range")));
        assert_eq!(single_precision(0.5), Ok(0.5));
    }

    #[test]
    fn enum_faults_name_the_values() {
        let told = filled("doorward.v1.ApiKey", &json!({"environment": "live"})).unwrap_err();
        assert_eq!(
            told,
            "environment: must be one of ENVIRONMENT_UNSPECIFIED, ENVIRONMENT_LIVE, ENVIRONMENT_TEST"
        );
    }
}
