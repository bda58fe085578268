//! A tenant that demands a second factor: without one nothing is possible but to enrol it.
use super::person::{Authenticator, Login, begin, log_in, opens, owner, refresh, refused, visitor, world};
use crate::cut::Open;
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::world::named;
use crate::harness::{Database, World, on_both, rest};
use doorward::pb::v1::complete_login_request::Factor;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    ChangePasswordRequest, CompleteLoginRequest, ConfirmTotpRequest, CreateTenantRequest, DisableTotpRequest,
    EnrollTotpRequest, ErrorReason, ListApiKeysRequest, ListMembersRequest, ListSessionsRequest,
    LogoutRequest, RegenerateBackupCodesRequest, RequestEmailVerificationRequest, RevokeAllSessionsRequest,
    RevokeSessionRequest, StreamVerifyCredentialsRequest, UpdateTenantRequest, VerifyCredentialRequest,
    WhoAmIRequest, disable_totp_request,
};
use http::Method;
use prost_types::FieldMask;
use serde_json::Value;
use tonic::Code;

/// Has a tenant demand a second factor, or not.
async fn demand(world: &World, tenant: &str, mfa_required: bool) {
    let request = UpdateTenantRequest {
        id: tenant.to_owned(),
        update_mask: Some(FieldMask { paths: vec!["mfa_required".into()] }),
        mfa_required,
        ..Default::default()
    };
    let told = world.tenancy().update_tenant(request).await.unwrap().into_inner();
    assert_eq!(told.tenant.unwrap().mfa_required, mfa_required);
}

/// Asserts that the session is refused for want of a second factor, whatever it asks for.
async fn is_shut_out(world: &World, login: &Login) {
    const REASON: &str = "MFA_REQUIRED";
    let code = Code::Unauthenticated;
    let mut authn = world.authn_as(&login.access);
    assert_refused(authn.list_sessions(ListSessionsRequest::default()).await, code, REASON);
    assert_refused(authn.revoke_session(RevokeSessionRequest { id: login.session() }).await, code, REASON);
    assert_refused(authn.revoke_all_sessions(RevokeAllSessionsRequest::default()).await, code, REASON);
    let change =
        ChangePasswordRequest { current_password: world.password.clone(), new_password: "x".repeat(20) };
    assert_refused(authn.change_password(change).await, code, REASON);
    let verification = RequestEmailVerificationRequest {};
    assert_refused(authn.request_email_verification(verification).await, code, REASON);
    let question = VerifyCredentialRequest { credential: world.owner.clone(), ..Default::default() };
    assert_refused(authn.verify_credential(question.clone()).await, code, REASON);
    let factor = Some(disable_totp_request::Factor::TotpCode("123456".into()));
    assert_refused(authn.disable_totp(DisableTotpRequest { factor }).await, code, REASON);
    let regenerate = RegenerateBackupCodesRequest { totp_code: "123456".into(), ..Default::default() };
    assert_refused(authn.regenerate_backup_codes(regenerate).await, code, REASON);
    let asked = StreamVerifyCredentialsRequest { tag: 1, request: Some(question) };
    assert_refused(authn.stream_verify_credentials(tokio_stream::iter([asked])).await, code, REASON);
    let mut keys = world.keys_as(&login.access);
    assert_refused(keys.list_api_keys(ListApiKeysRequest::default()).await, code, REASON);
    assert_refused(keys.create_api_key(named("no")).await, code, REASON);
    let mut tenancy = client::tenancy(&world.server.api(), Metadata::bearer(&login.access));
    assert_refused(tenancy.list_members(ListMembersRequest::default()).await, code, REASON);
    let off = UpdateTenantRequest {
        update_mask: Some(FieldMask { paths: vec!["mfa_required".into()] }),
        ..Default::default()
    };
    assert_refused(tenancy.update_tenant(off).await, code, REASON);
    let over_rest =
        rest::call(&world.server.api(), &login.access, Method::GET, "/v1/api-keys", &Value::Null).await;
    over_rest.assert_refused(401, REASON);
    // Asked about, it is no good either.
    let question = VerifyCredentialRequest { credential: login.access.clone(), ..Default::default() };
    let answer = world.authn().verify_credential(question).await.unwrap().into_inner();
    match answer.outcome.unwrap() {
        Outcome::Denial(denial) => assert_eq!(denial.reason(), ErrorReason::MfaRequired),
        Outcome::Principal(principal) => panic!("it is good for {principal:?}"),
    }
}

