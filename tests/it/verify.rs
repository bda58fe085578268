//! What `VerifyCredential` says of the credentials that others presented.
use crate::harness::client::{Authn, assert_refused, assert_told};
use crate::harness::mint::{unknown_key, with_a_typo};
use crate::harness::world::{OWNER, TENANT, named};
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    BatchVerifyCredentialsRequest, CreateApiKeyRequest, Denial, ErrorReason, Principal, PrincipalType,
    RevokeApiKeyRequest, RotateApiKeyRequest, StreamVerifyCredentialsRequest, VerifyCredentialRequest,
    VerifyCredentialResponse,
};
use std::time::{Duration, SystemTime};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

fn about(credential: &str) -> VerifyCredentialRequest {
    VerifyCredentialRequest { credential: credential.to_owned(), ..Default::default() }
}

async fn ask(mut authn: Authn, request: VerifyCredentialRequest) -> VerifyCredentialResponse {
    authn.verify_credential(request).await.unwrap().into_inner()
}

#[track_caller]
fn principal(answer: VerifyCredentialResponse) -> Principal {
    match answer.outcome {
        Some(Outcome::Principal(principal)) => principal,
        other => panic!("a principal wanted: {other:?}"),
    }
}

#[track_caller]
fn denial(answer: VerifyCredentialResponse, reason: ErrorReason) -> Denial {
    match answer.outcome {
        Some(Outcome::Denial(denial)) if denial.reason() == reason && !denial.message.is_empty() => denial,
        other => panic!("{reason:?} wanted: {other:?}"),
    }
}

