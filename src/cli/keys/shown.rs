//! What the answers about keys look like.

use crate::cli::output::Shown;
use crate::cli::table::{View, moment, short_name};
use crate::pb::v1::{
    ApiKey, CreateApiKeyResponse, GetApiKeyResponse, ImportApiKeyResponse, ListApiKeysResponse,
    RevocationReceipt, RevokeApiKeyResponse, RotateApiKeyResponse, UpdateApiKeyResponse,
};

const HEADERS: &[&str] = &["ID", "NAME", "KIND", "PREFIX", "STATUS", "EXPIRES", "LAST USED"];

impl Shown for CreateApiKeyResponse {
    const NAME: &'static str = "CreateApiKeyResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.api_key.as_ref()))
    }
}

impl Shown for RotateApiKeyResponse {
    const NAME: &'static str = "RotateApiKeyResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.api_key.as_ref()))
    }
}

impl Shown for GetApiKeyResponse {
    const NAME: &'static str = "GetApiKeyResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.api_key.as_ref()))
    }
}

impl Shown for UpdateApiKeyResponse {
    const NAME: &'static str = "UpdateApiKeyResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.api_key.as_ref()))
    }
}

impl Shown for ImportApiKeyResponse {
    const NAME: &'static str = "ImportApiKeyResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.api_key.as_ref()))
    }
}

impl Shown for ListApiKeysResponse {
    const NAME: &'static str = "ListApiKeysResponse";

    fn view(&self) -> View {
        View::Rows { headers: HEADERS, rows: self.api_keys.iter().map(row).collect(), empty: "no keys" }
    }
}

impl Shown for RevokeApiKeyResponse {
    const NAME: &'static str = "RevokeApiKeyResponse";

    fn view(&self) -> View {
        let mut fields = Vec::new();
        if let Some(key) = &self.api_key {
            fields.push(("Id", key.id.clone()));
            fields.push(("Name", key.display_name.clone()));
            fields.push(("Status", status(key)));
            fields.push(("Revoked", moment(key.revoke_time.as_ref())));
        }
        fields.extend(self.receipt.as_ref().map_or_else(Vec::new, receipt));
        View::Fields(fields)
    }
}

fn row(key: &ApiKey) -> Vec<String> {
    vec![
        key.id.clone(),
        key.display_name.clone(),
        kind(key),
        key.prefix.clone(),
        status(key),
        moment(key.expire_time.as_ref()),
        moment(key.last_used_time.as_ref()),
    ]
}

fn fields(key: Option<&ApiKey>) -> Vec<(&'static str, String)> {
    let Some(key) = key else { return Vec::new() };
    vec![
        ("Id", key.id.clone()),
        ("Name", key.display_name.clone()),
        ("Kind", kind(key)),
        ("Prefix", key.prefix.clone()),
        ("Environment", short_name(key.environment().as_str_name(), "ENVIRONMENT_")),
        ("Status", status(key)),
        ("User", key.user_id.clone()),
        ("Tenant", key.tenant_id.clone()),
        ("Scopes", listed(&key.scopes, "all of its owner's")),
        ("Networks", listed(&key.allowed_networks, "everywhere")),
        ("Rate limit", rate_limit(key.rate_limit)),
        ("Imported", if key.imported { "yes".to_owned() } else { String::new() }),
        ("Created", moment(key.create_time.as_ref())),
        ("Created by", key.created_by.clone()),
        ("Updated", moment(key.update_time.as_ref())),
        ("Expires", or(moment(key.expire_time.as_ref()), "never")),
        ("Revoked", moment(key.revoke_time.as_ref())),
        ("Last used", moment(key.last_used_time.as_ref())),
        ("Old secret until", moment(key.previous_secret_expire_time.as_ref())),
        ("Etag", key.etag.clone()),
    ]
}

fn receipt(receipt: &RevocationReceipt) -> Vec<(&'static str, String)> {
    vec![
        ("Replicas acknowledged", receipt.replicas_acknowledged.to_string()),
        ("Leases waited out", receipt.leases_expired.to_string()),
        ("Streams cut", receipt.streams_cut.to_string()),
        ("Held everywhere after", receipt.propagation.as_ref().map_or_else(String::new, milliseconds)),
        ("Last accepted", or(moment(receipt.last_accepted_time.as_ref()), "never")),
    ]
}

fn kind(key: &ApiKey) -> String {
    short_name(key.kind().as_str_name(), "API_KEY_KIND_")
}

fn status(key: &ApiKey) -> String {
    short_name(key.status().as_str_name(), "API_KEY_STATUS_")
}

fn rate_limit(limit: u32) -> String {
    if limit == 0 { "the tenant's default".to_owned() } else { format!("{limit} a minute") }
}

fn milliseconds(span: &prost_types::Duration) -> String {
    let micros = i64::from(span.nanos) / 1_000 + span.seconds.saturating_mul(1_000_000);
    format!("{}.{:03} ms", micros / 1_000, (micros % 1_000).abs())
}

fn listed(values: &[String], none: &str) -> String {
    or(values.join(", "), none)
}

fn or(text: String, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_a_line_for_each_key() {
        let key =
            ApiKey { id: "key_1".into(), display_name: "ci".into(), kind: 4, status: 1, ..ApiKey::default() };
        let text = ListApiKeysResponse { api_keys: vec![key], ..ListApiKeysResponse::default() }
            .view()
            .render(false);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["key_1", "ci", "ingest", "-", "active", "-", "-"]);
    }

    #[test]
    fn the_secret_is_not_part_of_any_view() {
        let answer = CreateApiKeyResponse {
            api_key: Some(ApiKey { id: "key_1".into(), ..ApiKey::default() }),
            secret: "dw_live_planted".into(),
            revision: "1".into(),
        };
        assert!(!answer.view().render(false).contains("planted"));
        let answer =
            RotateApiKeyResponse { secret: "dw_live_planted".into(), ..RotateApiKeyResponse::default() };
        assert!(!answer.view().render(false).contains("planted"));
    }

    #[test]
    fn the_receipt_is_shown_in_full() {
        let answer = RevokeApiKeyResponse {
            api_key: Some(ApiKey { id: "key_1".into(), status: 3, ..ApiKey::default() }),
            receipt: Some(RevocationReceipt {
                replicas_acknowledged: 3,
                leases_expired: 1,
                streams_cut: 2,
                propagation: Some(prost_types::Duration { seconds: 2, nanos: 5_250_000 }),
                last_accepted_time: None,
            }),
            revision: "9".into(),
        };
        let text = answer.view().render(false);
        for part in
            ["key_1", "revoked", "acknowledged  3", "out      1", "cut            2", "2005.250 ms", "never"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
