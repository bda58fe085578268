//! People over REST: sessions of browsers, whose tokens are in cookies, and the keys that others verify
//! tokens with.
mod cookies;
mod device;
mod factor;
mod key_set;

use crate::harness::rest::{self, Answer};
use crate::harness::world::{OWNER, bootstrap};
use crate::harness::{Database, Server, Settings};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

/// A server and the password of its first person.
struct Home {
    server: Server,
    password: String,
}

impl Home {
    async fn start(database: &Database) -> Self {
        Self::with(database, Settings::default()).await
    }

    /// Nobody is sent away because a busy machine hashes slowly.
    async fn with(database: &Database, settings: Settings) -> Self {
        let block = bootstrap(database).await;
        let settings = settings.set("otlp.backend", "sink").set("hashing.max_wait_ms", "60000");
        let server = Server::serve(database, &settings).await;
        Self { server, password: block["owner_password"].as_str().unwrap().to_owned() }
    }

    /// What the owner logs in with.
    fn login(&self) -> Value {
        json!({"email": OWNER, "password": self.password})
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let json = [("content-type", "application/json")];
        let headers: Vec<_> = headers.iter().copied().chain(json).collect();
        rest::send(&self.server.api(), rest::request(method, path, &headers, body)).await.unwrap()
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send(Method::POST, path, headers, body).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, &Value::Null).await
    }

    /// An access token of the owner's, by a login without cookies.
    async fn access_token(&self) -> String {
        let answer = self.post("/v1/auth/login", &[], &self.login()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A browser that is logged in.
    async fn browser(&self) -> Browser {
        let mut browser = Browser::default();
        let answer = browser.post(self, "/v1/auth/login", &self.login()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        browser
    }
}

/// As much of a browser as the cookies need: it keeps them, forgets them, and sends them back.
#[derive(Clone, Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    /// Asks for cookies and sends the CSRF token, as a page of our own would.
    async fn post(&mut self, home: &Home, path: &str, body: &Value) -> Answer {
        let csrf = self.cookie("csrf").unwrap_or_default();
        let (line, token) = (self.line(), csrf.as_str());
        let mut headers = vec![("doorward-session", "cookie"), ("sec-fetch-site", "same-origin")];
        headers.extend((!line.is_empty()).then_some(("cookie", line.as_str())));
        headers.extend((!token.is_empty()).then_some(("x-csrf-token", token)));
        let answer = home.post(path, &headers, body).await;
        self.keep(&answer);
        answer
    }

    /// Gets as any page of ours does, with nothing but the cookies.
    async fn get(&self, home: &Home, path: &str) -> Answer {
        home.get(path, &[("cookie", &self.line())]).await
    }

    /// The header that it sends.
    fn line(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// A cookie of ours by the end of its name.
    fn cookie(&self, name: &str) -> Option<String> {
        let name = format!("__Host-doorward_{name}");
        self.cookies.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    /// The ends of the names of its cookies.
    fn names(&self) -> Vec<&str> {
        self.cookies.iter().map(|(name, _)| name.trim_start_matches("__Host-doorward_")).collect()
    }

    /// Without one of its cookies.
    fn without(&self, name: &str) -> Self {
        let name = format!("__Host-doorward_{name}");
        Self { cookies: self.cookies.iter().filter(|(known, _)| *known != name).cloned().collect() }
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = line.to_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            // What the prefix asks for (RFC 6265bis §4.1.3.2); a browser drops the cookie otherwise.
            let attributes: Vec<&str> = attributes.split("; ").collect();
            assert!(name.starts_with("__Host-doorward_"), "{name}");
            assert!(attributes.contains(&"Path=/") && attributes.contains(&"Secure"), "{attributes:?}");
            assert!(attributes.contains(&"SameSite=Strict"), "{attributes:?}");
            assert!(!attributes.iter().any(|attribute| attribute.starts_with("Domain")), "{attributes:?}");
            assert_eq!(attributes.contains(&"HttpOnly"), !name.ends_with("_csrf"), "{name}");
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains(&"Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}