on_both! {
    // R13, R36
    async fn a_good_key_is_told_in_full(database: Database) {
        let world = World::start(database).await;
        let end = SystemTime::now() + Duration::from_hours(1);
        let request = CreateApiKeyRequest {
            scopes: vec!["keys.read".into()],
            expire_time: Some(end.into()),
            rate_limit: 100,
            ..named("full")
        };
        let (key, secret) = world.create(request).await;
        let answer = ask(world.authn(), about(&secret)).await;
        assert!(!answer.revision.is_empty());
        let rate = answer.rate_limit.unwrap();
        assert_eq!((rate.limit, rate.remaining, rate.retry_after_seconds), (100, 99, 0));
        let principal = principal(answer);
        assert_eq!(principal.r#type(), PrincipalType::User);
        assert_eq!((&principal.id, &principal.user_id), (&key.user_id, &key.user_id));
        assert_eq!((principal.tenant_id.as_str(), principal.tenant_slug.as_str()), (&*world.tenant_id, TENANT));
        assert_eq!((principal.email.as_str(), principal.role.as_str()), (OWNER, "owner"));
        assert_eq!((principal.api_key_id.as_str(), principal.session_id.as_str()), (&*key.id, ""));
        assert_eq!(principal.permissions, ["keys.read"]);
        assert_eq!((principal.auth_methods, principal.mfa), (vec!["api_key".to_owned()], false));
        assert_eq!(principal.expire_time, key.expire_time);
    }

    // R3, R4
    async fn what_is_wrong_with_a_key_is_a_denial_and_not_an_error(database: Database) {
        let world = World::start(database).await;
        let (revoked_key, revoked) = world.create_plain().await;
        let (rotated_key, rotated) = world.create_plain().await;
        let (_, good) = world.create_plain().await;
        let soon = SystemTime::now() + Duration::from_millis(2500);
        let (_, expired) = world.create(CreateApiKeyRequest { expire_time: Some(soon.into()), ..named("soon") }).await;
        principal(ask(world.authn(), about(&expired)).await);
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: revoked_key.id }).await.unwrap();
        let rotate = RotateApiKeyRequest { id: rotated_key.id, ..Default::default() };
        world.keys().rotate_api_key(rotate).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2600)).await;
        let unknown = unknown_key("dw_live_");
        let padded = format!(" {good}");
        let shouted = good.to_uppercase();
        for credential in [
            &revoked, &rotated, &unknown, &with_a_typo(&good), &padded, &shouted, &good[1..], "garbage", "dw_live_",
            "\u{0}\u{7f}\u{202e}ﬀ",
        ] {
            let denial = denial(ask(world.authn(), about(credential)).await, ErrorReason::InvalidApiKey);
            assert!(!format!("{denial:?}").contains(credential), "{denial:?}");
        }
        let denial = denial(ask(world.authn(), about(&expired)).await, ErrorReason::ApiKeyExpired);
        assert!(denial.metadata.contains_key("expires_at"), "{denial:?}");
    }

    // R14, R42
    async fn what_a_key_may_not_is_denied_with_what_it_lacks(database: Database) {
        let world = World::start(database).await;
        let (_, narrow) = world.create(CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("narrow") }).await;
        let may = VerifyCredentialRequest { required_permission: "keys.read".into(), ..about(&narrow) };
        principal(ask(world.authn(), may).await);
        let may_not = VerifyCredentialRequest { required_permission: "keys.manage".into(), ..about(&narrow) };
        let lacks = denial(ask(world.authn(), may_not).await, ErrorReason::InsufficientPermissions);
        assert_eq!(lacks.metadata["required_permission"], "keys.manage");
        let feature = VerifyCredentialRequest { required_feature: "sso".into(), ..about(&narrow) };
        let lacks = denial(ask(world.authn(), feature).await, ErrorReason::FeatureNotLicensed);
        assert_eq!(lacks.metadata["required_feature"], "sso");
        let mfa = VerifyCredentialRequest { require_mfa: true, ..about(&narrow) };
        denial(ask(world.authn(), mfa).await, ErrorReason::MfaRequired);
        let unknown = VerifyCredentialRequest { required_permission: "keys.nonsense".into(), ..about(&narrow) };
        assert_refused(world.authn().verify_credential(unknown).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    }

    // R6
    async fn a_key_counts_for_its_own_tenant_alone(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let (_, ours) = world.create_plain().await;
        for tenant_id in [TENANT, &world.tenant_id] {
            let request = VerifyCredentialRequest { tenant_id: tenant_id.into(), ..about(&ours) };
            principal(ask(world.authn(), request).await);
        }
        for tenant_id in ["umbrella", &stranger.tenant_id, "nobody"] {
            let request = VerifyCredentialRequest { tenant_id: tenant_id.into(), ..about(&ours) };
            denial(ask(world.authn(), request).await, ErrorReason::TenantMismatch);
        }
        // Somebody of another tenant cannot tell our key from one that does not exist.
        let unknown = denial(ask(world.authn_as(&stranger.secret), about(&unknown_key("dw_live_"))).await, ErrorReason::InvalidApiKey);
        let known = denial(ask(world.authn_as(&stranger.secret), about(&ours)).await, ErrorReason::InvalidApiKey);
        assert_eq!(known, unknown);
        principal(ask(world.authn_as(&stranger.secret), about(&stranger.secret)).await);
    }

    // R19
    async fn a_key_with_an_allowlist_needs_an_address_that_is_on_it(database: Database) {
        let world = World::start(database).await;
        let allowed_networks = vec!["192.0.2.0/24".into(), "2001:db8::7".into()];
        let (_, secret) = world.create(CreateApiKeyRequest { allowed_networks, ..named("listed") }).await;
        let from = |address: &str| VerifyCredentialRequest { peer_address: address.into(), ..about(&secret) };
        for good in ["192.0.2.1", "::ffff:192.0.2.255", "2001:db8::7"] {
            principal(ask(world.authn(), from(good)).await);
        }
        for bad in ["", "192.0.3.1", "2001:db8::8"] {
            denial(ask(world.authn(), from(bad)).await, ErrorReason::IpNotAllowed);
        }
        for nonsense in ["somewhere", "192.0.2.1/24", "192.0.2.1, 10.0.0.1"] {
            let refused = world.authn().verify_credential(from(nonsense)).await;
            assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        }
    }

    // R18
    async fn checks_take_from_the_keys_limit_what_they_cost(database: Database) {
        let world = World::start(database).await;
        let (_, secret) = world.create(CreateApiKeyRequest { rate_limit: 10, ..named("limited") }).await;
        let costing = |cost| VerifyCredentialRequest { cost, ..about(&secret) };
        assert_eq!(ask(world.authn(), costing(0)).await.rate_limit.unwrap().remaining, 9);
        assert_eq!(ask(world.authn(), costing(5)).await.rate_limit.unwrap().remaining, 4);
        let answer = ask(world.authn(), costing(5)).await;
        let rate = answer.rate_limit.unwrap();
        assert!(rate.retry_after_seconds > 0 && rate.reset_time.is_some(), "{rate:?}");
        let denied = denial(answer, ErrorReason::RateLimitExceeded);
        assert!(denied.metadata["retry_after"].parse::<u32>().unwrap() > 0);
        // What did not pass took nothing.
        assert_eq!(ask(world.authn(), costing(4)).await.rate_limit.unwrap().remaining, 0);
    }

    async fn a_batch_answers_each_question_in_its_place(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let requests = vec![about("garbage"), about(&secret), about(&unknown_key("dw_live_")), about(&secret)];
        let batch = BatchVerifyCredentialsRequest { requests };
        let answers = world.authn().batch_verify_credentials(batch).await.unwrap().into_inner().responses;
        assert_eq!(answers.len(), 4);
        for (at, answer) in answers.into_iter().enumerate() {
            if at % 2 == 0 {
                denial(answer, ErrorReason::InvalidApiKey);
            } else {
                assert_eq!(principal(answer).api_key_id, key.id);
            }
        }
        for (questions, fits) in [(0, true), (1000, true), (1001, false)] {
            let batch = BatchVerifyCredentialsRequest { requests: vec![about(&secret); questions] };
            match world.authn().batch_verify_credentials(batch).await {
                Ok(answer) => assert_eq!((answer.get_ref().responses.len(), true), (questions, fits)),
                refused if !fits => drop(assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT")),
                Err(refused) => panic!("{questions}: {refused:?}"),
            }
        }
    }

    // R15: the stream sees a revocation like any other call.
    async fn a_stream_answers_in_order_and_from_now(database: Database) {
        let world = World::start(database).await;
        let (key, secret) = world.create_plain().await;
        let (questions, stream) = tokio::sync::mpsc::channel(16);
        let mut answers =
            world.authn().stream_verify_credentials(ReceiverStream::new(stream)).await.unwrap().into_inner();
        let ask = |tag, credential: &str| StreamVerifyCredentialsRequest { tag, request: Some(about(credential)) };
        for tag in 0..16 {
            let credential = if tag % 2 == 0 { secret.as_str() } else { "garbage" };
            questions.send(ask(tag, credential)).await.unwrap();
        }
        for tag in 0..16 {
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!(answer.tag, tag);
            match tag % 2 {
                0 => drop(principal(answer.response.unwrap())),
                _ => drop(denial(answer.response.unwrap(), ErrorReason::InvalidApiKey)),
            }
        }
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id }).await.unwrap();
        questions.send(ask(u64::MAX, &secret)).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(answer.tag, u64::MAX);
        denial(answer.response.unwrap(), ErrorReason::InvalidApiKey);
        drop(questions);
        assert!(answers.message().await.unwrap().is_none());
    }

    // R15, A20: the caller's own key ends in mid-stream.
    async fn a_stream_ends_when_its_callers_key_is_revoked(database: Database) {
        let world = World::start(database).await;
        let (key, caller) = world.create_plain().await;
        let (questions, stream) = tokio::sync::mpsc::channel(16);
        let mut answers =
            world.authn_as(&caller).stream_verify_credentials(ReceiverStream::new(stream)).await.unwrap().into_inner();
        let question = StreamVerifyCredentialsRequest { tag: 1, request: Some(about("garbage")) };
        questions.send(question.clone()).await.unwrap();
        answers.message().await.unwrap().unwrap();
        world.keys().revoke_api_key(RevokeApiKeyRequest { id: key.id }).await.unwrap();
        let _ = questions.send(question).await;
        let end = tokio::time::timeout(Duration::from_secs(5), answers.message()).await.expect("the stream stays open");
        assert_told(&end.expect_err("the stream goes on"), Code::Unauthenticated, "INVALID_API_KEY");
    }

    // R3: the status of the call speaks of the caller.
    async fn a_caller_who_may_not_ask_is_refused(database: Database) {
        let world = World::start(database).await;
        let (_, caller) = world.create(CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("nosy") }).await;
        let refused = world.authn_as(&caller).verify_credential(about(&world.owner)).await;
        let metadata = assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        assert_eq!(metadata["required_permission"], "credentials.verify");
        let refused = world.authn_as("garbage").verify_credential(about(&world.owner)).await;
        assert_refused(refused, Code::Unauthenticated, "INVALID_API_KEY");
    }

    // Read one's own writes.
    async fn a_check_knows_the_revision_that_it_is_asked_to_know(database: Database) {
        let world = World::start(database).await;
        let made = world.keys().create_api_key(named("fresh")).await.unwrap().into_inner();
        let request = VerifyCredentialRequest { min_revision: made.revision, ..about(&made.secret) };
        principal(ask(world.authn(), request.clone()).await);
        let nonsense = VerifyCredentialRequest { min_revision: "nonsense".into(), ..request };
        assert_refused(world.authn().verify_credential(nonsense).await, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
}