on_both! {
    // R34, A31
    async fn without_the_factor_nothing_is_possible_but_to_enrol_it(database: Database) {
        let world = world(database).await;
        let login = log_in(&world).await;
        let open = Open::over(world.authn_as(&login.access)).await;
        let mut of_a_key = Open::over(world.authn()).await;
        demand(&world, &world.tenant_id, true).await;
        open.ends(Code::Unauthenticated, "MFA_REQUIRED").await;
        of_a_key.answers().await;
        is_shut_out(&world, &login).await;
        // A fresh login and a refresh are no way round.
        let again = log_in(&world).await;
        is_shut_out(&world, &again).await;
        let fresh = refresh(&world.server.api(), &again.refresh).await.unwrap();
        is_shut_out(&world, &Login { access: fresh.access_token, ..again.clone() }).await;
        // What is left: to see who one is, to enrol, to leave.
        let mut authn = world.authn_as(&login.access);
        authn.who_am_i(WhoAmIRequest {}).await.unwrap();
        world.authn_as(&again.access).logout(LogoutRequest::default()).await.unwrap();
        let told = authn.enroll_totp(EnrollTotpRequest::default()).await.unwrap().into_inner();
        let mut authenticator = Authenticator::new(&told.secret);
        let confirm = ConfirmTotpRequest { code: authenticator.next().await };
        let backup_codes = authn.confirm_totp(confirm).await.unwrap().into_inner().backup_codes;
        // To have enrolled one is not to have given it.
        is_shut_out(&world, &login).await;
        let challenge = begin(&world, owner(&world)).await.challenge;
        let factor = Some(Factor::TotpCode(authenticator.next().await));
        let request = CompleteLoginRequest { challenge, factor };
        let whole = visitor(&world).complete_login(request).await.unwrap().into_inner();
        opens(&world, &whole.access_token).await;
        world.keys_as(&whole.access_token).list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        let mut stream = Open::over(world.authn_as(&whole.access_token)).await;
        stream.answers().await;
        // While it is demanded it cannot be removed.
        let factor = Some(disable_totp_request::Factor::BackupCode(backup_codes[0].clone()));
        let remove = world.authn_as(&whole.access_token).disable_totp(DisableTotpRequest { factor }).await;
        assert_refused(remove, Code::FailedPrecondition, "FAILED_PRECONDITION");
        demand(&world, &world.tenant_id, false).await;
        assert_eq!(refused(&world, &login.access).await, None);
    }

    // A10, A31: what a tenant demands it demands of those who come from another one, too.
    async fn no_way_leads_round_through_another_tenant(database: Database) {
        let world = world(database).await;
        let request = CreateTenantRequest {
            slug: "umbrella".into(),
            owner_email: crate::harness::world::OWNER.into(),
            ..Default::default()
        };
        let second = world.tenancy().create_tenant(request).await.unwrap().into_inner().tenant.unwrap().id;
        let login = log_in(&world).await;
        let there = Metadata::bearer(&login.access).and("x-tenant-id", &second);
        let mut keys = client::keys(&world.server.api(), there.clone());
        keys.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
        let open = Open::over(client::authn(&world.server.api(), there.clone())).await;
        demand(&world, &second, true).await;
        open.ends(Code::Unauthenticated, "MFA_REQUIRED").await;
        let refused = keys.list_api_keys(ListApiKeysRequest::default()).await;
        assert_refused(refused, Code::Unauthenticated, "MFA_REQUIRED");
        assert_refused(keys.create_api_key(named("no")).await, Code::Unauthenticated, "MFA_REQUIRED");
        // At home nobody demands it.
        opens(&world, &login.access).await;
    }
}
