//! Sessions: seen, and ended at once and everywhere in the process, open streams included.
use super::person::{Login, has_ended, log_in, opens, owner, reason, refresh, visitor, world};
use crate::cut::Open;
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::world::named;
use crate::harness::{Database, World, on_both, rest};
use doorward::pb::v1::ErrorReason;
use doorward::pb::v1::verify_credential_response::Outcome;
use doorward::pb::v1::{
    ChangePasswordRequest, ListSessionsRequest, LoginRequest, LogoutRequest, RevokeAllSessionsRequest,
    RevokeSessionRequest, Session, VerifyCredentialRequest, WhoAmIRequest,
};
use http::Method;
use serde_json::json;
use tonic::Code;

async fn list(world: &World, token: &str) -> Vec<Session> {
    let answer = world.authn_as(token).list_sessions(ListSessionsRequest::default()).await;
    answer.unwrap().into_inner().sessions
}

/// Asserts that neither its access token nor its refresh token is good for anything.
async fn is_dead(world: &World, login: &Login) {
    has_ended(world, &login.access).await;
    let refused = refresh(&world.server.api(), &login.refresh).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_REVOKED");
    let listed = world.authn_as(&login.access).list_sessions(ListSessionsRequest::default()).await;
    assert_refused(listed, Code::Unauthenticated, "SESSION_REVOKED");
}

