//! A browser's session from its login to its end.
use super::{Browser, Home};
use crate::harness::client::{self, Metadata, assert_refused};
use crate::harness::{Database, on_both};
use doorward::pb::v1::WhoAmIRequest;
use http::Method;
use serde_json::{Value, json};
use tonic::Code;

/// How long a cookie is kept, as its line says.
fn max_age(answer: &crate::harness::rest::Answer, name: &str) -> u64 {
    let lines: Vec<&str> =
        answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let line = lines.iter().find(|line| line.starts_with(&format!("__Host-doorward_{name}="))).unwrap();
    line.split("; ").find_map(|attribute| attribute.strip_prefix("Max-Age=")).unwrap().parse().unwrap()
}

on_both! {
    // R1, R31, A37
    async fn tokens_are_in_cookies_and_nowhere_else(database: Database) {
        let home = Home::start(&database).await;
        let mut browser = Browser::default();
        let answer = browser.post(&home, "/v1/auth/login", &home.login()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["expires_in", "token_type", "user"]);
        assert_eq!(browser.names(), ["access", "refresh", "csrf", "device"]);
        assert_eq!((max_age(&answer, "access"), max_age(&answer, "refresh")), (900, 30 * 24 * 3600));
        for secret in ["access", "refresh", "device"].map(|name| browser.cookie(name).unwrap()) {
            assert!(!answer.text().contains(&secret));
        }
        assert!(!answer.headers.contains_key("doorward-device-token"));
        assert_eq!(answer.header("cache-control"), "no-store");
        // The access token is one like any other.
        let me = browser.get(&home, "/v1/auth/me").await;
        assert_eq!((me.status, &me.json()["principal"]["user_id"]), (200, &body["user"]["id"]), "{}", me.text());
        let health = browser.get(&home, "/v1/health").await.json();
        assert_eq!(health["tenant_id"], body["user"]["tenant_id"], "{health}");
        assert!(home.get("/v1/health", &[("cookie", "theme=dark")]).await.json()["tenant_id"].is_null());
    }

    // A37
    async fn what_changes_something_comes_from_a_page_of_ours(database: Database) {
        let home = Home::start(&database).await;
        let (mut browser, other) = (home.browser().await, home.browser().await);
        let (line, csrf) = (browser.line(), browser.cookie("csrf").unwrap());
        let strange = other.cookie("csrf").unwrap();
        assert_ne!(csrf, strange, "each session has its own");
        let planted = format!("{}; __Host-doorward_csrf={strange}", browser.without("csrf").line());
        let named = json!({"display_name": "from a browser"});
        for headers in [
            &[("cookie", line.as_str())][..],
            &[("cookie", &line), ("x-csrf-token", "guess")],
            &[("cookie", &line), ("x-csrf-token", &strange)],
            &[("cookie", &planted), ("x-csrf-token", &strange)],
            &[("cookie", &line), ("x-csrf-token", &csrf), ("sec-fetch-site", "cross-site")],
        ] {
            let answer = home.post("/v1/api-keys", headers, &named).await;
            let error = answer.assert_refused(403, "FAILED_PRECONDITION");
            assert_eq!(error["required_header"], "x-csrf-token");
            let logout = home.post("/v1/auth/logout", headers, &json!({})).await;
            logout.assert_refused(403, "FAILED_PRECONDITION");
        }
        let refused = home.send(Method::DELETE, "/v1/auth/sessions/x", &[("cookie", &line)], &Value::Null).await;
        refused.assert_refused(403, "FAILED_PRECONDITION");
        assert_eq!(browser.post(&home, "/v1/api-keys", &named).await.status, 200);
        // Neither of the sessions has ended.
        for browser in [&browser, &other] {
            assert_eq!(browser.get(&home, "/v1/auth/me").await.status, 200);
        }
        // Nobody is logged in by another site's page.
        let cross = [("doorward-session", "cookie"), ("sec-fetch-site", "cross-site")];
        let answer = home.post("/v1/auth/login", &cross, &home.login()).await;
        answer.assert_refused(403, "FAILED_PRECONDITION");
    }

    // A14
    async fn a_cookie_is_one_credential_or_none(database: Database) {
        let home = Home::start(&database).await;
        let browser = home.browser().await;
        let (line, token) = (browser.line(), browser.cookie("access").unwrap());
        let bearer = format!("Bearer {token}");
        for more in [("authorization", bearer.as_str()), ("x-api-key", "dw_live_x"), ("cookie", &line)] {
            let answer = home.get("/v1/auth/me", &[("cookie", &line), more]).await;
            answer.assert_refused(401, "AMBIGUOUS_CREDENTIALS");
        }
        let own = format!("doorward_access={token}; __host-doorward_access={token}");
        let answer = home.get("/v1/auth/me", &[("cookie", &own)]).await;
        answer.assert_refused(401, "CREDENTIALS_MISSING");
        let strange = home.get("/v1/auth/me", &[("cookie", "a=1; a=2"), ("authorization", &bearer)]).await;
        assert_eq!(strange.status, 200, "other sites' cookies are nothing to us");
        // A key does not become a session by standing in its cookie.
        let key = "__Host-doorward_access=dw_live_0123456789abcdefghijABCDEFGHIJ01234567";
        home.get("/v1/auth/me", &[("cookie", key)]).await.assert_refused(401, "INVALID_TOKEN");
        let changed = line.replace(&token, &format!("{}AAAA", &token[..token.len() - 4]));
        home.get("/v1/auth/me", &[("cookie", &changed)]).await.assert_refused(401, "INVALID_TOKEN");
        // gRPC has no cookies.
        let mut grpc = client::authn(&home.server.api(), Metadata::none().and("cookie", &line));
        let refused = grpc.who_am_i(WhoAmIRequest {}).await;
        assert_refused(refused, Code::Unauthenticated, "CREDENTIALS_MISSING");
    }

    // R31
    async fn a_refresh_stays_in_the_cookies(database: Database) {
        let home = Home::start(&database).await;
        let mut browser = home.browser().await;
        let before = browser.clone();
        // The access token's cookie has gone with its time.
        browser = browser.without("access");
        browser.get(&home, "/v1/auth/me").await.assert_refused(401, "CREDENTIALS_MISSING");
        let csrf = browser.cookie("csrf").unwrap();
        let line = browser.line();
        let refused = home.post("/v1/auth/refresh", &[("cookie", &line)], &json!({})).await;
        refused.assert_refused(403, "FAILED_PRECONDITION");
        // Even if nobody asks for it.
        let headers = [("cookie", line.as_str()), ("x-csrf-token", &csrf)];
        let answer = home.post("/v1/auth/refresh", &headers, &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json().get("access_token").is_none() && answer.json().get("refresh_token").is_none());
        browser.keep(&answer);
        assert_eq!(browser.cookie("csrf"), before.cookie("csrf"), "the session is the same");
        assert_ne!(browser.cookie("refresh"), before.cookie("refresh"));
        assert_eq!(browser.get(&home, "/v1/auth/me").await.status, 200);
        let both = json!({"refresh_token": "dwr_x"});
        browser.post(&home, "/v1/auth/refresh", &both).await.assert_refused(401, "AMBIGUOUS_CREDENTIALS");
        // The new one was used before the old one comes again: somebody has both.
        assert_eq!(browser.post(&home, "/v1/auth/refresh", &json!({})).await.status, 200);
        let mut thief = before;
        let answer = thief.post(&home, "/v1/auth/refresh", &json!({})).await;
        answer.assert_refused(401, "SESSION_REVOKED");
        assert_eq!(thief.names(), ["device"], "what is worthless is forgotten");
        browser.get(&home, "/v1/auth/me").await.assert_refused(401, "SESSION_REVOKED");
    }

    // R33, A36
    async fn a_logout_ends_the_session_and_its_cookies(database: Database) {
        let home = Home::start(&database).await;
        for missing in ["", "access", "refresh"] {
            let mut browser = home.browser().await;
            let before = browser.clone();
            browser = browser.without(missing);
            let answer = browser.post(&home, "/v1/auth/logout", &json!({})).await;
            assert_eq!(answer.status, 200, "{missing}: {}", answer.text());
            assert_eq!(browser.names(), ["device"], "the device stays known");
            before.get(&home, "/v1/auth/me").await.assert_refused(401, "SESSION_REVOKED");
            let mut again = before.clone();
            again.post(&home, "/v1/auth/refresh", &json!({})).await.assert_refused(401, "SESSION_REVOKED");
        }
        let (first, second) = (home.browser().await, home.browser().await);
        assert_ne!(first.cookie("csrf"), second.cookie("csrf"), "each login is a session of its own");
        let token = home.access_token().await;
        let bearer = format!("Bearer {token}");
        let answer = home.post("/v1/auth/logout", &[("authorization", &bearer)], &json!({})).await;
        assert_eq!((answer.status, answer.headers.get("set-cookie")), (200, None));
    }
}
