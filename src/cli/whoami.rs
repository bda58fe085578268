//! `doorward whoami`: who the credential stands for.

use crate::cli::failure::Failure;
use crate::cli::output::Shown;
use crate::cli::session::Session;
use crate::cli::table::{View, moment, short_name};
use crate::client::Repeat;
use crate::pb::v1::{WhoAmIRequest, WhoAmIResponse};

/// Help below the options.
pub const AFTER_HELP: &str = "\
Examples:
  DOORWARD_API_KEY=dw_live_… doorward whoami
  doorward whoami --output json | jq -r .principal.tenant_id";

/// Asks the server and shows its answer.
pub async fn run(mut session: Session<'_>) -> Result<(), Failure> {
    let client = session.client.authn();
    let answer = session.call(Repeat::Safe, || {
        let mut client = client.clone();
        async move { client.who_am_i(WhoAmIRequest {}).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

impl Shown for WhoAmIResponse {
    const NAME: &'static str = "WhoAmIResponse";

    fn view(&self) -> View {
        let Some(who) = &self.principal else { return View::Fields(Vec::new()) };
        View::Fields(vec![
            ("Id", who.id.clone()),
            ("Type", short_name(who.r#type().as_str_name(), "PRINCIPAL_TYPE_")),
            ("Tenant", format!("{} ({})", who.tenant_slug, who.tenant_id)),
            ("E-mail", who.email.clone()),
            ("Key", who.api_key_id.clone()),
            ("Session", who.session_id.clone()),
            ("Role", who.role.clone()),
            ("Environment", short_name(who.environment().as_str_name(), "ENVIRONMENT_")),
            ("Authenticated by", who.auth_methods.join(", ")),
            ("Second factor", if who.mfa { "given".to_owned() } else { String::new() }),
            ("Expires", moment(who.expire_time.as_ref())),
            ("Entitled to", who.entitlements.join(", ")),
            ("Permissions", who.permissions.join(", ")),
        ])
    }
}
