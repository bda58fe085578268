//! A gRPC response message as JSON.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};

/// Why an answer is no JSON: always a fault of the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritable {
    /// The message is not of its type.
    #[error("the answer is not of its type")]
    Decode(#[from] prost::DecodeError),
    /// A value has no JSON form, such as a time after the year 9999.
    #[error("the answer has no JSON form")]
    Json(#[from] serde_json::Error),
}

/// A login that waits for its second factor says that and nothing else, no empty token either.
const ALONE: (&str, &str) = ("doorward.v1.LoginResponse", "mfa_required");

/// Writes proto3 JSON with the proto's own names. Defaults are written; messages and oneof members
/// that are unset are left out; 64-bit integers are strings, enum values names, times RFC 3339.
pub(crate) fn json(descriptor: &MessageDescriptor, message: Bytes) -> Result<Bytes, Unwritable> {
    let message = DynamicMessage::decode(descriptor.clone(), message)?;
    let alone = descriptor.full_name() == ALONE.0 && message.has_field_by_name(ALONE.1);
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(alone);
    let mut writer = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut writer, &options)?;
    Ok(Bytes::from(writer.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{DESCRIPTORS, v1};
    use prost_reflect::DescriptorPool;
    use serde_json::{Value, json};

    fn written(name: &str, message: &impl prost::Message) -> Result<Value, Unwritable> {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name(&format!("doorward.v1.{name}")).unwrap();
        let bytes = json(&descriptor, message.encode_to_vec().into())?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    #[test]
    fn defaults_are_written_and_unset_messages_are_not() {
        let message = v1::GetApiKeyResponse {
            api_key: Some(v1::ApiKey {
                id: "key_1".to_owned(),
                kind: v1::ApiKeyKind::Ingest.into(),
                create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 1_000_000 }),
                ..v1::ApiKey::default()
            }),
        };
        let body = written("GetApiKeyResponse", &message).unwrap();
        assert_eq!(
            body,
            json!({"api_key": {"id": "key_1", "display_name": "", "prefix": "", "kind": "API_KEY_KIND_INGEST",
                "user_id": "", "scopes": [], "environment": "ENVIRONMENT_UNSPECIFIED",
                "status": "API_KEY_STATUS_UNSPECIFIED", "allowed_networks": [], "rate_limit": 0,
                "create_time": "1970-01-01T00:00:00.001Z", "imported": false, "etag": "", "tenant_id": "",
                "created_by": ""}})
        );
    }

    // R33
    #[test]
    fn a_login_that_waits_says_that_alone() {
        let waiting = v1::MfaRequired { challenge: "dwc_1".to_owned(), ..v1::MfaRequired::default() };
        let waiting = v1::LoginResponse { mfa_required: Some(waiting), ..v1::LoginResponse::default() };
        let body = written("LoginResponse", &waiting).unwrap();
        assert_eq!(body, json!({"mfa_required": {"challenge": "dwc_1"}}));
        let body = written("LoginResponse", &v1::LoginResponse::default()).unwrap();
        assert_eq!(body["access_token"], "");
    }

    #[test]
    fn the_set_member_of_a_oneof_alone_is_written() {
        let denial = v1::Denial { reason: v1::ErrorReason::InvalidApiKey.into(), ..v1::Denial::default() };
        let message = v1::VerifyCredentialResponse {
            outcome: Some(v1::verify_credential_response::Outcome::Denial(denial)),
            rate_limit: None,
            revision: "7".to_owned(),
        };
        assert_eq!(
            written("VerifyCredentialResponse", &message).unwrap(),
            json!({"denial": {"reason": "ERROR_REASON_INVALID_API_KEY", "message": "", "metadata": {}}, "revision": "7"})
        );
    }

    #[test]
    fn wide_integers_are_strings_and_durations_seconds() {
        let answer = v1::StreamVerifyCredentialsResponse { tag: u64::MAX, response: None };
        assert_eq!(
            written("StreamVerifyCredentialsResponse", &answer).unwrap(),
            json!({"tag": "18446744073709551615"})
        );
        let receipt = v1::RevocationReceipt {
            propagation: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            ..v1::RevocationReceipt::default()
        };
        assert_eq!(written("RevocationReceipt", &receipt).unwrap()["propagation"], "1.500s");
    }

    #[test]
    fn what_has_no_json_form_is_an_error() {
        let receipt = v1::RevocationReceipt {
            last_accepted_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
            ..v1::RevocationReceipt::default()
        };
        assert!(matches!(written("RevocationReceipt", &receipt), Err(Unwritable::Json(_))));
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let descriptor = pool.get_message_by_name("doorward.v1.ApiKey").unwrap();
        assert!(matches!(json(&descriptor, Bytes::from_static(&[0xff])), Err(Unwritable::Decode(_))));
    }
}
