//! What the answers about tenants look like.

use crate::cli::output::Shown;
use crate::cli::table::{View, moment, short_name};
use crate::pb::v1::{
    ApiKeyKind, CreateTenantResponse, DeleteTenantResponse, GetTenantResponse, ListTenantsResponse,
    ResumeTenantResponse, SetIpAllowlistResponse, SuspendTenantResponse, Tenant, UpdateTenantResponse,
};

const KIND: &str = "API_KEY_KIND_";

impl Shown for CreateTenantResponse {
    const NAME: &'static str = "CreateTenantResponse";

    fn view(&self) -> View {
        let mut fields = fields(self.tenant.as_ref());
        fields.push(("Owner", self.owner_user_id.clone()));
        View::Fields(fields)
    }
}

impl Shown for GetTenantResponse {
    const NAME: &'static str = "GetTenantResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.tenant.as_ref()))
    }
}

impl Shown for UpdateTenantResponse {
    const NAME: &'static str = "UpdateTenantResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.tenant.as_ref()))
    }
}

impl Shown for SuspendTenantResponse {
    const NAME: &'static str = "SuspendTenantResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.tenant.as_ref()))
    }
}

impl Shown for ResumeTenantResponse {
    const NAME: &'static str = "ResumeTenantResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.tenant.as_ref()))
    }
}

impl Shown for DeleteTenantResponse {
    const NAME: &'static str = "DeleteTenantResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.tenant.as_ref()))
    }
}

impl Shown for SetIpAllowlistResponse {
    const NAME: &'static str = "SetIpAllowlistResponse";

    fn view(&self) -> View {
        View::Fields(fields(self.tenant.as_ref()))
    }
}

impl Shown for ListTenantsResponse {
    const NAME: &'static str = "ListTenantsResponse";

    fn view(&self) -> View {
        let row = |tenant: &Tenant| {
            vec![
                tenant.id.clone(),
                tenant.slug.clone(),
                tenant.display_name.clone(),
                state(tenant),
                moment(tenant.create_time.as_ref()),
            ]
        };
        View::Rows {
            headers: &["ID", "SLUG", "NAME", "STATE", "CREATED"],
            rows: self.tenants.iter().map(row).collect(),
            empty: "no tenants",
        }
    }
}

fn fields(tenant: Option<&Tenant>) -> Vec<(&'static str, String)> {
    let Some(tenant) = tenant else { return Vec::new() };
    let networks = if tenant.allowed_networks.is_empty() {
        "everywhere".to_owned()
    } else {
        tenant.allowed_networks.join(", ")
    };
    let limit = match tenant.default_rate_limit {
        0 => "the server's default".to_owned(),
        limit => format!("{limit} a minute"),
    };
    vec![
        ("Id", tenant.id.clone()),
        ("Slug", tenant.slug.clone()),
        ("Name", tenant.display_name.clone()),
        ("State", state(tenant)),
        ("Networks", networks),
        ("Rate limit of a key", limit),
        ("Second factor", if tenant.mfa_required { "demanded" } else { "as people like" }.to_owned()),
        ("Access tokens live", lifetime(tenant.access_token_lifetime_seconds)),
        ("Sessions live", lifetime(tenant.session_lifetime_seconds)),
        ("Kinds of new keys", kinds(tenant)),
        ("Features", tenant.features.join(", ")),
        ("Created", moment(tenant.create_time.as_ref())),
        ("Updated", moment(tenant.update_time.as_ref())),
        ("Deleted", moment(tenant.delete_time.as_ref())),
        ("Etag", tenant.etag.clone()),
    ]
}

fn lifetime(seconds: u32) -> String {
    match seconds {
        0 => "the server's default".to_owned(),
        seconds => format!("{seconds} s"),
    }
}

fn kinds(tenant: &Tenant) -> String {
    let names: Vec<String> =
        tenant.allowed_key_kinds().map(|kind: ApiKeyKind| short_name(kind.as_str_name(), KIND)).collect();
    if names.is_empty() { "every kind".to_owned() } else { names.join(", ") }
}

fn state(tenant: &Tenant) -> String {
    short_name(tenant.state().as_str_name(), "TENANT_STATE_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_says_what_its_defaults_mean() {
        let tenant = Tenant { id: "tenant_1".into(), slug: "acme".into(), state: 2, ..Tenant::default() };
        let text = GetTenantResponse { tenant: Some(tenant) }.view().render(false);
        for part in ["tenant_1", "acme", "suspended", "everywhere", "the server's default", "every kind"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Features") && !text.contains("Deleted"), "{text}");
    }

    #[test]
    fn a_tenant_says_what_was_set_and_when_it_was_deleted() {
        let tenant = Tenant {
            state: 3,
            session_lifetime_seconds: 3_600,
            allowed_key_kinds: vec![ApiKeyKind::User.into(), ApiKeyKind::Ingest.into()],
            features: vec!["audit.export".into(), "sso".into()],
            delete_time: Some(prost_types::Timestamp { seconds: 1_801_353_600, nanos: 0 }),
            ..Tenant::default()
        };
        let text = DeleteTenantResponse { tenant: Some(tenant), revision: "1".into() }.view().render(false);
        for part in ["deleted", "3600 s", "user, ingest", "audit.export, sso", "2027-01-31T00:00:00Z"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