on_both! {
    // R33
    async fn sessions_are_listed_as_they_were_opened(database: Database) {
        let world = world(database).await;
        let first = log_in(&world).await;
        let named = LoginRequest { device_name: "a laptop\u{2028}\r\nforged".into(), ..owner(&world) };
        let second = Login::of(visitor(&world).login(named).await.unwrap());
        let sessions = list(&world, &second.access).await;
        assert_eq!(sessions.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [second.session(), first.session()]);
        assert_eq!(sessions.iter().map(|it| it.current).collect::<Vec<_>>(), [true, false]);
        assert_eq!(sessions[0].device, "a laptopforged");
        assert_eq!((sessions[0].address.as_str(), &sessions[0].auth_methods), ("127.0.0.1", &vec!["pwd".to_owned()]));
        let (begin, end) = (sessions[0].create_time.unwrap().seconds, sessions[0].expire_time.unwrap().seconds);
        assert_eq!(end - begin, 30 * 24 * 3600);
        // A page at a time.
        let page = |page_token: String| ListSessionsRequest { page_size: 1, page_token };
        let one = world.authn_as(&first.access).list_sessions(page(String::new())).await.unwrap().into_inner();
        assert_eq!((one.sessions.len(), one.next_page_token.is_empty()), (1, false));
        let two = world.authn_as(&first.access).list_sessions(page(one.next_page_token)).await.unwrap().into_inner();
        assert_eq!((two.sessions[0].id.clone(), two.next_page_token), (first.session(), String::new()));
        // A key has none, and may not end a person's.
        let refused = world.authn().list_sessions(ListSessionsRequest::default()).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        let refused = world.authn().revoke_session(RevokeSessionRequest { id: first.session() }).await;
        assert_refused(refused, Code::PermissionDenied, "INSUFFICIENT_PERMISSIONS");
        opens(&world, &first.access).await;
    }

    // R33, R15, A20: before the call returns, the tokens are dead and the streams are cut.
    async fn a_revoked_session_ends_at_once_with_its_streams(database: Database) {
        let world = world(database).await;
        let (kept, ended) = (log_in(&world).await, log_in(&world).await);
        let mut other = Open::over(world.authn_as(&kept.access)).await;
        let open = Open::over(world.authn_as(&ended.access)).await;
        let request = RevokeSessionRequest { id: ended.session() };
        let revoked = world.authn_as(&kept.access).revoke_session(request.clone()).await.unwrap().into_inner();
        assert!(!revoked.revision.is_empty());
        is_dead(&world, &ended).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        other.answers().await;
        opens(&world, &kept.access).await;
        // Again changes nothing; an unknown one is not found.
        world.authn_as(&kept.access).revoke_session(request).await.unwrap();
        let unknown = RevokeSessionRequest { id: "session_01jd0000000000000000000000".into() };
        assert_refused(world.authn_as(&kept.access).revoke_session(unknown).await, Code::NotFound, "NOT_FOUND");
        assert_eq!(list(&world, &kept.access).await.len(), 1);
    }

    // R33, A36: whoever logs out is out, whichever token they still have.
    async fn whoever_logs_out_is_out(database: Database) {
        let world = world(database).await;
        let by_access = log_in(&world).await;
        let open = Open::over(world.authn_as(&by_access.access)).await;
        world.authn_as(&by_access.access).logout(LogoutRequest::default()).await.unwrap();
        is_dead(&world, &by_access).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        // By the refresh token alone, the access token being over.
        let by_refresh = log_in(&world).await;
        let request = LogoutRequest { refresh_token: by_refresh.refresh.clone() };
        visitor(&world).logout(request.clone()).await.unwrap();
        is_dead(&world, &by_refresh).await;
        visitor(&world).logout(request).await.unwrap();
        // Over REST, and with nothing at all.
        let over_rest = log_in(&world).await;
        let answer =
            rest::call(&world.server.api(), &over_rest.access, Method::POST, "/v1/auth/logout", &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        is_dead(&world, &over_rest).await;
        let nobody = visitor(&world).logout(LogoutRequest::default()).await;
        assert_refused(nobody, Code::Unauthenticated, "CREDENTIALS_MISSING");
    }

    // R33
    async fn all_sessions_end_but_the_one_that_is_kept(database: Database) {
        let world = world(database).await;
        let (kept, one, two) = (log_in(&world).await, log_in(&world).await, log_in(&world).await);
        let open = Open::over(world.authn_as(&two.access)).await;
        let others = RevokeAllSessionsRequest { keep_current: true };
        let answer = world.authn_as(&kept.access).revoke_all_sessions(others).await.unwrap().into_inner();
        assert_eq!(answer.revoked_count, 2);
        is_dead(&world, &one).await;
        is_dead(&world, &two).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        opens(&world, &kept.access).await;
        let open = Open::over(world.authn_as(&kept.access)).await;
        let all = RevokeAllSessionsRequest { keep_current: false };
        let answer = world.authn_as(&kept.access).revoke_all_sessions(all).await.unwrap().into_inner();
        assert_eq!(answer.revoked_count, 1);
        is_dead(&world, &kept).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
    }

    // R33, R37: the others end with the old password, one's own goes on.
    async fn a_changed_password_ends_all_other_sessions(database: Database) {
        let world = world(database).await;
        let (own, other) = (log_in(&world).await, log_in(&world).await);
        let open = Open::over(world.authn_as(&other.access)).await;
        let change = |current: &str| ChangePasswordRequest {
            current_password: current.into(),
            new_password: "an elephant in the pantry".into(),
        };
        let wrong = world.authn_as(&own.access).change_password(change("certainly not it")).await;
        assert_refused(wrong, Code::Unauthenticated, "INVALID_LOGIN");
        opens(&world, &other.access).await;
        world.authn_as(&own.access).change_password(change(&world.password)).await.unwrap();
        is_dead(&world, &other).await;
        open.ends(Code::Unauthenticated, "SESSION_REVOKED").await;
        opens(&world, &own.access).await;
        refresh(&world.server.api(), &own.refresh).await.unwrap();
        let old = visitor(&world).login(owner(&world)).await;
        assert_refused(old, Code::Unauthenticated, "INVALID_LOGIN");
        let new = LoginRequest { password: "an elephant in the pantry".into(), ..owner(&world) };
        Login::of(visitor(&world).login(new).await.unwrap());
    }

    // R6, A10, A39: a session of one tenant is nothing in another; of a tenant of one's own it needs the role there.
    async fn a_session_is_of_one_tenant(database: Database) {
        let world = world(database).await;
        let stranger = world.stranger().await;
        let login = log_in(&world).await;
        for tenant in ["tenant_01jd0000000000000000000000", "no-such-tenant"] {
            let metadata = Metadata::bearer(&login.access).and("x-tenant-id", tenant);
            let refused = client::authn(&world.server.api(), metadata).who_am_i(WhoAmIRequest {}).await;
            assert_refused(refused, Code::PermissionDenied, "TENANT_MISMATCH");
        }
        // For another tenant's key it does not exist.
        let question = VerifyCredentialRequest { credential: login.access.clone(), ..Default::default() };
        let answer = world.authn_as(&stranger.secret).verify_credential(question).await.unwrap().into_inner();
        match answer.outcome {
            Some(Outcome::Denial(denial)) => assert_eq!(denial.reason(), ErrorReason::SessionRevoked),
            other => panic!("another tenant's session is known to the stranger: {other:?}"),
        }
        // A session does what the person may: no key of theirs is needed.
        let made = world.keys_as(&login.access).create_api_key(named("by a session")).await;
        made.unwrap();
    }
}
