//! What goes into the stack and what comes out of it, call by call.

use super::*;
use crate::domain::{TenantId, UserId};
use crate::guard::METHODS;
use crate::http::transcode::rpcs_of;
use crate::secret::Pepper;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use zeroize::Zeroizing;

const COMPLETE: &str = "/doorward.v1.AuthnService/CompleteLogin";
const WHO_AM_I: &str = "/doorward.v1.AuthnService/WhoAmI";
const CREATE: &str = "/doorward.v1.KeysService/CreateApiKey";
const RESET: &str = "/doorward.v1.AuthnService/ResetPassword";
const REFRESH_TOKEN: &str = "dwr_1";

fn key() -> CsrfKey {
    CsrfKey::of(&Pepper::new(Zeroizing::new(vec![9; 32])).unwrap()).unwrap()
}

fn session(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

/// A token that names the session and that nobody signed.
fn token(session: SessionId) -> String {
    let claims = json!({
        "iss": "doorward", "sub": UserId::from_bytes([1; 16]).to_string(), "aud": "doorward",
        "exp": 2_000_000_900, "iat": 2_000_000_000, "nbf": 2_000_000_000, "auth_time": 2_000_000_000,
        "jti": "1", "sid": session.to_string(), "tid": TenantId::from_bytes([2; 16]).to_string(),
        "client_id": "doorward", "amr": ["pwd"],
    });
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Cookies as a browser sends them, each by its short name.
fn cookies(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("theme=dark; __Host-doorward_{name}={value}")).collect();
    pairs.join("; ")
}

struct Came {
    outcome: Result<Entered, Problem>,
    headers: HeaderMap,
}

impl Came {
    fn refusal(&self) -> (u16, &str) {
        let problem = self.outcome.as_ref().unwrap_err();
        (problem.status().as_u16(), problem.reason())
    }

    fn bearer(&self) -> Option<&str> {
        assert!(self.outcome.is_ok(), "{:?}", self.outcome);
        self.headers.get("authorization").map(|value| value.to_str().unwrap())
    }

    fn ticket(&self) -> Ticket {
        self.outcome.as_ref().unwrap().ticket
    }

    fn message<M: Message + Default>(&self) -> M {
        M::decode(self.outcome.as_ref().unwrap().message.clone()).unwrap()
    }
}

fn ask(method: &Method, rpc: &str, headers: &[(&'static str, &str)], message: &impl Message) -> Came {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let asked = Asked { method, rpc, gives_tokens: [LOGIN, COMPLETE, REFRESH].contains(&rpc) };
    let outcome = Browsers::new(key()).enter(asked, &mut map, message.encode_to_vec().into());
    Came { outcome, headers: map }
}

/// A call of no content.
fn call(method: &Method, rpc: &str, headers: &[(&'static str, &str)]) -> Came {
    ask(method, rpc, headers, &())
}

fn login() -> LoginRequest {
    LoginRequest { email: "a@b".into(), ..LoginRequest::default() }
}

// R1
#[test]
fn a_cookie_becomes_the_calls_credential() {
    let token = token(session(1));
    for method in [Method::GET, Method::HEAD] {
        let asked = call(&method, WHO_AM_I, &[("cookie", &cookies(&[("access", &token)]))]);
        assert_eq!(asked.bearer(), Some(format!("Bearer {token}").as_str()));
        assert!(asked.headers["authorization"].is_sensitive());
    }
    let none = call(&Method::GET, WHO_AM_I, &[("cookie", "theme=dark; access=x.y.z")]);
    assert_eq!(none.bearer(), None);
    // Nobody asks for a credential there, so that there is nothing to move.
    assert_eq!(call(&Method::POST, RESET, &[("cookie", &cookies(&[("access", &token)]))]).bearer(), None);
}

// A14
#[test]
fn a_cookie_and_another_credential_are_ambiguous() {
    let token = token(session(1));
    let (one, bearer) = (cookies(&[("access", &token)]), format!("Bearer {token}"));
    let twice = format!("{one}; {one}");
    for headers in [
        &[("cookie", one.as_str()), ("authorization", "Bearer dw_1")][..],
        &[("cookie", &one), ("authorization", &bearer)],
        &[("cookie", &one), ("x-api-key", "dw_1")],
        &[("cookie", &one), ("x-master-key", "")],
        &[("cookie", &twice)],
        &[("cookie", &one), ("cookie", &one)],
    ] {
        let asked = call(&Method::GET, WHO_AM_I, headers);
        assert_eq!(asked.refusal(), (401, "AMBIGUOUS_CREDENTIALS"), "{headers:?}");
    }
    // Cookies of others are nothing to us.
    let asked = call(&Method::GET, WHO_AM_I, &[("cookie", "a=1; a=2"), ("authorization", "Bearer dw_1")]);
    assert_eq!(asked.bearer(), Some("Bearer dw_1"));
}

#[test]
fn a_cookie_that_is_no_token_never_goes_on() {
    for value in ["", "dw_live_1", "a.b.c", "e30.e30.e30", &token(session(1)).replace("e30.", "e30")] {
        let asked = call(&Method::GET, WHO_AM_I, &[("cookie", &cookies(&[("access", value)]))]);
        assert_eq!(asked.refusal(), (401, "INVALID_TOKEN"), "{value}");
    }
}

// A37
#[test]
fn what_changes_something_needs_the_sessions_csrf_token() {
    let (token, right, other) = (token(session(1)), key().token(session(1)), key().token(session(2)));
    let both = cookies(&[("access", &token), ("csrf", &right)]);
    let planted = cookies(&[("access", &token), ("csrf", &other)]);
    let twice = cookies(&[("access", &token), ("csrf", &right), ("csrf", &right)]);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let good = call(&method, CREATE, &[("cookie", &both), ("x-csrf-token", &right)]);
        assert!(good.bearer().is_some());
        for headers in [
            &[("cookie", both.as_str())][..],
            &[("cookie", &both), ("x-csrf-token", "")],
            &[("cookie", &both), ("x-csrf-token", &other)],
            &[("cookie", &both), ("x-csrf-token", &right), ("x-csrf-token", &right)],
            // The double alone is not enough: it has to be this session's.
            &[("cookie", &planted), ("x-csrf-token", &other)],
            &[("cookie", &planted), ("x-csrf-token", &right)],
            &[("cookie", &cookies(&[("access", &token)])), ("x-csrf-token", &right)],
            &[("cookie", &both), ("x-csrf-token", &right), ("sec-fetch-site", "cross-site")],
            &[("cookie", &both), ("x-csrf-token", &right), ("sec-fetch-site", "Cross-Site")],
        ] {
            let asked = call(&method, CREATE, headers);
            assert_eq!(asked.refusal(), (403, "FAILED_PRECONDITION"), "{method} {headers:?}");
            assert!(!asked.headers.contains_key("authorization"));
        }
        let asked = call(&method, CREATE, &[("cookie", &twice), ("x-csrf-token", &right)]);
        assert_eq!(asked.refusal(), (401, "AMBIGUOUS_CREDENTIALS"));
    }
    for site in ["same-origin", "same-site", "none"] {
        let headers = [("cookie", both.as_str()), ("x-csrf-token", &right), ("sec-fetch-site", site)];
        assert!(call(&Method::POST, CREATE, &headers).bearer().is_some(), "{site}");
    }
    // A credential that no browser adds by itself needs none.
    assert!(call(&Method::POST, CREATE, &[("authorization", "Bearer dw_1")]).bearer().is_some());
}

#[test]
fn cookies_are_asked_for_by_a_header_that_no_form_can_set() {
    assert!(!ask(&Method::POST, LOGIN, &[], &login()).ticket().keeps);
    for rpc in [LOGIN, COMPLETE, REFRESH] {
        assert!(call(&Method::POST, rpc, &[("doorward-session", "cookie")]).ticket().keeps, "{rpc}");
        for headers in [
            &[("doorward-session", "cookies")][..],
            &[("doorward-session", "")],
            &[("doorward-session", "cookie"), ("doorward-session", "cookie")],
        ] {
            assert_eq!(call(&Method::POST, rpc, headers).refusal(), (400, "INVALID_ARGUMENT"), "{headers:?}");
        }
        let cross = [("doorward-session", "cookie"), ("sec-fetch-site", "cross-site")];
        assert_eq!(call(&Method::POST, rpc, &cross).refusal(), (403, "FAILED_PRECONDITION"), "{rpc}");
    }
}

#[test]
fn a_known_device_is_known_by_its_cookie() {
    let cookie = cookies(&[("device", "dwd_1"), ("access", &token(session(1)))]);
    let wanting = [("cookie", cookie.as_str()), ("doorward-session", "cookie")];
    let asked = ask(&Method::POST, LOGIN, &wanting, &login());
    assert_eq!(asked.message::<LoginRequest>(), LoginRequest { device_token: "dwd_1".into(), ..login() });
    assert_eq!(asked.bearer(), None, "a login has no credential");
    let told = LoginRequest { device_token: "dwd_2".into(), ..login() };
    assert_eq!(ask(&Method::POST, LOGIN, &wanting, &told).message::<LoginRequest>(), told);
    let plain = ask(&Method::POST, LOGIN, &[("cookie", &cookie)], &login());
    assert_eq!(plain.message::<LoginRequest>(), login());
}

#[test]
fn a_refresh_and_a_logout_take_the_token_from_its_cookie() {
    let (right, id) = (key().token(session(1)), session(1));
    let cookie = cookies(&[("refresh", &format!("{id}.{REFRESH_TOKEN}")), ("csrf", &right)]);
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &right)];
    let refresh = call(&Method::POST, REFRESH, &headers);
    assert_eq!(refresh.message::<RefreshSessionRequest>().refresh_token, REFRESH_TOKEN);
    // Without being asked: what was out of reach of scripts stays so.
    assert_eq!(refresh.ticket(), Ticket { keeps: true, spends: true, ends: false });
    let logout = call(&Method::POST, LOGOUT, &headers);
    assert_eq!(logout.message::<LogoutRequest>().refresh_token, REFRESH_TOKEN);
    assert_eq!((logout.bearer(), logout.ticket().ends), (None, true));
    for rpc in [REFRESH, LOGOUT] {
        assert_eq!(call(&Method::POST, rpc, &headers[..1]).refusal(), (403, "FAILED_PRECONDITION"));
        let mixed = cookies(&[("refresh", &format!("{}.{REFRESH_TOKEN}", session(2))), ("csrf", &right)]);
        let asked = call(&Method::POST, rpc, &[("cookie", &mixed), ("x-csrf-token", &right)]);
        assert_eq!(asked.refusal(), (403, "FAILED_PRECONDITION"), "the token of another session");
        let told = RefreshSessionRequest { refresh_token: "dwr_2".into() };
        assert_eq!(ask(&Method::POST, rpc, &headers, &told).refusal(), (401, "AMBIGUOUS_CREDENTIALS"));
        for value in ["", "dwr_1", "session_1.dwr_1"] {
            let asked = call(&Method::POST, rpc, &[("cookie", &cookies(&[("refresh", value)]))]);
            assert_eq!(asked.refusal(), (401, "INVALID_TOKEN"), "{value}");
        }
        let none = call(&Method::POST, rpc, &[("cookie", "theme=dark")]);
        assert_eq!(none.ticket(), Ticket::default());
    }
}

#[test]
fn a_logout_by_the_access_cookie_alone_ends_its_session() {
    let (right, token) = (key().token(session(1)), token(session(1)));
    let cookie = cookies(&[("access", &token), ("csrf", &right)]);
    let asked = call(&Method::POST, LOGOUT, &[("cookie", &cookie), ("x-csrf-token", &right)]);
    assert_eq!(asked.bearer(), Some(format!("Bearer {token}").as_str()));
    assert!(asked.ticket().ends);
    assert_eq!(call(&Method::POST, LOGOUT, &[("cookie", &cookie)]).refusal(), (403, "FAILED_PRECONDITION"));
    let both = [("cookie", cookie.as_str()), ("x-csrf-token", &right), ("x-api-key", "dw_1")];
    assert_eq!(call(&Method::POST, LOGOUT, &both).refusal(), (401, "AMBIGUOUS_CREDENTIALS"));
}

fn left(ticket: Ticket, headers: &mut HeaderMap, body: Result<Value, Problem>) -> (Value, Vec<String>) {
    let left = Browsers::new(key()).leave(ticket, headers, body.map(|body| body.to_string().into()));
    let body = match left.body {
        Ok(json) => serde_json::from_slice(&json).unwrap(),
        Err(problem) => json!(problem.reason()),
    };
    (body, left.cookies.iter().map(|line| line.to_str().unwrap().to_owned()).collect())
}

const KEEPS: Ticket = Ticket { keeps: true, ends: false, spends: false };

// R31
#[test]
fn tokens_go_into_cookies_and_nowhere_else() {
    let (id, access) = (session(1), token(session(1)));
    let answer = json!({
        "access_token": access, "refresh_token": REFRESH_TOKEN, "token_type": "Bearer", "expires_in": 900,
        "user": {"id": "user_1"},
    });
    let mut headers = HeaderMap::from_iter([(DEVICE_TOKEN, HeaderValue::from_static("dwd_1"))]);
    let (body, cookies) = left(KEEPS, &mut headers, Ok(answer.clone()));
    assert_eq!(body, json!({"token_type": "Bearer", "expires_in": 900, "user": {"id": "user_1"}}));
    assert!(headers.is_empty(), "the device's token is in its cookie");
    let begins = [
        format!("__Host-doorward_access={access}; Max-Age=900; "),
        format!("__Host-doorward_refresh={id}.{REFRESH_TOKEN}; Max-Age=2592000; "),
        format!("__Host-doorward_csrf={}; Max-Age=2592000; ", key().token(id)),
        "__Host-doorward_device=dwd_1; Max-Age=31536000; ".to_owned(),
    ];
    assert_eq!(cookies.len(), begins.len());
    for (line, begin) in cookies.iter().zip(&begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    let (body, cookies) = left(Ticket::default(), &mut HeaderMap::new(), Ok(answer.clone()));
    assert_eq!((body, cookies.len()), (answer, 0));
}

#[test]
fn a_login_that_waits_has_no_cookies() {
    let answer = json!({"mfa_required": {"challenge": "dwc_1"}});
    let (body, cookies) = left(KEEPS, &mut HeaderMap::new(), Ok(answer.clone()));
    assert_eq!((body, cookies.len()), (answer, 0));
}

#[test]
fn an_answer_that_cannot_be_kept_gives_no_token_away() {
    for (access, life) in [("opaque", json!(900)), (token(session(1)).as_str(), json!("x"))] {
        let answer = json!({"access_token": access, "refresh_token": "dwr_1", "expires_in": life});
        let (body, cookies) = left(KEEPS, &mut HeaderMap::new(), Ok(answer));
        assert_eq!((body, cookies.len()), (json!("INTERNAL"), 0));
    }
}

#[test]
fn cookies_are_forgotten_with_their_session() {
    let refused = |reason| Err(Problem::from(Refusal::new(reason, "no")));
    let ends = Ticket { ends: true, ..Ticket::default() };
    let spends = Ticket { keeps: true, spends: true, ends: false };
    for (ticket, body, forgets) in [
        (ends, Ok(json!({"revision": "1"})), true),
        (ends, refused(Reason::SessionRevoked), true),
        (spends, refused(Reason::SessionRevoked), true),
        (spends, refused(Reason::InvalidToken), true),
        // The session may live on.
        (ends, refused(Reason::BackendUnavailable), false),
        (spends, refused(Reason::BackendUnavailable), false),
        (spends, refused(Reason::RateLimitExceeded), false),
        // A login that failed is no reason to end another.
        (KEEPS, refused(Reason::InvalidLogin), false),
        (Ticket::default(), refused(Reason::TokenExpired), false),
    ] {
        let told = format!("{ticket:?} {body:?}");
        let (_, cookies) = left(ticket, &mut HeaderMap::new(), body);
        let names: Vec<&str> =
            cookies.iter().map(|line| line.split_once("=; Max-Age=0; ").unwrap().0).collect();
        let session = ["__Host-doorward_access", "__Host-doorward_refresh", "__Host-doorward_csrf"];
        assert_eq!(names, if forgets { &session[..] } else { &[] }, "{told}");
    }
}

// A37: what needs no CSRF token must change nothing.
#[test]
fn no_safe_method_changes_anything() {
    let safe: Vec<String> = rpcs_of(&Method::GET);
    assert!(safe.len() > 5, "{safe:?}");
    for rpc in safe {
        let policy = METHODS.iter().find(|policy| policy.method == rpc).unwrap();
        assert_eq!(policy.audit, None, "{rpc} changes something and is a GET");
    }
}
