//! The HTTP surface on loopback, against fake back ends.

use http::Uri;
use prost::Message;
use tonic_types::Status as RpcStatus;

use super::*;
use crate::otlp::response::{Export, Partial};
use crate::otlp::testing::{
    Fake, GOOD, Got, Kept, UNKNOWN, gateway, gzip, is_cleaned, large, options, send, serve, spliced, spoofed,
    tenant,
};

/// One HTTP request to a surface.
struct Call {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Call {
    fn new(body: impl Into<Bytes>) -> Self {
        let headers =
            vec![("authorization", GOOD.to_owned()), ("content-type", "application/x-protobuf".to_owned())];
        Self { method: Method::POST, path: "/v1/traces", headers, body: body.into() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(have, _)| *have != name);
        self.headers.push((name, value.to_string()));
        self
    }

    async fn to(self, gateway: Arc<Gateway>) -> Got {
        let address = serve(HttpService::new(gateway)).await;
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = format!("http://{address}{}", self.path).parse::<Uri>().unwrap();
        for (name, value) in self.headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        send(request).await
    }

    async fn into_sink(self) -> (Got, Kept) {
        let (gateway, kept) = gateway(&options("sink"));
        (self.to(gateway).await, kept)
    }

    async fn refusal(self) -> Got {
        let (got, kept) = self.into_sink().await;
        assert!(kept.lines().is_empty(), "{:?}", kept.lines());
        got
    }
}

fn header<'a>(got: &'a Got, name: &str) -> &'a str {
    got.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_large_export_goes_over_the_wire_as_if_it_were_one_piece() {
    let fake = Fake::new(|| Response::new(Body::empty()));
    let address = serve(fake.clone()).await;
    let (gateway, _) = gateway(&options(&format!("http://{address}/otlp/")));
    assert_eq!(Call::new(large()).to(gateway).await.status, 200);
    let seen = &fake.seen()[0];
    assert_eq!(seen.body, spliced());
    assert_eq!(seen.headers.get("content-length").unwrap(), &seen.body.len().to_string());
    assert!(!seen.headers.contains_key("transfer-encoding"));
}

// R60
#[tokio::test]
async fn an_export_reaches_the_back_end_under_the_keys_tenant_and_no_other() {
    let partial = Partial { rejected: 1, message: "one was too old".into() };
    let answer = Export { partial_success: Some(partial) }.to_bytes();
    let fake = Fake::new(move || Response::new(Body::new(Full::new(answer.clone()))));
    let address = serve(fake.clone()).await;
    let (gateway, _) = gateway(&options(&format!("http://{address}/otlp/")));
    let call = Call::new(gzip(&spoofed()))
        .with("content-encoding", "gzip")
        .with("x-tenant-id", "evil")
        .with("x-scope-orgid", "evil")
        .with("cookie", "a=b")
        .with("tracestate", "a=b");
    let got = call.to(gateway).await;
    assert_eq!((got.status, header(&got, "content-type")), (200, "application/x-protobuf"));
    assert_eq!(header(&got, "x-tenant-id"), tenant().to_string());
    let partial = Export::read(got.body).partial_success.unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.message.starts_with("one was too old; removed 3 attributes"), "{}", partial.message);

    let seen = &fake.seen()[0];
    assert_eq!(seen.path, "/otlp/v1/traces");
    assert!(is_cleaned(&seen.body));
    for name in ["x-tenant-id", "x-scope-orgid"] {
        let values: Vec<_> = seen.headers.get_all(name).iter().collect();
        assert_eq!(values, [&tenant().to_string()], "{name}");
    }
    assert_eq!(seen.headers.get("tracestate").unwrap(), "a=b");
    for name in ["authorization", "cookie", "content-encoding"] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn json_reaches_the_back_end_as_protobuf_and_is_answered_in_json() {
    let fake = Fake::new(|| Response::new(Body::empty()));
    let address = serve(fake.clone()).await;
    let (gateway, _) = gateway(&options(&format!("http://{address}/otlp")));
    let request =
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest::decode(spoofed());
    let json = serde_json::to_vec(&request.unwrap()).unwrap();
    for (coding, body) in
        [("identity", json.clone()), ("gzip", gzip(&json)), ("zstd", zstd::encode_all(&*json, 3).unwrap())]
    {
        let call = Call::new(body).with("content-type", "application/json; charset=utf-8");
        let got = call.with("content-encoding", coding).to(Arc::clone(&gateway)).await;
        assert_eq!((got.status, header(&got, "content-type")), (200, "application/json"), "{coding}");
        let answer: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
        // Once an hour.
        let told = answer["partialSuccess"]["errorMessage"].as_str();
        assert_eq!(told.is_some_and(|told| told.starts_with("removed 3 attributes")), coding == "identity");
        let seen = fake.seen().pop().unwrap();
        assert_eq!(seen.headers["content-type"], "application/x-protobuf");
        assert!(is_cleaned(&seen.body));
    }
    let clean = Call::new("{\"resourceSpans\":[{}]}").with("content-type", "application/json");
    assert_eq!(clean.to(gateway).await.body, "{}");
}

#[tokio::test]
async fn the_sink_prints_and_full_success_is_an_empty_body() {
    let (got, kept) = Call::new(vec![0x0a, 0x00]).into_sink().await;
    assert_eq!((got.status, got.body.len()), (200, 0));
    let line = &kept.lines()[0];
    assert!(
        line.starts_with(&format!("otlp signal=traces tenant={} slug=acme items=0 ", tenant())),
        "{line}"
    );
}

