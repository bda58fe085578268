//! Which tenants a request names by itself. Only a lab believes it; whoever has keys asks the key.

use thiserror::Error;

use super::splice::Malformed;
use super::wire::{Fields, Span, Wire};

/// Tenants that one request may name.
pub const MAX_TENANTS: usize = 32;
/// Bytes that a tenant's name may have.
const MAX_NAME: usize = 64;
/// The number of `resource_spans` in the request and its like, of `resource` in those, of `attributes` in that, and of
/// `key` and of a text in an attribute.
const FIRST: u32 = 1;
/// The number of `value` in an attribute.
const VALUE: u32 = 2;

/// The part of a request that is one tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The tenant, as the resources of this part name it.
    pub tenant: Box<str>,
    /// A request with these resources.
    pub request: Vec<u8>,
}

/// Why a request cannot be told apart by tenants.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadClaim {
    /// It is no export request.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A resource names its tenant in a way that no back end takes.
    #[error(
        "a tenant's name must have 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`, a letter or digit first"
    )]
    Name,
    /// A resource names two tenants.
    #[error("a resource names two tenants")]
    Twice,
    /// More than [`MAX_TENANTS`].
    #[error("more than {MAX_TENANTS} tenants in one request")]
    Many,
}

/// Whether back ends take it as a tenant's name, in a header too.
pub fn is_name(text: &[u8]) -> bool {
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.first().is_some_and(u8::is_ascii_alphanumeric) && text.len() <= MAX_NAME && text.iter().all(sound)
}

/// Tells the resources of a request apart by the tenant that each names in `attribute`, spelled just so; those that
/// name none are `default`'s. Parts come in the order of their first resources.
///
/// # Errors
/// See [`BadClaim`].
pub fn by_tenant(body: &[u8], attribute: &str, default: &str) -> Result<Vec<Claimed>, BadClaim> {
    let mut parts: Vec<Claimed> = Vec::new();
    let mut groups = Fields::new(body, Span::whole(body)?);
    while let Some(group) = groups.read()? {
        if (group.number, group.wire) != (FIRST, Wire::Delimited) {
            continue;
        }
        let name = claim(body, group.payload, attribute)?.unwrap_or(default);
        let whole = group.whole.of(body);
        if let Some(part) = parts.iter_mut().find(|part| *part.tenant == *name) {
            part.request.extend_from_slice(whole);
        } else if parts.len() == MAX_TENANTS {
            return Err(BadClaim::Many);
        } else {
            parts.push(Claimed { tenant: name.into(), request: whole.to_vec() });
        }
    }
    Ok(parts)
}

/// The tenant that a group names, over all occurrences of its resource.
fn claim<'a>(body: &'a [u8], group: Span, attribute: &str) -> Result<Option<&'a str>, BadClaim> {
    let mut found = None;
    each(body, group, FIRST, &mut |resource| {
        each(body, resource, FIRST, &mut |pair| {
            if last(body, pair, FIRST)?.map(|key| key.of(body)) != Some(attribute.as_bytes()) {
                return Ok(());
            }
            let value = last(body, pair, VALUE)?.ok_or(BadClaim::Name)?;
            let name = last(body, value, FIRST)?.ok_or(BadClaim::Name)?.of(body);
            let name = std::str::from_utf8(name).or(Err(BadClaim::Name))?;
            if !is_name(name.as_bytes()) {
                return Err(BadClaim::Name);
            }
            match found.replace(name) {
                Some(before) if before != name => Err(BadClaim::Twice),
                Some(_) | None => Ok(()),
            }
        })
    })?;
    Ok(found)
}

fn each(
    body: &[u8],
    message: Span,
    number: u32,
    visit: &mut dyn FnMut(Span) -> Result<(), BadClaim>,
) -> Result<(), BadClaim> {
    let mut fields = Fields::new(body, message);
    while let Some(field) = fields.read()? {
        if (field.number, field.wire) == (number, Wire::Delimited) {
            visit(field.payload)?;
        }
    }
    Ok(())
}

