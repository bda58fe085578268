//! The fields of requests that can name what belongs to somebody.
use super::call::methods;
use prost_reflect::{Kind, MessageDescriptor, MethodDescriptor};
use std::collections::BTreeSet;

/// Every such field, as `Service/Method field.of.field`.
pub fn naming_fields() -> BTreeSet<String> {
    methods().flat_map(|method| fields_of(&method)).collect()
}

fn fields_of(method: &MethodDescriptor) -> Vec<String> {
    let mut found = Vec::new();
    walk(&method.input(), "", 0, &mut found);
    let name = format!("{}/{}", method.parent_service().name(), method.name());
    found.iter().map(|field| format!("{name} {field}")).collect()
}

fn walk(message: &MessageDescriptor, before: &str, depth: usize, found: &mut Vec<String>) {
    assert!(depth < 8, "{}: a request that nests without end", message.full_name());
    for field in message.fields() {
        let path = format!("{before}{}", field.name());
        if let Kind::Message(inner) = field.kind() {
            if inner.full_name().starts_with("doorward.") {
                walk(&inner, &format!("{path}."), depth + 1, found);
            }
        } else if field.kind() == Kind::String && names_something(field.name()) {
            found.push(path);
        }
    }
}

/// By its name: an id, a token of a page, or the like.
fn names_something(field: &str) -> bool {
    ["id", "ids", "page_token", "parent", "tenant", "filter", "cursor", "role", "actor", "target"]
        .contains(&field)
        || ["_id", "_ids"].iter().any(|end| field.ends_with(end))
}

#[test]
fn fields_are_found_by_their_names_at_every_depth() {
    let found = naming_fields();
    for field in [
        "KeysService/GetApiKey id",
        "KeysService/ListApiKeys page_token",
        "AuthnService/BatchVerifyCredentials requests.tenant_id",
    ] {
        assert!(found.contains(field), "{field} is missed");
    }
    assert!(!names_something("credential") && !names_something("video") && names_something("user_id"));
}
