//! A small HTTP/1.1 client: one connection a request, nothing added, nothing followed.
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The longest that any answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that must be there once.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value.to_str().unwrap()
    }

    /// Asserts that this is the contract's refusal and gives back its `error` object.
    pub fn assert_refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{} wanted: {}", code, self.text());
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
        assert_eq!(error["correlation_id"], self.header("x-correlation-id"), "{error}");
        error
    }
}

/// Gets a path without any credential.
pub async fn get(address: &str, path: &str) -> Result<Answer, Problem> {
    send(address, request(Method::GET, path, &[], Bytes::new())).await
}

/// Calls the API with a Bearer credential and a JSON body, or none for `Value::Null`.
pub async fn call(address: &str, key: &str, method: Method, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    send(address, request(method, path, &headers, body)).await.unwrap()
}

/// Builds a request; a header that is given twice is sent twice.
pub fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Full<Bytes>> {
    let start = Request::builder().method(method).uri(path);
    headers
        .iter()
        .fold(start, |request, (name, value)| request.header(*name, *value))
        .body(Full::new(body))
        .unwrap()
}

/// Sends a request on a connection of its own.
pub async fn send(address: &str, mut request: Request<Full<Bytes>>) -> Result<Answer, Problem> {
    request.headers_mut().insert("host", address.parse()?);
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    tokio::time::timeout(PATIENCE, exchange).await?
}
