//! `doorward tenant`: makes and manages tenants, their members and networks.

mod args;
mod shown;

pub use args::TenantVerb;

use crate::cli::failure::Failure;
use crate::cli::paging::PageArgs;
use crate::cli::prompt;
use crate::cli::repeat::{id_or_fresh, with_etag};
use crate::cli::session::Session;
use crate::client::Repeat;
use crate::pb::v1::{
    ApiKeyKind, CreateTenantRequest, DeleteTenantRequest, GetTenantRequest, GetTenantResponse,
    ListMembersRequest, ListTenantsRequest, ResumeTenantRequest, SetIpAllowlistRequest, SuspendTenantRequest,
    UpdateTenantRequest,
};
use args::{AllowlistArgs, CreateArgs, DeleteArgs, OneArgs, ResumeArgs, SuspendArgs, UpdateArgs};
use prost_types::FieldMask;

/// The caller's own tenant.
const OWN: &str = "-";

/// Runs a verb on tenants.
pub async fn run(verb: TenantVerb, session: Session<'_>) -> Result<(), Failure> {
    match verb {
        TenantVerb::Create(args) => create(args, session).await,
        TenantVerb::Get(args) => get(args, session).await,
        TenantVerb::List(args) => list(args, session).await,
        TenantVerb::Update(args) => update(args, session).await,
        TenantVerb::Suspend(args) => suspend(args, session).await,
        TenantVerb::Resume(args) => resume(args, session).await,
        TenantVerb::Delete(args) => delete(args, session).await,
        TenantVerb::Members(args) => members(args, session).await,
        TenantVerb::Allowlist(args) => allowlist(args, session).await,
    }
}

async fn create(args: CreateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = CreateTenantRequest {
        slug: args.slug,
        display_name: args.name.unwrap_or_default(),
        owner_email: args.owner_email,
        request_id: id_or_fresh(args.request_id)?,
    };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.create_tenant(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn get(args: OneArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let answer = one(args.id, &mut session).await?;
    Ok(session.world.output.show(&answer)?)
}

async fn one(id: String, session: &mut Session<'_>) -> Result<GetTenantResponse, Failure> {
    let request = GetTenantRequest { id, ..GetTenantRequest::default() };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.get_tenant(request).await }
    });
    answer.await
}

async fn list(args: PageArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = ListTenantsRequest { page_size: args.page_size, ..<_>::default() };
    let client = session.client.tenancy();
    let ask = |page_token| {
        let (mut client, request) = (client.clone(), ListTenantsRequest { page_token, ..request.clone() });
        async move { client.list_tenants(request).await }
    };
    args.show(&mut session, ask).await
}

