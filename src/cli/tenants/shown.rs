//! What the answers about tenants look like.

use crate::cli::output::Shown;
use crate::cli::table::{View, moment, short_name};
use crate::pb::v1::{
    CreateTenantResponse, GetTenantResponse, ListMembersResponse, ListTenantsResponse, ResumeTenantResponse,
    SetIpAllowlistResponse, SuspendTenantResponse, Tenant, UpdateTenantResponse,
};

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

impl Shown for ListMembersResponse {
    const NAME: &'static str = "ListMembersResponse";

    fn view(&self) -> View {
        let rows = self.members.iter().map(|member| {
            let since = moment(member.create_time.as_ref());
            vec![member.user_id.clone(), member.email.clone(), member.role.clone(), since]
        });
        View::Rows {
            headers: &["USER", "E-MAIL", "ROLE", "SINCE"],
            rows: rows.collect(),
            empty: "no members",
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
    let lifetime = match tenant.access_token_lifetime_seconds {
        0 => "the server's default".to_owned(),
        seconds => format!("{seconds} s"),
    };
    vec![
        ("Id", tenant.id.clone()),
        ("Slug", tenant.slug.clone()),
        ("Name", tenant.display_name.clone()),
        ("State", state(tenant)),
        ("Networks", networks),
        ("Rate limit of a key", limit),
        ("Second factor", if tenant.mfa_required { "demanded" } else { "as people like" }.to_owned()),
        ("Access tokens live", lifetime),
        ("Created", moment(tenant.create_time.as_ref())),
        ("Updated", moment(tenant.update_time.as_ref())),
        ("Etag", tenant.etag.clone()),
    ]
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
        for part in ["tenant_1", "acme", "suspended", "everywhere", "the server's default"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
