//! The gRPC surface on loopback, against fake back ends.

use std::time::Duration;

use http::{Method, Version};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::otlp::response::Export;
use crate::otlp::testing::{
    Fake, GOOD, Got, Kept, UNKNOWN, gateway, gzip, is_cleaned, large, options, send, serve, spliced, spoofed,
    tenant,
};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PROFILES: &str = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

/// One gRPC call to a surface before `backend`.
struct Call {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Call {
    fn new(body: impl Into<Bytes>) -> Self {
        Self { path: TRACES, headers: vec![("authorization", GOOD.to_owned())], body: body.into() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(have, _)| *have != name);
        self.headers.push((name, value.to_string()));
        self
    }

    async fn to(self, gateway: Arc<Gateway>) -> Got {
        let address = serve(GrpcService::new(gateway)).await;
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = format!("http://{address}{}", self.path).parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, GRPC);
        for (name, value) in self.headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        send(request).await
    }

    async fn into_sink(self) -> (Got, Kept) {
        let (gateway, kept) = gateway(&options("sink"));
        (self.to(gateway).await, kept)
    }

    /// The code and reason of a call that is refused.
    async fn refusal(self) -> (Code, String) {
        let (got, kept) = self.into_sink().await;
        assert!(kept.lines().is_empty(), "{:?}", kept.lines());
        let status = status(&got);
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        (status.code(), reason)
    }
}

fn status(got: &Got) -> Status {
    assert_eq!(got.status, 200);
    assert_eq!(got.headers.get(CONTENT_TYPE), Some(&GRPC));
    let found = Status::from_header_map(&got.headers).or_else(|| Status::from_header_map(&got.trailers));
    found.unwrap()
}

/// Makes the status of a back end.
type Made = fn() -> Status;

/// A back end that answers with this status.
async fn refusing(status: impl Fn() -> Status + Send + Sync + 'static) -> Arc<Gateway> {
    let address = serve(Fake::new(move || status().into_http())).await;
    let mut options = options(&format!("http://{address}"));
    options.backend_protocol = Some(crate::otlp::Protocol::Grpc);
    gateway(&options).0
}