#[tokio::test]
async fn refusals_have_their_status_and_a_body_in_the_requests_encoding() {
    let json = |call: Call| call.with("content-type", "application/json");
    let empty = || Call::new(Bytes::new());
    let cases = [
        (empty().with("authorization", "Bearer bad"), 401, 16),
        (empty().with("authorization", "Basic %%%"), 401, 16),
        (empty().with("api-key", "other"), 401, 16),
        (empty().with("authorization", UNKNOWN), 503, 14),
        (json(empty()), 400, 3),
        (json(Call::new("{]")), 400, 3),
        (json(empty()).with("content-encoding", "br"), 415, 12),
        (json(empty()).with("authorization", "Bearer bad"), 401, 16),
        (empty().with("content-encoding", "br"), 415, 12),
        (empty().with("content-type", "text/plain"), 415, 12),
        (empty().with("content-encoding", "gzip, gzip"), 415, 12),
        (Call { method: Method::GET, ..empty() }, 405, 12),
        (Call { path: "/v1/profiles", ..empty() }, 404, 5),
        (Call { path: "/v1development/profiles", ..empty() }, 404, 5),
        (Call { path: "/v1/traces/", ..empty() }, 404, 5),
        (Call::new(vec![0xff; 9]), 400, 3),
        (Call::new(b"not gzip".to_vec()).with("content-encoding", "gzip"), 400, 3),
        (Call::new(vec![0; 100_001]), 413, 8),
        (Call::new(gzip(&vec![0; 10_000_000])).with("content-encoding", "gzip"), 413, 8),
    ];
    for (at, (call, status, code)) in cases.into_iter().enumerate() {
        let is_json = !call.headers.contains(&("content-type", "application/x-protobuf".to_owned()));
        let got = call.refusal().await;
        assert_eq!(got.status, status, "case {at}");
        assert!(!header(&got, "x-correlation-id").is_empty(), "case {at}");
        if is_json {
            assert_eq!(header(&got, "content-type"), "application/json", "case {at}");
            let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
            assert_eq!(body["code"], code, "case {at}: {body}");
            assert_eq!(body["details"][0]["domain"], "doorward.dev", "case {at}: {body}");
        } else {
            assert_eq!(header(&got, "content-type"), "application/x-protobuf", "case {at}");
            let body = RpcStatus::decode(got.body).unwrap();
            assert_eq!(body.code, code, "case {at}: {body:?}");
            assert!(!body.message.is_empty() && !body.details.is_empty(), "case {at}: {body:?}");
        }
    }
}

#[tokio::test]
async fn headers_tell_what_to_do_next() {
    let bad = Call::new(Bytes::new()).with("authorization", "Bearer bad").refusal().await;
    assert!(header(&bad, "www-authenticate").starts_with("Bearer"));
    assert_eq!(header(&bad, "connection"), "close");
    let outage = Call::new(Bytes::new()).with("authorization", UNKNOWN).refusal().await;
    let wait: u64 = header(&outage, "retry-after").parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    let method = Call { method: Method::PUT, ..Call::new(Bytes::new()) }.refusal().await;
    assert_eq!(header(&method, "allow"), "POST");
    let encoding = Call::new(Bytes::new()).with("content-encoding", "br").refusal().await;
    assert!(header(&encoding, "accept-encoding").contains("gzip"));
    let read = Call::new(vec![0xff; 9]).refusal().await;
    assert_eq!(header(&read, "connection"), "", "the body was read, the connection is in order");
}

#[tokio::test]
async fn a_refused_senders_body_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = serve(HttpService::new(gateway(&options("sink")).0)).await;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                authorization: Bearer bad\r\ncontent-length: 90000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let mut buffer = [0; 1024];
    while !answer.contains("\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "closed before an answer: {answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn each_credential_header_opens_the_door() {
    let (gateway, _) = gateway(&options("sink"));
    for (name, value) in [("x-honeycomb-team", "good"), ("authorization", "Bearer%20good")] {
        let mut call = Call::new(vec![0x0a, 0x00]);
        call.headers.retain(|(have, _)| *have != "authorization");
        let got = call.with(name, value).to(Arc::clone(&gateway)).await;
        assert_eq!(got.status, 200, "{name}");
        let told = Export::read(got.body).partial_success.map(|partial| partial.message).unwrap_or_default();
        assert_eq!(told.contains("%20"), value.contains("%20"), "{told}");
    }
}

#[tokio::test]
async fn what_the_back_end_refuses_is_not_acknowledged() {
    for (theirs, ours) in
        [(400, 400), (401, 503), (403, 503), (404, 501), (413, 413), (429, 429), (500, 500), (503, 503)]
    {
        let fake = Fake::new(move || {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(theirs).unwrap();
            response
        });
        let address = serve(fake).await;
        let got = Call::new(spoofed()).to(gateway(&options(&format!("http://{address}/otlp"))).0).await;
        assert_eq!(got.status, ours, "{theirs}");
        let must_wait = matches!(ours, 429 | 503);
        assert_eq!(got.headers.contains_key("retry-after"), must_wait, "{theirs}");
    }
    let gone = gateway(&options("http://127.0.0.1:1")).0;
    assert_eq!(Call::new(spoofed()).to(gone).await.status, 503);
}

#[tokio::test]
async fn nothing_stays_held() {
    let (gateway, _) = gateway(&options("sink"));
    let before = gateway.budget().free();
    for body in [spoofed(), Bytes::from_static(&[0xff; 50]), vec![0; 100_001].into()] {
        Call::new(body).to(Arc::clone(&gateway)).await;
    }
    assert_eq!(gateway.budget().free(), before);
}