async fn update(args: UpdateArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = update_request(args);
    let client = session.client.tenancy();
    let answer = session.call(with_etag(&request.etag), || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.update_tenant(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn suspend(args: SuspendArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = SuspendTenantRequest { id: args.id, reason: args.reason };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.suspend_tenant(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn resume(args: ResumeArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = ResumeTenantRequest { id: args.id };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.resume_tenant(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

async fn delete(args: DeleteArgs, mut session: Session<'_>) -> Result<(), Failure> {
    prompt::possible(session.world, args.yes, "--yes")?;
    let mut request = DeleteTenantRequest { id: args.id, etag: args.etag };
    if !args.yes {
        let found = one(request.id, &mut session).await?.tenant.ok_or(Failure::Incomplete("tenant"))?;
        let question = format!(
            "Every key and session of {} ({}) ends, and its data goes for good later.",
            found.slug, found.display_name
        );
        prompt::confirm(session.world, &question, &found.slug, false)?;
        request.id = found.id;
    }
    let client = session.client.tenancy();
    // A repetition after a lost answer would be refused, with the tenant's own credentials.
    let answer = session.call(Repeat::Never, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.delete_tenant(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

/// Lists members, for `tenant members` and `member list`.
pub async fn members(args: PageArgs, mut session: Session<'_>) -> Result<(), Failure> {
    let request = ListMembersRequest { page_size: args.page_size, ..<_>::default() };
    let client = session.client.tenancy();
    let ask = |page_token| {
        let (mut client, request) = (client.clone(), ListMembersRequest { page_token, ..request.clone() });
        async move { client.list_members(request).await }
    };
    args.show(&mut session, ask).await
}

async fn allowlist(args: AllowlistArgs, mut session: Session<'_>) -> Result<(), Failure> {
    if args.networks.is_empty() && !args.clear {
        return get(OneArgs { id: OWN.to_owned() }, session).await;
    }
    let request = SetIpAllowlistRequest { networks: args.networks };
    let client = session.client.tenancy();
    let answer = session.call(Repeat::Safe, || {
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.set_ip_allowlist(request).await }
    });
    let answer = answer.await?;
    Ok(session.world.output.show(&answer)?)
}

fn update_request(args: UpdateArgs) -> UpdateTenantRequest {
    let changed = [
        ("display_name", args.name.is_some()),
        ("default_rate_limit", args.rate_limit.is_some()),
        ("mfa_required", args.require_mfa.is_some()),
        ("access_token_lifetime_seconds", args.access_token_lifetime.is_some()),
        ("session_lifetime_seconds", args.session_lifetime.is_some()),
        ("allowed_key_kinds", args.any_key_kind || !args.key_kinds.is_empty()),
        ("features", args.no_features || !args.features.is_empty()),
    ];
    let paths = changed.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
    UpdateTenantRequest {
        id: args.one.id,
        update_mask: Some(FieldMask { paths }),
        display_name: args.name.unwrap_or_default(),
        default_rate_limit: args.rate_limit.unwrap_or_default(),
        mfa_required: args.require_mfa.unwrap_or_default(),
        access_token_lifetime_seconds: args.access_token_lifetime.unwrap_or_default(),
        session_lifetime_seconds: args.session_lifetime.unwrap_or_default(),
        allowed_key_kinds: args.key_kinds.into_iter().map(|kind| ApiKeyKind::from(kind).into()).collect(),
        features: args.features,
        etag: args.etag.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parse(line: &str) -> Result<TenantVerb, clap::Error> {
        let cli = Cli::try_parse_from(format!("doorward tenant {line}").split_whitespace())?;
        let Command::Tenant(verb) = cli.command else { panic!("{cli:?}") };
        Ok(verb)
    }

    #[test]
    fn update_names_what_was_given_and_nothing_else() {
        for (line, id, mask) in [
            ("update --name Acme", OWN, vec!["display_name"]),
            ("update acme --rate-limit 0", "acme", vec!["default_rate_limit"]),
            ("update acme --rate-limit 9 --name A", "acme", vec!["display_name", "default_rate_limit"]),
            ("update acme --require-mfa true", "acme", vec!["mfa_required"]),
            ("update --session-lifetime 0", OWN, vec!["session_lifetime_seconds"]),
            ("update --allow-key-kind user --allow-key-kind ingest", OWN, vec!["allowed_key_kinds"]),
            ("update --any-key-kind", OWN, vec!["allowed_key_kinds"]),
            ("update acme --feature sso", "acme", vec!["features"]),
            ("update acme --no-features", "acme", vec!["features"]),
        ] {
            let TenantVerb::Update(args) = parse(line).unwrap() else { panic!() };
            let request = update_request(args);
            assert_eq!(request.id, id, "{line}");
            assert_eq!(request.update_mask.unwrap().paths, mask, "{line}");
        }
    }

    #[test]
    fn wrong_usage_is_found_before_any_call() {
        for line in [
            "create acme",
            "create --owner-email a@b.example",
            "update acme",
            "suspend",
            "allowlist --network nowhere",
            "allowlist --network ::1 --clear",
            "update --allow-key-kind user --any-key-kind",
            "update --allow-key-kind global",
            "update --feature sso --no-features",
            "delete",
        ] {
            assert_eq!(parse(line).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
