//! What a log tells, and whom.
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::rest;
use crate::harness::world::named;
use crate::harness::{Database, World, on_both};
use doorward::pb::v1::{
    ApiKeyKind, AuditOutcome, CreateApiKeyRequest, ListEventsRequest, RevokeApiKeyRequest,
    UpdateApiKeyRequest,
};
use http::Method;
use tonic::{Code, Request};

on_both! {
    // R45, P6
    async fn every_change_is_an_entry_with_who_what_when_and_from_where(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create(named("Zoë's key")).await;
        let mask = prost_types::FieldMask { paths: vec!["display_name".into(), "rate_limit".into()] };
        let change = UpdateApiKeyRequest {
            id: key.id.clone(), update_mask: Some(mask), display_name: "ours".into(), rate_limit: 7,
            ..Default::default()
        };
        let mut change = Request::new(change);
        change.metadata_mut().insert("x-correlation-id", "the-change".parse().unwrap());
        world.keys().update_api_key(change).await.unwrap();
        let events = world.events(ListEventsRequest { target: key.id.clone(), ..Default::default() }).await;
        let [updated, created] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((created.action.as_str(), updated.action.as_str()), ("key.created", "key.updated"));
        assert_eq!(updated.index, created.index + 1);
        assert_eq!(updated.correlation_id, "the-change");
        assert_eq!(updated.outcome(), AuditOutcome::Done);
        assert!(updated.actor.starts_with("user_") && updated.credential.starts_with("key_"), "{updated:?}");
        assert_eq!(updated.details["address"], "127.0.0.1");
        assert_eq!(updated.details["display_name.before"], "Zoë's key");
        assert_eq!(updated.details["display_name.after"], "ours");
        assert_eq!((updated.details["rate_limit.before"].as_str(), updated.details["rate_limit.after"].as_str()), ("0", "7"));
        assert_eq!(created.facts["kind"], "user");
        assert!(updated.erased_details.is_empty());
    }

    async fn filters_narrow_and_pages_follow_each_other(database: Database) {
        let world = World::start(database).await;
        world.fill(5).await;
        let all = world.events(ListEventsRequest::default()).await;
        assert_eq!(all.iter().map(|event| event.index).collect::<Vec<_>>(), (0..all.len() as u64).rev().collect::<Vec<_>>());
        let mut paged = Vec::new();
        let mut request = ListEventsRequest { page_size: 2, action: "key.created".into(), ..Default::default() };
        loop {
            let page = world.audit().list_events(request.clone()).await.unwrap().into_inner();
            assert!(page.events.len() <= 2);
            paged.extend(page.events);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, world.events_of("key.created").await);
        assert_eq!(paged.len(), 5);
        let middle = paged[2].time;
        let since = world.events(ListEventsRequest { start_time: middle, ..Default::default() }).await;
        let until = world.events(ListEventsRequest { end_time: middle, ..Default::default() }).await;
        assert_eq!(since.len() + until.len(), all.len());
        assert_eq!(since.last().unwrap().index, paged[2].index);
        let by = ListEventsRequest { actor: paged[0].actor.clone(), ..Default::default() };
        assert_eq!(world.events(by).await.len(), 5);
        request.page_token = "nonsense".into();
        let refused = world.audit().list_events(request).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
        let unknown = ListEventsRequest { action: "key.imagined".into(), ..Default::default() };
        let refused = world.audit().list_events(unknown).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_ARGUMENT");
    }

    // R6: whoever acts for another tenant is named with their own.
    async fn both_tenants_of_a_call_across_them_are_named(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let mut audit = client::audit(&world.server.api(), Metadata::bearer(&stranger.secret));
        let request = ListEventsRequest { action: "key.created".into(), ..Default::default() };
        let events = audit.list_events(request).await.unwrap().into_inner().events;
        let [made] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(made.home_tenant_id, world.tenant_id);
        let own = world.events_of("key.created").await;
        assert!(own.iter().all(|event| event.home_tenant_id.is_empty()), "{own:?}");
    }

    async fn a_log_is_its_tenants_alone_and_needs_the_right(database: Database) {
        let world = World::start(database).await;
        let stranger = world.stranger().await;
        let (key, _) = world.create_plain().await;
        let mut theirs = client::audit(&world.server.api(), Metadata::bearer(&stranger.secret));
        let events = theirs.list_events(ListEventsRequest::default()).await.unwrap().into_inner().events;
        assert!(events.iter().all(|event| event.target != key.id), "{events:?}");
        let platform = ListEventsRequest { platform: true, ..Default::default() };
        let refused = theirs.list_events(platform.clone()).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        // The owner of the first tenant runs the platform.
        let events = world.audit().list_events(platform).await.unwrap().into_inner().events;
        assert!(events.iter().any(|event| event.action == "signing_key.made"), "{events:?}");
        for narrow in [
            CreateApiKeyRequest { scopes: vec!["keys.read".into()], ..named("narrow") },
            CreateApiKeyRequest { kind: ApiKeyKind::Ingest.into(), ..named("ingest") },
        ] {
            let (_, secret) = world.create(narrow).await;
            let mut audit = client::audit(&world.server.api(), Metadata::bearer(&secret));
            let refused = audit.list_events(ListEventsRequest::default()).await;
            assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        }
        let test = doorward::pb::v1::Environment::Test.into();
        let (_, secret) = world.create(CreateApiKeyRequest { environment: test, ..named("test") }).await;
        let mut audit = client::audit(&world.server.api(), Metadata::bearer(&secret));
        let refused = audit.list_events(ListEventsRequest::default()).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
    }

    async fn rest_and_the_command_line_tell_the_same(database: Database) {
        let world = World::start(database).await;
        let (key, _) = world.create_plain().await;
        let revoke = RevokeApiKeyRequest { id: key.id.clone() };
        world.keys().revoke_api_key(revoke).await.unwrap();
        let bearer = format!("Bearer {}", world.owner);
        let headers = [("authorization", bearer.as_str())];
        let request = rest::request(Method::GET, "/v1/audit-events?action=key.revoked", &headers, Vec::new().into());
        let answer = rest::send(&world.server.api(), request).await.unwrap().json();
        assert_eq!(answer["events"][0]["target"], key.id.as_str(), "{answer}");
        let request = rest::request(Method::GET, "/v1/audit-checkpoint", &headers, Vec::new().into());
        let answer = rest::send(&world.server.api(), request).await.unwrap().json();
        assert!(answer["checkpoint"]["note"].as_str().unwrap().starts_with("doorward/"), "{answer}");
        let listed = world.audit_verb(&["list", "--action", "key.revoked"]).await;
        assert!(listed.out.contains(&key.id) && listed.out.contains("key.revoked"), "{}{}", listed.out, listed.err);
    }
}
