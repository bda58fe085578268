//! What browsers and others without a key ask for.

use super::*;

#[tokio::test]
async fn the_key_set_is_for_everybody() {
    for target in ["/oauth2/jwks", "/.well-known/jwks.json", "/api/oauth2/jwks", "/api/.well-known/jwks.json"]
    {
        let (asked, seen) = ask(Outcome::Broken, get(target)).await;
        assert_eq!((asked.status, asked.json(), seen.count()), (200, json!({"keys": []}), 0), "{target}");
        assert_eq!(asked.headers["content-type"], "application/jwk-set+json");
        assert_eq!(asked.headers["cache-control"], "public, max-age=300");
        let (head, _) = ask(Outcome::Broken, request("HEAD", target, &[], "")).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.headers["content-length"], "11");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let (asked, _) = ask(Outcome::Broken, request(method, target, &[], "")).await;
            assert_eq!(
                (asked.status, &asked.headers["allow"]),
                (405, &HeaderValue::from_static("GET, HEAD"))
            );
            assert_eq!(asked.headers["cache-control"], "no-store");
        }
    }
    let (asked, _) = ask(Outcome::Broken, get("/oauth2/jwks/")).await;
    assert_eq!(asked.status, 404);
}

// R31: whatever way of logging in gave them.
#[tokio::test]
async fn tokens_become_cookies_where_they_are_asked_for() {
    let payload = concat!(
        r#"{"iss":"doorward","sub":"user_00000000000000000000000001","aud":"doorward","exp":2000000900,"#,
        r#""iat":2000000000,"nbf":2000000000,"auth_time":2000000000,"jti":"1","#,
        r#""sid":"session_00000000000000000000000001","tid":"tenant_00000000000000000000000001","#,
        r#""client_id":"doorward","amr":["pwd"]}"#
    );
    let payload = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload);
    let answer = v1::CompleteLoginResponse {
        access_token: format!("e30.{payload}.c2ln"),
        refresh_token: "dwr_1".to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: 900,
        ..v1::CompleteLoginResponse::default()
    };
    let answered = || Outcome::Message(answer.encode_to_vec());
    for path in ["/v1/auth/login", "/v1/auth/login:complete", "/v1/auth/refresh"] {
        let wanting = [JSON, ("doorward-session", "cookie")];
        let (asked, _) = ask(answered(), request("POST", path, &wanting, "{}")).await;
        assert_eq!((asked.status, asked.json()), (200, json!({"token_type": "Bearer", "expires_in": 900})));
        assert_eq!(asked.headers.get_all("set-cookie").iter().count(), 3, "{path}");
        let (asked, _) = ask(answered(), request("POST", path, &[JSON], "{}")).await;
        assert_eq!((asked.status, &asked.json()["refresh_token"]), (200, &json!("dwr_1")));
        assert!(!asked.headers.contains_key("set-cookie"), "{path}");
    }
}

// A16: the only cookies of an answer are those that this surface makes.
#[tokio::test]
async fn no_cookie_goes_in_or_comes_out_as_it_is() {
    let (asked, seen) = ask(who(), request("GET", "/v1/auth/me", &[("cookie", "theme=dark")], "")).await;
    assert!(!seen.only().headers.contains_key("cookie"));
    assert!(!asked.headers.contains_key("set-cookie"));
    let twice = [("cookie", "__Host-doorward_access=a; __Host-doorward_access=a")];
    let (asked, seen) = ask(who(), request("GET", "/v1/auth/me", &twice, "")).await;
    assert_eq!((asked.status, asked.code().as_str(), seen.count()), (401, "AMBIGUOUS_CREDENTIALS", 0));
    let ends = [JSON, ("cookie", "__Host-doorward_refresh=x")];
    let (asked, seen) = ask(empty(), request("POST", "/v1/auth/logout", &ends, "{}")).await;
    assert_eq!((asked.status, asked.code().as_str(), seen.count()), (401, "INVALID_TOKEN", 0));
}