fn taken() -> Response<Body> {
    let trailers =
        HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(frame::framed(b"")).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

#[tokio::test]
async fn a_large_export_goes_over_the_wire_as_one_message() {
    let fake = Fake::new(taken);
    let address = serve(fake.clone()).await;
    let mut options = options(&format!("http://{address}"));
    options.backend_protocol = Some(crate::otlp::Protocol::Grpc);
    let got = Call::new(frame::framed(&large())).to(gateway(&options).0).await;
    assert_eq!(status(&got).code(), Code::Ok);
    assert_eq!(fake.seen()[0].body, frame::framed(&spliced()));
}

// R60
#[tokio::test]
async fn an_export_reaches_the_back_end_under_the_keys_tenant_and_no_other() {
    let fake = Fake::new(taken);
    let address = serve(fake.clone()).await;
    let mut options = options(&format!("http://{address}"));
    options.backend_protocol = Some(crate::otlp::Protocol::Grpc);
    let call = Call::new(frame::framed(&spoofed()))
        .with("x-tenant-id", "evil")
        .with("x-scope-orgid", "evil")
        .with("x-correlation-id", "c-1")
        .with("traceparent", "00-1-2-01");
    let got = call.to(gateway(&options).0).await;
    assert_eq!(status(&got).code(), Code::Ok);
    assert_eq!(got.headers.get("x-correlation-id").unwrap(), "c-1");
    assert_eq!(got.headers.get("x-tenant-id").unwrap(), &tenant().to_string());
    let partial = Export::read(got.body.slice(5..)).partial_success.unwrap();
    assert_eq!(partial.rejected, 0);
    assert!(partial.message.contains("3 attributes"), "{}", partial.message);

    let seen = &fake.seen()[0];
    assert_eq!(seen.path, TRACES);
    assert!(is_cleaned(&seen.body[5..]));
    for name in ["x-tenant-id", "x-scope-orgid"] {
        let values: Vec<_> = seen.headers.get_all(name).iter().collect();
        assert_eq!(values, [&tenant().to_string()], "{name}");
    }
    assert_eq!(seen.headers.get("traceparent").unwrap(), "00-1-2-01");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn compressed_messages_are_taken_and_full_success_says_nothing() {
    let plain = [0x0a, 0x00];
    let frame = |packed: &[u8]| {
        let mut framed = frame::framed(packed).to_vec();
        framed[0] = 1;
        framed
    };
    let (gzipped, zstd) = (frame(&gzip(&plain)), frame(&zstd::encode_all(&plain[..], 1).unwrap()));
    for (name, framed) in [("gzip", &gzipped), ("zstd", &zstd)] {
        let (got, kept) = Call::new(framed.clone()).with("grpc-encoding", name).into_sink().await;
        assert_eq!(status(&got).code(), Code::Ok, "{name}");
        assert_eq!(got.headers["grpc-accept-encoding"], "zstd,gzip,identity");
        assert_eq!(got.body, [0; 5][..]);
        assert_eq!(kept.lines().len(), 1);
    }
    let unsaid = Call::new(gzipped.clone()).refusal().await;
    assert_eq!(unsaid, (Code::Internal, "INTERNAL".to_owned()));
    let wrong = Call::new(gzipped.clone()).with("grpc-encoding", "zstd").refusal().await;
    assert_eq!(wrong, (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
    let other = Call::new(gzipped).with("grpc-encoding", "snappy").refusal().await;
    assert_eq!(other, (Code::Unimplemented, "UNIMPLEMENTED".to_owned()));
}

#[tokio::test]
async fn an_empty_request_is_a_success_that_goes_nowhere() {
    let (got, kept) = Call::new(frame::framed(b"")).into_sink().await;
    assert_eq!(status(&got).code(), Code::Ok);
    assert!(kept.lines().is_empty());
}

#[tokio::test]
async fn case_11_bad_requests_are_told_apart() {
    let framed = |bytes: &[u8]| frame::framed(bytes);
    let two = [framed(&[0x0a, 0x00]), framed(&[0x0a, 0x00])].concat();
    let cases = [
        (
            Call::new(framed(b"")).with("authorization", "Bearer bad"),
            Code::Unauthenticated,
            "INVALID_API_KEY",
        ),
        (Call::new(framed(b"")).with("authorization", UNKNOWN), Code::Unavailable, "BACKEND_UNAVAILABLE"),
        (Call::new(framed(b"")).with("api-key", "other"), Code::Unauthenticated, "AMBIGUOUS_CREDENTIALS"),
        (Call::new(framed(b"\xff\xff")), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Call::new(two), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Call::new(framed(b"abc").slice(..7)), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Call::new(Bytes::new()), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Call::new(vec![0, 0xff, 0xff, 0xff, 0xff]), Code::ResourceExhausted, "PAYLOAD_TOO_LARGE"),
        (Call::new(framed(&vec![0; 100_001])), Code::ResourceExhausted, "PAYLOAD_TOO_LARGE"),
        (Call::new(framed(b"")).with("grpc-timeout", "soon"), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (Call { path: PROFILES, ..Call::new(framed(b"")) }, Code::Unimplemented, "UNIMPLEMENTED"),
        (Call { path: "/x.Y/Z", ..Call::new(framed(b"")) }, Code::Unimplemented, "UNIMPLEMENTED"),
    ];
    for (at, (call, code, reason)) in cases.into_iter().enumerate() {
        assert_eq!(call.refusal().await, (code, reason.to_owned()), "case {at}");
    }
}

#[tokio::test]
async fn too_large_is_never_repeated_and_an_outage_is_after_a_short_wait() {
    let (large, _) = Call::new(frame::framed(&vec![0; 100_001])).into_sink().await;
    assert!(status(&large).get_details_retry_info().is_none());
    assert!(!large.headers.contains_key("google.rpc.retryinfo-bin"));
    let (outage, _) = Call::new(frame::framed(b"")).with("authorization", UNKNOWN).into_sink().await;
    let wait = status(&outage).get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((Duration::from_secs(1)..=PATIENCE).contains(&wait), "{wait:?}");
    assert!(outage.headers.contains_key("google.rpc.retryinfo-bin"));
}

/// The longest wait that an SDK is told.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_bomb_is_refused() {
    let mut framed = frame::framed(&gzip(&vec![0; 10_000_000])).to_vec();
    framed[0] = 1;
    let refusal = Call::new(framed).with("grpc-encoding", "gzip").refusal().await;
    assert_eq!(refusal, (Code::ResourceExhausted, "PAYLOAD_TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn what_the_back_end_refuses_is_not_acknowledged() {
    let wait = Some(Duration::from_mins(1));
    let cases: [(Made, Code); 5] = [
        (|| Status::invalid_argument("bad span"), Code::InvalidArgument),
        (|| Status::unavailable("later"), Code::Unavailable),
        (|| Status::unauthenticated("your key"), Code::Unavailable),
        (|| Status::unimplemented("no logs here"), Code::Unimplemented),
        (|| Status::internal("oops"), Code::Internal),
    ];
    for (made, code) in cases {
        let got = Call::new(frame::framed(&spoofed())).to(refusing(made).await).await;
        assert_eq!(status(&got).code(), code, "{:?}", made());
    }
    let throttled = move || {
        Status::with_error_details(Code::ResourceExhausted, "slow down", ErrorDetails::with_retry_info(wait))
    };
    for (agent, expected) in [("OTel-OTLP-Exporter-Python/1.45", 3), ("OpenTelemetry Collector/0.159", 60)] {
        let call = Call::new(frame::framed(&spoofed())).with("user-agent", agent);
        let got = call.to(refusing(throttled).await).await;
        let told = status(&got).get_details_retry_info().unwrap().retry_delay.unwrap();
        assert_eq!((status(&got).code(), told.as_secs()), (Code::ResourceExhausted, expected), "{agent}");
    }
}

#[tokio::test]
async fn a_back_end_that_is_gone_or_silent_is_an_outage() {
    let gone = gateway(&options("http://127.0.0.1:4317/")).0;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut waiting = options(&format!("http://{}", silent.local_addr().unwrap()));
    waiting.backend_protocol = Some(crate::otlp::Protocol::Grpc);
    waiting.forward_timeout_ms = 100;
    for gateway in [gone, gateway(&waiting).0] {
        let got = Call::new(frame::framed(&spoofed())).to(gateway).await;
        let status = status(&got);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.get_details_retry_info().is_some());
    }
}

#[tokio::test]
async fn other_content_types_are_not_grpc() {
    let (got, _) = Call::new(frame::framed(b"")).with("content-type", "application/json").into_sink().await;
    assert_eq!(got.status, 415);
}

#[test]
fn timeouts_are_read() {
    let read = |text: &'static str| {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("grpc-timeout"), HeaderValue::from_static(text))]);
        deadline(&headers).map_err(|refusal| refusal.reason)
    };
    assert_eq!(read("2S"), Ok(Some(Duration::from_secs(2))));
    assert_eq!(read("1500m"), Ok(Some(Duration::from_millis(1500))));
    assert_eq!(read("99999999H"), Ok(Some(Duration::from_hours(99_999_999))));
    for bad in ["", "S", "1", "1x", "999999999S", "-1S", "+1S"] {
        assert_eq!(read(bad), Err(Reason::InvalidArgument), "{bad}");
    }
}