/// The last occurrence counts, as protobuf has it.
fn last(body: &[u8], message: Span, number: u32) -> Result<Option<Span>, BadClaim> {
    let mut last = None;
    each(body, message, number, &mut |payload| {
        last = Some(payload);
        Ok(())
    })?;
    Ok(last)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message;

    use super::*;

    fn pair(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn of(attributes: Vec<KeyValue>, mark: &str) -> ResourceLogs {
        let resource = Some(Resource { attributes, ..Resource::default() });
        ResourceLogs { resource, schema_url: mark.into(), ..ResourceLogs::default() }
    }

    fn named(tenant: &str, mark: &str) -> ResourceLogs {
        of(vec![pair("tenant.id", Value::StringValue(tenant.into()))], mark)
    }

    fn told(groups: Vec<ResourceLogs>) -> Result<Vec<(String, String)>, BadClaim> {
        let body = ExportLogsServiceRequest { resource_logs: groups }.encode_to_vec();
        let marks = |part: &Claimed| {
            let request = ExportLogsServiceRequest::decode(part.request.as_slice()).unwrap();
            request.resource_logs.iter().map(|group| group.schema_url.as_str()).collect::<String>()
        };
        let parts = by_tenant(&body, "tenant.id", "lab")?;
        Ok(parts.iter().map(|part| (part.tenant.to_string(), marks(part))).collect())
    }

    #[test]
    fn resources_go_to_the_tenant_that_they_name() {
        let groups = vec![named("acme", "1"), of(vec![], "2"), named("umbrella", "3"), named("acme", "4")];
        let expected = [("acme", "14"), ("lab", "2"), ("umbrella", "3")];
        let told = told(groups).unwrap();
        assert!(
            told.iter().map(|(tenant, marks)| (tenant.as_str(), marks.as_str())).eq(expected),
            "{told:?}"
        );
    }

    #[test]
    fn no_resource_at_all_is_the_defaults() {
        let bare = ResourceLogs { schema_url: "1".into(), ..ResourceLogs::default() };
        assert_eq!(told(vec![bare]).unwrap(), [("lab".to_owned(), "1".to_owned())]);
        assert_eq!(told(vec![]).unwrap(), []);
    }

    #[test]
    fn another_spelling_names_nobody() {
        let other = of(vec![pair("Tenant_ID", Value::StringValue("acme".into()))], "1");
        assert_eq!(told(vec![other]).unwrap(), [("lab".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_no_back_end_takes_is_refused() {
        for name in ["", "..", "-", "a b", "a/b", "a\r\nx: y", "ä", &"a".repeat(65)] {
            assert_eq!(told(vec![named(name, "")]), Err(BadClaim::Name), "{name:?}");
        }
        let number = of(vec![pair("tenant.id", Value::IntValue(7))], "");
        assert_eq!(told(vec![number]), Err(BadClaim::Name));
        assert!(told(vec![named(&"a".repeat(64), "")]).is_ok());
    }

    #[test]
    fn one_resource_names_one_tenant() {
        let names = |names: [&str; 2]| {
            let pairs = names.map(|name| pair("tenant.id", Value::StringValue(name.into())));
            told(vec![of(pairs.to_vec(), "1")])
        };
        assert_eq!(names(["a", "b"]), Err(BadClaim::Twice));
        assert_eq!(names(["a", "a"]), Ok(vec![("a".to_owned(), "1".to_owned())]));
    }

    #[test]
    fn tenants_are_bounded() {
        let groups = |count| (0..count).map(|number| named(&format!("t{number}"), "")).collect();
        assert_eq!(told(groups(MAX_TENANTS)).unwrap().len(), MAX_TENANTS);
        assert_eq!(told(groups(MAX_TENANTS + 1)), Err(BadClaim::Many));
        assert_eq!(by_tenant(&[0x0a, 5], "tenant.id", "lab"), Err(BadClaim::Malformed(Malformed::Truncated)));
    }
}
