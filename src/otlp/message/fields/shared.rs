//! What all signals share: resources, scopes, attributes and their values.

use super::{Kind, Message, Role, attributes, choice, field, list, message, messages};

/// `Resource`, which the splicer merges and stamps.
pub static RESOURCE: Message = Message::new(
    "Resource",
    Role::Resource,
    &[
        attributes(1, "attributes"),
        field(2, "dropped_attributes_count", Kind::Uint32),
        messages(3, "entity_refs", &ENTITY_REF),
    ],
);

/// `EntityRef`; its key lists name attributes of the resource.
pub static ENTITY_REF: Message = Message::new(
    "EntityRef",
    Role::EntityRef,
    &[
        field(1, "schema_url", Kind::String),
        field(2, "type", Kind::String),
        list(3, "id_keys", Kind::String),
        list(4, "description_keys", Kind::String),
    ],
);

/// `KeyValue`.
pub static KEY_VALUE: Message = Message::new(
    "KeyValue",
    Role::Pair,
    &[field(1, "key", Kind::String), message(2, "value", &ANY_VALUE), field(3, "key_strindex", Kind::Int32)],
);

/// `AnyValue`.
pub static ANY_VALUE: Message = Message::new(
    "AnyValue",
    Role::Value,
    &[
        choice(1, "string_value", Kind::String),
        choice(2, "bool_value", Kind::Bool),
        choice(3, "int_value", Kind::Int64),
        choice(4, "double_value", Kind::Double),
        choice(5, "array_value", Kind::Message(&ARRAY)),
        choice(6, "kvlist_value", Kind::Message(&MAP)),
        choice(7, "bytes_value", Kind::Bytes),
        choice(8, "string_value_strindex", Kind::Int32),
    ],
);
static ARRAY: Message = Message::leaf("ArrayValue", &[messages(1, "values", &ANY_VALUE)]);
static MAP: Message = Message::leaf("KeyValueList", &[attributes(1, "values")]);

/// `InstrumentationScope`.
pub static SCOPE: Message = Message::leaf(
    "InstrumentationScope",
    &[
        field(1, "name", Kind::String),
        field(2, "version", Kind::String),
        attributes(3, "attributes"),
        field(4, "dropped_attributes_count", Kind::Uint32),
    ],
);
